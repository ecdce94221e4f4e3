"""Estimates of C11 to C14 and B7 to B10, one function a part of data/claims.yaml: decay, noise, ReLU with Adam.

The end of a run is the mean over the last tenth of its epochs (analysis.scaling.settled).
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgechaos_core.analysis.along_path import crossing
from edgechaos_core.analysis.by_setting import apart, common_seeds, of_one_setting, of_settings
from edgechaos_core.analysis.intervals import Estimate, bootstrap, over_seeds
from edgechaos_core.analysis.scaling import settled
from edgechaos_core.claims.estimates.growth import place_of_least_test_loss
from edgechaos_core.claims.estimates.optima import NEAR_THE_TOP, off_one, optimum, worst
from edgechaos_core.store.runs import Run

RELU_EDGE = 2**0.5  # J of ReLU's edge of chaos for J0 = 0


def of_strengths(runs: Sequence[Run], *, of_one_length: bool = True) -> dict[float, dict[int, Run]]:
    """Return the runs of each lambda by seed, lambda rising; where ``of_one_length``, all have as many epochs.

    Raises ValueError for fewer than two strengths, or runs that differ in more than lambda and seed.
    """
    free_to_differ = {"seed", "l2"} | ({"epochs"} if not of_one_length else set())
    if len({run.config.model_dump_json(exclude=free_to_differ) for run in runs}) > 1:
        raise ValueError(f"the runs must differ in {', '.join(sorted(free_to_differ))} alone")
    found = {next(iter(own.values())).config.l2: own for own in of_settings(runs)}
    if len(found) < 2:
        raise ValueError(f"at least two strengths of decay are compared, got {len(found)}")
    return dict(sorted(found.items()))


def _mean_end(own: dict[int, Run], seeds: Sequence[int], column: str = "test_accuracy") -> float:
    """A column at the end, test accuracy if none is named, the mean of these seeds."""
    return float(np.mean([settled(own[seed], column) for seed in seeds]))


def least_fall_with_decay(runs: Sequence[Run]) -> Estimate:
    """C11: fall of J^2 at the end from one lambda to the next larger one, seed by seed, of the pair where it is least.

    nan where a pair has no seed in common.
    """
    falls = [
        [settled(weak[seed]) - settled(strong[seed]) for seed in common_seeds([weak, strong])]
        for weak, strong in itertools.pairwise(of_strengths(runs).values())
    ]
    return worst([over_seeds(own or [math.nan]) for own in falls], lambda fall: -fall)


def place_of_best_accuracy(runs: Sequence[Run], near: int = NEAR_THE_TOP) -> Estimate:
    """C11: J at the best test accuracy at the end, over strengths of decay.

    The top of a parabola of accuracy against J, both at the end, through the ``near`` strengths that are best on
    average; each seed has its own height (`optimum`). Its uncertainty is that of the fit over seeds drawn anew. nan
    where the top is not among the J, or the seeds have no strengths in common. Raises ValueError for fewer strengths.
    """
    return _best_place(near_the_best(runs, "test_accuracy", -1, near))


def place_of_least_final_loss(runs: Sequence[Run], near: int = NEAR_THE_TOP) -> Estimate:
    """Return J at the least test loss at the end, over strengths of decay, as `place_of_best_accuracy`; no claim's."""
    return _best_place(near_the_best(runs, "test_loss", 1, near))


def _best_place(near: tuple[NDArray[np.float64], NDArray[np.float64]]) -> Estimate:
    """J at the least value of the parabola through `near_the_best`."""
    J, y = near
    return bootstrap(lambda places: optimum(J[places], y[places]), len(J)) if len(J) else over_seeds([math.nan])


def near_the_best(
    runs: Sequence[Run], column: str, sign: int, count: int = NEAR_THE_TOP
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return J and ``sign`` times a column, both at the end, of the ``count`` strengths where that is least.

    Both ``[seeds, strengths]``, of the seeds that these strengths have in common; empty where there are none. Raises
    ValueError for fewer strengths.
    """
    strengths = of_strengths(runs)
    if len(strengths) < count:
        raise ValueError(f"an optimum is fitted to {count} strengths of decay, got {len(strengths)}")
    all_have = common_seeds(list(strengths.values()))
    ranked = sorted(strengths.values(), key=lambda own: sign * _mean_end(own, all_have, column)) if all_have else []
    near = ranked[:count]
    seeds = common_seeds(near) if near else []
    J = np.array([[settled(own[seed]) ** 0.5 for own in near] for seed in seeds])
    return J, sign * np.array([[settled(own[seed], column) for own in near] for seed in seeds])


def end_with_decay(runs: Sequence[Run]) -> Estimate:
    """C12: J^2 at the end; seeds of one setting."""
    return over_seeds([settled(run) for run in of_one_setting(runs).values()])


def accuracy_less_best_other(runs: Sequence[Run], strength: float = 9e-5) -> Estimate:
    """C12: points of test accuracy at the end with one lambda less those of the best other one, seed by seed.

    The best other one is that of the highest accuracy on average over the seeds that all have (nan where they have
    none); it is compared over all seeds that it has in common with ``strength``. Raises ValueError where ``strength``
    is not among them.
    """
    strengths = of_strengths(runs)
    if strength not in strengths:
        raise ValueError(f"lambda = {strength:g} is not among the runs")
    chosen = strengths.pop(strength)
    all_have = common_seeds([chosen, *strengths.values()])
    if not all_have:
        return over_seeds([math.nan])
    other = max(strengths.values(), key=lambda own: _mean_end(own, all_have))
    seeds = common_seeds([chosen, other])
    return over_seeds([100 * (_mean_end(chosen, [seed]) - _mean_end(other, [seed])) for seed in seeds])


def strength_for_the_edge(runs: Sequence[Run]) -> Estimate:
    """Return lambda* at which J^2 at the end is 1: ln lambda, linear in ln J^2 between two strengths around it.

    J^2 is the mean of the seeds that all strengths have, lambda = 0 left out; the bootstrap draws these seeds anew. nan
    where J^2 does not pass 1 between two strengths.
    """
    log_l2, ends = _ends_by_strength(runs)

    def passage(places: NDArray[np.int_]) -> float:
        return float(np.exp(crossing(log_l2, -np.log(ends[:, places].mean(1)), 0.0)))  # J^2 falls with lambda

    return bootstrap(passage, ends.shape[1]) if ends.size else over_seeds([math.nan])


def end_at_strength(runs: Sequence[Run], l2: float) -> Estimate:
    """Return J^2 at the end with a lambda that was not run: ln J^2, linear in ln lambda between its two neighbours.

    Seeds and bootstrap as in `strength_for_the_edge`. nan outside the strengths above 0 that were run.
    """
    log_l2, ends = _ends_by_strength(runs)
    if not ends.size or l2 <= 0 or not log_l2[0] <= math.log(l2) <= log_l2[-1]:
        return over_seeds([math.nan])

    def end(places: NDArray[np.int_]) -> float:
        return float(np.exp(np.interp(math.log(l2), log_l2, np.log(ends[:, places].mean(1)))))

    return bootstrap(end, ends.shape[1])


def _ends_by_strength(runs: Sequence[Run]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Logarithms of the lambdas above 0, and J^2 at the end, ``[strengths, seeds]``, of the seeds that all have."""
    strengths = {l2: own for l2, own in of_strengths(runs).items() if l2 > 0}
    seeds = common_seeds(list(strengths.values()))
    ends = np.array([[settled(own[seed]) for seed in seeds] for own in strengths.values()])
    return np.log(list(strengths)), ends


def wrong_labels_fitted(runs: Sequence[Run]) -> Estimate:
    """C13: share, at the end, of the samples with a wrong label that are given that label; seeds of one setting."""
    return over_seeds([settled(run, "shuffled_accuracy") for run in of_one_setting(runs).values()])


def correct_labels_fitted(runs: Sequence[Run]) -> Estimate:
    """C13: share, at the end, of the samples with a correct label that are given it; seeds of one setting."""
    return over_seeds([settled(run, "kept_accuracy") for run in of_one_setting(runs).values()])


def relu_place_of_least_test_loss(runs: Sequence[Run]) -> Estimate:
    """C14: J at the least test loss on the path over the square root of 2; seeds of one setting."""
    return _over(place_of_least_test_loss(runs), RELU_EDGE)


def relu_place_of_best_accuracy(runs: Sequence[Run]) -> Estimate:
    """C14: J at the best test accuracy at the end over the square root of 2, as `place_of_best_accuracy`."""
    return _over(place_of_best_accuracy(runs), RELU_EDGE)


def worst_end(runs: Sequence[Run]) -> Estimate:
    """B7, B8: J^2 at the end, of the setting where it is farthest from 1 as a factor."""
    return worst([over_seeds([settled(run) for run in own.values()]) for own in of_settings(runs)], off_one)


def loss_spared_by_formula(runs: Sequence[Run]) -> Estimate:
    """B9: test loss at the end without decay less that with it, seed by seed."""
    return _free_and_decayed(runs, "test_loss", -1)


def points_gained_by_formula(runs: Sequence[Run]) -> Estimate:
    """B9: points of test accuracy at the end with decay less those without, seed by seed."""
    return _free_and_decayed(runs, "test_accuracy", 100)


def wrong_labels_spared(runs: Sequence[Run]) -> Estimate:
    """B10: points of wrong labels fitted at the end without decay less those held at J^2 = 1, seed by seed."""
    return _free_and_decayed(runs, "shuffled_accuracy", -100)


def _free_and_decayed(runs: Sequence[Run], column: str, unit: float) -> Estimate:
    """``unit`` times a column at the end of the setting with decay (constant or held) less that of the one without."""
    free, decayed = apart(runs, lambda config: config.l2 == 0 and not config.hold)
    seeds = common_seeds([free, *decayed])
    ends = [[settled(own[seed], column) for own in (decayed[0], free)] for seed in seeds]
    return over_seeds([unit * (one - other) for one, other in ends] or [math.nan])


def _over(estimate: Estimate, unit: float) -> Estimate:
    low, high = (None if end is None else end / unit for end in (estimate.low, estimate.high))
    sample = tuple(value / unit for value in estimate.sample)
    return Estimate(estimate.value / unit, low, high, estimate.n, sample, estimate.resampled)
