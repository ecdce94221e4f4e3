"""The edge of chaos for each ratio J0/J, as the root of ``chi = 1`` (arXiv 2107.09437, Section 2); ReLU's limit."""

from functools import cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from edgechaos_core.meanfield import AnyActivation, checked_functions, fixed_point, relu_direction, relu_square
from edgechaos_core.quadrature import Smooth, averages

LARGEST_RATIO = 4.0  # there the edge is at 1/J = 2e-4, and falls as exp(-ratio^2 / 2)


def edge_of_chaos(ratio: float, activation: AnyActivation = "tanh") -> float:
    """Return 1/J at the edge of chaos for ``ratio = J0 / J``: the root of ``chi = 1``, coming from order.

    tanh, and any odd phi that bends down: 1 / J = phi'(0) for ``|ratio| <= 1``, a curve that bends down for ratio > 1;
    ``nan`` for ratio < -1, where u alternates. ReLU: ``nan`` for ratio > 0, where x grows without bound (see
    `relu_limit`) before chi reaches 1. Other activations are searched for 1/J between 0.01 and 10. ``nan`` where there
    is no edge. Raises ValueError for ``|ratio| > 4`` and as `fixed_point` does.
    """
    phi = _checked_ratio(ratio, activation)
    if phi is None:
        direction = relu_direction(ratio)
        return float(np.sqrt(ndtr(direction))) if direction <= 0 else np.nan
    if not _bends_down(phi):
        return _edge_by_search(ratio, phi)
    slope = float(phi.derivative(np.zeros(1))[0])
    if ratio < -1:
        return np.nan
    return slope if ratio <= 1 else _edge_beyond(ratio, phi)


def relu_limit(ratio: float) -> float:
    """Return 1/J below which x <- relu(W x) grows without bound, for ``ratio = J0 / J``, at most 4 in size."""
    _checked_ratio(ratio, "relu")
    return float(np.sqrt(relu_square(relu_direction(ratio))))


def _checked_ratio(ratio: float, activation: AnyActivation) -> Smooth | None:
    if not abs(ratio) <= LARGEST_RATIO:
        raise ValueError(f"the ratio J0/J must be between {-LARGEST_RATIO:g} and {LARGEST_RATIO:g}, got {ratio}")
    return checked_functions(1.0, ratio, activation)


def _bends_down(phi: Smooth) -> bool:
    """Tell whether phi is odd and phi(x) / x decreases from phi'(0) > 0, as that of tanh does."""
    x = np.geomspace(1e-3, 1e2, 200)
    f, slope = phi.function(x), float(phi.derivative(np.zeros(1))[0])
    odd = bool(np.array_equal(phi.function(-x), -f))
    return odd and slope > 0 and bool((np.diff(f / x) < 0).all()) and f[0] / x[0] <= slope


def _edge_beyond(ratio: float, phi: Smooth) -> float:
    """The edge for ratio > 1, along the curve chi = 1 with u != 0, whose parameter is s.

    On it ``J^2 = s^2 / q`` and ``J0 = m / u`` are explicit, chi = 1 is ``s^2 E phi'^2 = E phi^2``, an equation for m
    alone, and ratio = m sqrt(q) / (u s) grows with s.
    """

    def gap(m: float, s: float) -> float:
        average = averages(m, s, phi)
        return s**2 * average.dd / average.ff - 1

    def excess(log_s: float) -> float:
        s = float(np.exp(log_s))
        average = averages(mean_at(s), s, phi)
        return float(mean_at(s) * np.sqrt(average.ff) / (average.f * s) - ratio)

    @cache
    def mean_at(s: float) -> float:
        return float(brentq(gap, 1e-12 * s, 50 * s, args=(s,), xtol=1e-16 * s, rtol=1e-14))

    low, high = np.log(2e-3), np.log(1.0)  # below, m / u loses more to rounding than ratio - 1, of the order of s^4
    if excess(low) >= 0:
        return float(phi.derivative(np.zeros(1))[0])  # right to s^2
    while excess(high) < 0:
        low, high = high, high + 1
        if high > np.log(1e4):
            return np.nan
    s = float(np.exp(brentq(excess, low, high, xtol=1e-14)))
    return float(np.sqrt(averages(mean_at(s), s, phi).ff) / s)


def _edge_by_search(ratio: float, phi: Smooth) -> float:
    """The first crossing of chi = 1 met with 1/J falling from 10 to 0.01, in steps of 3%."""

    def excess(inverse_J: float) -> float:
        return fixed_point(1 / inverse_J, ratio / inverse_J, phi).chi - 1

    grid = np.geomspace(10, 0.01, 234)
    above, before = grid[0], excess(grid[0])
    for inverse_J in grid[1:]:
        now = excess(inverse_J)
        if before <= 0 < now:
            return float(brentq(excess, inverse_J, above, xtol=1e-14))
        above, before = inverse_J, now
    return np.nan
