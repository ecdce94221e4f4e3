"""The law of decay alone: its bounds, by hand; at work it is in test_controller.py."""

import math

import numpy as np
import pytest

from edgechaos_core.theory.decay_law import DecayLaw, stable_region


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


TAKEN = 0.001  # of ln J^2 by decay in a period at the target, which is J^2 = 1; the exposure of a period is 1
E = 1 - math.exp(-TAKEN)


def period(law: DecayLaw, x: float, b: float, g: float, ahead: float = 0.0) -> tuple[float, float]:
    """Steer a plant with growth ``(J^2)^b wd^g`` for a period from ln J^2 = x; return ln J^2 then, and the decay.

    ``ahead`` is by how much ln growth has drifted. The law knows growth, law.growth, and learns from the period.
    """
    now = math.exp(x)
    decay = law.next(now - law.growth, now, 0.0, 1.0, 1.0, steps=1_000)  # a period that shows what it knows already
    a = TAKEN * math.exp(ahead + b * x) * (decay / TAKEN) ** g
    after = now * math.exp(-decay) - a * math.expm1(-decay) / decay
    law.next(now, after, decay, 1.0, 1.0, steps=1_000)
    return math.log(after), decay


def spectral_radius(rate: float, smoothing: float, b: float, g: float) -> float:
    """Of the recursion of ln J^2 and the smoothed ln of growth, linear at the target, by central differences."""

    def step(state: np.ndarray) -> np.ndarray:
        law = DecayLaw(1.0, rate, smoothing, TAKEN * math.exp(state[1]))
        after, _ = period(law, state[0], b, g)
        return np.array([after, math.log(law.growth / TAKEN)])

    shifts = 1e-7 * np.eye(2)
    jacobian = np.array([(step(shift) - step(-shift)) / 2e-7 for shift in shifts]).T
    return float(np.abs(np.linalg.eigvals(jacobian)).max())


@pytest.mark.parametrize(("rate", "smoothing"), [(0.3, 0.5), (0.6, 0.9), (0.1, 1.0), (0.9, 0.2)])
def test_the_stable_region_is_where_the_recursion_contracts(rate, smoothing):
    region = stable_region(rate, smoothing)
    for low, high in ((1.03, 0.97), (0.97, 1.03)):  # the factor beyond, or within, the lower bound; the upper one
        ends = [low * region.Eb[0], high * region.Eb[1]]
        stable = [spectral_radius(rate, smoothing, Eb / E, 0.0) < 1 for Eb in ends]
        assert stable == [low < 1, high < 1]
        ends = [low * region.g[0], high * region.g[1]]
        stable = [spectral_radius(rate, smoothing, 0.0, g) < 1 for g in ends]
        assert stable == [low < 1, high < 1]


@pytest.mark.parametrize(("rate", "smoothing"), [(0.01, 0.01), (0.3, 0.5), (0.99, 1.0)])
def test_growth_that_depends_on_nothing_is_steered_stably_by_all_that_is_accepted(rate, smoothing):
    assert spectral_radius(rate, smoothing, 0.0, 0.0) == pytest.approx(1 - min(rate, smoothing), abs=1e-5)


def test_growth_that_drifts_leaves_an_offset():
    law, x, drift = DecayLaw(growth=TAKEN), 0.0, 1e-3
    for number in range(200):
        x, decay = period(law, x, b=0.0, g=0.0, ahead=drift * number)
    assert x == pytest.approx((1 - math.exp(-decay)) * drift / (law.rate * law.smoothing), rel=0.01)
