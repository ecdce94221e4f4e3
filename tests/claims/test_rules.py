"""The runs that each part of a claim is judged on, as ``setting`` in data/claims.yaml names them."""

from collections.abc import Iterable
from typing import Any

import pytest

from edgechaos_core.claims.rules import OWN_RULES, RULES, Rule
from edgechaos_core.experiments.protocols import protocol

SCALED = (0.005, 0.01, 0.02, 0.04, 0.08)
BATCHES = (8, 16, 32, 64, 128)
FIG3_RATES = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.007, 0.01, 0.02, 0.05, 0.1)
FIG3_MOMENTA = (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95)
FIG3_BATCHES = (4, 8, 16, 24, 32, 64, 128, 192, 256, 512)
HELD = (0.3, 0.5, 0.7, 1.0, 1.4, 2.0)
USUAL = {"momentum": (0.5,)}

# Seeds; until where; how many settings; and the values that some settings are left out for.
PARTS = {
    "C2": [(10, "end", 1, {}), (5, "end", 9, {})],
    "C3": [(3, "edge", 1, {"learning_rate": (0.01,), "momentum": (0.0,), "batch_size": (32,)})],
    "C4": [(1, "edge", 10, {"learning_rate": FIG3_RATES, "momentum": (0.0,), "batch_size": (32,)})],
    "C5": [(1, "edge", 10, {"learning_rate": (0.01,), "momentum": FIG3_MOMENTA, "batch_size": (32,)})],
    "C6": [(1, "edge", 10, {"learning_rate": (0.01,), "momentum": (0.0,), "batch_size": FIG3_BATCHES})],
    "C7": [(1, "edge", 28, {}), (3, "edge", 28, {})],
    "C8": [(3, "edge", 5, {}), (3, "end", 5, {})],
    "C9": [(3, "edge", 5, {}), (3, "end", 5, {})],
    "C10": [(3, "end", 7, {"momentum": (0.5, 0.75)})] * 2,
    "C11": [(3, "end", 8, {}), (10, "end", 8, {})],
    "C12": [(10, "end", 1, {"l2": (9e-5,)}), (10, "end", 1, {"l2": (5e-5,)}), (10, "end", 8, {})],
    "C13": [(3, "end", 1, {"hold": (1.0,)})] * 2,
    "C14": [(3, "end", 1, {"l2": (0.0,)}), (3, "end", 8, {})],
    "B1": [(5, "end", 4, {"initial_J": (0.1, 0.25, 0.75, None)}), (5, "end", 2, {"initial_J": (0.1, 0.75)})],
    "B2": [(5, "end", 2, {"initial_J": (1.5, None)})],  # None: 0.5
    "B3": [
        (5, "end", 5, {"learning_rate": SCALED, "batch_size": (32,)}),
        (5, "end", 5, {"learning_rate": (0.02,), "batch_size": BATCHES}),
    ],
    "B4": [(3, "end", 6, USUAL | {"hold": HELD})] * 2 + [(3, "end", 2, USUAL | {"hold": (0.5, 1.0)})],
    "B5": [(3, "end", 1, USUAL)],
    "B6": [(3, "end", 70, {}), (3, "end", 14, {"initial_J": (pytest.approx(3**-0.5), 1.0)})],
    "B7": [(3, "end", 8, {"hold": (0.0,)})],
    "B8": [(3, "end", 8, {"hold": (1.0,), "l2": (0.0,)})],
    "B9": [(3, "end", 2, {"hold": (0.0,), "l2": (0.0, 8e-5), "milestone": (48,)})] * 2,
    "B10": [(3, "end", 2, {"hold": (0.0, 1.0), "l2": (0.0,)})],
    "B11": [
        (3, "end", 2, {"l2": (0.0, 3e-4), "gradients": (True,)}),
        (3, "end", 2, {"l2": (0.0, 9e-5), "gradients": (True,)}),
        (3, "end", 3, {"l2": (0.0, 9e-5, 3e-4), "gradients": (True,)}),
    ],
    "B12": [
        (3, "end", 4, {"width": (196, 392, 784, 1_568), "samples": (50_000,)}),
        (3, "end", 4, {"width": (784,), "samples": (6_250, 12_500, 25_000, 50_000)}),
    ],
}


def test_every_claim_on_runs_is_here():
    assert set(PARTS) == set(RULES | OWN_RULES)


def judged_on(rule: Rule, settings: Iterable[str]) -> tuple[int, str, int, dict[str, tuple[Any, ...]]]:
    """A rule as it stands in PARTS."""
    kept = [config for config in protocol(rule.protocol) if rule.keep(config)]
    found = {setting: {getattr(config, setting) for config in kept} for setting in settings}
    values = {name: tuple(sorted(own, key=lambda value: (value is None, value))) for name, own in found.items()}
    return rule.seeds, rule.until, len(kept), values


@pytest.mark.parametrize("name", PARTS)
def test_a_part_is_judged_on_the_settings_that_it_names(name):
    rules = zip((RULES | OWN_RULES)[name], PARTS[name], strict=True)
    assert [judged_on(rule, values) for rule, (*_, values) in rules] == PARTS[name]


def test_where_some_of_the_settings_are_enough():
    every = [rule for rules in (RULES | OWN_RULES).values() for rule in rules]
    assert {rule.estimate.__name__: rule.fewest for rule in every if rule.fewest is not None} == dict.fromkeys(
        ("exponent_of_learning_rate", "exponent_of_momentum", "exponent_of_batch_size", "growth_constant"), 3
    )
    assert [rule.over for rule in every].count("settings") == 4
    assert {rule.estimate.__name__: rule.best for rule in every if rule.best is not None} == {
        "place_of_best_accuracy": 4,
        "accuracy_less_best_other": 2,
    }
