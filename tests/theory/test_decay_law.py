"""The law of decay alone: its bounds, by hand; at work it is in test_controller.py."""

import math

import pytest

from edgechaos_core.theory.decay_law import DecayLaw


@pytest.mark.parametrize("steps", [1, 2])
def test_a_step_takes_no_more_than_a_tenth_off_the_weight(steps):
    # Far beyond the target; a step of rate r, exposure 2 r, takes decay x r off, and decay x exposure off ln J^2.
    rate = 0.05
    decay = DecayLaw().next(4.0, 4.0, decay=0.0, exposure=2 * rate * steps, coming=2 * rate * steps, steps=steps)
    assert decay * rate == pytest.approx(0.1)


def test_a_period_takes_no_more_than_half_off_the_logarithm_of_j_squared():
    decay = DecayLaw(rate=0.9).next(20.0, 20.0, decay=0.0, exposure=1.0, coming=0.5, steps=100)
    assert decay * 0.5 == pytest.approx(0.5)  # and not 0.9 ln 20


def test_a_period_covers_its_part_of_the_way():
    decay = DecayLaw(rate=0.3).next(1.2, 1.2, decay=0.0, exposure=1.0, coming=2.0, steps=100)
    assert decay * 2.0 == pytest.approx(0.3 * math.log(1.2))


def test_growth_is_smoothed():
    law = DecayLaw(smoothing=0.25)
    law.next(1.0, 1.4, decay=0.0, exposure=2.0, coming=2.0, steps=100)
    assert law.growth == pytest.approx(0.2)
    law.next(1.4, 2.2, decay=0.0, exposure=2.0, coming=2.0, steps=100)
    assert law.growth == pytest.approx(0.2 + 0.25 * (0.4 - 0.2))
    before = law.growth
    assert law.next(2.2, 2.2, decay=0.3, exposure=0.0, coming=2.0, steps=0) == 0.3  # nothing was trained
    assert law.growth == before
