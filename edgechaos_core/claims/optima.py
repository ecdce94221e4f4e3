"""What estimates of claims share: runs sorted by setting and seed, optima of parabolas, the bootstrap, the worst."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edgechaos_core.analysis.intervals import Estimate, resampled
from edgechaos_core.analysis.rescaling import by_setting
from edgechaos_core.store.runs import Run, RunConfig

DRAWS = 1_999  # of a bootstrap: the smallest p-value is 1 in 1,000, and Holm asks for 0.05 / 14 of the first row
# Above the least loss: the stretch of a path that its parabola is fitted to. The loss jumps by about 2% from one epoch
# to the next, so that within 2% lie a few lucky epochs, whose parabola may as well have a maximum.
NEAR = 0.1


def of_settings(runs: Sequence[Run]) -> list[dict[int, Run]]:
    """Return the runs of each setting by seed, in an order that does not depend on that of the runs.

    The bootstrap draws places: settings by speed (eta, alpha, B, lambda), seeds by number.
    Raises ValueError for no runs, or a seed that one setting has twice.
    """
    if not runs:
        raise ValueError("an estimate needs at least one run")
    groups = []
    for own in by_setting(sorted(runs, key=_place)).values():
        seeds = {run.config.seed: run for run in own}
        if len(seeds) < len(own):
            raise ValueError(f"a setting has a seed twice: {[run.config.seed for run in own]}")
        groups.append(seeds)
    return groups


def _place(run: Run) -> tuple[float, ...]:
    config = run.config
    return (config.learning_rate, config.momentum, config.batch_size, config.l2, config.seed)


def of_one_setting(runs: Sequence[Run]) -> dict[int, Run]:
    """Return runs of one setting by seed; ValueError for no runs, several settings, or a seed twice."""
    groups = of_settings(runs)
    if len(groups) != 1:
        raise ValueError(f"seeds of one setting are needed, got {len(groups)} settings")
    return groups[0]


def apart(runs: Sequence[Run], is_base: Callable[[RunConfig], bool]) -> tuple[dict[int, Run], list[dict[int, Run]]]:
    """Return the base setting's runs by seed, and those of each other setting.

    Raises ValueError where no setting, or more than one, is the base, or there is no other.
    """
    groups = of_settings(runs)
    base = [own for own in groups if is_base(next(iter(own.values())).config)]
    others = [own for own in groups if own not in base]
    if len(base) != 1 or not others:
        raise ValueError(f"one base setting and at least one other are compared, got {len(base)} and {len(others)}")
    return base[0], others


def worst(estimates: Sequence[Estimate], off: Callable[[float], float]) -> Estimate:
    """Return the estimate whose value is farthest ``off``; one that is nan is farther than any."""
    return max(estimates, key=lambda estimate: math.inf if math.isnan(estimate.value) else off(estimate.value))


def off_one(ratio: float) -> float:
    """Return how far a ratio is from 1, as a factor either way: ``|ln ratio|``."""
    return abs(math.log(ratio)) if ratio > 0 else math.inf


def bootstrap(statistic: Callable[[NDArray[np.int_]], float], n: int) -> Estimate:
    """Return a statistic of ``n`` seeds (or settings) with the interval of `resampled`.

    ``statistic`` is called with places 0 to n - 1: all of them once for the value, and as many drawn with replacement,
    1,999 times, for the interval. The draws are always the same.
    """
    generator = np.random.default_rng(0)
    draws = [statistic(places) for places in generator.integers(n, size=(DRAWS, n))] if n > 1 else []
    return resampled(statistic(np.arange(n)), draws, n)


def common_seeds(groups: Sequence[dict[int, Run]]) -> list[int]:
    """Return the seeds that all settings have, rising; none for no settings."""
    return sorted(set.intersection(*map(set, groups))) if groups else []


def optimum(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return x at the least y of a parabola with one shape and for each row (seed) its own height; [seeds, places].

    Fitted by least squares. nan where it has no minimum, or not among the x: beyond them it is not seen.
    """
    x, y = np.atleast_2d(x), np.atleast_2d(y)
    if x.shape[1] < 3 or not np.isfinite([x, y]).all():
        return math.nan
    middle = x.mean()
    shifted = x - middle
    terms = np.stack([(part - part.mean(1, keepdims=True)).ravel() for part in (shifted, shifted**2)], axis=1)
    slope, bend = np.linalg.lstsq(terms, (y - y.mean(1, keepdims=True)).ravel(), rcond=None)[0]
    if bend <= 0:
        return math.nan
    place = float(middle - slope / (2 * bend))
    return place if x.min() <= place <= x.max() else math.nan


def least_on_path(history: pd.DataFrame, loss: str) -> float:
    """Return J at the least loss (a column's name) on the way of a run: of a parabola through the loss against J.

    Fitted to all epochs from the first to the last whose loss is at most 10% above the least, the noisy ones between
    them not left out. nan where they are fewer than three, or there is no minimum among them, as on a run that ends
    before the loss rises again.

    >>> J = np.linspace(0.5, 1.5, 101)
    >>> path = pd.DataFrame({"J_squared": J**2, "test_loss": 0.3 + 0.1 * (J - 0.95) ** 2})
    >>> round(least_on_path(path, "test_loss"), 6)
    0.95
    >>> least_on_path(path[:40], "test_loss")
    nan
    """
    near = _near_least(history, loss)
    return optimum(np.sqrt(near["J_squared"].to_numpy(dtype=float)), near[loss].to_numpy(dtype=float))


def epoch_of_least(history: pd.DataFrame, loss: str) -> float:
    """Return the epoch of the least loss, of a parabola through the loss against the epoch, as `least_on_path`."""
    near = _near_least(history, loss)
    return optimum(near["epoch"].to_numpy(dtype=float), near[loss].to_numpy(dtype=float))


def _near_least(history: pd.DataFrame, loss: str) -> pd.DataFrame:
    low = np.flatnonzero(history[loss] <= (1 + NEAR) * history[loss].min())
    return history[low[0] : low[-1] + 1]
