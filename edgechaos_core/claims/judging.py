"""Claims judged: each part of data/claims.yaml on those of the runs and diagrams that it is about.

A part is judged on all settings of its protocol. One of the *worst* setting has no estimate until all of them are
there; a fit over settings has one from those that are, and no verdict.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from edgechaos_core.analysis.by_setting import by_setting, setting_of
from edgechaos_core.analysis.intervals import Estimate, shown
from edgechaos_core.analysis.scaling import ORDERED
from edgechaos_core.claims.estimates import growth
from edgechaos_core.claims.rules import OWN_RULES, RULES, Over, Rule
from edgechaos_core.claims.verdicts import MOST_MORE, Part, Verdict, p_value, read_claims, seeds_to_settle, verdict
from edgechaos_core.experiments.protocols import protocol
from edgechaos_core.probes.diagram import Diagram, load_diagram
from edgechaos_core.store.runs import Run, RunConfig, cut_run, load_run
from edgechaos_core.system.places import COMMITTED_DIAGRAMS, COMMITTED_RUNS

LEAST_SHARE = 0.2  # of a protocol's epochs after which an estimate is shown, though not judged
CUT_NEURONS, CUT_RATIOS = 10_000, (0.0, 1.1, 1.25, 1.5, 1.75)  # N and J0/J of the cuts that C1 is judged on

SoFar = Literal["inside", "outside", "across", "not run"]  # of an estimate and the bounds that it is judged by


@dataclass(frozen=True)
class Judged:
    """A part of a claim, its estimate from the runs there are (None: not run), verdict, and what to train for it.

    ``share`` is the part of the protocol's epochs that the estimate is made after; below 1 there is no verdict.
    """

    part: Part
    estimate: Estimate | None
    verdict: Verdict
    to_train: str
    over: Over = "seeds"
    share: float = 1.0
    begun: bool = False  # some runs are there, be they too few for an estimate

    @property
    def more(self) -> int | None:
        """How many more seeds (draws of W for C1) would settle it, None where it is settled or 100 would not."""
        if self.estimate is None or self.verdict != "inconclusive" or self.over == "settings":
            return None
        return seeds_to_settle(self.estimate, self.part)

    @property
    def p(self) -> float:
        """The p-value of its verdict, 1 where it has none, or no interval."""
        if self.estimate is None or self.estimate.low is None or self.verdict == "no verdict":
            return 1.0
        return p_value(self.estimate, self.part)

    @property
    def shown(self) -> str:
        """The estimate as ``value [low, high]``, n, and how far the runs got; or why there is none."""
        if self.estimate is None:
            return "needs all settings" if self.begun else "not run"
        if math.isnan(self.estimate.value):
            return "no value"
        n = self.estimate.n
        early = "" if self.share >= 1 else f", after {self.share:.0%} of the epochs"
        return f"{shown(self.estimate)}, {n} {_counted(self.over, n)}{early}"

    @property
    def so_far(self) -> SoFar:
        """Where the runs that are there put the estimate, verdict or not: by the interval, or by the value alone."""
        if self.estimate is None or math.isnan(self.estimate.value):
            return "not run"
        value = self.estimate.value
        ends = [value if end is None else end for end in (self.estimate.low, self.estimate.high)]
        low, high = self.part.bounds
        if low <= ends[0] and ends[1] <= high:
            return "inside"
        return "outside" if ends[1] < low or ends[0] > high else "across"

    @property
    def told(self) -> str:
        """The verdict, and where there is none yet what would bring one."""
        if self.verdict == "inconclusive" and self.estimate is not None and self.estimate.low is None:
            return "inconclusive: in more than a tenth of the draws of seeds the fit finds no value"
        if self.verdict == "inconclusive":
            if self.more:
                more = f"about {self.more} more {_counted(self.over, self.more)} would settle it, if the estimate stays"
            elif self.over == "settings":
                more = "more seeds would not settle it"
            else:
                more = f"too close to its bound for {MOST_MORE} more {self.over} to settle it, if the estimate stays"
            return f"inconclusive: {more}"
        return f"no verdict: {self.to_train}" if self.verdict == "no verdict" else self.verdict


def _counted(units: Over, n: int) -> str:
    return units if n > 1 else units[:-1]


@dataclass(frozen=True)
class Evidence:
    """What claims are judged on."""

    runs: Sequence[Run]
    diagrams: Sequence[Diagram]


@cache
def committed_evidence() -> Evidence:
    """Return all committed runs and cuts through the phase diagram: what the book's verdicts rest on."""
    runs = [load_run(path) for path in sorted(COMMITTED_RUNS.glob("*.parquet"))]
    return Evidence(runs, [load_diagram(path) for path in sorted(COMMITTED_DIAGRAMS.glob("cut-*.parquet"))])


def judged(evidence: Evidence, names: Sequence[str] = ()) -> dict[str, list[Judged]]:
    """Judge every part of these claims (none named: C1 to C14 and B1 to B12), whatever other runs are given."""
    claims, groups = read_claims() | read_claims("own"), by_setting(evidence.runs)
    if unknown := [name for name in names if name not in claims]:
        raise ValueError(f"unknown claim {unknown[0]!r}: choose from {', '.join(claims)}")
    found = {}
    for name in names or claims:
        if name == "C1":
            found[name] = [_judge_edge(claims[name].parts[0], evidence.diagrams)]
        else:
            rules = zip(claims[name].parts, (RULES | OWN_RULES)[name], strict=True)
            found[name] = [_judge(part, rule, groups) for part, rule in rules]
    return found


def _judge(part: Part, rule: Rule, groups: Mapping[str, Sequence[Run]]) -> Judged:
    """Judge a part on the runs that serve it, each cut to the protocol's length where that counts.

    Where some setting has no run so long, the estimate is made after the share of the epochs that all of them have,
    and there is no verdict. Where all runs are there and a fit finds nothing in too many draws of its bootstrap for an
    interval, the part is inconclusive.
    """
    wanted = [config for config in protocol(rule.protocol) if rule.keep(config)]
    own = [groups.get(setting_of(config), []) for config in wanted]
    served = [serving(runs, config, rule) for runs, config in zip(own, wanted, strict=True)]
    there, share = [runs for runs in served if runs], 1.0
    if len(there) < len(wanted) and rule.until == "end":
        early = min(map(_longest_share, own, wanted))
        if early >= LEAST_SHARE:
            share = early
            there = [serving(runs, config, rule, share) for runs, config in zip(own, wanted, strict=True)]
    enough = len(there) == len(wanted) or (rule.fewest is not None and len(there) >= rule.fewest)
    estimate = rule.estimate([run for runs in there for run in runs]) if enough else None
    decided = verdict(estimate, part) if estimate is not None and all(served) else "no verdict"
    lacking = _to_train(rule, served, share)
    if decided == "no verdict" and not lacking:
        decided = "inconclusive"
    return Judged(part, estimate, decided, lacking, rule.over, share, begun=bool(there))


def _longest_share(runs: Sequence[Run], config: RunConfig) -> float:
    return max((run.outcome.epoch / config.epochs for run in runs), default=0.0)


def _to_train(rule: Rule, served: Sequence[Sequence[Run]], share: float) -> str:
    """What is lacking, in words and as a command; empty where nothing is. ``share``: of the epochs that all have."""
    whole = sum(map(bool, served))
    command = f"edgechaos sweep {rule.protocol} --seeds 0:{rule.seeds}"
    if whole < len(served):
        length = " to the full length" if share < 1 else ""
        return f"{whole} of {len(served)} settings run{length} ({command})"
    seeds = sorted(map(len, served), reverse=True)[(rule.best or len(served)) - 1]
    of_some = " in some settings" if max(map(len, served)) > seeds else ""
    return "" if seeds >= rule.seeds else f"{seeds} of {rule.seeds} seeds run{of_some} ({command})"


def serving_runs(evidence: Evidence, rule: Rule) -> list[Run] | None:
    """Return the runs that serve a rule, all settings at their full length; None where one setting has no such run."""
    groups = by_setting(evidence.runs)
    wanted = [config for config in protocol(rule.protocol) if rule.keep(config)]
    found = [serving(groups.get(setting_of(config), []), config, rule) for config in wanted]
    return [run for runs in found for run in runs] if all(found) else None


def serving(runs: Sequence[Run], config: RunConfig, rule: Rule, share: float = 1.0) -> list[Run]:
    """Return those of a setting's runs that are long enough; a run that diverged is as long as it can be."""
    if rule.until == "edge":
        return [run for run in runs if run.history["J_squared"].max() > ORDERED[1]]
    epochs = math.floor(share * config.epochs + 1e-9)
    return [
        cut_run(run, run.config.model_copy(update={"epochs": epochs}))
        for run in runs
        if run.outcome.epoch >= epochs or run.outcome.state == "diverged"
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
        lacking = f"{len(there)} of {len(CUT_RATIOS)} cuts simulated"
        command = f"edgechaos phase-diagram --neurons {CUT_NEURONS}"
        return Judged(part, None, "no verdict", f"{lacking} ({command})", "draws")
    estimate = growth.edge_over_theory(there)
    return Judged(part, estimate, verdict(estimate, part), "", "draws")
