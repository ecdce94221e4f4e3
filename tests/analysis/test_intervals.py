"""Intervals over seeds and of a bootstrap, against tables and computations by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from edgechaos_core.analysis.intervals import Estimate, bootstrap, over_seeds, resampled, shown


def test_the_interval_is_students():
    # Mean 3, standard error (2.5 / 5)^(1/2); the 97.5% point of t with 4 degrees of freedom is 2.776 in any table.
    interval = over_seeds([1.0, 2.0, 3.0, 4.0, 5.0])
    half = 2.776 * 0.5**0.5
    assert (interval.value, interval.n) == (3, 5)
    assert (interval.low, interval.high) == pytest.approx((3 - half, 3 + half), abs=5e-4)


@pytest.mark.parametrize("values", [[0.7], [0.7, 0.8], [1.0, math.nan, 1.0]])
def test_one_seed_two_or_a_failed_one_have_no_interval(values):
    estimate = over_seeds(values)
    assert (estimate.low, estimate.high, estimate.n) == (None, None, len(values))


def test_no_seeds_are_refused():
    with pytest.raises(ValueError, match="at least one value"):
        over_seeds([])


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.9255, 0.9643, "0.945 [0.925, 0.964]"),
        (0.86, 1.03, "0.94 [0.86, 1.03]"),
        (-3.2, 5.1, "1 [-3, 5]"),
        (0.0, 400.0, "1 [0, 400]"),
        (0.9449, 0.9449, "0.945 (all alike)"),
        (None, None, "0.945"),
    ],
)
def test_an_estimate_is_shown_with_the_digits_its_interval_supports(low, high, text):
    assert shown(Estimate(0.9449, low, high, 3)) == text


def test_nothing_is_shown_as_minus_zero():
    assert shown(Estimate(-0.01, -0.42, 0.4, 3)) == "0.0 [-0.4, 0.4]"


def test_what_is_not_a_number_is_shown_as_a_dash():
    assert shown(over_seeds([1.0, math.nan, 1.0])) == shown(None) == "–"


def test_an_estimate_is_shown_in_a_unit():
    assert shown(Estimate(8e-5, 7.9e-5, 8.1e-5, 3), 1e-5) == "8.00 [7.90, 8.10]"


def test_three_seeds_have_students_interval():
    estimate = over_seeds([0.9, 1.0, 1.1])
    half = stats.t.ppf(0.975, 2) * 0.1 / math.sqrt(3)
    assert (estimate.low, estimate.high) == pytest.approx((1 - half, 1 + half))


def test_a_bootstrap_has_the_quantiles_of_its_draws():
    draws = np.arange(1001.0)
    estimate = resampled(500.0, draws.tolist(), 5)
    assert (estimate.low, estimate.high) == pytest.approx((25.0, 975.0))
    assert resampled(500.0, draws.tolist(), 2).low is None
    assert resampled(500.0, [*draws[:800], *[math.nan] * 201], 5).low is None


def test_a_bootstrap_of_one_setting_is_its_value_alone():
    asked = []
    estimate = bootstrap(lambda places: asked.append(places.tolist()) or 3.0, 1)
    assert (estimate, asked) == (Estimate(3.0, None, None, 1), [[0]])
