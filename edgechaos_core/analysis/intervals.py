"""Means over seeds and fitted values with their 95% intervals, and how pages and messages write them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

CONFIDENCE = 0.95
DRAWS = 1_999  # of a bootstrap: the smallest p-value is 1 in 1,000, and Holm asks for 0.05 / 14 of the first row
FEWEST = 3  # seeds that an interval needs: two give one of 25 times their standard error
DASH = "–"  # for what is not known
ALL_ALIKE = "all alike"  # for an interval without a width


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


def estimates_of(table: pd.DataFrame, column: str) -> dict[Any, Estimate]:
    """Return a table's column of estimates by its index."""
    return dict(zip(table.index.to_list(), list[Any](table[column]), strict=True))


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


def bootstrap(statistic: Callable[[NDArray[np.int_]], float], n: int) -> Estimate:
    """Return a statistic of ``n`` seeds (or settings) with the interval of `resampled`.

    ``statistic`` is called with places 0 to n - 1: all of them once for the value, and as many drawn with replacement,
    1,999 times, for the interval. The draws are always the same.
    """
    generator = np.random.default_rng(0)
    draws = [statistic(places) for places in generator.integers(n, size=(DRAWS, n))] if n > 1 else []
    return resampled(statistic(np.arange(n)), draws, n)


def shown(estimate: Estimate | None, unit: float = 1.0) -> str:
    """Write an estimate, in a unit, as ``value [low, high]`` with the digits that its interval supports.

    Three digits where it has none, or one without a width, which is told; a dash for no estimate, or a value that is
    not a number.

    >>> shown(Estimate(0.94512, 0.92549, 0.96431, 5)), shown(Estimate(20.4, None, None, 1)), shown(None)
    ('0.945 [0.925, 0.964]', '20.4', '–')
    """
    if estimate is None or not math.isfinite(estimate.value):
        return DASH
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value / unit:.3g}"
    ends = [end / unit for end in (estimate.value, estimate.low, estimate.high)]
    half = (ends[2] - ends[1]) / 2
    if half <= 1e-9 * abs(ends[0]):  # rounding
        return f"{ends[0]:.3g} ({ALL_ALIKE})"
    first = math.floor(math.log10(half))
    digits = max(0, -first + (half / 10.0**first < 3))  # two digits of the half width where its first is 1 or 2
    value, low, high = (f"{round(end, digits) + 0.0:.{digits}f}" for end in ends)
    return f"{value} [{low}, {high}]"  # 0.0 was added so that nothing is shown as -0.0


def said(value: float, form: str) -> str:
    """Write a number by a format, and as a dash where it is not finite.

    >>> said(2.345, ".1f"), said(float("nan"), ".1f"), said(3.0, ",.0f")
    ('2.3', '–', '3')
    """
    return format(value, form) if math.isfinite(value) else DASH


def spanned(values: Sequence[float], form: str) -> str:
    """Write the least and the largest of some numbers by a format: once where both are written alike, a dash for none.

    >>> spanned([1.23, 1.1, 1.4], ".2f"), spanned([1.0, 1.001], ".2f"), spanned([], ".2f")
    ('1.10 to 1.40', '1.00', '–')
    """
    return " to ".join(dict.fromkeys(said(end, form) for end in (min(values), max(values)))) if len(values) else DASH
