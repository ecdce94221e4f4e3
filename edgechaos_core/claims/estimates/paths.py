"""Estimates of claims C8 to C10, one function a part of data/claims.yaml: runs compared with Fig. 2's of the same seed.

Paths are compared at equal rescaled time, ``epoch eta / ((1 - alpha) B)``, J^2 being linear between epochs.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from edgechaos_core.analysis.by_setting import apart
from edgechaos_core.analysis.intervals import Estimate, over_seeds
from edgechaos_core.analysis.rescaling import (
    best_loss_ratio,
    best_points_more,
    farthest_beyond,
    farthest_in_order,
    square_at_edge,
    square_at_end,
)
from edgechaos_core.claims.estimates.optima import off_one, worst
from edgechaos_core.store.runs import Run, RunConfig


def _is_fig2(config: RunConfig) -> bool:
    return (config.learning_rate, config.momentum, config.batch_size) == (0.02, 0.5, 32)


Comparison = Callable[[Run, Run], float]  # of a run and the base's of the same seed


def over_base_setting(base: Mapping[int, Run], seeds: Mapping[int, Run], compared: Comparison) -> Estimate:
    """Return one setting compared with the base, seed by seed; nan without a seed in common."""
    return over_seeds([compared(run, base[seed]) for seed, run in seeds.items() if seed in base] or [math.nan])


def _over_base(runs: Sequence[Run], compared: Comparison, off: Callable[[float], float]) -> Estimate:
    """The worst setting of runs compared with Fig. 2's setting, seed by seed; nan for one without a seed in common."""
    base, others = apart(runs, _is_fig2)
    return worst([over_base_setting(base, seeds, compared) for seeds in others], off)


def path_at_edge(runs: Sequence[Run]) -> Estimate:
    """C8: J^2 over that of Fig. 2's run of the same seed where that is 1, at the same rescaled time, worst setting."""
    return _over_base(runs, square_at_edge, off_one)


def path_at_end(runs: Sequence[Run]) -> Estimate:
    """C8: J^2 over that of Fig. 2's run of the same seed at the last rescaled time of both, worst setting."""
    return _over_base(runs, square_at_end, off_one)


def distance_in_order(runs: Sequence[Run]) -> Estimate:
    """C9: largest relative distance from Fig. 2's path of the same seed up to its J^2 = 1, worst setting."""
    return _over_base(runs, farthest_in_order, abs)


def distance_beyond_less_in_order(runs: Sequence[Run]) -> Estimate:
    """C9: largest relative distance beyond J^2 = 1, less that up to it, of the setting where this is least."""
    return _over_base(
        runs, lambda run, base: farthest_beyond(run, base) - farthest_in_order(run, base), lambda value: -value
    )


def best_loss_over_base(runs: Sequence[Run]) -> Estimate:
    """C10: test loss at the least validation loss over that of Fig. 2's setting, same seed, worst setting."""
    return _over_base(runs, best_loss_ratio, off_one)


def best_accuracy_less_base(runs: Sequence[Run]) -> Estimate:
    """C10: points of test accuracy there less those of Fig. 2's setting, same seed, worst setting."""
    return _over_base(runs, best_points_more, abs)
