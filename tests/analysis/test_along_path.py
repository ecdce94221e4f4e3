"""Measures along the path of training: smoothed without bias, averaged over seeds with Student's interval."""

import math

import numpy as np
import pandas as pd
import pytest

from edgechaos_core.analysis import along_path
from edgechaos_core.store.runs import Outcome, Run, parse_config


def run_of(accuracy: np.ndarray, seed: int = 0) -> Run:
    epoch = np.arange(len(accuracy))
    history = pd.DataFrame({"epoch": epoch, "J_squared": (0.5 + 0.01 * epoch) ** 2, "J0": 0.1})
    history = history.assign(test_loss=0.4, test_accuracy=accuracy)
    last = int(epoch[-1])
    return Run(parse_config({"epochs": last, "seed": seed}), history, Outcome("finished", last))


def test_smoothing_keeps_a_straight_line_to_both_ends_and_averages_noise():
    line = 0.3 + 0.01 * np.arange(101)
    np.testing.assert_allclose(along_path.smoothed(line), line, rtol=0, atol=1e-12)
    noise = np.resize([1.0, -1.0], 100)
    assert np.abs(along_path.smoothed(noise)[12:-12]) == pytest.approx(1 / 25)


def test_best_accuracy_is_that_of_the_smoothed_path_and_not_of_a_lucky_epoch():
    epoch = np.arange(151)
    accuracy = 0.88 - 1e-6 * (epoch - 90.0) ** 2
    accuracy[[20, 150]] += 0.01
    assert along_path.place_of_best_accuracy(run_of(accuracy)) == pytest.approx(0.5 + 0.9, abs=0.011)


def test_a_short_run_has_no_best_accuracy_and_may_not_pass_the_edge():
    short = run_of(np.full(5, 0.8))
    assert math.isnan(along_path.place_of_best_accuracy(short))
    assert math.isnan(along_path.at_spread(short, 1.0, "J"))
    longer = run_of(0.8 + 0.001 * np.arange(81))
    assert along_path.at_spread(longer, 1.004, "J") == pytest.approx(1.01)
    assert along_path.at_spread(longer, 0.756, "test_accuracy") == pytest.approx(0.826)
    assert math.isnan(along_path.at_spread(longer, math.nan, "J"))


def test_the_untrained_network_is_no_part_of_the_path():
    accuracy = np.full(60, 0.8)
    accuracy[0] = 0.1
    path = along_path.smoothed_path(run_of(accuracy))
    assert path["epoch"].iloc[0] == 1
    assert path["test_accuracy"].tolist() == pytest.approx([0.8] * 59)


def test_band_is_students_interval_and_needs_three_rows():
    rows = [np.array([1.0, 5.0, 9.0]), np.array([2.0, 5.0]), np.array([3.0, 5.0])]
    mean, low, high = along_path.mean_and_band(rows)
    assert mean.tolist() == [2.0, 5.0]
    assert high[0] - 2 == pytest.approx(4.302653 / 3**0.5, rel=1e-6)  # two degrees of freedom, sd 1
    assert 2 - low[0] == pytest.approx(high[0] - 2)
    assert np.isnan(along_path.mean_and_band(rows[:2])[1]).all()
