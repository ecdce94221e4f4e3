"""Estimates of B1 to B6 and B12, one function a part of data/claims.yaml: is J = 1 the reason, and where is it needed?

The end of a run is the mean over the last tenth of its epochs (analysis.scaling.settled).
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from edgechaos_core.analysis.along_path import crossing
from edgechaos_core.analysis.by_setting import common_seeds, of_settings
from edgechaos_core.analysis.intervals import Estimate, bootstrap, over_seeds
from edgechaos_core.analysis.scaling import scale_factor, settled
from edgechaos_core.claims.estimates.optima import NEAR_THE_TOP, epoch_of_least, few_without, least_on_path, optimum
from edgechaos_core.conventions import INITIAL_J
from edgechaos_core.store.runs import Run, RunConfig

VALIDATION = "validation_loss"
TRAINED = 0.5  # test accuracy from which on a deep network counts as trained
LAST_EPOCHS = 3  # over which that accuracy is averaged
DEFAULT_AND_EDGE = (3**-0.5, 1.0)  # J of PyTorch's default start, J^2 = 1/3, and of the edge


def started_at(config: RunConfig) -> float:
    """Return J before training."""
    return INITIAL_J if config.initial_J is None else config.initial_J


def _by(runs: Sequence[Run], place: Callable[[RunConfig], float]) -> dict[float, dict[int, Run]]:
    """The runs of each setting by seed, by a place that no two settings share; rising. ValueError where they do."""
    groups = of_settings(runs)
    found = {place(next(iter(own.values())).config): own for own in groups}
    if len(found) < len(groups):
        raise ValueError("two settings have the same place")
    return dict(sorted(found.items()))


def line_over_seeds(x: NDArray[np.float64], y: NDArray[np.float64]) -> Estimate:
    """Return the slope of y ``[seeds, places]`` on x, least squares with a height for each seed; bootstrap over seeds.

    Places that are nan are left out where they are at most a tenth of all; the slope is nan for more of them.
    """
    if not few_without(y):
        return over_seeds([math.nan])
    there = np.where(np.isnan(y), np.nan, x)
    centred = there - np.nanmean(there, axis=1, keepdims=True)
    products, squares = np.nansum(centred * y, axis=1), np.nansum(centred**2, axis=1)
    return bootstrap(lambda drawn: float(products[drawn].sum() / squares[drawn].sum()), len(y))


def slope_of_place_on_start(runs: Sequence[Run]) -> Estimate:
    """B1: slope of J^2 at the least validation loss on J^2 at the start; 0 for the edge as the cause, 1 for time."""
    starts = _by(runs, started_at)
    seeds = common_seeds(list(starts.values()))
    if not seeds or len(starts) < 2:
        return over_seeds([math.nan])
    y = [[least_on_path(own[seed].history, VALIDATION) ** 2 for own in starts.values()] for seed in seeds]
    return line_over_seeds(np.square(list(starts)), np.array(y))


def epochs_from_far_over_near(runs: Sequence[Run]) -> Estimate:
    """B1: epoch of the least validation loss from the smallest J at the start over that from the largest, by seed."""
    starts = list(_by(runs, started_at).values())
    far, near = starts[0], starts[-1]
    seeds = common_seeds([far, near])
    return over_seeds(
        [epoch_of_least(far[s].history, VALIDATION) / epoch_of_least(near[s].history, VALIDATION) for s in seeds]
        or [math.nan]
    )


def loss_from_beyond_less_usual(runs: Sequence[Run]) -> Estimate:
    """B2: least validation loss from the largest J at the start less that from the smallest, seed by seed."""
    starts = list(_by(runs, started_at).values())
    usual, beyond = starts[0], starts[-1]
    seeds = common_seeds([usual, beyond])
    least = [[float(own[seed].history[VALIDATION].min()) for own in (beyond, usual)] for seed in seeds]
    return over_seeds([one - other for one, other in least] or [math.nan])


def exponent_of_place_through_rate(runs: Sequence[Run]) -> Estimate:
    """B3: exponent of J^2 at the least validation loss against speed, settings that differ in eta."""
    return _exponent_of_place(runs, scale_factor)


def exponent_of_place_through_batch(runs: Sequence[Run]) -> Estimate:
    """B3: exponent of J^2 at the least validation loss against speed, settings that differ in B."""
    return _exponent_of_place(runs, scale_factor)


def exponent_of_place_in_width(runs: Sequence[Run]) -> Estimate:
    """B12: exponent of J^2 at the least validation loss against the width of the hidden layer."""
    return _exponent_of_place(runs, lambda config: config.width)


def exponent_of_place_in_samples(runs: Sequence[Run]) -> Estimate:
    """B12: exponent of J^2 at the least validation loss against the number of training images."""
    return _exponent_of_place(runs, lambda config: config.samples)


def _exponent_of_place(runs: Sequence[Run], across: Callable[[RunConfig], float]) -> Estimate:
    settings = _by(runs, across)
    seeds = common_seeds(list(settings.values()))
    if not seeds or len(settings) < 3:
        return over_seeds([math.nan])
    places = [[least_on_path(own[seed].history, VALIDATION) for own in settings.values()] for seed in seeds]
    return line_over_seeds(np.log(list(settings)), 2 * np.log(places))


def held_place_of_least_loss(runs: Sequence[Run]) -> Estimate:
    """B4: J at the least validation loss at the end, over the places where J^2 was held."""
    return _best_held(runs, VALIDATION, 1)


def held_place_of_best_accuracy(runs: Sequence[Run]) -> Estimate:
    """B4: J at the best validation accuracy at the end, likewise."""
    return _best_held(runs, "validation_accuracy", -1)


def _best_held(runs: Sequence[Run], column: str, sign: int) -> Estimate:
    """The optimum of a parabola through the four places that are best on average; bootstrap over seeds."""
    places = _by(runs, lambda config: config.hold)
    seeds = common_seeds(list(places.values()))
    if not seeds or len(places) < NEAR_THE_TOP:
        return over_seeds([math.nan])
    y = np.array([[sign * settled(own[seed], column) for own in places.values()] for seed in seeds])
    J = np.array([[settled(own[seed]) ** 0.5 for own in places.values()] for seed in seeds])
    near = np.sort(np.argsort(y.mean(0))[:NEAR_THE_TOP])
    return bootstrap(lambda drawn: optimum(J[drawn][:, near], y[drawn][:, near]), len(seeds))


def points_lost_below_the_edge(runs: Sequence[Run]) -> Estimate:
    """B4: points of validation accuracy at the end held at the largest J^2 less those held at the smallest."""
    places = list(_by(runs, lambda config: config.hold).values())
    seeds = common_seeds([places[0], places[-1]])
    ends = [[settled(own[seed], "validation_accuracy") for own in (places[-1], places[0])] for seed in seeds]
    return over_seeds([100 * (edge - below) for edge, below in ends] or [math.nan])


def trained_over_shuffled_edge(runs: Sequence[Run]) -> Estimate:
    """B5: J where the largest Lyapunov exponent of the trained map passes 0 over that of its shuffled entries."""
    return over_seeds([passage(run, "lyapunov") / passage(run, "lyapunov_shuffled") for run in runs])


def passage(run: Run, column: str, level: float = 0.0) -> float:
    """Return J at which a column first exceeds a level, linear between epochs; nan where never, or from the start."""
    J = np.sqrt(run.history["J_squared"].to_numpy(dtype=float))
    return crossing(J, run.history[column].to_numpy(dtype=float), level)


def depth_trained(runs: Sequence[Run]) -> tuple[list[float], list[int], NDArray[np.float64]]:
    """Return J at the start (rising), depths (rising) and accuracies ``[seeds, J, depths]`` of a grid of deep networks.

    Accuracies are test accuracies, the mean of the last three epochs. Raises ValueError for a grid with holes, or
    without a seed that all its settings have.
    """
    groups = of_settings(runs)
    place = {(started_at((one := next(iter(own.values()))).config), one.config.depth): own for own in groups}
    starts, depths = (sorted(set(values)) for values in zip(*place, strict=True))
    seeds = common_seeds(groups)
    if len(place) < len(starts) * len(depths) or not seeds:
        raise ValueError("every start needs runs of every depth, with a seed that all of them have")
    accuracies = [
        [[place[J, depth][seed].history["test_accuracy"][-LAST_EPOCHS:].mean() for depth in depths] for J in starts]
        for seed in seeds
    ]
    return [float(J) for J in starts], [int(depth) for depth in depths], np.array(accuracies)


def deepest(accuracies: NDArray[np.float64], depths: Sequence[int]) -> NDArray[np.float64]:
    """Return the largest depth that is trained from each start, of accuracies ``[J, depths]``; 0 where none is."""
    reached: NDArray[np.float64] = np.where(accuracies > TRAINED, np.asarray(depths, dtype=float), 0.0).max(1)
    return reached


def start_of_deepest(runs: Sequence[Run]) -> Estimate:
    """B6: J at the start from which the largest depth is trained, in the logarithmic middle of those that reach it."""
    starts, depths, accuracies = depth_trained(runs)

    def middle(drawn: NDArray[np.int_]) -> float:
        reached = deepest(accuracies[drawn].mean(0), depths)
        best = np.log(starts)[reached == reached.max()]
        return float(np.exp((best[0] + best[-1]) / 2)) if reached.max() else math.nan

    return bootstrap(middle, len(accuracies))


def depth_from_edge_over_default(runs: Sequence[Run]) -> Estimate:
    """B6: depth trained from the largest J at the start, the edge, over that from the smallest, PyTorch's default."""
    _, depths, accuracies = depth_trained(runs)

    def ratio(drawn: NDArray[np.int_]) -> float:
        reached = deepest(accuracies[drawn].mean(0), depths)
        return float(reached[-1] / reached[0]) if reached[0] else math.nan

    return bootstrap(ratio, len(accuracies))
