"""Estimates of claims C8 to C10, one function a part of data/claims.yaml: runs compared with Fig. 2's of the same seed.

Paths are compared at equal rescaled time, ``epoch eta / ((1 - alpha) B)``, J^2 being linear between epochs.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from edgechaos_core.analysis.intervals import Estimate, over_seeds
from edgechaos_core.analysis.rescaling import EDGE, best_epoch
from edgechaos_core.analysis.scaling import scale_factor
from edgechaos_core.claims.optima import apart, off_one, worst
from edgechaos_core.store.runs import Run, RunConfig


def _is_fig2(config: RunConfig) -> bool:
    return (config.learning_rate, config.momentum, config.batch_size) == (0.02, 0.5, 32)


Comparison = Callable[[Run, Run], float]  # of a run and the base's of the same seed


def _over_base(runs: Sequence[Run], compare: Comparison, off: Callable[[float], float]) -> Estimate:
    """The worst setting of runs compared with Fig. 2's setting, seed by seed; nan for one without a seed in common."""
    base, others = apart(runs, _is_fig2)
    own = [[compare(run, base[seed]) for seed, run in seeds.items() if seed in base] for seeds in others]
    return worst([over_seeds(values or [math.nan]) for values in own], off)


def path_at_edge(runs: Sequence[Run]) -> Estimate:
    """C8: J^2 over that of Fig. 2's run of the same seed where that is 1, at the same rescaled time, worst setting."""
    return _over_base(runs, _over_base_at_edge, off_one)


def path_at_end(runs: Sequence[Run]) -> Estimate:
    """C8: J^2 over that of Fig. 2's run of the same seed at the last rescaled time of both, worst setting."""
    return _over_base(runs, lambda run, base: _ratio(run, base, _last_time(run, base)), off_one)


def _times(run: Run) -> NDArray[np.float64]:
    return run.history["epoch"].to_numpy(dtype=float) * scale_factor(run.config)


def _at(run: Run, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """J^2 at rescaled times, linear between epochs."""
    return np.asarray(np.interp(times, _times(run), run.history["J_squared"].to_numpy(dtype=float)))


def _ratio(run: Run, base: Run, time: float) -> float:
    times = np.array([time])
    return float((_at(run, times) / _at(base, times))[0])


def _last_time(run: Run, base: Run) -> float:
    return min(float(_times(run)[-1]), float(_times(base)[-1]))


def _over_base_at_edge(run: Run, base: Run) -> float:
    """nan where the base does not pass J^2 = 1 while the run lasts."""
    J_squared, times = base.history["J_squared"].to_numpy(dtype=float), _times(base)
    beyond = np.flatnonzero(J_squared > EDGE)
    if not beyond.size or beyond[0] == 0:
        return math.nan
    pair = slice(beyond[0] - 1, beyond[0] + 1)
    passed = float(np.interp(EDGE, J_squared[pair], times[pair]))
    return _ratio(run, base, passed) if passed <= _last_time(run, base) else math.nan


def distance_in_order(runs: Sequence[Run]) -> Estimate:
    """C9: largest relative distance from Fig. 2's path of the same seed up to its J^2 = 1, worst setting."""
    return _over_base(runs, lambda run, base: _farthest(run, base)[0], lambda value: value)


def distance_beyond_less_in_order(runs: Sequence[Run]) -> Estimate:
    """C9: largest relative distance beyond J^2 = 1, less that up to it, of the setting where this is least."""

    def difference(run: Run, base: Run) -> float:
        ordered, beyond = _farthest(run, base)
        return beyond - ordered

    return _over_base(runs, difference, lambda value: -value)


def _farthest(run: Run, base: Run) -> tuple[float, float]:
    """Up to the base's J^2 = 1 and beyond; from the end of its first epoch on, within which J^2 jumps. nan for none."""
    times, end = _times(run), _last_time(run, base)
    common = (times >= _times(base)[1] * (1 - 1e-12)) & (times <= end * (1 + 1e-12))
    there = _at(base, times[common])
    distance = np.abs(run.history["J_squared"].to_numpy(dtype=float)[common] / there - 1)
    sides = (distance[there <= EDGE], distance[there > EDGE])
    ordered, beyond = (float(side.max()) if side.size else math.nan for side in sides)
    return ordered, beyond


def best_loss_over_base(runs: Sequence[Run]) -> Estimate:
    """C10: test loss at the least validation loss over that of Fig. 2's setting, same seed, worst setting."""
    return _over_base(
        runs, lambda run, base: float(best_epoch(run)["test_loss"] / best_epoch(base)["test_loss"]), off_one
    )


def best_accuracy_less_base(runs: Sequence[Run]) -> Estimate:
    """C10: points of test accuracy there less those of Fig. 2's setting, same seed, worst setting."""

    def gained(run: Run, base: Run) -> float:
        return 100 * float(best_epoch(run)["test_accuracy"] - best_epoch(base)["test_accuracy"])

    return _over_base(runs, gained, abs)
