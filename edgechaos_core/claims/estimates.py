"""The scorecard of the paper's claims: which runs each part of data/claims.yaml is judged on, and what they say.

A part is judged on all settings of its protocol. One of the *worst* setting has no estimate until all of them are
there; a fit over settings has one from those that are, and no verdict.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from edgechaos_core.claims import decay_estimates as decay
from edgechaos_core.claims import growth_estimates as growth
from edgechaos_core.claims import path_estimates as paths
from edgechaos_core.claims.scorecard import (
    FEWEST,
    Estimate,
    Part,
    Verdict,
    claim_verdict,
    holm,
    p_value,
    read_claims,
    seeds_to_settle,
    verdict,
)
from edgechaos_core.experiments.protocols import protocol
from edgechaos_core.laws import published
from edgechaos_core.laws.rescaling import by_setting, setting_of
from edgechaos_core.laws.scaling import ORDERED
from edgechaos_core.probes.diagram import Diagram
from edgechaos_core.store.runs import Run, RunConfig, cut_run

Keep = Callable[[RunConfig], bool]


@dataclass(frozen=True)
class Rule:
    """How a part is estimated: by a function of the runs of a protocol's settings that ``keep`` accepts.

    ``seeds`` is how many the claim asks for, of the ``best`` settings that the estimate picks (None: of all).
    ``until``: a run serves that is as long as the protocol's (*end*), or that passes J^2 = 1 (*edge*). ``fewest``
    settings are enough for an estimate, None: all are needed. ``over`` tells what the interval is over.
    """

    estimate: Callable[[Sequence[Run]], Estimate]
    protocol: str
    seeds: int = FEWEST
    keep: Keep = lambda config: True
    until: Literal["edge", "end"] = "end"
    fewest: int | None = None
    over: Literal["seeds", "settings"] = "seeds"
    best: int | None = None


def _as_base(*varied: str) -> Keep:
    """Accept the settings of Fig. 3 that differ from its base in these alone."""
    fixed = {name: value for name, value in published.BASE_SETTING.items() if name not in varied}
    return lambda config: all(getattr(config, name) == value for name, value in fixed.items())


def _strength(l2: float) -> Keep:
    return lambda config: config.l2 == l2


RULES: dict[str, tuple[Rule, ...]] = {
    "C2": (
        Rule(growth.place_of_least_test_loss, "fig2", seeds=10),
        Rule(growth.place_of_least_validation_loss, "speed", seeds=5),
    ),
    "C3": (Rule(growth.late_over_early_slope, "fig3", keep=_as_base(), until="edge"),),
    "C4": (Rule(growth.exponent_of_learning_rate, "fig3", 1, _as_base("learning_rate"), "edge", 3, "settings"),),
    "C5": (Rule(growth.exponent_of_momentum, "fig3", 1, _as_base("momentum"), "edge", 3, "settings"),),
    "C6": (Rule(growth.exponent_of_batch_size, "fig3", 1, _as_base("batch_size"), "edge", 3, "settings"),),
    "C7": (
        Rule(growth.growth_constant, "fig3", 1, until="edge", fewest=3, over="settings"),
        Rule(growth.spread_of_constant, "fig3", until="edge"),
    ),
    "C8": (Rule(paths.path_at_edge, "fig4", until="edge"), Rule(paths.path_at_end, "fig4")),
    "C9": (Rule(paths.distance_in_order, "fig5", until="edge"), Rule(paths.distance_beyond_less_in_order, "fig5")),
    "C10": (
        Rule(paths.best_loss_over_base, "payoff", keep=published.has_published_step),
        Rule(paths.best_accuracy_less_base, "payoff", keep=published.has_published_step),
    ),
    "C11": (Rule(decay.least_fall_with_decay, "fig6"), Rule(decay.place_of_best_accuracy, "fig6", seeds=10, best=4)),
    "C12": (
        Rule(decay.end_with_decay, "fig6", seeds=10, keep=_strength(9e-5)),
        Rule(decay.end_with_decay, "fig6", seeds=10, keep=_strength(5e-5)),
        Rule(decay.accuracy_less_best_other, "fig6", seeds=10, best=2),
    ),
    "C13": (
        Rule(decay.wrong_labels_fitted, "noisy-long", keep=lambda config: config.hold == 1),
        Rule(decay.correct_labels_fitted, "noisy-long", keep=lambda config: config.hold == 1),
    ),
    "C14": (
        Rule(decay.relu_place_of_least_test_loss, "relu-adam", keep=_strength(0.0)),
        Rule(decay.relu_place_of_best_accuracy, "relu-adam"),
    ),
}
CUT_NEURONS, CUT_RATIOS = 10_000, (0.0, 1.1, 1.25, 1.5, 1.75)  # N and J0/J of the cuts that C1 is judged on

DECIDED = ("reproduced", "not reproduced")


@dataclass(frozen=True)
class Judged:
    """A part of a claim, its estimate from the runs there are (None: not run), verdict, and what to train for it."""

    part: Part
    estimate: Estimate | None
    verdict: Verdict
    to_train: str
    over: Literal["seeds", "settings"] = "seeds"

    @property
    def more(self) -> int | None:
        """How many more seeds (draws of W for C1) would settle it, None where it is settled or no seeds would."""
        if self.estimate is None or self.verdict != "inconclusive" or self.over == "settings":
            return None
        return seeds_to_settle(self.estimate, self.part)

    @property
    def p(self) -> float:
        """The p-value of its verdict, 1 where it has none."""
        if self.estimate is None or self.verdict == "no verdict":
            return 1.0
        return p_value(self.estimate, self.part)

    @property
    def shown(self) -> str:
        """The estimate as ``value [low, high]``, or ``not run``."""
        if self.estimate is None:
            return "not run"
        value, low, high = self.estimate.value, self.estimate.low, self.estimate.high
        return f"{value:.3g}" + ("" if low is None else f" [{low:.3g}, {high:.3g}]")


def judged(runs: Sequence[Run], diagrams: Sequence[Diagram]) -> dict[str, list[Judged]]:
    """Judge every part of C1-C14 on those of the runs and diagrams that it is about, whatever others are given."""
    claims, groups = read_claims(), by_setting(runs)
    found = {"C1": [_judge_edge(claims["C1"].parts[0], diagrams)]}
    for name, rules in RULES.items():
        found[name] = [_judge(part, rule, groups) for part, rule in zip(claims[name].parts, rules, strict=True)]
    return found


def scorecard(runs: Sequence[Run], diagrams: Sequence[Diagram]) -> pd.DataFrame:
    """Return the scorecard, one row a claim; what its parts have each is set apart by semicolons.

    Columns: ``sentence``; ``estimate`` with its 95% interval, or "not run"; ``n`` seeds (draws of W for C1, settings
    for C4-C7); ``verdict``, that of `claim_verdict`, "no verdict" as long as a part has none, and "not run" where no
    part has an estimate; ``more seeds`` that would settle what is inconclusive; ``Holm``, whether a decided verdict
    stands at 5% with all rows (a row's p-value is the largest of its decided parts); ``to train``, what is lacking.
    """
    parts, claims = judged(runs, diagrams), read_claims()
    stands = holm({name: _claim_p(own) for name, own in parts.items()})
    rows = {}
    for name, own in parts.items():
        whole = _claim(own)
        decided = "reproduced" in whole
        rows[name] = {
            "sentence": claims[name].sentence,
            "estimate": "; ".join(part.shown for part in own),
            "n": "; ".join("–" if part.estimate is None else str(part.estimate.n) for part in own),
            "verdict": whole,
            "more seeds": "; ".join("–" if part.more is None else str(part.more) for part in own),
            "Holm": ("stands" if stands[name] else "does not stand") if decided else "–",
            "to train": "; ".join(dict.fromkeys(part.to_train for part in own if part.to_train)) or "–",
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("claim")


def _claim(parts: Sequence[Judged]) -> str:
    """What is judged in part only is not judged: a part without runs could still turn the claim either way."""
    if all(part.estimate is None for part in parts):
        return "not run"
    verdicts = [part.verdict for part in parts]
    return "no verdict" if "no verdict" in verdicts else claim_verdict(verdicts)


def _claim_p(parts: Sequence[Judged]) -> float:
    """The p-value of the claim's verdict: of the least sure of the parts that it rests on; 1 where it has none."""
    if any(part.verdict == "no verdict" for part in parts):
        return 1.0
    return max((part.p for part in parts if part.verdict in DECIDED), default=1.0)


def _judge(part: Part, rule: Rule, groups: Mapping[str, Sequence[Run]]) -> Judged:
    """Judge a part on the runs that serve it, each cut to the protocol's length where that counts."""
    wanted = [config for config in protocol(rule.protocol) if rule.keep(config)]
    found = [_serving(groups.get(setting_of(config), []), config, rule) for config in wanted]
    there = [own for own in found if own]
    enough = len(there) == len(wanted) or (rule.fewest is not None and len(there) >= rule.fewest)
    estimate = rule.estimate([run for own in there for run in own]) if enough else None
    whole = len(there) == len(wanted)
    command = f"edgechaos sweep {rule.protocol} --seeds 0:{rule.seeds}" + (
        ", as far as J² = 1" if rule.until == "edge" else ""
    )
    if not whole:
        to_train = f"{len(wanted) - len(there)} of {len(wanted)} settings: {command}"
    else:
        seeds = sorted(map(len, there), reverse=True)[(rule.best or len(there)) - 1]
        to_train = "" if seeds >= rule.seeds else f"{seeds} of {rule.seeds} seeds: {command}"
    decision = verdict(estimate, part) if estimate is not None and whole else "no verdict"
    return Judged(part, estimate, decision, to_train, rule.over)


def _serving(runs: Sequence[Run], config: RunConfig, rule: Rule) -> list[Run]:
    """Those of a setting's runs that are long enough; a run that diverged is as long as it can be."""
    if rule.until == "edge":
        return [run for run in runs if run.history["J_squared"].max() > ORDERED[1]]
    return [
        cut_run(run, run.config.model_copy(update={"epochs": config.epochs}))
        for run in runs
        if run.outcome.epoch >= config.epochs or run.outcome.state == "diverged"
    ]


def _judge_edge(part: Part, diagrams: Sequence[Diagram]) -> Judged:
    """C1 on the cuts at N = 10,000, one each J0/J."""
    cuts = {
        diagram.config.ratio_from: diagram
        for diagram in diagrams
        if diagram.config.neurons == CUT_NEURONS and diagram.config.columns == 1 and diagram.complete
    }
    there = [cuts[ratio] for ratio in CUT_RATIOS if ratio in cuts]
    if len(there) < len(CUT_RATIOS):
        lacking = f"{len(CUT_RATIOS) - len(there)} of {len(CUT_RATIOS)} cuts"
        return Judged(part, None, "no verdict", f"{lacking}: edgechaos phase-diagram --neurons {CUT_NEURONS}")
    estimate = growth.edge_over_theory(there)
    return Judged(part, estimate, verdict(estimate, part), "")
