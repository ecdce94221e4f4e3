"""Trajectories in rescaled time, epoch x eta / ((1 - alpha) B): how well they collapse, and what speed costs.

In the ordered phase the paper's law (arXiv 2107.09437, Figs. 4 and 5) makes J^2 of any setting the same function of
rescaled time.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from edgechaos_core.analysis.intervals import over_seeds
from edgechaos_core.analysis.scaling import scale_factor
from edgechaos_core.store.runs import Run, RunConfig
from edgechaos_core.system.places import EPOCH_SECONDS

EDGE = 1.0  # J^2 where the ordered phase ends
MEASURED = ("J_squared", "test_loss", "test_accuracy", "train_loss")

Column = Literal["J_squared", "test_loss", "test_accuracy", "train_loss"]


def collapse(reference: Sequence[Run], run: Run, column: Column = "J_squared") -> pd.DataFrame:
    """Compare a run with runs of one setting (seeds), at equal rescaled time; one row an epoch of the run.

    Columns: ``epoch`` (of the run), ``time`` (rescaled), ``J_squared`` (mean of the reference there), ``distance``
    (the column of the run over the reference's mean, minus 1) and ``spread``: by how much another seed of the
    reference would be off, its 95% prediction interval by Student's t. The reference is interpolated linearly between
    epochs, from its first one on. Raises ValueError for fewer than two reference runs or several settings.
    """
    if column not in MEASURED:
        raise ValueError(f"unknown column {column!r}: choose from {', '.join(MEASURED)}")
    if len({setting_of(own.config) for own in reference}) != 1 or len(reference) < 2:
        raise ValueError("a collapse needs a reference of at least two seeds of one setting")
    length = min(len(own.history) for own in reference)
    clock = reference[0].history["epoch"][:length].to_numpy() * scale_factor(reference[0].config)
    time = run.history["epoch"].to_numpy() * scale_factor(run.config)
    # epochs at the ends of the reference count although rounding puts them beyond
    common = (time >= clock[1] * (1 - 1e-12)) & (time <= clock[-1] * (1 + 1e-12))

    def at(values: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation over seeds, at the run's epochs."""
        rows = np.array([np.interp(time[common], clock, own[:length]) for own in values])
        return rows.mean(0), rows.std(0, ddof=1)

    mean, deviation = at([own.history[column].to_numpy() for own in reference])
    n = len(reference)
    return pd.DataFrame(
        {
            "epoch": run.history["epoch"].to_numpy()[common],
            "time": time[common],
            "J_squared": at([own.history["J_squared"].to_numpy() for own in reference])[0],
            "distance": run.history[column].to_numpy()[common] / mean - 1,
            "spread": stats.t.ppf(0.975, n - 1) * math.sqrt(1 + 1 / n) * deviation / mean,
        }
    )


def parting(collapsed: pd.DataFrame, tolerance: float = 0.0) -> "pd.Series[float] | None":
    """Return the row from which on the distance stays beyond the spread of seeds, and beyond ``tolerance``, to the end.

    None where the last row is within them: the trajectories have not parted.
    """
    beyond = (collapsed["distance"].abs() > np.maximum(collapsed["spread"], tolerance)).to_numpy()
    if not beyond.size or not beyond[-1]:
        return None
    within = np.flatnonzero(~beyond)
    return collapsed.iloc[int(within[-1]) + 1 if within.size else 0]


def farthest(collapsed: pd.DataFrame, *, ordered: bool) -> float:
    """Return the largest distance (absolute, relative to the reference) up to the edge, J^2 = 1, or beyond it.

    nan where the trajectories have no such stretch in common.
    """
    side = collapsed["J_squared"] <= EDGE if ordered else collapsed["J_squared"] > EDGE
    return float(collapsed.loc[side, "distance"].abs().max()) if side.any() else math.nan


def best_epoch(run: Run) -> "pd.Series[float]":
    """Return the history's row of least validation loss. Raises ValueError for a run without a validation split."""
    if "validation_loss" not in run.history:
        raise ValueError("the best epoch is chosen on a validation split: the run needs the setting validation")
    return run.history.iloc[int(run.history["validation_loss"].to_numpy().argmin())]


def epoch_seconds() -> dict[int, float]:
    """Return the measured CPU seconds of an epoch of the pay-off's runs by batch size (tests/bench/payoff.py)."""
    table = pd.read_csv(EPOCH_SECONDS, comment="#")
    return dict(zip(table["batch_size"], table["seconds"], strict=True))


def payoff(runs: Sequence[Run], base: RunConfig, seconds: Mapping[int, float]) -> pd.DataFrame:
    """Set side by side what settings reach, and at what cost, at their epoch of least validation loss.

    One row a setting, seeds averaged, by speed: ``speed`` is the scale factor over that of ``base``; epochs, mini-batch
    ``steps`` and ``seconds`` (by those of an epoch of each batch size; nan for a size that is not among them) up to the
    best epoch; J^2, test loss and test accuracy there, the latter with the half widths ``±`` of their 95% Student-t
    intervals. Raises ValueError for runs without validation.
    """
    if not runs:
        raise ValueError("a pay-off needs at least one run")
    rows = []
    for own in by_setting(runs).values():
        config, best = own[0].config, [best_epoch(run) for run in own]
        epochs = float(np.mean([row["epoch"] for row in best]))
        rows.append(
            {
                "eta": config.learning_rate,
                "alpha": config.momentum,
                "B": config.batch_size,
                "speed": scale_factor(config) / scale_factor(base),
                "epochs": epochs,
                "steps": epochs * math.ceil(config.samples / config.batch_size),
                "seconds": epochs * seconds.get(config.batch_size, math.nan),
                "J²": float(np.mean([row["J_squared"] for row in best])),
                **_with_half_width("test loss", [float(row["test_loss"]) for row in best]),
                **_with_half_width("test accuracy", [float(row["test_accuracy"]) for row in best]),
                "seeds": len(own),
            }
        )
    return pd.DataFrame(rows).sort_values(["speed", "B", "alpha"]).set_index(["eta", "alpha", "B"])


def _with_half_width(name: str, values: list[float]) -> dict[str, float]:
    interval = over_seeds(values)
    return {name: interval.value, f"± {name}": math.nan if interval.high is None else interval.high - interval.value}


def by_setting(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Group runs that are seeds of one setting, by `setting_of`."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(setting_of(run.config), []).append(run)
    return groups


def setting_of(config: RunConfig) -> str:
    """Return what runs share that are seeds of one setting, as text: all but seed and epochs."""
    return config.model_dump_json(exclude={"seed", "epochs"})
