"""The paper's claims about weight decay, C11 and C12; the rule of each verdict stands in its function's docstring."""

from collections.abc import Sequence

from scipy import stats

from edgechaos_core.runs import Run
from edgechaos_core.scaling import over_seeds, settled
from edgechaos_core.verdicts import Claim, judge


def decay_pushes_toward_order(runs: Sequence[Run]) -> list[Claim]:
    """C11: where J^2 settles falls with lambda, and the accuracy at the end is best near J = 1.

    The rank correlation of settled J^2 with lambda, for each seed, *holds* within 10% of -1, *in part* within 25%. J of
    the run whose test accuracy, over the last tenth of the epochs, is best of a seed's runs, *holds* within 10% of 1,
    *in part* within 25%. Expects runs that differ in l2 and seed; raises ValueError where a seed has fewer than three.
    """
    by_seed: dict[int, list[Run]] = {}
    for run in runs:
        by_seed.setdefault(run.config.seed, []).append(run)
    if not by_seed or min(map(len, by_seed.values())) < 3:
        raise ValueError("C11 is judged over at least three strengths of decay for each seed")
    ranks, peaks = [], []
    for own in by_seed.values():
        ends = [settled(run) for run in own]
        ranks.append(float(stats.spearmanr([run.config.l2 for run in own], ends).statistic))
        best = max(own, key=lambda run: settled(run, "test_accuracy"))
        peaks.append(settled(best) ** 0.5)
    statement = "decay pushes toward order, accuracy peaks near J = 1"
    order = over_seeds(ranks)
    quantity = "J at the best final accuracy"
    return [
        judge("C11", statement, "rank corr. of J², lambda", order, -1.0, holds=0.1, in_part=0.25, judged=True),
        judge("C11", statement, quantity, over_seeds(peaks), 1.0, holds=0.1, in_part=0.25, judged=True),
    ]


def guideline_settles_at_the_edge(runs: Sequence[Run]) -> Claim:
    """C12: where J^2 settles with one strength of decay, over seeds; *holds* within 10% of 1, *in part* within 25%."""
    strengths = {run.config.l2 for run in runs}
    if len(strengths) != 1:
        raise ValueError(f"C12 is judged for one strength of decay, got {len(strengths)}")
    measured = over_seeds([settled(run) for run in runs])
    quantity = f"settled J², lambda = {strengths.pop():g}"
    statement = "the guideline's decay saturates J² at 1"
    return judge("C12", statement, quantity, measured, 1.0, holds=0.1, in_part=0.25, judged=True)
