"""The scorecard, one row a claim, and the tables of verdicts on the book's pages, one row a part of a claim."""

from collections.abc import Sequence

import pandas as pd

from edgechaos_core.analysis.intervals import DASH
from edgechaos_core.claims.judging import Evidence, Judged, committed_evidence, judged
from edgechaos_core.claims.verdicts import Kind, Part, claim_verdict, holm, in_words, read_claims

DECIDED = ("reproduced", "not reproduced")


def scorecard(evidence: Evidence, kind: Kind = "claims") -> pd.DataFrame:
    """Return the scorecard of the paper's claims, or the book's ``own``; what its parts have each set apart by ``;``.

    One row a claim: ``sentence``; ``estimate`` with its 95% interval and n, or "not run"; ``verdict``, that of
    `claim_verdict`, "no verdict" as long as a part has none, and "not run" where no part has an estimate; ``Holm``,
    whether a decided verdict stands at 5% with all rows (a row's p-value is the largest of its decided parts);
    ``what would settle it``, seeds or what is lacking; ``page``.
    """
    claims = read_claims(kind)
    parts = judged(evidence, list(claims))
    stands = holm({name: _claim_p(own) for name, own in parts.items()})
    rows = {}
    for name, own in parts.items():
        whole = whole_verdict(own)
        decided = "reproduced" in whole
        open_parts = [part for part in own if part.verdict in ("inconclusive", "no verdict")]
        rows[name] = {
            "sentence": claims[name].sentence,
            "estimate": "; ".join(part.shown for part in own),
            "verdict": in_words(name, whole),
            "Holm": ("stands" if stands[name] else "does not stand") if decided else DASH,
            "what would settle it": "; ".join(dict.fromkeys(part.told.partition(": ")[2] for part in open_parts))
            or DASH,
            "page": claims[name].page,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("claim")


def verdict_table(*names: str, evidence: Evidence | None = None) -> pd.DataFrame:
    """Return how the parts of some claims are judged, on the committed runs if no ``evidence`` is given.

    One row a part: the claim's name and the quantity in the index, ``paper``, what counts as the ``same``, what was
    found ``here`` with its 95% interval and n, and the ``verdict`` with what would bring one where there is none.
    """
    rows = {
        (name, part.part.quantity): {
            "paper": DASH if part.part.published is None else f"{part.part.published:g}",
            "same": _bounds(part.part),
            "here": part.shown,
            "verdict": in_words(name, part.told),
        }
        for name, own in judged(evidence or committed_evidence(), names).items()
        for part in own
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["claim", "quantity"])


def bounds_table(*names: str) -> pd.DataFrame:
    """Return what claims say and how they are judged, without results: claim and quantity in the index.

    ``holds if`` are the bounds that its whole interval must lie within.
    """
    claims = read_claims() | read_claims("own")
    rows = {
        (f"{name}: {claims[name].sentence}", part.quantity): {"holds if": _bounds(part)}
        for name in names
        for part in claims[name].parts
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["claim", "quantity"])


def _bounds(part: Part) -> str:
    low, high = part.inside
    if low is None or high is None:
        return f"at least {low:g}" if low is not None else f"at most {high:g}"
    return f"{low:g} to {high:g}"


def whole_verdict(parts: Sequence[Judged]) -> str:
    """Return the verdict of a claim; one judged in part only is not judged: the rest could turn it either way."""
    if all(part.estimate is None for part in parts):
        return "not run"
    verdicts = [part.verdict for part in parts]
    return "no verdict" if "no verdict" in verdicts else claim_verdict(verdicts)


def _claim_p(parts: Sequence[Judged]) -> float:
    """The p-value of the claim's verdict: of the least sure of the parts that it rests on; 1 where it has none."""
    if any(part.verdict == "no verdict" for part in parts):
        return 1.0
    return max((part.p for part in parts if part.verdict in DECIDED), default=1.0)
