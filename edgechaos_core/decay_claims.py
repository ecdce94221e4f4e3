"""The paper's claims about weight decay, C11 and C12; the rule of each verdict stands in its function's docstring."""

from collections.abc import Sequence
from dataclasses import replace

from scipy import stats

from edgechaos_core.rescaling import by_setting
from edgechaos_core.runs import Run
from edgechaos_core.scaling import over_seeds, settled
from edgechaos_core.verdicts import Claim, Verdict, judge


def decay_pushes_toward_order(runs: Sequence[Run]) -> list[Claim]:
    """C11: where J^2 settles falls with lambda, and the accuracy at the end is best near J = 1.

    The rank correlation of settled J^2 with lambda, for each seed, *holds* within 10% of -1, *in part* within 25%. J of
    the run whose test accuracy, over the last tenth of the epochs, is best of a seed's runs, *holds* within 10% of 1,
    *in part* within 25%; it is *clear* only if the strength that is best on average beats each other one, seed by seed,
    by an interval above 0. Expects runs that differ in l2 and seed; raises ValueError for fewer than three strengths,
    or a seed that lacks one.
    """
    by_strength: dict[float, dict[int, Run]] = {}
    for run in runs:
        by_strength.setdefault(run.config.l2, {})[run.config.seed] = run
    seeds = {run.config.seed for run in runs}
    if len(by_strength) < 3 or any(set(own) != seeds for own in by_strength.values()):
        raise ValueError("C11 is judged over at least three strengths of decay, each with the same seeds")
    ranks, peaks = [], []
    for seed in sorted(seeds):
        own = [of_seed[seed] for of_seed in by_strength.values()]
        ends = [settled(run) for run in own]
        ranks.append(float(stats.spearmanr([run.config.l2 for run in own], ends).statistic))
        peaks.append(settled(max(own, key=_accuracy)) ** 0.5)
    statement = "decay pushes toward order, accuracy peaks near J = 1"
    quantity = "J at the best final accuracy"
    order = over_seeds(ranks)
    peak = judge("C11", statement, quantity, over_seeds(peaks), 1.0, holds=0.1, in_part=0.25, judged=True)
    best = max(by_strength.values(), key=lambda own: sum(map(_accuracy, own.values())))
    others = [own for own in by_strength.values() if own is not best]
    leads = [over_seeds([_accuracy(best[seed]) - _accuracy(own[seed]) for seed in sorted(seeds)]) for own in others]
    ahead = all(lead.low is not None and lead.low > 0 for lead in leads)
    return [
        judge("C11", statement, "rank corr. of J², lambda", order, -1.0, holds=0.1, in_part=0.25, judged=True),
        replace(peak, clear=peak.clear and ahead),
    ]


def _accuracy(run: Run) -> float:
    return settled(run, "test_accuracy")


def guideline_settles_at_the_edge(runs: Sequence[Run]) -> Claim:
    """C12: where J^2 settles with one strength of decay, over seeds; *holds* within 10% of 1, *in part* within 25%."""
    strengths = {run.config.l2 for run in runs}
    if len(strengths) != 1:
        raise ValueError(f"C12 is judged for one strength of decay, got {len(strengths)}")
    measured = over_seeds([settled(run) for run in runs])
    quantity = f"settled J², lambda = {strengths.pop():g}"
    statement = "the guideline's decay saturates J² at 1"
    return judge("C12", statement, quantity, measured, 1.0, holds=0.1, in_part=0.25, judged=True)


def all_land_at_the_edge(runs: Sequence[Run], way: str, holds: float, in_part: float) -> Claim:
    """C12 for settings that a rule was not made from: *holds* if J^2 ends within ``holds`` of 1 in every one of them.

    *In part* if it does within ``in_part``. A setting's J^2 is the mean of its seeds over the last tenth of the epochs;
    the measured interval is a 95% Student-t interval over settings, but the verdict is that of the worst. It is
    *clear* where the worst run, seed by seed, gets the same verdict.
    """
    own = [[settled(run) for run in seeds] for seeds in by_setting(runs).values()]
    means = [sum(ends) / len(ends) for ends in own]

    def verdict(ends: Sequence[float]) -> Verdict:
        worst = max(abs(end - 1) for end in ends)
        return "holds" if worst <= holds else "holds in part" if worst <= in_part else "fails"

    ours = verdict(means)
    quantity = f"J² at the end, {way}, {len(means)} settings: worst {max(means, key=lambda end: abs(end - 1)):.3g}"
    clear = all(len(ends) > 1 for ends in own) and verdict([end for ends in own for end in ends]) == ours
    return Claim("C12", f"{way} lands on the edge elsewhere", quantity, over_seeds(means), 1.0, ours, clear)
