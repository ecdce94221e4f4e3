"""The headline numbers, worked out a second time by a script that imports nothing of the package, are the same."""

import ast
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from edgechaos_core.analysis.by_setting import by_setting, setting_of
from edgechaos_core.analysis.intervals import Estimate
from edgechaos_core.claims import judging
from edgechaos_core.claims.estimates import decay, growth, paths
from edgechaos_core.claims.rules import RULES, Rule
from edgechaos_core.experiments.protocols import protocol
from edgechaos_core.store.runs import Run, cut_run, load_run
from edgechaos_core.store.store import COMMITTED_RUNS
from tests.claims import second_opinion


@pytest.fixture(scope="module")
def committed() -> list[Run]:
    return [load_run(path) for path in sorted(COMMITTED_RUNS.glob("*.parquet"))]


def of_rule(runs: Sequence[Run], rule: Rule) -> list[Run]:
    """What the scorecard judges a part on."""
    groups = by_setting(runs)
    wanted = [config for config in protocol(rule.protocol) if rule.keep(config)]
    return [run for config in wanted for run in judging.serving(groups.get(setting_of(config), []), config, rule)]


def fig6_so_far(runs: Sequence[Run]) -> list[Run]:
    """Fig. 6 with decay, as far as all strengths are committed."""
    settings = {setting_of(config) for config in protocol("fig6") if config.l2 > 0}
    length = {"epochs": second_opinion.FIG6_EPOCHS}
    own = [run for run in runs if setting_of(run.config) in settings and run.config.epochs >= length["epochs"]]
    return [cut_run(run, run.config.model_copy(update=length)) for run in own]


@pytest.fixture(scope="module")
def second() -> dict[str, second_opinion.Numbers]:
    return second_opinion.headline()


BOTH: dict[str, Callable[[list[Run]], Estimate]] = {
    "C2, J at the least test loss": lambda runs: growth.place_of_least_test_loss(of_rule(runs, RULES["C2"][0])),
    "C4, exponent of eta": lambda runs: growth.exponent_of_learning_rate(of_rule(runs, RULES["C4"][0])),
    "C5, exponent of 1/(1 - alpha)": lambda runs: growth.exponent_of_momentum(of_rule(runs, RULES["C5"][0])),
    "C6, exponent of 1/B": lambda runs: growth.exponent_of_batch_size(of_rule(runs, RULES["C6"][0])),
    "C7, c": lambda runs: growth.growth_constant(of_rule(runs, RULES["C7"][0])),
    "C8, J² at the edge": lambda runs: paths.path_at_edge(of_rule(runs, RULES["C8"][0])),
    "C11, J at the best accuracy": lambda runs: decay.place_of_best_accuracy(fig6_so_far(runs)),
    "lambda*": lambda runs: decay.strength_for_the_edge(fig6_so_far(runs)),
}


@pytest.mark.parametrize("name", BOTH)
def test_both_ways_print_the_same(name, committed, second):
    estimate = BOTH[name](committed)
    ours = second_opinion.shown(estimate.value, estimate.low, estimate.high, estimate.n)
    assert ours == second_opinion.shown(*second[name])
    assert "nan" not in ours


def test_every_headline_number_is_compared(second):
    assert set(second) == set(BOTH)


def test_the_second_opinion_imports_nothing_of_the_package():
    tree = ast.parse(Path(second_opinion.__file__).read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert imported == {"itertools", "json", "pathlib", "numpy", "pandas", "pyarrow.parquet"}
