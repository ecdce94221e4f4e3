"""Is J = 1 the reason? The answer in numbers, from all committed runs, for any page that tells it."""

from edgechaos_core.claims.judging import Evidence, Judged, committed_evidence, judged
from edgechaos_core.claims.turning import NOT_KNOWN, in_text


def edge_as_cause(evidence: Evidence | None = None) -> dict[str, str]:
    """Return what came out of B1 and B2, each as ``value [interval]``; on the committed runs if no others are given.

    ``slope`` of J^2 at the least validation loss on J^2 at the start (the edge as the cause predicts 0, a fixed time
    1) and the ``seeds`` behind it, ``epochs`` from J = 0.1 over those from 0.75, and ``beyond``, the least validation
    loss from J = 1.5 less that from 0.5. A dash for what has not been run.
    """
    found = judged(evidence or committed_evidence(), ["B1", "B2"])
    (slope, epochs), (beyond,) = found["B1"], found["B2"]
    seeds = NOT_KNOWN if slope.estimate is None else str(slope.estimate.n)
    return {"slope": _value(slope), "seeds": seeds, "epochs": _value(epochs), "beyond": _value(beyond)}


def _value(part: Judged) -> str:
    return NOT_KNOWN if part.estimate is None else in_text(part.estimate)
