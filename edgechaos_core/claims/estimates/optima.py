"""Where a loss is least: optima of parabolas; and the worst of several estimates."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from edgechaos_core.analysis.intervals import Estimate

NEAR_THE_TOP = 4  # settings (strengths of decay, J^2 held), the best, that an optimum over settings is fitted to
# Above the least loss: the stretch of a path that its parabola is fitted to. The loss jumps by about 2% from one epoch
# to the next, so that within 2% lie a few lucky epochs, whose parabola may as well have a maximum.
NEAR = 0.1


MOST_WITHOUT = 0.1  # of the runs behind an estimate: so many may have no minimum, and are left out of it


def few_without(places: Sequence[float] | NDArray[np.float64]) -> bool:
    """Tell whether so few of the runs have no minimum (nan) that the others make an estimate."""
    return bool(np.isnan(places).mean() <= MOST_WITHOUT)


def worst(estimates: Sequence[Estimate], off: Callable[[float], float]) -> Estimate:
    """Return the estimate whose value is farthest ``off``; one that is nan is farther than any."""
    return max(estimates, key=lambda estimate: math.inf if math.isnan(estimate.value) else off(estimate.value))


def off_one(ratio: float) -> float:
    """Return how far a ratio is from 1, as a factor either way: ``|ln ratio|``."""
    return abs(math.log(ratio)) if ratio > 0 else math.inf


def optimum(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Return x at the least y of a parabola with one shape and for each row (seed) its own height; [seeds, places].

    Fitted by least squares. nan where it has no minimum, or not among the x: beyond them it is not seen.
    """
    x, y = np.atleast_2d(x), np.atleast_2d(y)
    if x.shape[1] < 3 or not np.isfinite([x, y]).all():
        return math.nan
    bend, slope, _ = parabola(x, y)
    if bend <= 0:
        return math.nan
    place = float(x.mean() - slope / (2 * bend))
    return place if x.min() <= place <= x.max() else math.nan


def parabola(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return bend, slope and height of that parabola, in powers of x less its mean; the height is the mean of rows."""
    shifted = x - x.mean()
    terms = np.stack([(part - part.mean(1, keepdims=True)).ravel() for part in (shifted, shifted**2)], axis=1)
    slope, bend = map(float, np.linalg.lstsq(terms, (y - y.mean(1, keepdims=True)).ravel(), rcond=None)[0])
    return bend, slope, float((y - slope * shifted - bend * shifted**2).mean())


def least_on_path(history: pd.DataFrame, loss: str, *, within: float = NEAR) -> float:
    """Return J at the least loss (a column's name) on the way of a run: of a parabola through the loss against J.

    Fitted to all epochs from the first to the last whose loss is at most ``within`` of the least above it (0.1 is 10%),
    the noisy ones between them not left out. nan where they are fewer than three, or there is no minimum among them, as
    on a run that ends before the loss rises again.

    >>> J = np.linspace(0.5, 1.5, 101)
    >>> path = pd.DataFrame({"J_squared": J**2, "test_loss": 0.3 + 0.1 * (J - 0.95) ** 2})
    >>> round(least_on_path(path, "test_loss"), 6)
    0.95
    >>> least_on_path(path[:40], "test_loss")
    nan
    """
    near = _near_least(history, loss, within)
    return optimum(np.sqrt(near["J_squared"].to_numpy(dtype=float)), near[loss].to_numpy(dtype=float))


def epoch_of_least(history: pd.DataFrame, loss: str) -> float:
    """Return the epoch of the least loss, of a parabola through the loss against the epoch, as `least_on_path`."""
    near = _near_least(history, loss, NEAR)
    return optimum(near["epoch"].to_numpy(dtype=float), near[loss].to_numpy(dtype=float))


def _near_least(history: pd.DataFrame, loss: str, within: float) -> pd.DataFrame:
    low = np.flatnonzero(history[loss] <= (1 + within) * history[loss].min())
    return history[low[0] : low[-1] + 1]
