"""Trajectories in rescaled time, epoch x eta / ((1 - alpha) B): how well they collapse.

In the ordered phase the paper's law (arXiv 2107.09437, Figs. 4 and 5) makes J^2 of any setting the same function of
rescaled time.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from edgechaos_core.analysis.along_path import crossing
from edgechaos_core.analysis.by_setting import setting_of
from edgechaos_core.analysis.scaling import scale_factor
from edgechaos_core.store.runs import Run

EDGE = 1.0  # J^2 where the ordered phase ends
MEASURED = ("J_squared", "test_loss", "test_accuracy", "train_loss")

Column = Literal["J_squared", "test_loss", "test_accuracy", "train_loss"]


def compare(base: Run, run: Run, column: Column = "J_squared") -> pd.DataFrame:
    """Compare a run with another, the base, at equal rescaled time; one row an epoch of the run.

    Columns: ``epoch`` (of the run), ``time`` (rescaled), ``J_squared`` (of the base there) and ``distance`` (the column
    of the run over the base's, minus 1). The base is linear between its epochs. Rows begin with the end of its first
    epoch, within which J^2 jumps, and end with the shorter of the two.
    """
    if column not in MEASURED:
        raise ValueError(f"unknown column {column!r}: choose from {', '.join(MEASURED)}")
    clock, time = rescaled_time(base), rescaled_time(run)
    # Times are products of rounded numbers: the ends count although rounding may put them beyond.
    common = (time >= clock[1] * (1 - 1e-12)) & (time <= clock[-1] * (1 + 1e-12))
    own = run.history[column].to_numpy(dtype=float)[common]
    return pd.DataFrame(
        {
            "epoch": run.history["epoch"].to_numpy()[common],
            "time": time[common],
            "J_squared": np.interp(time[common], clock, base.history["J_squared"].to_numpy(dtype=float)),
            "distance": own / np.interp(time[common], clock, base.history[column].to_numpy(dtype=float)) - 1,
        }
    )


def rescaled_time(run: Run) -> NDArray[np.float64]:
    """Return ``epoch eta / ((1 - alpha) B)`` at the end of each epoch of a run."""
    return run.history["epoch"].to_numpy(dtype=float) * scale_factor(run.config)


def collapse(reference: Sequence[Run], run: Run, column: Column = "J_squared") -> pd.DataFrame:
    """Compare a run with the reference's run of the same seed, and with what two seeds of the reference differ by.

    The columns of `compare` and ``spread``: half the width of the 95% prediction interval, by Student's t, of the
    relative difference between two seeds of the reference. Rows end with the shortest run. Raises ValueError for
    fewer than two reference runs, several settings, or no reference run of this seed.
    """
    if len({setting_of(own.config) for own in reference}) != 1 or len(reference) < 2:
        raise ValueError("a collapse needs a reference of at least two seeds of one setting")
    base = [own for own in reference if own.config.seed == run.config.seed]
    if not base:
        raise ValueError(f"the reference has no run of seed {run.config.seed} to compare with")
    length = min(len(own.history) for own in reference)
    clock = rescaled_time(reference[0])[:length]
    compared = compare(base[0], run, column)
    compared = pd.DataFrame(compared[compared["time"] <= clock[-1] * (1 + 1e-12)])
    seeds = np.array([np.interp(compared["time"], clock, own.history[column][:length]) for own in reference])
    relative = seeds.std(0, ddof=1) / seeds.mean(0)
    compared["spread"] = stats.t.ppf(0.975, len(reference) - 1) * math.sqrt(2) * relative
    return compared


def parting(collapsed: pd.DataFrame, tolerance: float = 0.0) -> "pd.Series[float] | None":
    """Return the row from which on the distance stays beyond the spread of seeds, and beyond ``tolerance``, to the end.

    None where the last row is within them: the trajectories have not parted.
    """
    beyond = (collapsed["distance"].abs() > np.maximum(collapsed["spread"], tolerance)).to_numpy()
    if not beyond.size or not beyond[-1]:
        return None
    within = np.flatnonzero(~beyond)
    return collapsed.iloc[int(within[-1]) + 1 if within.size else 0]


def parts_at(reference: Sequence[Run], run: Run) -> float:
    """Return the reference's J^2 from which on a run differs by more than two seeds of it do (`parting`); else nan."""
    parted = parting(collapse(reference, run))
    return math.nan if parted is None else float(parted["J_squared"])


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


def _ratio(run: Run, base: Run, time: float) -> float:
    """J^2 of a run over the base's at a rescaled time, both linear between epochs."""
    own, other = (
        float(np.interp(time, rescaled_time(one), one.history["J_squared"].to_numpy(dtype=float)))
        for one in (run, base)
    )
    return own / other


def _last_time(run: Run, base: Run) -> float:
    return min(float(rescaled_time(run)[-1]), float(rescaled_time(base)[-1]))


def square_at_end(run: Run, base: Run) -> float:
    """Return J^2 of a run over the base's at the last rescaled time of both."""
    return _ratio(run, base, _last_time(run, base))


def square_at_edge(run: Run, base: Run) -> float:
    """Return J^2 of a run where the base's is 1; nan where the base does not pass that while the run lasts."""
    passed = crossing(rescaled_time(base), base.history["J_squared"].to_numpy(dtype=float), EDGE)
    return _ratio(run, base, passed) if passed <= _last_time(run, base) else math.nan


def farthest_in_order(run: Run, base: Run) -> float:
    """Return the largest relative distance of a run from the base up to the base's J^2 = 1 (`farthest`)."""
    return farthest(compare(base, run), ordered=True)


def farthest_beyond(run: Run, base: Run) -> float:
    """Return the same beyond J^2 = 1."""
    return farthest(compare(base, run), ordered=False)


def best_loss_ratio(run: Run, base: Run) -> float:
    """Return a run's test loss in its best epoch over the base's."""
    return float(best_epoch(run)["test_loss"] / best_epoch(base)["test_loss"])


def best_points_more(run: Run, base: Run) -> float:
    """Return the points of test accuracy of a run in its best epoch less the base's."""
    return 100 * float(best_epoch(run)["test_accuracy"] - best_epoch(base)["test_accuracy"])
