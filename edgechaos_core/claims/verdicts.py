"""A claim put to the test: what was measured, with its interval, what was published, and a plain verdict."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from edgechaos_core.analysis.scaling import Interval

Verdict = Literal["holds", "holds in part", "fails", "not judged"]


@dataclass(frozen=True)
class Claim:
    """One quantity behind a claim: what was measured, what was published, and the verdict.

    ``clear`` tells that every value of the interval would get the same verdict; ``published`` is nan where the paper
    gives no number.
    """

    name: str
    statement: str
    quantity: str
    measured: Interval
    published: float
    verdict: Verdict
    clear: bool


def table(claims: Sequence[Claim]) -> pd.DataFrame:
    """Set claims in a table by claim and quantity: paper, here (with the 95% interval over seeds), verdict.

    What is said of one claim stands together, where its first quantity is.
    """
    named = [f"{claim.name}: {claim.statement}" for claim in claims]
    ordered = [claim for _, claim in sorted(zip(named, claims, strict=True), key=lambda pair: named.index(pair[0]))]
    return pd.DataFrame(
        {
            "paper": ["–" if math.isnan(claim.published) else f"{claim.published:.4g}" for claim in ordered],
            "here": [shown(claim.measured) for claim in ordered],
            "verdict": [claim.verdict + ("" if claim.clear else " (not clearly)") for claim in ordered],
        },
        index=[sorted(named, key=named.index), [claim.quantity for claim in ordered]],
    )


def judge(
    name: str,
    statement: str,
    quantity: str,
    measured: Interval,
    published: float,
    *,
    holds: float,
    in_part: float,
    judged: bool,
) -> Claim:
    """Judge a mean by its relative distance from the published value; *clear* if all its interval says the same.

    Where that value is 0 the distance is the mean itself. *Not judged* where ``judged`` is False or the mean is nan.
    """

    def verdict(value: float) -> Verdict:
        off = abs(value - published) / (abs(published) or 1)
        return "holds" if off <= holds else "holds in part" if off <= in_part else "fails"

    if not judged or math.isnan(measured.mean):
        return Claim(name, statement, quantity, measured, published, "not judged", clear=True)
    ours, within = verdict(measured.mean), _ends(measured)
    if within and within[0] <= published <= within[1]:
        within.append(published)
    clear = bool(within) and all(verdict(value) == ours for value in within)
    return Claim(name, statement, quantity, measured, published, ours, clear)


def judge_beyond(
    name: str, statement: str, quantity: str, measured: Interval, *, holds: float, in_part: float, sign: int = 1
) -> Claim:
    """Judge a mean by bounds it is to be above, or with ``sign`` -1 below; *clear* if both ends say the same.

    What is nan, of a run that diverged, fails.
    """

    def verdict(value: float) -> Verdict:
        above = (sign * value > sign * bound for bound in (holds, in_part))
        return "holds" if next(above) else "holds in part" if next(above) else "fails"

    ours, ends = verdict(measured.mean), _ends(measured)
    clear = bool(ends) and all(verdict(end) == ours for end in ends)
    return Claim(name, statement, quantity, measured, math.nan, ours, clear)


def _ends(interval: Interval) -> list[float]:
    return [end for end in (interval.low, interval.high) if end is not None]


def widened(interval: Interval, by: float) -> Interval:
    """Return the interval with both ends moved out by so much."""
    low, high = (None if end is None else end + side for end, side in ((interval.low, -by), (interval.high, by)))
    return replace(interval, low=low, high=high)


def shown(interval: Interval) -> str:
    """Write an interval as ``mean [low, high], n = seeds``."""
    if interval.low is None:
        return f"{interval.mean:.3g} (n = 1)"
    return f"{interval.mean:.3g} [{interval.low:.3g}, {interval.high:.3g}], n = {interval.seeds}"
