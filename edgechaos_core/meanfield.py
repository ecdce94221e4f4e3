"""Mean-field theory of ``x <- phi(W x)``, ``W_ij ~ N(J0/N, J^2/N)``, N to infinity (arXiv 2107.09437, Section 2).

A unit's input is Gaussian, ``m + s z`` with ``m = J0 u``, ``s = J sqrt q``, z standard normal, so one iteration is
``u <- E phi(m + s z)``, ``q <- E phi(m + s z)^2``. Small differences grow by ``chi = J^2 E phi'(m + s z)^2`` in square:
chaos where chi > 1, edge where chi = 1.

Averages are those of quadrature.py; ReLU is in closed form.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import brentq, root
from scipy.special import ndtr

from edgechaos_core.quadrature import TANH, Array, Averages, Smooth, averages, coarsest_level, nodes

START = (0.01, 1.0)  # u, q of the published start: x ~ N(0, 1) at N = 10,000 has a mean of the order of 0.01
LARGEST_J, SMALLEST_J = 8_192.0, 1e-6  # steeper averages are not resolved
LARGEST_RATIO = 4.0  # there the edge is at 1/J = 2e-4, and falls as exp(-ratio^2 / 2)
_SHORT, _LONG = 30, 100_000  # iterations of (u, q) before Newton's method is tried first, and before giving up
_NEAR = 0.05  # Newton's fixed point is the iteration's if this near, and coming nearer

AnyActivation = str | Smooth


@dataclass(frozen=True)
class FixedPoint:
    """A fixed point of the (u, q) iteration; ``modes`` are the moduli of its two eigenvalues there."""

    u: float
    q: float
    chi: float
    modes: tuple[float, float]

    @property
    def stable(self) -> bool:
        """Tell whether u and q return to it."""
        return max(self.modes) <= 1 + 1e-9

    @property
    def lyapunov_exponent(self) -> float:
        """Return the exponent of a typical small difference, ``(1/2) ln chi``: that of chaos."""
        return _half_log(self.chi)

    @property
    def largest_exponent(self) -> float:
        """Return the largest exponent of all: the above, or of the few differences that move u or q with them.

        The latter are never positive at a stable fixed point but lead in parts of the ordered phase.
        """
        return max(self.lyapunov_exponent, _half_log(max(self.modes) ** 2))

    @property
    def phase(self) -> str:
        """Name the phase: ``order, u = 0``; ``order, u != 0``; ``chaos``; ``undefined`` where nothing is stable."""
        if np.isnan(self.chi):
            return "undefined"
        if self.chi > 1:
            return "chaos"
        return "order, u = 0" if self.u == 0 or abs(self.u) < 1e-12 else "order, u != 0"


UNDEFINED = FixedPoint(np.nan, np.nan, np.nan, (np.nan, np.nan))


def fixed_point(J: float, J0: float, activation: AnyActivation = "tanh") -> FixedPoint:
    """Return the fixed point that the published start, x ~ N(0, 1) with a mean of 0.01, leads to.

    ``activation`` is "tanh", "relu" or a `Smooth`. Where u and q grow without bound or never come to rest (a strongly
    negative J0 makes u alternate) everything is ``nan``; J sqrt(q) > 8,192 counts as growing. u and q solve their
    equations to 1e-12: they are good to 1e-10 but within about 1e-6 of J = 1 or J0 = 1, where two fixed points meet.
    Raises ValueError for J outside 1e-6 ... 8,192, J0 that is not finite, an unknown activation, or one whose averages
    do not converge because it is not smooth.
    """
    phi = _checked(J, J0, activation)
    if phi is None:
        return _relu_fixed_point(J, J0)
    zero, (u, q) = _zero(J, J0, phi), START
    steps = _SHORT
    while steps <= _LONG:
        for _ in range(steps):
            u, q = _iterate(u, q, J, J0, phi)
        if not np.isfinite(q):
            return UNDEFINED
        point, following = _newton(u, q, J, J0, phi), _iterate(u, q, J, J0, phi)
        if abs(following[0] - u) > 1e-3 and abs(_iterate(*following, J, J0, phi)[0] - u) < 1e-12:
            return UNDEFINED  # u alternates
        if point is not None and point.stable and point.q > 1e-9:
            here, there = (np.hypot(a - point.u, b - point.q) for a, b in ((u, q), following))
            if here < _NEAR and there <= max(here, 1e-12):  # rounding may part them again by a few 1e-17
                return point
        elif zero is not None and zero.stable and q < 1e-2 and following[1] <= q:
            return zero
        steps *= 2
    return UNDEFINED


def fixed_points(J: float, J0: float, activation: AnyActivation = "tanh") -> tuple[FixedPoint, ...]:
    """Return every fixed point found, stable or not, by increasing u: Newton's method from several starts.

    Among the starts is ``u = 0``, so that the symmetric branch of an odd activation is found where it is unstable.
    Arguments and errors are those of `fixed_point`; for ReLU only the one that is reached, if any.
    """
    phi = _checked(J, J0, activation)
    if phi is None:
        point = _relu_fixed_point(J, J0)
        return () if np.isnan(point.chi) else (point,)
    zero = _zero(J, J0, phi)
    found = [] if zero is None else [zero]
    for start in ((u, q) for u in (-1.0, -0.01, 0.0, 0.01, 1.0) for q in (0.01, 1.0) if u * u <= q):
        u, q = start
        for _ in range(_SHORT):
            u, q = _iterate(u, q, J, J0, phi)
        new = _newton(u, q, J, J0, phi) if np.isfinite(u + q) else None
        if new is not None and all(np.hypot(new.u - old.u, new.q - old.q) > 1e-7 for old in found):
            found.append(new)
    return tuple(sorted(found, key=lambda point: point.u))


def edge_of_chaos(ratio: float, activation: AnyActivation = "tanh") -> float:
    """Return 1/J at the edge of chaos for ``ratio = J0 / J``: the root of ``chi = 1``, coming from order.

    tanh, and any odd phi that bends down: 1 / J = phi'(0) for ``|ratio| <= 1``, a curve that bends down for ratio > 1;
    ``nan`` for ratio < -1, where u alternates. ReLU: ``nan`` for ratio > 0, where x grows without bound (see
    `relu_limit`) before chi reaches 1. Other activations are searched for 1/J between 0.01 and 10. ``nan`` where there
    is no edge. Raises ValueError for ``|ratio| > 4`` and as `fixed_point` does.
    """
    phi = _checked_ratio(ratio, activation)
    if phi is None:
        direction = _relu_direction(ratio)
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
    return float(np.sqrt(_relu_square(_relu_direction(ratio))))


def asymptotic_distance(J: float, J0: float, activation: AnyActivation = "tanh") -> float:
    """Return the mean-field distance of two trajectories that started close, per square root of N.

    It is ``sqrt(2 (q - c))``, c the overlap of the two, ``c <- E_y (E_z phi(m + J sqrt(c) y + J sqrt(q - c) z))^2``,
    iterated from nearly q. Zero in order. Arguments and errors are those of `fixed_point`.
    """
    phi, point = _checked(J, J0, activation), fixed_point(J, J0, activation)
    if phi is None or not point.chi > 1:  # in ReLU's chaos all lengths die out
        return np.nan if np.isnan(point.chi) else 0.0
    m, q = J0 * point.u, point.q

    def overlap(c: float) -> float:
        outer, inner = J * np.sqrt(max(c, 0.0)), J * np.sqrt(max(q - c, 0.0))

        def at(level: int) -> float:
            y, v = nodes(level)
            z, w = nodes(max(level + coarsest_level(inner) - coarsest_level(outer), 1))
            return float(v @ (phi.function(m + outer * y[:, None] + inner * z) @ w) ** 2)

        level = coarsest_level(outer)
        last = at(level)
        while abs((now := at(level + 1)) - last) > 1e-9:
            level, last = level + 1, now
        return now

    if abs(point.u) < 1e-12:  # odd phi: the overlap of a symmetric state is lost
        return float(np.sqrt(2 * q))
    close = q * (1 - 1e-6)
    if overlap(close) >= close:  # so near the edge that the distance is below 0.0015 sqrt(q)
        return 0.0
    return float(np.sqrt(2 * (q - brentq(lambda c: overlap(c) - c, 0.0, close, xtol=1e-10))))


def _checked(J: float, J0: float, activation: AnyActivation) -> Smooth | None:
    """Return the activation's functions, None for ReLU, after looking at all arguments."""
    if not SMALLEST_J <= J <= LARGEST_J:
        raise ValueError(f"J must be between {SMALLEST_J:g} and {LARGEST_J:g}, got {J}")
    if not np.isfinite(J0):
        raise ValueError(f"J0 must be finite, got {J0}")
    if isinstance(activation, Smooth):
        return activation
    if activation not in ("tanh", "relu"):
        raise ValueError(f"unknown activation {activation!r}: choose from tanh, relu, or give a Smooth")
    return TANH if activation == "tanh" else None


def _checked_ratio(ratio: float, activation: AnyActivation) -> Smooth | None:
    if not abs(ratio) <= LARGEST_RATIO:
        raise ValueError(f"the ratio J0/J must be between {-LARGEST_RATIO:g} and {LARGEST_RATIO:g}, got {ratio}")
    return _checked(1.0, ratio, activation)


def _iterate(u: float, q: float, J: float, J0: float, phi: Smooth) -> tuple[float, float]:
    with np.errstate(over="ignore", invalid="ignore"):
        if not np.isfinite(u + q) or J * np.sqrt(q) > LARGEST_J:
            return u, np.inf
        average = averages(J0 * u, J * np.sqrt(q), phi)
    return average.f, average.ff


def _newton(u: float, q: float, J: float, J0: float, phi: Smooth) -> FixedPoint | None:
    """Solve for the fixed point near (u, q); None where there is none near."""

    def residual(x: Array) -> tuple[Array, Array]:
        average, jacobian = _linearised(x[0], max(x[1], 1e-300), J, J0, phi)
        return np.array([average.f, average.ff]) - x, jacobian - np.eye(2)

    solution = root(residual, np.array([u, q]), jac=True, tol=1e-15)
    u, q = (float(value) for value in solution.x)
    if not np.isfinite(u + q) or q <= 1e-20 or np.abs(residual(solution.x)[0]).max() > 1e-12:
        return None
    average, jacobian = _linearised(u, q, J, J0, phi)
    modes = np.sort(np.abs(np.linalg.eigvals(jacobian)))
    return FixedPoint(u, q, J**2 * average.dd, (float(modes[1]), float(modes[0])))


def _linearised(u: float, q: float, J: float, J0: float, phi: Smooth) -> tuple[Averages, Array]:
    """Averages at (u, q) and the Jacobian of the iteration there, derivatives by s^2 through Stein's lemma."""
    s = J * np.sqrt(q)
    at = averages(J0 * u, s, phi)
    return at, np.array([[J0 * at.d, J**2 * at.zd / (2 * s)], [2 * J0 * at.fd, J**2 * at.zfd / s]])


def _zero(J: float, J0: float, phi: Smooth) -> FixedPoint | None:
    """The fixed point u = q = 0, where phi(0) = 0."""
    if float(phi.function(np.zeros(1))[0]) != 0:
        return None
    slope = float(phi.derivative(np.zeros(1))[0])
    chi = (J * slope) ** 2
    modes = sorted((abs(J0 * slope), chi), reverse=True)
    return FixedPoint(0.0, 0.0, chi, (modes[0], modes[1]))


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


def _relu_direction(ratio: float) -> float:
    """``r = m / s`` in the long run: the fixed point of ``r <- ratio g1(r) / sqrt g2(r)``.

    relu is homogeneous, so r evolves by itself: with h = s (r + z), ``u = s g1(r)``, ``q = s^2 g2(r)``.
    """

    def excess(r: float) -> float:
        density = np.exp(-(r**2) / 2) / np.sqrt(2 * np.pi)
        return float(ratio * (density + r * ndtr(r)) / np.sqrt(_relu_square(r)) - r)

    reach = abs(ratio) + 1  # g1 / sqrt g2 lies between 0 and 1, and is tiny where r is strongly negative
    return float(brentq(excess, max(-reach, -8.0), reach, xtol=1e-15))


def _relu_square(r: float) -> float:
    """``g2(r) = E relu(r + z)^2``."""
    return float((1 + r * r) * ndtr(r) + r * np.exp(-(r**2) / 2) / np.sqrt(2 * np.pi))


def _relu_fixed_point(J: float, J0: float) -> FixedPoint:
    """u = q = 0 where that is reached; chi from the direction in which it is."""
    r = _relu_direction(J0 / J)
    growth = J**2 * _relu_square(r)
    return FixedPoint(0.0, 0.0, float(J**2 * ndtr(r)), (float(np.sqrt(growth)), 0.0)) if growth < 1 else UNDEFINED


def _half_log(square: float) -> float:
    return 0.5 * float(np.log(square)) if square > 0 else (-np.inf if square == 0 else np.nan)
