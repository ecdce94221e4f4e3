"""Mean-field theory of ``x <- phi(W x)``, ``W_ij ~ N(J0/N, J^2/N)``, N to infinity (arXiv 2107.09437, Section 2).

A unit's input is Gaussian, ``m + s z`` with ``m = J0 u``, ``s = J sqrt q``, z standard normal, so one iteration is
``u <- E phi(m + s z)``, ``q <- E phi(m + s z)^2``. Small differences grow by ``chi = J^2 E phi'(m + s z)^2`` in square:
chaos where chi > 1, edge where chi = 1.

Averages are those of quadrature.py; ReLU is in closed form.
"""

import numpy as np
from scipy.optimize import brentq, root

from edgechaos_core.theory.fixed_points import UNDEFINED, FixedPoint
from edgechaos_core.theory.quadrature import TANH, Array, Averages, Smooth, averages, coarsest_level, nodes
from edgechaos_core.theory.relu import relu_fixed_point

START = (0.01, 1.0)  # u, q of the published start: x ~ N(0, 1) at N = 10,000 has a mean of the order of 0.01
LARGEST_J, SMALLEST_J = 8_192.0, 1e-6  # steeper averages are not resolved
_SHORT, _LONG = 30, 100_000  # iterations of (u, q) before Newton's method is tried first, and before giving up
_NEAR = 0.05  # Newton's fixed point is the iteration's if this near, and coming nearer

AnyActivation = str | Smooth


def fixed_point(J: float, J0: float, activation: AnyActivation = "tanh") -> FixedPoint:
    """Return the fixed point that the published start, x ~ N(0, 1) with a mean of 0.01, leads to.

    ``activation`` is "tanh", "relu" or a `Smooth`. With an odd one, as tanh, a strongly negative J0 makes u alternate
    in sign: then the cycle is returned (`FixedPoint.period` 2), u > 0 being the mean after every second iteration.

    Everything is ``nan`` where u and q grow without bound, as J sqrt(q) > 8,192 counts, or never come to rest: u of an
    activation that is not odd may alternate between two sizes, as ReLU's direction does below J0/J = -4.3. u and q
    solve their equations to 1e-12: they are good to 1e-10 but within about 1e-6 of ``J = 1`` or ``|J0| = 1``, where
    two fixed points meet.

    Raises ValueError for J outside 1e-6 ... 8,192, J0 that is not finite, an unknown
    activation, or one whose averages do not converge because it is not smooth.

    >>> from edgechaos_core import fixed_point
    >>> point = fixed_point(J=2.0, J0=0.0)
    >>> round(point.q, 3), point.chi > 1  # chaos
    (0.53, True)
    """
    phi = checked_functions(J, J0, activation)
    if phi is None:
        return relu_fixed_point(J, J0)
    return _reached(J, -J0, phi).alternating if _alternates(J0, phi) else _reached(J, J0, phi)


def fixed_points(J: float, J0: float, activation: AnyActivation = "tanh") -> tuple[FixedPoint, ...]:
    """Return every fixed point found, stable or not, by increasing u: Newton's method from several starts.

    Among the starts is ``u = 0``, so that the symmetric branch of an odd activation is found where it is unstable; at
    J0 < 0 the two points of its cycle are among what is returned, with ``period`` 2. Arguments and errors are those of
    `fixed_point`; for ReLU only the one that is reached, if any.
    """
    phi = checked_functions(J, J0, activation)
    if phi is None:
        point = relu_fixed_point(J, J0)
        return () if np.isnan(point.chi) else (point,)
    if _alternates(J0, phi):
        return tuple(point.alternating for point in fixed_points(J, -J0, phi))
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


def asymptotic_distance(J: float, J0: float, activation: AnyActivation = "tanh") -> float:
    """Return the mean-field distance of two trajectories that started close, per square root of N.

    It is ``sqrt(2 (q - c))``, c the overlap of the two, ``c <- E_y (E_z phi(m + J sqrt(c) y + J sqrt(q - c) z))^2``,
    iterated from nearly q. Zero in order. Arguments and errors are those of `fixed_point`.

    >>> from edgechaos_core import asymptotic_distance
    >>> asymptotic_distance(J=0.9, J0=0.0)
    0.0
    >>> round(asymptotic_distance(J=2.0, J0=0.0), 2)
    1.03
    """
    phi, point = checked_functions(J, J0, activation), fixed_point(J, J0, activation)
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


def checked_functions(J: float, J0: float, activation: AnyActivation) -> Smooth | None:
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


def _alternates(J0: float, phi: Smooth) -> bool:
    """Tell whether the map is that of -J0 with every second state negated, and u can come to rest in that one alone."""
    return J0 * phi.slope < 0 and phi.odd


def _reached(J: float, J0: float, phi: Smooth) -> FixedPoint:
    """Where the published start leads to, found by iteration and then exactly by Newton's method."""
    zero, (u, q) = _zero(J, J0, phi), START
    steps = _SHORT
    while steps <= _LONG:
        for _ in range(steps):
            u, q = _iterate(u, q, J, J0, phi)
        if not np.isfinite(q):
            return UNDEFINED
        point, following = _newton(u, q, J, J0, phi), _iterate(u, q, J, J0, phi)
        if abs(following[0] - u) > 1e-3 and abs(_iterate(*following, J, J0, phi)[0] - u) < 1e-12:
            return UNDEFINED  # u alternates, and phi is not odd
        if point is not None and point.stable and point.q > 1e-9:
            here, there = (np.hypot(a - point.u, b - point.q) for a, b in ((u, q), following))
            if here < _NEAR and there <= max(here, 1e-12):  # rounding may part them again by a few 1e-17
                return point
        elif zero is not None and zero.stable and q < 1e-2 and following[1] <= q:
            return zero
        steps *= 2
    return UNDEFINED


def _iterate(u: float, q: float, J: float, J0: float, phi: Smooth) -> tuple[float, float]:
    with np.errstate(over="ignore", invalid="ignore"):
        if not np.isfinite(u + q) or J * np.sqrt(q) > LARGEST_J:
            return u, np.inf
        average = averages(J0 * u, J * np.sqrt(q), phi)
    return average.f, average.ff


def _newton(u: float, q: float, J: float, J0: float, phi: Smooth) -> FixedPoint | None:
    """Solve for the fixed point near (u, q); None where there is none near."""

    def residual(x: Array) -> tuple[Array, Array]:
        # a step may lead below q = 0, where s = J sqrt q is not defined
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
    chi = (J * phi.slope) ** 2
    modes = sorted((abs(J0 * phi.slope), chi), reverse=True)
    return FixedPoint(0.0, 0.0, chi, (modes[0], modes[1]))
