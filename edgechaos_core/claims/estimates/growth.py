"""Estimates of claims C1 to C7, one function a part of data/claims.yaml: the edge, the optimum, growth."""

import math
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from edgechaos_core.analysis.along_path import crossing
from edgechaos_core.analysis.by_setting import of_one_setting, of_settings
from edgechaos_core.analysis.intervals import Estimate, bootstrap, over_seeds
from edgechaos_core.analysis.scaling import late_over_early, ordered_growth, scale_factor
from edgechaos_core.claims.estimates.optima import few_without, least_on_path, off_one, worst
from edgechaos_core.probes.diagram import Diagram
from edgechaos_core.store.runs import Run, RunConfig
from edgechaos_core.theory.edges import edge_of_chaos
from edgechaos_core.theory.meanfield import fixed_point

EXPONENT = 0.005  # at which the edge is read in simulation and theory alike: 1 / 200 iterations, the least one tells


def edge_over_theory(cuts: Sequence[Diagram]) -> Estimate:
    """C1: simulated over theoretical 1/J, both where the largest Lyapunov exponent is 0.005, of the worst J0/J.

    ``cuts`` are diagrams of one J0/J each, the interval is over draws of W. nan where a draw does not pass 0.005
    inside its cut. Raises ValueError for no cuts, or a diagram of several J0/J.
    """
    if not cuts or any(cut.config.columns != 1 for cut in cuts):
        raise ValueError("the edge is judged on cuts, diagrams of one column, and needs at least one")
    return worst([over_seeds(_edges_over_theory(cut)) for cut in cuts], off_one)


def _edges_over_theory(cut: Diagram) -> list[float]:
    """One ratio a draw."""
    theory = theoretical_passage(cut.config.ratio_from, cut.config.activation)
    return [edge / theory for edge in simulated_passages(cut)]


def simulated_passages(cut: Diagram) -> list[float]:
    """Return 1/J of each draw of a cut where its largest Lyapunov exponent passes 0.005, nan outside the cut."""
    by_draw = cut.cells.dropna(subset="lyapunov_exponent").groupby("draw")
    return [_passage(own["inverse_J"].to_numpy(), own["lyapunov_exponent"].to_numpy()) for _, own in by_draw]


def _passage(inverse_J: NDArray[np.float64], exponents: NDArray[np.float64]) -> float:
    """1/J where the exponent first exceeds 0.005, coming from order: linear between two rows; nan outside them."""
    order = np.argsort(inverse_J)[::-1]
    return crossing(inverse_J[order], exponents[order], EXPONENT)


@cache
def theoretical_passage(ratio: float, activation: str = "tanh") -> float:
    """Return 1/J at which mean-field theory's exponent, ``(1/2) ln chi``, is 0.005, below the edge of chaos.

    nan where theory has no edge at that ratio J0/J.

    >>> round(theoretical_passage(0.0), 3)
    0.91
    """

    def excess(inverse_J: float) -> float:
        return fixed_point(1 / inverse_J, ratio / inverse_J, activation).lyapunov_exponent - EXPONENT

    high = edge_of_chaos(ratio, activation)
    if math.isnan(high):
        return math.nan
    low = 0.97 * high
    while excess(low) <= 0:
        low, high = 0.97 * low, low
    return float(brentq(excess, low, high, xtol=1e-12))


def place_of_least_test_loss(runs: Sequence[Run]) -> Estimate:
    """C2: J at the least test loss on the path, of a parabola a seed (`least_on_path`); seeds of one setting."""
    return over_seeds([least_on_path(run.history, "test_loss") for run in of_one_setting(runs).values()])


def place_of_least_validation_loss(runs: Sequence[Run]) -> Estimate:
    """C2: J at the least validation loss, likewise, of the worst setting (speed), that farthest from 1 as a factor.

    Runs whose loss has no minimum are left out where they are at most a tenth of all (nan for more of them).
    """
    places = [[least_on_path(run.history, "validation_loss") for run in seeds.values()] for seeds in of_settings(runs)]
    if not few_without([place for own in places for place in own]):
        return over_seeds([math.nan])
    known = [[place for place in own if not math.isnan(place)] for own in places]
    return worst([over_seeds(own or [math.nan]) for own in known], off_one)


def late_over_early_slope(runs: Sequence[Run]) -> Estimate:
    """C3: slope of J^2 from 0.65 to 1 over that from 0.3 to 0.65; seeds of one setting. nan for one that is shorter."""
    return over_seeds([late_over_early(run.history) for run in of_one_setting(runs).values()])


def exponent_of_learning_rate(runs: Sequence[Run]) -> Estimate:
    """C4: exponent of A against eta; runs that differ in eta and seed alone (see `_exponent`)."""
    return _exponent(runs, "learning_rate", lambda config: config.learning_rate)


def exponent_of_momentum(runs: Sequence[Run]) -> Estimate:
    """C5: exponent of A against 1/(1 - alpha); runs that differ in alpha and seed alone (see `_exponent`)."""
    return _exponent(runs, "momentum", lambda config: 1 / (1 - config.momentum))


def exponent_of_batch_size(runs: Sequence[Run]) -> Estimate:
    """C6: exponent of A against 1/B; runs that differ in B and seed alone (see `_exponent`)."""
    return _exponent(runs, "batch_size", lambda config: 1 / config.batch_size)


def _exponent(runs: Sequence[Run], name: str, x: Callable[[RunConfig], float]) -> Estimate:
    """The least-squares slope of ln A against ln x, A over J^2 from 0.3 to 1, seeds averaged; bootstrap over settings.

    Settings of which no run has such an A are left out. Raises ValueError for runs that differ in anything else, and
    fewer than three settings that are left.
    """
    if len({run.config.model_dump_json(exclude={"seed", "epochs", name}) for run in runs}) > 1:
        raise ValueError(f"the runs must differ in {name} and seed alone")
    slopes = slopes_of(runs)
    if len(slopes) < 3:
        raise ValueError(f"an exponent needs three settings that pass J² = 1, got {len(slopes)}")
    log_x = np.log([x(config) for config, _ in slopes])
    log_A = np.log([np.mean(list(of_seeds.values())) for _, of_seeds in slopes])

    def slope(places: NDArray[np.int_]) -> float:
        drawn = log_x[places] - log_x[places].mean()
        spread = float(drawn @ drawn)
        return float(drawn @ log_A[places]) / spread if spread > 1e-12 else math.nan  # one setting drawn throughout

    return bootstrap(slope, len(slopes))


def slopes_of(runs: Sequence[Run]) -> list[tuple[RunConfig, dict[int, float]]]:
    """Return A, J^2 an epoch from 0.3 to 1, of each setting by seed (`ordered_growth`); those without it left out."""
    found = []
    for own in of_settings(runs):
        slopes = {seed: ordered_growth(run.history).slope for seed, run in own.items()}
        if known := {seed: slope for seed, slope in slopes.items() if not math.isnan(slope)}:
            found.append((next(iter(own.values())).config, known))
    return found


def growth_constant(runs: Sequence[Run]) -> Estimate:
    """C7: c of ``A = c eta / ((1 - alpha) B)``, the mean over settings, seeds averaged; bootstrap over settings.

    nan where no setting passes J^2 = 1.
    """
    own = np.array([np.mean(list(slopes.values())) / scale_factor(config) for config, slopes in slopes_of(runs)])
    return bootstrap(lambda places: float(own[places].mean()), len(own)) if len(own) else over_seeds([math.nan])


def spread_of_constant(runs: Sequence[Run]) -> Estimate:
    """C7: largest c over smallest c, seeds that all settings have averaged; bootstrap over these seeds.

    nan where no setting passes J^2 = 1, or they have no seed in common.
    """
    own = slopes_of(runs)
    seeds = sorted(set.intersection(*(set(slopes) for _, slopes in own))) if own else []
    if not seeds:
        return over_seeds([math.nan])
    c = np.array([[slopes[seed] / scale_factor(config) for seed in seeds] for config, slopes in own])

    def spread(places: NDArray[np.int_]) -> float:
        means = c[:, places].mean(1)
        return float(means.max() / means.min())

    return bootstrap(spread, len(seeds))
