"""The paper's claims about weight decay, C11 to C13; the rule of each verdict stands in its function's docstring."""

from collections.abc import Sequence
from dataclasses import replace

from scipy import stats

from edgechaos_core.analysis.endpoints import way_of
from edgechaos_core.analysis.rescaling import by_setting
from edgechaos_core.analysis.scaling import over_seeds, settled
from edgechaos_core.claims.verdicts import Claim, Verdict, judge, judge_beyond
from edgechaos_core.experiments.comparison import Contest, Entry, behind
from edgechaos_core.store.runs import Run


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


# How near to 1 J^2 ends: holds, in part.
LANDING_BOUNDS = {"formula": (0.1, 0.25), "pilot": (0.1, 0.25), "controller": (0.03, 0.1)}


def all_land_at_the_edge(runs: Sequence[Run], way: str) -> Claim:
    """C12 for settings that a way was not made from: *holds* if J^2 ends near 1 in every one of them.

    Near is within 10% for the formula, corrected by a pilot run or not, and 3% for the controller; *in part* within 25%
    and 10%. A setting's J^2 is the mean of its seeds over the last tenth of the epochs; the measured interval is a 95%
    Student-t interval over settings, but the verdict is that of the worst. It is *clear* where the worst run, seed by
    seed, gets the same verdict. Raises ValueError for no runs.
    """
    if not runs:
        raise ValueError(f"where the {way} lands is judged on at least one run")
    holds, in_part = LANDING_BOUNDS[way]
    own = [[settled(run) for run in seeds] for seeds in by_setting(runs).values()]
    means = [sum(ends) / len(ends) for ends in own]

    def verdict(ends: Sequence[float]) -> Verdict:  # nan, of a run that diverged, fails
        if all(abs(end - 1) <= holds for end in ends):
            return "holds"
        return "holds in part" if all(abs(end - 1) <= in_part for end in ends) else "fails"

    ours = verdict(means)
    quantity = f"J² at the end, {len(means)} settings: worst {max(means, key=lambda end: abs(end - 1)):.3g}"
    clear = all(len(ends) > 1 for ends in own) and verdict([end for ends in own for end in ends]) == ours
    return Claim("C12", f"the {way} lands on the edge elsewhere", quantity, over_seeds(means), 1.0, ours, clear)


def as_good_as_a_search(way: Entry, found: Entry, points: float = 0.3, share: float = 0.1) -> Claim:
    """C12 in practice: *holds* if a way ends no more than 0.3 points of accuracy behind a search, seeds averaged.

    And only for less than a tenth of its epochs; *in part* if it is within the points for more of them. *Clear* if the
    interval of what it is behind, over seeds, is on one side of the bound.
    """
    off, cheap = behind(way, found), way.epochs < share * found.epochs
    near = off.mean <= points
    ends = [end for end in (off.low, off.high) if end is not None]
    quantity = f"points behind {found.name}, {way.epochs:.0f} epochs"
    verdict: Verdict = "fails" if not near else "holds" if cheap else "holds in part"
    clear = bool(ends) and all((end <= points) == near for end in ends)
    return Claim("C12", f"{way.name} does as well as a search", quantity, off, 0.0, verdict, clear)


def pays_off(held: Contest) -> list[Claim]:
    """C12 in practice for the formula and the controller: against a search, and against no decay."""
    return [
        claim
        for part in (held.constant, held.slowed)
        for way in (part.entries["formula"], part.entries["controller"])
        for claim in (as_good_as_a_search(way, part.best_found), *beats_no_decay(way, part.entries["no decay"]))
    ]


def beats_no_decay(way: Entry, free: Entry) -> list[Claim]:
    """C12 in practice, at the end of training, seeds paired and averaged.

    *Less test loss* holds if any is spared against no decay. *As accurate* holds if accuracy is above, in part if it is
    less than 0.3 points below. *Clear* if the whole interval of the difference says so. Raises ValueError where they
    have no seed in common.
    """
    both = sorted(way.losses.keys() & free.losses.keys())
    if not both:
        raise ValueError(f"{way.name} and {free.name} have no seed in common")
    spared = over_seeds([free.losses[seed] - way.losses[seed] for seed in both])
    gained = over_seeds([100 * (way.accuracies[seed] - free.accuracies[seed]) for seed in both])
    epochs = f"{way.epochs:.0f} epochs"
    less, level = f"{way.name} ends with less test loss than {free.name}", f"{way.name} is as accurate as {free.name}"
    return [
        judge_beyond("C12", less, f"test loss spared, {epochs}", spared, holds=0.0, in_part=0.0),
        judge_beyond("C12", level, f"points gained, {epochs}", gained, holds=0.0, in_part=-0.3),
    ]


def noise_is_not_fitted(guided: Sequence[Run], free: Sequence[Run]) -> list[Claim]:
    """C13: held at the edge, shuffled labels are not fitted while correct ones are.

    For runs of one share of noise with a way of holding, and without decay, seed by seed, means over the last tenth of
    the epochs. *Not fitted* holds if fewer than a tenth of the samples with a wrong label are given that label, in part
    below a quarter. *Correct ones are* holds if more than nine in ten of the samples with a correct label are given it,
    in part above three quarters. *Fitted less* holds if fewer wrong labels are fitted than without decay; *better* if
    test accuracy is above that without decay, in part if it is less than 0.3 points below. Clear where the interval
    says the same.
    """
    config = guided[0].config
    share = f"{config.label_noise:.0%} noise, {way_of(config)}, {config.epochs} epochs"
    wrong = over_seeds([settled(run, "shuffled_accuracy") for run in guided])
    right = over_seeds([settled(run, "kept_accuracy") for run in guided])
    claims = [
        judge_beyond(
            "C13", "shuffled labels are not fitted", f"fitted, {share}", wrong, holds=0.1, in_part=0.25, sign=-1
        ),
        judge_beyond("C13", "correct labels are fitted", f"fitted, {share}", right, holds=0.9, in_part=0.75),
    ]
    rivals = {run.config.seed: run for run in free}
    pairs = [(run, rivals[run.config.seed]) for run in guided if run.config.seed in rivals]
    if pairs:
        spared, gained = (
            over_seeds([100 * sign * (settled(own, column) - settled(rival, column)) for own, rival in pairs])
            for sign, column in ((-1, "shuffled_accuracy"), (1, "test_accuracy"))
        )
        less = "shuffled labels are fitted less than without decay"
        claims += [
            judge_beyond("C13", less, f"points spared, {share}", spared, holds=0.0, in_part=0.0),
            judge_beyond("C13", "better on clean data", f"points gained, {share}", gained, holds=0.0, in_part=-0.3),
        ]
    return claims
