"""Where runs land that were meant to land at the edge: J^2 at the end, by setting and way of choosing the decay."""

from collections.abc import Mapping, Sequence

import pandas as pd

from edgechaos_core.analysis.intervals import over_seeds, shown
from edgechaos_core.analysis.scaling import settled
from edgechaos_core.store.runs import Run, RunConfig

# How far from 1 J^2 may end to count as at the edge, by way (data/claims.yaml, C12, B7 and B8).
BANDS = {"formula": 0.1, "pilot": 0.1, "controller": 0.03}
USUAL = {"samples": 60_000, "width": 784, "dataset": "fashion-mnist"}


def way_of(config: RunConfig) -> str:
    """Return how the decay of a run was chosen: ``controller``, ``formula`` (constant) or ``none``."""
    return "controller" if config.hold else "formula" if config.l2 else "none"


def setting_of(config: RunConfig) -> str:
    """Return in words what network and training a run is of."""
    sizes = {"samples": f"S {config.samples:,}", "width": f"width {config.width:,}", "dataset": config.dataset}
    own = [text for name, text in sizes.items() if getattr(config, name) != USUAL[name]]
    rates = f"η {config.learning_rate:g}, α {config.momentum:g}, B {config.batch_size}"
    return "; ".join([*own, rates])


def by_way(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Sort runs by `way_of` their config, in order of first appearance."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(way_of(run.config), []).append(run)
    return found


def table(runs: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """Return one row a run of each way: setting, way, seed, lambda, J² and accuracy at the end (last tenth)."""
    return pd.DataFrame(
        [
            {
                "setting": setting_of(run.config),
                "way": way,
                "seed": run.config.seed,
                "lambda": settled(run, "lambda") if run.config.hold else run.config.l2,
                "J²": settled(run),
                "test accuracy": settled(run, "test_accuracy"),
            }
            for way, own in runs.items()
            for run in own
        ]
    ).sort_values("setting", key=lambda settings: settings.map(list(dict.fromkeys(settings)).index), kind="stable")


def summary(ends: pd.DataFrame) -> pd.DataFrame:
    """Set `table` together by setting and way: J² with its interval over seeds, mean lambda and accuracy."""
    groups = ends.groupby(["setting", "way"], sort=False)
    return pd.DataFrame(
        {
            "J² at the end": groups["J²"].agg(lambda values: shown(over_seeds(values.tolist()))),
            "lambda": groups["lambda"].mean().map("{:.2g}".format),
            "test accuracy": groups["test accuracy"].mean().round(4),
        }
    )
