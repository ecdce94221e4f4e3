"""Where runs land, in words, on runs made up."""

import pandas as pd
import pytest

from edgechaos_core.book.pages import guideline
from edgechaos_core.store.runs import Outcome, Run, parse_config


def ending(J_squared: float, seed: int = 0, **settings) -> Run:
    """A run with that J^2 in every epoch but the second, in which it is 1.5 times as much."""
    config = parse_config({"epochs": 10, "seed": seed, "momentum": 0.75, "learning_rate": 0.02} | settings)
    history = pd.DataFrame({"epoch": range(11), "J_squared": J_squared, "test_accuracy": 0.9, "lambda": 1e-5})
    history.loc[1, "J_squared"] *= 1.5
    return Run(config, history, Outcome("finished", 10))


def test_numbers_are_those_of_the_settings_they_are_named_by():
    runs = {
        "formula": [ending(1.2, seed, samples=10_000, l2=2e-5) for seed in (0, 1)] + [ending(1.1, width=392, l2=2e-4)],
        "controller": [ending(1.01, hold=1.0), ending(0.99, hold=1.0, width=392), ending(0.5, hold=1.0, samples=4_000)],
    }
    runs["controller"].append(ending(0.7, hold=1.0, samples=5_000))  # which has been at the edge, and left it
    found = guideline.numbers(runs)
    assert (found["few"], found["few_peak"], found["narrow"]) == ("1.200", "1.800", "1.100")
    assert (found["wide"], found["few_pilot"], found["digits"]) == ("–", "–", "–")
    assert (found["steered"], found["reached"], found["held"]) == ("4", "3", "0.700 to 1.010")
    assert found["exposure"] == f"{4 * 1e-5 * 60_000 * 0.0025:.2f}"
    assert (found["few_l2"], found["few_steered_l2"], found["few_over"]) == ("–", "–", "–")
    assert (found["seeds_told"], found["half_off"]) == ("1 to 2 seeds", "–")
    assert set(guideline.numbers({}).values()) == {"–", "0"}


def test_the_formula_is_told_beside_what_the_controller_takes():
    runs = {
        "formula": [ending(1.1, samples=10_000, l2=2.5e-5), ending(1.1, samples=30_000, l2=7e-5)],
        "controller": [ending(1.0, samples=10_000, hold=1.0)],
    }
    found = guideline.numbers(runs)
    assert (found["few_l2"], found["few_steered_l2"], found["few_over"]) == ("2.5e-5", "1e-5", "2.5")
    assert (found["half_off"], found["seeds_told"]) == ("10", "1 seed")
    assert found["whole_steered_l2"] == "–"
    usual = {"controller": [ending(1.0, hold=1.0), ending(1.0, width=1_568, hold=1.0)]}
    assert guideline.numbers(usual)["whole_steered_l2"] == "1e-5 to 1e-5"
    wide = {"formula": [ending(0.85, width=1_568, l2=1.3e-5)], "controller": [ending(1.0, width=1_568, hold=1.0)]}
    assert guideline.numbers(wide)["wide_over"] == "1.3"
    assert guideline.numbers({"formula": [ending(0.3, samples=30_000, l2=7e-5)]})["half_off"] == "70"


def test_runs_that_are_there_are_counted_by_method():
    same, other, steered = ending(1.0, l2=9e-5), ending(1.0, 1, l2=9e-5), ending(1.0, hold=1.0)
    runs = {"formula": [same, other], "controller": [steered], "pilot": [other]}
    planned = [run.config for run in (same, other, steered, ending(1.0, 1, hold=1.0))]
    found = guideline.counts(runs, planned, [other.config, ending(1.0, 1, l2=8e-5).config])
    assert (found["shown_formula"], found["planned_formula"]) == ("2", "2")
    assert (found["shown_controller"], found["planned_controller"]) == ("1", "2")
    assert (found["shown_pilot"], found["planned_pilot"], found["shared"]) == ("1", "2", "1")


def test_a_controller_that_took_no_decay_has_no_ratio_to_the_formula():
    steered = ending(1.0, samples=10_000, hold=1.0)
    steered.history["lambda"] = 0.0
    found = guideline.numbers({"formula": [ending(1.1, samples=10_000, l2=2.5e-5)], "controller": [steered]})
    assert (found["few_l2"], found["few_steered_l2"], found["few_over"]) == ("–", "–", "–")


def test_strengths_that_a_figure_leaves_out_are_named():
    runs = [ending(1.0, l2=l2) for l2 in (0.0, 1e-5, 9e-5, 1e-3)]
    assert guideline.strengths_left_out(runs, (0.0, 9e-5)) == {"left_out": "1e-5, 1e-3"}
    assert guideline.strengths_left_out(runs[:1], (0.0, 9e-5)) == {"left_out": "–"}


def test_the_exposure_is_that_of_the_largest_decay():
    assert guideline.decay_exposure(ending(1.0, hold=1.0)) == pytest.approx(4 * 1e-5 * 60_000 * 0.0025)
    assert guideline.summary(guideline.table({"formula": [ending(1.0, l2=9e-5)]}))["λ"].tolist() == ["9e-5"]


def test_runs_are_sorted_by_the_way_their_decay_was_chosen():
    first, second, none, steered = ending(1.0, l2=9e-5), ending(1.1, 1, l2=9e-5), ending(2.0), ending(1.0, hold=1.0)
    found = guideline.by_way([first, steered, none, second])
    assert found == {"formula": [first, second], "controller": [steered], "none": [none]}
    assert list(found) == ["formula", "controller", "none"]
