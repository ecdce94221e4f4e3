"""The paper's claims, each judged from runs: a measured value with its interval over seeds, and a plain verdict.

The rule of each verdict stands in its function's docstring. Claims and published numbers are those of Zhang, Feng,
Chen, Lai, arXiv 2107.09437.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from edgechaos_core.data import REPOSITORY
from edgechaos_core.diagram import Diagram, simulated_edge
from edgechaos_core.meanfield import edge_of_chaos
from edgechaos_core.runs import Run
from edgechaos_core.scaling import (
    PUBLISHED_WINDOW,
    Interval,
    exponent,
    growth,
    least_test_loss,
    ordered_growth,
    over_seeds,
    scale_factor,
    straightness,
)

Verdict = Literal["holds", "holds in part", "fails", "not judged"]

PUBLISHED = REPOSITORY / "data" / "published"
BASE_SETTING = {"learning_rate": 0.01, "momentum": 0.0, "batch_size": 32}  # around which the paper's Fig. 3 varies one
EDGE = 1.0  # J at the edge of chaos for |J0 / J| <= 1


@dataclass(frozen=True)
class Claim:
    """One quantity behind a claim: what was measured, what was published, and the verdict.

    ``clear`` tells that every value of the interval would get the same verdict.
    """

    name: str
    statement: str
    quantity: str
    measured: Interval
    published: float
    verdict: Verdict
    clear: bool


def loss_is_least_at_the_edge(runs: Sequence[Run]) -> Claim:
    """C2: J at the epoch of least test loss, over seeds; published: J = 1.

    *Holds* if the mean is within 10% of 1, *holds in part* within 25%, else *fails*; *not judged* if a run does not
    pass J = 1.25, the far side of the edge then not being seen. Expects runs of one setting.
    """
    measured = over_seeds([float(least_test_loss(run.history)["J_squared"]) ** 0.5 for run in runs])
    seen = all(run.history["J_squared"].max() >= 1.25**2 for run in runs)
    statement = "the test loss is least near J = 1"
    return _judge("C2", statement, "J at the least test loss", measured, EDGE, holds=0.1, in_part=0.25, judged=seen)


def growth_is_linear(runs: Sequence[Run]) -> list[Claim]:
    """C3: the slope A of J^2 over epochs 0-48 against the published one, and how straight the line is.

    The slope *holds* within 5% of the published value, *holds in part* within 15%, else *fails*. Straightness, the
    slope over epochs 24-48 divided by that over 0-24, *holds* within 10% of 1, *holds in part* within 25%, else
    *fails*. *Not judged* where a run is shorter, and then the slope alone is given. Expects runs of one setting of the
    paper's Fig. 3; raises ValueError for another.
    """
    statement = "J² is linear in epochs in the ordered phase"
    published = published_slope(runs[0])
    whole = all(run.outcome.epoch >= PUBLISHED_WINDOW[-1] for run in runs)
    slope = over_seeds([growth(run.history).slope for run in runs])
    quantity = "A, growth of J² per epoch"
    claims = [_judge("C3", statement, quantity, slope, published, holds=0.05, in_part=0.15, judged=whole)]
    if whole:
        ratio = over_seeds([straightness(run.history) for run in runs])
        claims.append(_judge("C3", statement, "A late / A early", ratio, 1.0, holds=0.1, in_part=0.25, judged=True))
    return claims


def edges_coincide(cuts: Sequence[Diagram]) -> list[Claim]:
    """C1: 1/J where the simulated distance turns chaotic, over draws of W, against the theoretical edge.

    One claim a cut (a diagram of one J0/J). It *holds* if the mean is within 5% of theory, *holds in part* within 15%,
    else *fails*; *not judged* where a draw has its edge outside the cut, or theory has none. The interval is widened by
    half a row, to which an edge is known. Raises ValueError for a diagram of several
    columns.
    """
    claims = []
    for cut in cuts:
        if cut.config.columns != 1:
            raise ValueError(f"a cut has one column, got {cut.config.columns}")
        edges = simulated_edge(cut, "distance")["inverse_J"]
        quantity = f"1/J at the edge, J0/J = {cut.config.ratio_from:g}, N = {cut.config.neurons:,}"
        theory = edge_of_chaos(cut.config.ratio_from, cut.config.activation)
        judged = not edges.isna().any() and not math.isnan(theory)
        statement = "the simulated edge is the theoretical one"
        half_row = (cut.config.inverse_j_to - cut.config.inverse_j_from) / cut.config.rows / 2
        measured = _widened(over_seeds(edges.to_list()), half_row)
        claims.append(_judge("C1", statement, quantity, measured, theory, holds=0.05, in_part=0.15, judged=judged))
    return claims


def growth_laws(runs: Sequence[Run]) -> list[Claim]:
    """C4-C7: exponents of A against eta, 1/(1-alpha) and 1/B, and the one constant c of ``A = c eta/((1-alpha) B)``.

    A is the slope over the ordered phase (`ordered_growth`). Each exponent is fitted to the runs that differ from the
    paper's base setting in that one alone; it *holds* within 0.05 of 1, *holds in part* within 0.15; *not judged* with
    fewer than three runs. c *holds* within 5% of the published one, in part within 15%; its interval is over settings.
    """
    names = {"learning_rate": ("C4", "eta"), "momentum": ("C5", "1/(1-alpha)"), "batch_size": ("C6", "1/B")}
    slopes = {run.config: ordered_growth(run.history).slope for run in runs}
    known = {config: slope for config, slope in slopes.items() if not math.isnan(slope)}
    claims = []
    for name, (label, quantity) in names.items():
        others = [other for other in names if other != name]
        own = {c: a for c, a in known.items() if all(getattr(c, other) == BASE_SETTING[other] for other in others)}
        if len({getattr(config, name) for config in own}) < 3:
            continue
        fit = exponent([scale_factor(config) for config in own], list(own.values()))
        interval = Interval(fit.value, fit.low, fit.high, fit.settings)
        statement = f"A is proportional to {quantity}"
        claims.append(_judge(label, statement, "exponent", interval, 1.0, holds=0.05, in_part=0.15, judged=True))
    constants = over_seeds([slope / scale_factor(config) for config, slope in known.items()])
    claims.append(
        _judge(
            "C7", "one constant serves all", "c", constants, published_constant(), holds=0.05, in_part=0.15, judged=True
        )
    )
    return claims


def published_constant(momentum: float = 0.0) -> float:
    """Return the mean of ``c = A (1 - alpha) B / eta`` over the published slopes with that momentum."""
    table = pd.read_csv(PUBLISHED / "fig3_slopes.csv", comment="#")
    own = table[table["momentum"] == momentum]
    return float((own["A"] * (1 - momentum) * own["batch_size"] / own["learning_rate"]).mean())


def published_edge() -> dict[float, float]:
    """Return the largest 1/J at which the published simulation (Fig. 1b) is chaotic, by J0/J."""
    table = pd.read_csv(PUBLISHED / "fig1b_edge.csv", comment="#")
    return dict(zip(table["ratio"], table["inverse_J"], strict=True))


def published_slope(run: Run, *, missing: float | None = None) -> float:
    """Return the paper's slope A (Fig. 3) for a run's setting.

    Where the paper has none, return ``missing``, or raise ValueError if that is None.
    """
    table = pd.read_csv(PUBLISHED / "fig3_slopes.csv", comment="#")
    setting = {name: getattr(run.config, name) for name in ("learning_rate", "momentum", "batch_size")}
    rows = table[(table[list(setting)] == pd.Series(setting)).all(axis=1)]
    if rows.empty and missing is not None:
        return missing
    if rows.empty:
        raise ValueError(f"the paper has no slope for {setting}")
    return float(rows["A"].iloc[0])


def table(claims: Sequence[Claim]) -> pd.DataFrame:
    """Set claims in a table: claim, quantity, paper, here (with the 95% interval over seeds), verdict."""
    return (
        pd.DataFrame(
            {
                "claim": [f"{claim.name}: {claim.statement}" for claim in claims],
                "quantity": [claim.quantity for claim in claims],
                "paper": [f"{claim.published:.4g}" for claim in claims],
                "here": [_measured(claim.measured) for claim in claims],
                "verdict": [claim.verdict + ("" if claim.clear else " (not clearly)") for claim in claims],
            }
        )
        .set_index("claim")
        .rename_axis(None)
    )


def _judge(
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
    """Judge a mean by its relative distance from the published value; *clear* if all its interval says the same."""

    def verdict(value: float) -> Verdict:
        off = abs(value / published - 1)
        return "holds" if off <= holds else "holds in part" if off <= in_part else "fails"

    if not judged:
        return Claim(name, statement, quantity, measured, published, "not judged", clear=True)
    ends = [end for end in (measured.low, measured.high) if end is not None]
    ours = verdict(measured.mean)
    clear = bool(ends) and all(verdict(end) == ours for end in ends)
    return Claim(name, statement, quantity, measured, published, ours, clear)


def _widened(interval: Interval, by: float) -> Interval:
    low, high = (None if end is None else end + side for end, side in ((interval.low, -by), (interval.high, by)))
    return replace(interval, low=low, high=high)


def _measured(interval: Interval) -> str:
    if interval.low is None:
        return f"{interval.mean:.3g} (n = 1)"
    return f"{interval.mean:.3g} [{interval.low:.3g}, {interval.high:.3g}], n = {interval.seeds}"
