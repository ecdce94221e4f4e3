"""The edge of chaos for each ratio J0/J, as the root of ``chi = 1`` (arXiv 2107.09437, Section 2); ReLU's limit."""

from decimal import Decimal
from functools import cache, lru_cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from edgechaos_core.theory.meanfield import AnyActivation, checked_functions, fixed_point
from edgechaos_core.theory.quadrature import Array, Smooth, averages, expectations, relu_square
from edgechaos_core.theory.relu import relu_direction

LARGEST_RATIO = 4.0  # there the edge is at 1/J = 2e-4, and falls as exp(-ratio^2 / 2)
_SMALL = 0.3  # s below which the ratio is known by what it exceeds 1 by


def edge_of_chaos(ratio: float | Decimal, activation: AnyActivation = "tanh") -> float:
    """Return 1/J at the edge of chaos for ``ratio = J0 / J``: the root of ``chi = 1``, coming from order.

    tanh, and any odd phi that bends down: 1 / J = phi'(0) for ``|ratio| <= 1``, beyond it a curve that bends down. The
    sign of the ratio makes no difference to an odd phi: ``x_t -> (-1)^t x_t`` turns the map of J0 into that of -J0.
    ReLU: ``nan`` for ratio > 0, where x grows without bound (see `relu_limit`) before chi reaches 1. Other activations
    are searched for 1/J between 0.01 and 10. ``nan`` where there is no edge.

    tanh's edge is good to 1e-13 everywhere. The edge leaves ``|ratio| = 1`` as a square root, so that next to it the
    sixteen digits of a float are too few to state the ratio by: a Decimal is taken as it is. Of a `Smooth` without
    ``bend`` the edge is known there to about ``1e-16 / sqrt(|ratio| - 1)``. Raises ValueError for ``|ratio| > 4`` and
    as `fixed_point` does.

    >>> from edgechaos_core import edge_of_chaos
    >>> edge_of_chaos(0.0)  # at J = 1
    1.0
    >>> round(1 / edge_of_chaos(1.25), 3)  # J at the edge where J0 = 1.25 J
    2.134
    """
    phi = _checked_ratio(ratio, activation)
    if phi is None:
        direction = relu_direction(float(ratio))
        return float(np.sqrt(ndtr(direction))) if direction <= 0 else np.nan
    if not _bends_down(phi):
        return _edge_by_search(float(ratio), phi)
    excess = float(max(ratio, -ratio) - 1)
    return phi.slope if excess <= 0 else _edge_beyond(excess, phi)


def relu_limit(ratio: float) -> float:
    """Return 1/J below which x <- relu(W x) grows without bound, for ``ratio = J0 / J``, at most 4 in size."""
    _checked_ratio(ratio, "relu")
    return float(np.sqrt(relu_square(relu_direction(ratio))))


def _checked_ratio(ratio: float | Decimal, activation: AnyActivation) -> Smooth | None:
    if not abs(float(ratio)) <= LARGEST_RATIO:
        raise ValueError(f"the ratio J0/J must be between {-LARGEST_RATIO:g} and {LARGEST_RATIO:g}, got {ratio}")
    return checked_functions(1.0, float(ratio), activation)


def _bends_down(phi: Smooth) -> bool:
    """Tell whether phi is odd and phi(x) / x decreases from phi'(0) > 0, as that of tanh does."""
    x = np.geomspace(1e-3, 1e2, 200)
    secant = phi.function(x) / x
    return phi.odd and phi.slope > 0 and bool((np.diff(secant) < 0).all()) and secant[0] <= phi.slope


@lru_cache(maxsize=4_096)  # maps and their cuts draw the same edge again and again
def _edge_beyond(excess: float, phi: Smooth) -> float:
    """The edge for ``|ratio| = 1 + excess``, along the curve chi = 1 with u != 0, whose parameter is s.

    On it ``J^2 = s^2 / q`` and ``|J0| = m / u`` are explicit, chi = 1 is ``s^2 E phi'^2 = E phi^2``, an equation for m
    alone, and ``|ratio| = m sqrt(q) / (u s)`` grows with s. For small s the ratio is ``1 + s^4`` and m of the order of
    s^3 (of tanh), lost in the rounding of q / s^2 and of u, a sum of terms of size s: `_bends` has what is left.
    """

    def gap(m: float, s: float) -> float:
        def squares(z: Array) -> Array:
            return np.stack([phi.derivative(m + s * z), phi.function(m + s * z)]) ** 2

        dd, ff = expectations(squares, m, s).tolist()
        return float(s**2 * dd / ff - 1)

    @cache
    def mean_at(s: float) -> float:
        if gap(0.0, s) <= 0:  # positive, by the Gaussian Poincare inequality, but for rounding
            return 0.0
        return float(brentq(gap, 0.0, 50 * s, args=(s,), xtol=1e-16 * s, rtol=1e-14))

    def surplus(log_s: float) -> float:
        s = float(np.exp(log_s))
        m = mean_at(s)
        if s < _SMALL:
            mean, edge = _bends(m, s, phi)
            return (mean - edge) / (1 - mean) - excess
        average = averages(m, s, phi)
        return float(m * np.sqrt(average.ff) / (average.f * s) - 1 - excess)

    low, high = -1.0, 0.0
    while surplus(high) < 0:
        low, high = high, high + 1
        if high > np.log(1e4):
            return np.nan
    while surplus(low) >= 0:
        low, high = low - 1, low
        if low < np.log(1e-8):
            return phi.slope  # right to s^2
    s = float(np.exp(brentq(surplus, low, high, xtol=1e-15)))
    if s < _SMALL:
        return float(phi.slope * (1 - _bends(mean_at(s), s, phi)[1]))
    return float(np.sqrt(averages(mean_at(s), s, phi).ff) / s)


def _bends(m: float, s: float, phi: Smooth) -> tuple[float, float]:
    """How far ``u / m`` and ``sqrt(E phi'^2)``, 1/J on the edge, lie below phi'(0), in units of it.

    u / m is the average of phi'(t m + s z) over z and over t from 0 to 1, which for m below 1 is analytic in t.
    """
    nodes, weights = np.polynomial.legendre.leggauss(12)
    t, weights = (1 + nodes) / 2, weights / 2
    bend = phi.bend or (lambda a: 1 - phi.derivative(a) / phi.slope)

    def integrands(z: Array) -> Array:
        b = bend(t[:, None] * m + s * z)
        at_m = bend(m + s * z)
        return np.stack([weights @ b, at_m * (2 - at_m)])

    mean, square = expectations(integrands, m, s).tolist()
    return mean, square / (1 + np.sqrt(1 - square))


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
