"""The numbers that the paper publishes (Zhang, Feng, Chen, Lai, arXiv 2107.09437), from ``data/published``."""

import pandas as pd

from edgechaos_core.store.runs import Run, RunConfig
from edgechaos_core.system.places import PUBLISHED

SAMPLES = 60_000
LARGEST_STEP = 0.16  # eta / (1 - alpha) in Figs. 4 and 5
BASE_SETTING = {"learning_rate": 0.01, "momentum": 0.0, "batch_size": 32}  # around which Fig. 3 varies one


def slopes() -> pd.DataFrame:
    """Return Fig. 3's settings and slopes: columns learning_rate, momentum, batch_size, A; one row a published dot."""
    table = pd.read_csv(PUBLISHED / "fig3_slopes.csv", comment="#")
    return table[["learning_rate", "momentum", "batch_size", "A"]].astype({"momentum": float})


def constant(momentum: float = 0.0) -> float:
    """Return the mean of ``c = A (1 - alpha) B / eta`` over the published slopes with that momentum."""
    table = slopes()
    own = table[table["momentum"] == momentum]
    return float((own["A"] * (1 - momentum) * own["batch_size"] / own["learning_rate"]).mean())


def edge() -> dict[float, float]:
    """Return the largest 1/J at which the published simulation (Fig. 1b) is chaotic, by J0/J."""
    table = pd.read_csv(PUBLISHED / "fig1b_edge.csv", comment="#")
    return dict(zip(table["ratio"], table["inverse_J"], strict=True))


def has_published_step(config: RunConfig) -> bool:
    """Tell whether the step eta / (1 - alpha) is no larger than the largest that the paper trains with."""
    return config.learning_rate / (1 - config.momentum) <= LARGEST_STEP * (1 + 1e-9)  # 0.016 / (1 - 0.9) rounds up


def slope(run: Run, *, missing: float | None = None) -> float:
    """Return the paper's slope A (Fig. 3) for a run's setting.

    Where the paper has none, return ``missing``, or raise ValueError if that is None.
    """
    table = slopes()
    setting = {name: getattr(run.config, name) for name in ("learning_rate", "momentum", "batch_size")}
    rows = table[(table[list(setting)] == pd.Series(setting)).all(axis=1)]
    protocol = {"dataset": "fashion-mnist", "samples": SAMPLES, "width": 784, "depth": 1, "l2": 0.0}
    protocol |= {"activation": "tanh", "optimizer": "sgd"}
    if any(getattr(run.config, name) != value for name, value in protocol.items()):
        rows = rows[:0]
    if rows.empty and missing is not None:
        return missing
    if rows.empty:
        given = ", ".join(f"{name} = {getattr(run.config, name)}" for name in protocol)
        raise ValueError(f"the paper has no slope for {setting}, {given}")
    return float(rows["A"].iloc[0])
