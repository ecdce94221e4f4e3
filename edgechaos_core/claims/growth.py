"""The paper's claims, each judged from runs: a measured value with its interval over seeds, and a plain verdict.

The rule of each verdict stands in its function's docstring. Claims and published numbers are those of Zhang, Feng,
Chen, Lai, arXiv 2107.09437.
"""

import math
from collections.abc import Sequence

from edgechaos_core.claims.verdicts import Claim, Verdict, judge, widened
from edgechaos_core.laws import published
from edgechaos_core.laws.rescaling import best_epoch, by_setting, collapse, farthest, setting_of
from edgechaos_core.laws.scaling import (
    PUBLISHED_WINDOW,
    Exponent,
    Interval,
    exponent,
    growth,
    least_test_loss,
    ordered_growth,
    over_seeds,
    scale_factor,
    straightness,
)
from edgechaos_core.probes.diagram import Diagram, simulated_edge
from edgechaos_core.store.runs import Run, RunConfig
from edgechaos_core.theory.edges import edge_of_chaos

EDGE = 1.0  # J at the edge of chaos for |J0 / J| <= 1


def loss_is_least_at_the_edge(runs: Sequence[Run]) -> Claim:
    """C2: J at the epoch of least test loss, over seeds; published: J = 1.

    *Holds* if the mean is within 10% of 1, *holds in part* within 25%, else *fails*; *not judged* if a run does not
    pass J = 1.25, the far side of the edge then not being seen. Expects runs of one setting.
    """
    measured = over_seeds([float(least_test_loss(run.history)["J_squared"]) ** 0.5 for run in runs])
    seen = all(run.history["J_squared"].max() >= 1.25**2 for run in runs)
    statement = "the test loss is least near J = 1"
    return judge("C2", statement, "J at the least test loss", measured, EDGE, holds=0.1, in_part=0.25, judged=seen)


def growth_is_linear(runs: Sequence[Run]) -> list[Claim]:
    """C3: the slope A of J^2 over epochs 0-48 against the published one, and how straight the line is.

    The slope *holds* within 5% of the published value, *holds in part* within 15%, else *fails*. Straightness, the
    slope over epochs 24-48 divided by that over 0-24, *holds* within 10% of 1, *holds in part* within 25%, else
    *fails*. *Not judged* where a run is shorter, and then the slope alone is given. Expects runs of one setting of the
    paper's Fig. 3; raises ValueError for another.
    """
    statement = "J² is linear in epochs in the ordered phase"
    expected = published.slope(runs[0])
    whole = all(run.outcome.epoch >= PUBLISHED_WINDOW[-1] for run in runs)
    slope = over_seeds([growth(run.history).slope for run in runs])
    quantity = "A, growth of J² per epoch"
    claims = [judge("C3", statement, quantity, slope, expected, holds=0.05, in_part=0.15, judged=whole)]
    if whole:
        ratio = over_seeds([straightness(run.history) for run in runs])
        claims.append(judge("C3", statement, "A late / A early", ratio, 1.0, holds=0.1, in_part=0.25, judged=True))
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
        measured = widened(over_seeds(edges.to_list()), half_row)
        claims.append(judge("C1", statement, quantity, measured, theory, holds=0.05, in_part=0.15, judged=judged))
    return claims


def growth_laws(runs: Sequence[Run]) -> list[Claim]:
    """C4-C7: exponents of A against eta, 1/(1-alpha) and 1/B, and the one constant c of ``A = c eta/((1-alpha) B)``.

    A is the slope over the ordered phase (`ordered_growth`). Each exponent is fitted to the runs that differ from the
    paper's base setting in that one alone; it *holds* within 0.05 of 1, *holds in part* within 0.15; *not judged* with
    fewer than three runs. c *holds* within 5% of the published one, in part within 15%; its interval is over settings.
    """
    names = {"learning_rate": ("C4", "eta"), "momentum": ("C5", "1/(1-alpha)"), "batch_size": ("C6", "1/B")}
    claims = []
    for name, fit in growth_exponents(runs).items():
        label, quantity = names[name]
        interval = Interval(fit.value, fit.low, fit.high, fit.settings)
        statement = f"A is proportional to {quantity}"
        claims.append(judge(label, statement, "exponent", interval, 1.0, holds=0.05, in_part=0.15, judged=True))
    slopes = {run.config: ordered_growth(run.history).slope for run in runs}
    known = [a / scale_factor(config) for config, a in slopes.items() if not math.isnan(a)]
    if known:
        c, wanted = over_seeds(known), published.constant()
        claims.append(judge("C7", "one constant serves all", "c", c, wanted, holds=0.05, in_part=0.15, judged=True))
    return claims


def growth_exponents(runs: Sequence[Run]) -> dict[str, Exponent]:
    """Return the exponent of A against eta, 1/(1-alpha) and 1/B, by the setting's name: ``learning_rate`` and so on.

    A is the slope over the ordered phase; each exponent is fitted to the runs that differ from the paper's base setting
    in that one alone, and left out with fewer than three different ones.
    """
    slopes = {run.config: ordered_growth(run.history).slope for run in runs}
    exponents = {}
    for name in published.BASE_SETTING:
        others = {other: base for other, base in published.BASE_SETTING.items() if other != name}
        own = {
            config: slope
            for config, slope in slopes.items()
            if not math.isnan(slope) and all(getattr(config, other) == base for other, base in others.items())
        }
        if len({getattr(config, name) for config in own}) >= 3:
            exponents[name] = exponent([scale_factor(config) for config in own], list(own.values()))
    return exponents


def equal_scale_factors_coincide(reference: Sequence[Run], runs: Sequence[Run]) -> list[Claim]:
    """C8: J^2 of runs of the reference's scale factor over that of the reference, at its edge and at the end.

    *Holds* within 2% of 1, *holds in part* within 5%, else *fails*; the interval is over settings. At the edge *not
    judged* where the reference does not pass J^2 = 1. Raises ValueError for a run of another scale factor.
    """
    speed = scale_factor(reference[0].config)
    if not all(math.isclose(scale_factor(run.config), speed) for run in runs):
        raise ValueError(f"equal scale factors are compared: all runs need eta / ((1 - alpha) B) = {speed:.6g}")
    statement = "equal scale factors give equal trajectories"
    at_edge, at_end = [], []
    for collapsed in (collapse(reference, run) for run in runs):
        passed = collapsed[collapsed["J_squared"] >= 1]
        at_edge += [1 + float(passed["distance"].iloc[0])] if len(passed) else []
        at_end.append(1 + float(collapsed["distance"].iloc[-1]))
    claims = []
    for quantity, ratios in (("J² / base J², at J² = 1", at_edge), ("J² / base J², at the end", at_end)):
        if ratios:
            claims.append(
                judge("C8", statement, quantity, over_seeds(ratios), 1.0, holds=0.02, in_part=0.05, judged=True)
            )
    return claims


def ordered_phase_collapses(reference: Sequence[Run], runs: Sequence[Run]) -> list[Claim]:
    """C9: the largest distance from the reference in rescaled time, up to the edge and beyond it, over settings.

    Up to the edge: *holds* if it is 5% on average or less, *in part* up to 15%. Beyond: that curves part there *holds*
    if the distance is on average larger than up to the edge and than the spread of seeds, *in part* if larger than one
    of them; *not judged* where no run passes J^2 = 1.
    """
    statement = "rescaled time collapses the ordered phase only"
    collapsed = [collapse(reference, run) for run in runs]
    ordered = over_seeds([farthest(own, ordered=True) for own in collapsed])
    quantity = "largest distance up to J² = 1"
    claims = [judge("C9", statement, quantity, ordered, 0.0, holds=0.05, in_part=0.15, judged=True)]
    passed = [own for own in collapsed if (own["J_squared"] > 1).any()]
    if passed:
        beyond = over_seeds([farthest(own, ordered=False) for own in passed])
        spread = max(float(own.loc[own["J_squared"] > 1, "spread"].max()) for own in passed)
        larger = (beyond.mean > ordered.mean) + (beyond.mean > spread)
        verdict: Verdict = ("fails", "holds in part", "holds")[larger]
        ends = [end for end in (beyond.low, beyond.high) if end is not None]
        clear = bool(ends) and all((end > ordered.mean) + (end > spread) == larger for end in ends)
        quantity = "largest distance beyond J² = 1"
        claims.append(Claim("C9", statement, quantity, beyond, math.nan, verdict, clear))
    return claims


def best_is_alike(runs: Sequence[Run], base: RunConfig) -> list[Claim]:
    """C10: test loss and accuracy at the epoch of least validation loss, over those of the base setting.

    Seeds that both have are averaged and the interval is over settings, apart for those of equal scale factor and for
    others. The loss *holds* within 2% of the base's, *in part* within 5%; the accuracy within 0.5% and 1.5%. Steps
    ``eta / (1 - alpha)`` larger than the largest of its Figs. 4 and 5 are not what it speaks of, and are left out.
    Raises ValueError where no run is of the base setting, or a run has no validation split.
    """
    groups = by_setting([run for run in runs if published.has_published_step(run.config)])
    centre = groups.pop(setting_of(base), None)
    if centre is None:
        raise ValueError("the best is compared with the base setting's: none of the runs is of it")
    equal = [own for own in groups.values() if math.isclose(scale_factor(own[0].config), scale_factor(base))]
    other = [own for own in groups.values() if own not in equal]
    statement = "the best loss and accuracy are alike"
    claims = []
    for which, settings in (("equal speed", equal), ("other speeds", other)):
        for column, holds, in_part in (("test_loss", 0.02, 0.05), ("test_accuracy", 0.005, 0.015)):
            if not settings:
                continue
            ratio = over_seeds([_paired_ratio(own, centre, column) for own in settings])
            quantity = f"best {column.replace('_', ' ')} / base, {which}"
            claims.append(judge("C10", statement, quantity, ratio, 1.0, holds=holds, in_part=in_part, judged=True))
    return claims


def _paired_ratio(runs: Sequence[Run], base: Sequence[Run], column: str) -> float:
    """The column at the best epoch over the base's, seeds that both have averaged; all seeds where they share none."""
    reached, centre = ({run.config.seed: float(best_epoch(run)[column]) for run in part} for part in (runs, base))
    common = reached.keys() & centre.keys()
    own, other = ([values[seed] for seed in (common or values)] for values in (reached, centre))
    return (sum(own) / len(own)) / (sum(other) / len(other))
