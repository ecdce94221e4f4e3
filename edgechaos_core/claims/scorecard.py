"""The scorecard, one row a claim, and the tables of verdicts on the book's pages, one row a part of a claim."""

from collections.abc import Sequence

import pandas as pd

from edgechaos_core.analysis.intervals import DASH
from edgechaos_core.claims.judging import Evidence, Judged, committed_evidence, judged
from edgechaos_core.claims.verdicts import Kind, Part, claim_verdict, holm, in_words, read_claims

DECIDED = ("reproduced", "not reproduced")
SAID_SO_FAR = {"agrees": "agree with", "disagrees": "disagree in part or as a whole with", "open": "leave open"}


def scorecard(evidence: Evidence, kind: Kind = "claims") -> pd.DataFrame:
    """Return the scorecard of the paper's claims, or the book's ``own``; what its parts have each set apart by ``;``.

    One row a claim: ``sentence``; ``estimate`` with its 95% interval and n, or why there is none; ``verdict``, that of
    `claim_verdict`, "no verdict" as long as a part has none, and "not run" where no part has an estimate; ``so far``,
    `so_far` of a claim without a verdict; ``Holm``,
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
            "so far": so_far(own) if whole == "no verdict" else DASH,
            "Holm": ("stands" if stands[name] else "does not stand") if decided else DASH,
            "what would settle it": "; ".join(dict.fromkeys(part.told.partition(": ")[2] for part in open_parts))
            or DASH,
            "page": claims[name].page,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("claim")


def verdict_table(*names: str, evidence: Evidence | None = None) -> pd.DataFrame:
    """Return how the parts of some claims are judged, on the committed runs if no ``evidence`` is given.

    One row a part: the claim's name and the quantity in the index, ``paper``, the ``bounds`` within which a value
    counts as the claim says, what was found ``here`` with its 95% interval and n, and the ``verdict`` with what would
    bring one where there is none.
    """
    rows = {
        (name, part.part.quantity): {
            "paper": DASH if part.part.published is None else f"{part.part.published:g}",
            "bounds": _bounds(part.part),
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


def reasons_table() -> pd.DataFrame:
    """Return the bounds of all claims and the reasons for them: claim with quantity in the index, no results.

    ``bounds`` tells as well whether they were set before any run of that kind was known; ``why`` is their reason.
    """
    when = {"before": "set before its runs", "known": "set with some runs known"}
    rows = {
        f"{name}: {part.quantity}": {"bounds": f"{_bounds(part)}; {when[text.set]}", "why": part.why}
        for name, text in (read_claims() | read_claims("own")).items()
        for part in text.parts
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("claim")


def set_before(kind: Kind = "claims") -> str:
    """Return the names of the claims whose bounds were set before any run of their kind had been looked at."""
    return ", ".join(name for name, text in read_claims(kind).items() if text.set == "before")


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


def so_far(parts: Sequence[Judged]) -> str:
    """Say whether the runs that are there agree with a claim: all of its parts, none, some, or whether that is open."""
    found = {part.so_far for part in parts}
    if "outside" in found:
        return "disagrees" if found <= {"outside", "not run"} else "disagrees in part"
    if found == {"inside"}:
        return "agrees"
    return "agrees, as far as it is run" if found == {"inside", "not run"} else "open"


def decided(card: pd.DataFrame) -> pd.DataFrame:
    """Return the claims of a `scorecard` whose verdict the intervals decided, and whether it stands by Holm's method.

    One row a claim; empty where none is decided.
    """
    return card.loc[card["Holm"] != DASH, ["verdict", "Holm", "page"]]


def summary(card: pd.DataFrame, *, named: bool = True) -> str:
    """Say in sentences how the claims of a `scorecard` stand: verdicts first, then what the others' runs say so far.

    ``named``: with the names of the claims, C1 and so on, or their numbers alone.
    """

    def those(names: Sequence[str]) -> str:
        return f" ({', '.join(names)})" if named else ""

    told = [
        f"{len(names)} {'is' if len(names) == 1 else 'are'} {word}{those(names)}"
        for word in ("reproduced", "reproduced in part", "not reproduced", "inconclusive", "not run")
        if (names := list(card.index[card["verdict"] == word]))
    ]
    sentences = [f"Of the {len(card)} claims {_listed(told)}."] if told else []
    waiting = card[card["verdict"] == "no verdict"]
    if len(waiting):
        groups = [
            f"{words} {len(names)}{those(names)}"
            for start, words in SAID_SO_FAR.items()
            if (names := list(waiting.index[waiting["so far"].str.startswith(start)]))
        ]
        have = "has" if len(waiting) == 1 else "have"
        sentences += [
            f"The other {len(waiting)} {have} no verdict yet, because a part of their runs is missing.",
            f"Of these, the runs so far {_listed(groups)}.",
        ]
    return " ".join(sentences)


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _claim_p(parts: Sequence[Judged]) -> float:
    """The p-value of the claim's verdict: of the least sure of the parts that it rests on; 1 where it has none."""
    if any(part.verdict == "no verdict" for part in parts):
        return 1.0
    return max((part.p for part in parts if part.verdict in DECIDED), default=1.0)
