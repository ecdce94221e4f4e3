"""The slopes of Fig. 3 side by side, on runs made up to grow by a law."""

import math

import numpy as np
import pandas as pd
import pytest

from edgechaos_core.analysis.scaling import epochs_to_pass, scale_factor
from edgechaos_core.book.pages import ordered_scaling
from edgechaos_core.store.runs import Outcome, Run, parse_config

BASE = {"learning_rate": 0.01, "momentum": 0.0, "batch_size": 32, "samples": 60_000}


def growing(c: float, epochs: int, **settings) -> Run:
    config = parse_config(BASE | settings | {"epochs": epochs})
    epoch = np.arange(epochs + 1)
    history = pd.DataFrame({"epoch": epoch, "J_squared": 0.25 + c * scale_factor(config) * epoch})
    return Run(config, history, Outcome("finished", epochs))


def test_settings_are_varied_one_at_a_time_and_once_each():
    configs = ordered_scaling.varied_around_base(BASE, learning_rate=[0.01, 0.02], momentum=[0.0, 0.5], batch_size=[32])
    assert [ordered_scaling.place(config) for config in configs] == [(0.01, 0.0, 32), (0.02, 0.0, 32), (0.01, 0.5, 32)]
    assert [config.epochs for config in ordered_scaling.up_to_edge(configs)] == [
        epochs_to_pass(config) for config in configs
    ]


def test_slopes_stand_beside_the_published_ones():
    runs = [growing(9.0, 50), growing(9.0, 50, batch_size=8), growing(9.0, 50, learning_rate=0.0005)]
    passed = [growing(11.0, 250), growing(12.0, 70, batch_size=8)]
    table = ordered_scaling.slope_table(runs, passed)
    assert table["published"].tolist() == [0.00342, 0.0138, 0.00017]
    np.testing.assert_allclose(table["window"] / table["scale"], 9.0)
    np.testing.assert_allclose(table["ordered"] / table["scale"], [11.0, 12.0, math.nan])
    assert table["passed"].iloc[:2].tolist() == [219, 51]  # 0.75 / (c scale) epochs, rounded up
    numbers = ordered_scaling.slope_numbers(table)
    assert (numbers["settings"], numbers["planned"], numbers["left"]) == (2, 3, 1)
    assert ordered_scaling.rates_left(table) == "0.0005"
    assert ordered_scaling.rates_left(table.iloc[:2]) == "–"
    assert (numbers["c"], numbers["c_low"], numbers["c_high"]) == pytest.approx((11.5, 11.0, 12.0))
    assert numbers["off"] == pytest.approx(100 * (12 * 0.00125 / 0.0138 - 1))
    assert numbers["spread"] == pytest.approx(12 / 11)
    assert numbers["fastest_c"] == pytest.approx(12.0)
    assert (numbers["four_window"], numbers["four_ordered"]) == pytest.approx((4, 4 * 12 / 11))
    assert (numbers["bend_low"], numbers["bend_high"]) == pytest.approx((1, 1))
    assert numbers["base_bend"] == pytest.approx(1)
    assert (numbers["same_c_low"], numbers["same_c_high"]) == pytest.approx((9.0, 9.0))
    assert numbers["straight"] == 2  # those with a bend, all of which are straight
    assert numbers["window_high"] == pytest.approx(9 * 0.0005 / 32 / 0.00017)


def test_settings_that_are_not_run_to_the_edge_have_dashes_to_show():
    numbers = ordered_scaling.slope_numbers(ordered_scaling.slope_table([growing(9.0, 4, samples=2_000)], []))
    assert (numbers["settings"], numbers["left"]) == (0, 1)
    assert math.isnan(numbers["c"])
    assert math.isnan(numbers["published_c"])  # the paper has other samples
    assert math.isnan(numbers["four_window"])


def test_exponents_are_of_lines_through_the_settings_of_one_factor():
    rates = (0.005, 0.01, 0.02, 0.04)
    runs = [growing(9.0 * (rate / 0.01) ** -0.5, 50, learning_rate=rate) for rate in rates]
    passed = [growing(11.0, 500, learning_rate=rate) for rate in rates[:3]]
    table = ordered_scaling.exponent_table(ordered_scaling.slope_table(runs, passed))
    assert table.loc["η"].tolist() == ["1.00 (3 settings)", "0.50 (3 settings)", "0.50 (4 settings)"]
    assert set(table.loc["1/B"]) == {"–"}


def measured(rate: float, drift: float, noise: float) -> Run:
    """J^2 grows by 12 eta / B an epoch, through gradients that say the same for drift and noise."""
    run = growing(12.0, 60, learning_rate=rate, gradients=True)
    scale, steps = scale_factor(run.config), 60_000 / 32
    columns = {
        "drift": drift * scale / (steps * rate),
        "gradient": 0.0,
        "noise": noise * scale / (steps * rate**2) * 32,
    }
    return Run(run.config, run.history.assign(**columns), run.outcome)


def test_the_balance_has_the_share_of_the_noise_slow_settings_first():
    table = ordered_scaling.balance_table([measured(0.1, -1.0, 12.0), measured(0.05, 9.0, 3.0)])
    assert [rate for rate, _, _ in table.index] == [0.05, 0.1]
    np.testing.assert_allclose(table[["drift", "noise", "measured"]], [[9, 3, 12], [-1, 12, 12]])
    numbers = ordered_scaling.balance_numbers(table)
    assert (numbers["share_low"], numbers["share_high"]) == pytest.approx((25, 100 * 12 / 11))
    assert (numbers["error_low"], numbers["error_high"]) == pytest.approx((-100 / 12, 0), abs=1e-9)
    assert (numbers["whole_low"], numbers["whole_high"]) == (0, 0)  # all of it is noise
    numbers = ordered_scaling.balance_numbers(table.assign(whole=[0.5, 0.2]))
    assert (numbers["whole_low"], numbers["whole_high"]) == (20, 50)
    assert ordered_scaling.balance_table([]).empty


def test_the_fit_that_is_shown_is_of_the_base_setting_where_it_passes_the_edge():
    window, base, other = growing(9.0, 50), growing(11.0, 250), growing(11.0, 70, batch_size=8)
    assert ordered_scaling.fitted([window], [other, base]) is base
    assert ordered_scaling.fitted([window], [other]) is other
    assert ordered_scaling.fitted([window], []) is window


def test_the_exponent_of_momentum_over_the_window_is_of_settings_that_reach_the_edge():
    momentums = (0.0, 0.5, 0.8, 0.95)
    runs = [growing(9.0 * (1 - momentum) ** -0.1, 50, momentum=momentum) for momentum in momentums]
    passed = [growing(11.0, 500, momentum=momentum) for momentum in momentums[:3]]
    numbers = ordered_scaling.slope_numbers(ordered_scaling.slope_table(runs, passed))
    assert numbers["momentum_window"] == pytest.approx(1.1)
    few = ordered_scaling.slope_numbers(ordered_scaling.slope_table(runs[:2], passed))
    assert math.isnan(few["momentum_window"])
