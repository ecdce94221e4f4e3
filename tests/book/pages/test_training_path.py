"""What the page of the training path states, of runs made up so that every number is known."""

import math

import numpy as np
import pandas as pd
import pytest

from edgechaos_core.book.pages.training_path import (
    farthest_ratio,
    fewer_images,
    optimum_table,
    path_estimates,
    speed_table,
)
from edgechaos_core.store.runs import Outcome, Run, parse_config


def run_of(seed: int, epochs: int = 300, least: float = 0.95) -> Run:
    """J rises by 0.005 an epoch from 0.5; the loss is a parabola about ``least``, the accuracy a straight line in J."""
    J = 0.5 + 0.005 * np.arange(epochs + 1)
    columns = {"epoch": np.arange(epochs + 1), "J_squared": J**2, "J0": 0.1}
    columns |= {"test_loss": 0.35 + 0.1 * (J - least) ** 2, "test_accuracy": 0.85 + 0.02 * J}
    config = parse_config({"learning_rate": 0.02, "momentum": 0.5, "epochs": epochs, "seed": seed})
    return Run(config, pd.DataFrame(columns), Outcome("finished", epochs))


def test_loss_and_accuracy_are_told_side_by_side():
    told = path_estimates([run_of(0, least=0.94), run_of(1, least=0.95), run_of(2, least=0.96)])
    assert told["least_J"].value == pytest.approx(0.95, abs=1e-3)
    assert told["least_J"].sample == pytest.approx((0.94, 0.95, 0.96), abs=1e-3)
    assert told["narrow_J"].value == pytest.approx(0.95, abs=1e-3)
    assert told["wide_J"].value == pytest.approx(0.95, abs=1e-3)
    assert told["least_epoch"].value == pytest.approx(90, abs=1)
    assert told["least_accuracy"].value == pytest.approx(100 * (0.85 + 0.02 * 0.955), abs=0.02)
    assert told["best_J"].value == pytest.approx(2.0 - 12 * 0.005)  # a rising line is best at the last whole mean
    assert told["end_J"].value == pytest.approx(2.0)
    assert told["edge_epoch"].value == pytest.approx(101)
    assert told["gained"].value == pytest.approx(2 * (2.0 - 12 * 0.005 - 1.005), abs=1e-9)
    assert told["end_accuracy"].value - told["edge_accuracy"].value == pytest.approx(told["gained"].value)
    assert told["loss_factor"].value == pytest.approx(told["end_loss"].value / told["least_loss"].value, rel=1e-3)
    assert told["end_loss"].value > told["least_loss"].value


def test_short_runs_say_nothing_of_places_that_they_do_not_reach():
    told = path_estimates([run_of(0, epochs=4)])
    for name in ("least_J", "least_epoch", "best_J", "edge_epoch", "edge_accuracy", "gained", "c"):
        assert math.isnan(told[name].value), name
    assert math.isfinite(told["end_loss"].value)
    row = optimum_table([run_of(0, epochs=4)]).loc[0]
    assert (row["J at the least, by parabola"], row["J at the best accuracy"]) == ("–", "–")


def test_table_has_a_row_a_seed():
    table = optimum_table([run_of(0), run_of(3, least=1.1)])
    assert table.index.tolist() == [0, 3]
    assert table["epoch of least test loss, raw"].tolist() == [90, 120]
    assert table["J at the least, by parabola"].tolist() == ["0.950", "1.100"]
    assert table["J at the best accuracy"].tolist() == ["1.94", "1.94"]


def test_places_are_told_by_speed_for_the_settings_that_were_run():
    def of_speed(rate: float, least: float, **own: float) -> Run:
        run = run_of(0, least=least)
        config = run.config.model_copy(update={"learning_rate": rate, **own})
        history = run.history.assign(validation_loss=run.history["test_loss"])
        return Run(config, history, run.outcome)

    runs = [of_speed(0.02, 0.9), of_speed(0.04, 1.0), of_speed(0.02, 1.2, momentum=0.75)]
    runs += [of_speed(0.02, 0.8, batch_size=64), of_speed(0.08, math.inf, seed=1), of_speed(0.08, 1.1)]
    told = speed_table(runs, runs[0].config)
    assert told["through η"].to_dict() == {"0.5": "–", "1": "0.9", "2": "1", "4": "1.1 (1 of 2 seeds)"}
    assert told["through B"].to_dict() == {"0.5": "0.8", "1": "0.9", "2": "–", "4": "–"}


def test_a_loss_that_is_steeper_on_one_side_has_its_least_elsewhere_in_another_window():
    run = run_of(0)
    J = np.sqrt(run.history["J_squared"])
    bent = run.history.assign(test_loss=0.35 + np.where(J < 0.95, 1.0, 0.1) * (J - 0.95) ** 2)
    told = path_estimates([Run(run.config, bent, run.outcome)])
    assert 0.95 < told["narrow_J"].value < told["least_J"].value < told["wide_J"].value


def test_fewer_images_are_compared_by_the_seeds_that_both_have():
    few = [run_of(seed, least=0.90) for seed in (0, 1, 2)]
    few = [Run(run.config, run.history.assign(validation_loss=run.history["test_loss"]), run.outcome) for run in few]
    told = fewer_images([run_of(seed, least=0.95 + 0.1 * (seed > 2)) for seed in range(5)], few)
    places = [float(told[name].split()[0]) for name in ("all_J", "fewer_J", "fewer_validation_J")]
    assert places == [0.95, 0.90, 0.90]
    assert told["all_epoch"] != told["fewer_epoch"]
    assert set(fewer_images([run_of(4)], few).values()) == {"–"}


def test_the_last_hundred_epochs_are_compared_with_those_before():
    told = path_estimates([run_of(0)])
    assert told["late_gain"].value == pytest.approx(100 * 0.02 * 0.005 * 100)
    assert math.isnan(path_estimates([run_of(0, epochs=100)])["late_gain"].value)


def test_the_farthest_ratio_is_that_of_the_smallest_spread():
    assert farthest_ratio([run_of(0), run_of(1, epochs=4)]) == pytest.approx(0.2)
