"""Is J = 1 the reason? The answer in numbers, from all committed runs, for any page that tells it."""

from edgechaos_core.claims.judging import Evidence, Judged, committed_evidence, judged
from edgechaos_core.claims.turning import NOT_KNOWN, in_text
from edgechaos_core.claims.verdicts import in_words


def edge_as_cause(evidence: Evidence | None = None) -> dict[str, str]:
    """Return what came out of B1 and B2, each as ``value [interval]``; on the committed runs if no others are given.

    ``slope`` of J^2 at the least validation loss on J^2 at the start (the edge as the cause predicts 0, a fixed time
    1), ``epochs`` from J = 0.1 over those from 0.75, ``beyond``: validation loss from J = 1.5 less that from 0.5, the
    verdict on B1 and B2 in words (``slope_verdict``, ``beyond_verdict``), the ``seeds`` behind the slope, and all that
    matters in one ``sentence``. A dash for what has not been run.
    """
    found = judged(evidence or committed_evidence(), ["B1", "B2"])
    (slope, epochs), (beyond,) = found["B1"], found["B2"]
    seeds = NOT_KNOWN if slope.estimate is None else str(slope.estimate.n)
    told = {"slope": _value(slope), "epochs": _value(epochs), "beyond": _value(beyond), "seeds": seeds}
    told |= {"slope_verdict": in_words("B1", slope.verdict), "beyond_verdict": in_words("B2", beyond.verdict)}
    told["sentence"] = (
        "J² at the least validation loss follows J² at the start with a slope of "
        f"{told['slope']} ({seeds} seeds): 0 would be the edge as the cause, 1 a time that does not depend on the edge."
    )
    return told


def _value(part: Judged) -> str:
    return NOT_KNOWN if part.estimate is None else in_text(part.estimate)
