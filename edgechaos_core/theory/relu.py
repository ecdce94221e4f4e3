"""ReLU's mean field in closed form: homogeneous, so that the direction of (u, sqrt q) evolves by itself."""

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr

from edgechaos_core.theory.fixed_points import UNDEFINED, FixedPoint
from edgechaos_core.theory.quadrature import relu_mean, relu_square


def relu_direction(ratio: float) -> float:
    """Return ``r = m / s`` in ReLU's long run: the fixed point of ``r <- ratio g1(r) / sqrt g2(r)``.

    relu is homogeneous, so r evolves by itself: with h = s (r + z), ``u = s g1(r)``, ``q = s^2 g2(r)``.
    """

    def excess(r: float) -> float:
        return float(ratio * relu_mean(r) / np.sqrt(relu_square(r)) - r)

    reach = abs(ratio) + 1  # g1 / sqrt g2 lies between 0 and 1, and is tiny where r is strongly negative
    return float(brentq(excess, max(-reach, -8.0), reach, xtol=1e-15))


def relu_fixed_point(J: float, J0: float) -> FixedPoint:
    """Return u = q = 0 where that is reached, chi from the direction in which it is; undefined elsewhere."""
    r = relu_direction(J0 / J)
    square = relu_square(r)
    turn = J0 / J * (ndtr(r) - relu_mean(r) ** 2 / square) / np.sqrt(square)  # the derivative of r's iteration
    if abs(turn) > 1 or J**2 * square >= 1:
        return UNDEFINED
    return FixedPoint(0.0, 0.0, float(J**2 * ndtr(r)), (float(J * np.sqrt(square)), 0.0))
