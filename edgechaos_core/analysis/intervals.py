"""Means over seeds and fitted values with their 95% intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
FEWEST = 3  # seeds that an interval needs: two give one of 25 times their standard error


@dataclass(frozen=True)
class Estimate:
    """A value with its interval and the seeds (or draws, or settings) ``n`` behind it.

    ``sample`` are the values that the interval is made from: one a seed, or with ``resampled`` the bootstrap's.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    sample: tuple[float, ...] = ()
    resampled: bool = False


def over_seeds(values: Sequence[float]) -> Estimate:
    """Return the mean of one value a seed with Student's t interval; none for fewer than three seeds, nor with a nan.

    Raises ValueError for an empty list.
    """
    if not values:
        raise ValueError("an estimate needs at least one value")
    sample = tuple(map(float, values))
    mean, n = float(np.mean(sample)), len(sample)
    if n < FEWEST or not math.isfinite(mean):
        return Estimate(mean, None, None, n, sample)
    half = float(stats.sem(sample) * stats.t.ppf((1 + CONFIDENCE) / 2, n - 1))
    return Estimate(mean, mean - half, mean + half, n, sample)


def resampled(value: float, draws: Sequence[float], n: int) -> Estimate:
    """Return a fitted value with the quantiles of its bootstrap ``draws`` as interval; none for fewer than three seeds.

    Draws in which the fit found nothing are nan; where they are more than a tenth there is no interval.
    """
    known = np.asarray(draws, dtype=float)
    known = known[np.isfinite(known)]
    if n < FEWEST or len(known) < 0.9 * len(draws) or not math.isfinite(value):
        return Estimate(value, None, None, n)
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(value, float(low), float(high), n, tuple(known.tolist()), resampled=True)


def shown(estimate: Estimate) -> str:
    """Write an estimate as ``value [low, high]`` with the digits that its interval supports, three where it has none.

    A value that is not a number is written as a dash.

    >>> shown(Estimate(0.94512, 0.92549, 0.96431, 5)), shown(Estimate(20.4, None, None, 1))
    ('0.945 [0.925, 0.964]', '20.4')
    """
    if not math.isfinite(estimate.value):
        return "–"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3g}"
    half = (estimate.high - estimate.low) / 2
    digits = 3
    if half > 1e-9 * abs(estimate.value):  # else it is rounding
        first = math.floor(math.log10(half))
        digits = max(0, -first + (half / 10.0**first < 3))  # two digits of the half width where its first is 1 or 2
    value, low, high = (
        f"{round(end, digits) + 0.0:.{digits}f}" for end in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} [{low}, {high}]"  # 0.0 was added so that nothing is shown as -0.0
