"""A contest told in a table and in numbers, on made-up entries and runs."""

import numpy as np
import pandas as pd
import pytest

from edgechaos_core.analysis.intervals import Estimate
from edgechaos_core.book.pages.search import (
    TOLD,
    behind,
    cost_of_formula,
    numbers,
    parts,
    points,
    same_decay_on_fewer,
    spared,
    table,
)
from edgechaos_core.experiments.comparison import Contest, Entry, Standing
from edgechaos_core.guideline.decay_formula import committed_formula
from edgechaos_core.guideline.formula_fit import calibration_runs
from edgechaos_core.store.runs import Outcome, Run, parse_config


def entry_of(*accuracies, name="way", epochs=48.0, losses=()) -> Entry:
    own = dict(enumerate(accuracies))
    return Entry(name, "8e-05", own, dict(enumerate(losses)) or own, own, epochs)


def trial(l2: float, accuracy: float, **settings) -> Run:
    columns = {"epoch": np.arange(11), "J_squared": 2 - accuracy, "validation_accuracy": accuracy}
    config = parse_config({"epochs": 10, "l2": l2, "validation": 10_000} | settings)
    return Run(config, pd.DataFrame(columns), Outcome("finished", 10))


@pytest.fixture
def contest() -> Contest:
    def standing(gain: float) -> Standing:
        entries = {way: entry_of(0.88 + gain, 0.89 + gain, name=way, losses=(0.3, 0.4)) for way in TOLD.values()}
        entries["no decay"] = entry_of(0.88 + gain, 0.89 + gain, name="no decay", losses=(0.35, 0.46))
        best = entry_of(0.9, 0.91, name="search over λ", epochs=1_488)
        return Standing(entries | {best.name: best}, best)

    searches = {
        "search over λ": [trial(1e-5, 0.880), trial(1.5e-4, 0.883), trial(1e-3, 0.5)],
        "search over λ and η": [trial(1e-5, 0.885, learning_rate=0.03), trial(1e-4, 0.884), trial(1e-3, 0.5)],
    }
    return Contest(searches, standing(0.0), standing(0.005))


def test_behind_is_seed_by_seed():
    off = behind(entry_of(0.88, 0.90, 0.87), entry_of(0.89, 0.91, 0.88))
    assert (off.value, off.low, off.high) == pytest.approx((1, 1, 1))
    assert behind(entry_of(0.88), entry_of(0.89, 0.91)).n == 1
    with pytest.raises(ValueError, match=r"^way and other have no seed in common$"):
        behind(Entry("way", "", {3: 0.9}, {}, {}, 1), entry_of(0.9, name="other"))


def test_loss_is_spared_seed_by_seed():
    less = spared(entry_of(0.9, 0.9, 0.9, losses=(0.3, 0.4, 0.5)), entry_of(0.9, 0.9, 0.9, losses=(0.35, 0.45, 0.55)))
    assert (less.value, less.low, less.high) == pytest.approx((0.05, 0.05, 0.05))


def test_the_table_has_a_row_a_way():
    best = entry_of(0.9, 0.9, 0.9, name="search")
    ways = {"search": best, "way": entry_of(0.88, 0.89, 0.887), "broken": entry_of(0.88, float("nan"), name="broken")}
    shown = table(Standing(ways, best))
    assert shown.loc["search", "points behind the search"] == "–"
    assert shown.loc["search", "test accuracy, %"] == "90 (all alike)"
    assert shown.loc["way", "points behind the search"].startswith("1.4 [")
    assert shown["cost, epochs"].tolist() == [48, 48, 48]
    assert shown.loc["broken"].tolist()[1:5] == ["–"] * 4


def test_the_table_has_intervals_of_loss_and_of_j_squared():
    losses = (0.30, 0.31, 0.32)
    way = Entry("way", "8e-05", dict.fromkeys(range(3), 0.9), dict(enumerate(losses)), {0: 1.0, 1: 1.1, 2: 1.2}, 48)
    row = table(Standing({"way": way}, way)).loc["way"]
    assert row["λ"] == "8e-5"
    assert row["test loss"] == "0.310 [0.285, 0.335]"
    assert row["J²"] == "1.10 [0.85, 1.35]"
    lost = Entry("lost", "nan", way.accuracies, way.losses, way.J_squared, 48)
    assert table(Standing({"lost": lost}, way)).loc["lost", "λ"] == "–"


def test_numbers_are_those_of_the_ways_and_of_the_searches(contest):
    told = numbers(contest)
    assert told["constant_formula_behind"] == "2"
    assert told["slowed_formula_behind"] == "1.5"
    assert told["slowed_formula_price"] == "31"
    assert (told["constant_formula_accuracy"], told["slowed_formula_accuracy"]) == ("88.5", "89")
    assert told["slowed_formula_spared"] == "0.055"
    assert (told["slowed_free_loss"], told["habit_points"]) == ("0.405", "0")
    assert (told["first_l2"], told["second_l2"], told["second_eta"]) == ("1.5e-4", "1e-5", "0.03")
    assert told["error"] == "0.32"  # (0.885 x 0.115 / 10,000)^(1/2)
    assert told["near"] == "1.11 to 1.12"  # 0.884 is within it, 0.5 is not
    assert told["spread"] == "0.30"
    strong = {"search over λ": [trial(1.7e-4, 0.88)], "search over λ and η": contest.searches["search over λ and η"]}
    assert numbers(Contest(strong, contest.constant, contest.slowed))["spread"] == "–"  # more than twice the formula's


def test_what_two_searches_choose_is_told_in_points(contest):
    apart, few = [trial(1e-5, 0.5), trial(1e-4, 0.883)], [trial(1e-5, 0.885, validation=100)]
    searches = {"search over λ": apart, "search over λ and η": few}
    told = numbers(Contest(searches, contest.constant, contest.slowed))
    assert (told["spread"], told["error"]) == ("38.30", "3.19")  # (0.885 x 0.115 / 100)^(1/2)


def test_without_a_contest_there_are_dashes(contest):
    told = numbers(None)
    assert told.keys() == numbers(contest).keys()
    assert set(told.values()) == {"–"}
    assert parts(None) == (None, None)
    assert table(None).empty
    assert table(None).columns.tolist() == table(contest.slowed).columns.tolist()


def test_the_runs_behind_the_formula_are_counted():
    told = cost_of_formula(
        committed_formula(), [trial(1e-5, 0.9, samples=60_000, validation=0), trial(1e-4, 0.9, samples=6_000)]
    )
    assert (told["fitting_runs"], told["fitting_epochs"], told["l2_interval"]) == ("2", "11", "5.8e-5 to 1.1e-4")


def test_the_same_decay_ends_lower_on_fewer_images():
    told = same_decay_on_fewer(committed_formula(), calibration_runs())
    assert told == {"same_l2": "6e-5", "same_samples": "20,000", "same_few": "0.92", "same_all": "1.2"}
    assert set(same_decay_on_fewer(committed_formula(), []).values()) == {"–"}


def test_points_of_accuracy_are_told_to_an_image():
    assert points(Estimate(0.0061, 0.0002, 0.0121, 3)) == "0.01 [0.00, 0.01]"
    assert points(Estimate(0.5, None, None, 1)) == "0.5"
    assert points(Estimate(-0.003, -0.02, 0.014, 3)) == "0.00 [-0.02, 0.01]"  # and not -0.00
