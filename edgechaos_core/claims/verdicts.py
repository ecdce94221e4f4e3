"""The claims of data/claims.yaml, and the verdict that an interval alone decides.

A claim has parts, each with bounds inside which an estimate counts as the claim says. The test is one of equivalence
(Schuirmann 1987): the whole interval inside the bounds is *reproduced*, the whole interval outside *not reproduced*. An
interval that crosses a bound decides nothing, so that a wide interval is never read as agreement.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import Field, model_validator
from scipy import stats
from statsmodels.stats.multitest import multipletests

from edgechaos_core.analysis.intervals import CONFIDENCE, Estimate
from edgechaos_core.settings import Settings, parse_settings
from edgechaos_core.system.places import CLAIMS
from edgechaos_core.system.yaml_files import read_yaml

MOST_MORE = 100  # seeds beyond which "how many more" is no plan

Kind = Literal["claims", "own"]
Verdict = Literal["reproduced", "reproduced in part", "not reproduced", "inconclusive", "no verdict"]


class Part(Settings):
    """One quantity of a claim; an estimate within ``inside`` = (low, high) counts as the claim says, None: no bound."""

    short: str = Field(max_length=45)
    quantity: str
    published: float | None
    inside: tuple[float | None, float | None] = Field(strict=False)
    why: str
    setting: str

    @model_validator(mode="after")
    def _ordered(self) -> "Part":
        low, high = self.bounds
        if not low < high or (low, high) == (-math.inf, math.inf):
            raise ValueError(f"inside must be [low, high] with low below high and not both null, got {self.inside}")
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """Return (low, high), infinite where there is no bound."""
        low, high = self.inside
        return -math.inf if low is None else low, math.inf if high is None else high


class ClaimText(Settings):
    """One claim and its parts; ``set`` tells whether its bounds were set before its runs, or with some known."""

    sentence: str
    page: str
    set: Literal["before", "known"]
    parts: tuple[Part, ...] = Field(strict=False, min_length=1)


def read_claims(kind: Kind = "claims") -> dict[str, ClaimText]:
    """Return the paper's claims by name (C1 ...), or with ``own`` the book's (B1 ...).

    Raises ValueError naming the claim and what is wrong in the file.
    """
    content = read_yaml(CLAIMS)
    claims = {}
    for name, values in content[kind].items():
        try:
            claims[name] = parse_settings(ClaimText, values)
        except ValueError as error:
            raise ValueError(f"{CLAIMS.name}, {name}: {error}") from None
    return claims


def verdict(estimate: Estimate, part: Part) -> Verdict:
    """Judge a part: by its whole interval, or *no verdict* where there is none."""
    if estimate.low is None or estimate.high is None:
        return "no verdict"
    low, high = part.bounds
    if low <= estimate.low and estimate.high <= high:
        return "reproduced"
    return "not reproduced" if estimate.high < low or estimate.low > high else "inconclusive"


def claim_verdict(parts: Sequence[Verdict]) -> Verdict:
    """Judge a claim by the verdicts of its parts: theirs where they agree, *in part* where some are reproduced."""
    kinds = set(parts)
    if len(kinds) == 1:
        return parts[0]
    if "reproduced" in kinds:
        return "reproduced in part"
    return "not reproduced" if "not reproduced" in kinds else "inconclusive"


OWN_WORDS = {"reproduced": "holds", "not reproduced": "does not hold", "reproduced in part": "holds in part"}


def in_words(name: str, verdict: str) -> str:
    """Return a verdict as it is told: of the book's own claims, B1 ..., nothing is *reproduced*.

    >>> in_words("C2", "reproduced"), in_words("B2", "reproduced"), in_words("B2", "inconclusive")
    ('reproduced', 'holds', 'inconclusive')
    """
    return OWN_WORDS.get(verdict, verdict) if name.startswith("B") else verdict


def seeds_to_settle(estimate: Estimate, part: Part) -> int | None:
    """Return how many more seeds would settle a part if its value and scatter stayed what they are.

    None where it is settled, has no interval, or would take more than 100.
    """
    if verdict(estimate, part) != "inconclusive" or estimate.low is None or estimate.high is None:
        return None
    room = min(abs(estimate.value - bound) for bound in part.bounds)
    scatter = (estimate.high - estimate.low) / 2 / stats.t.ppf((1 + CONFIDENCE) / 2, estimate.n - 1)
    scatter *= math.sqrt(estimate.n)
    for more in range(1, MOST_MORE + 1):
        n = estimate.n + more
        if scatter / math.sqrt(n) * stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) < room:
            return more
    return None


def p_value(estimate: Estimate, part: Part) -> float:
    """Return the p-value of the verdict: that an estimate so far on its side of the bounds came from beyond them.

    Two-sided, so that it is below 0.05 exactly where the 95% interval decides: by Student's t over seeds, by the share
    of draws over a bootstrap. 1 where there is no interval.
    """
    if estimate.low is None or not estimate.sample:
        return 1.0
    low, high = part.bounds
    beyond = [_beyond(estimate, bound) for bound in (low, high) if math.isfinite(bound)]
    return min(1.0, 2 * max(beyond))  # the nearer bound's


def _beyond(estimate: Estimate, bound: float) -> float:
    """The one-sided p-value of lying on the estimate's side of one bound."""
    sample = np.asarray(estimate.sample)
    if estimate.resampled:
        other_side = sample <= bound if estimate.value > bound else sample >= bound
        return float((1 + other_side.sum()) / (1 + len(sample)))
    error = float(stats.sem(sample))
    if not error:
        return 0.0 if estimate.value != bound else 1.0
    return float(stats.t.sf(abs(estimate.value - bound) / error, len(sample) - 1))


def holm(p_values: Mapping[str, float]) -> dict[str, bool]:
    """Tell which verdicts stand at 5% together, by Holm's correction over all of them."""
    if not p_values:
        return {}
    stands = multipletests(list(p_values.values()), alpha=1 - CONFIDENCE, method="holm")[0]
    return dict(zip(p_values, map(bool, stands), strict=True))
