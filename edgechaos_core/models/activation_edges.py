"""J^2 at the edge of chaos for any elementwise activation, from the length that signals settle at: NumPy alone.

In a wide network with weights of variance ``J^2 / N``, mean zero, and biases of variance ``b2``, a unit's input is
Gaussian with variance ``s^2``, and ``s^2 <- J^2 E phi(s z)^2 + b2``, z standard normal. A small difference is
multiplied in square by ``chi = J^2 E phi'(s z)^2`` a layer (Poole et al., arXiv 1606.05340; Schoenholz et al., arXiv
1611.01232). Each s is a fixed point of one J^2 alone, ``(s^2 - b2) / E phi(s z)^2``, so that the fixed points are read
off a curve instead of iterated to, which would take for ever at the edge.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
AT_EDGE = 1e-10  # chi so far below 1 counts as 1: beyond the edge of tanh, chi - 1 is of second order
_PANELS, _POINTS, _REACH = 30, 16, 9.0


def _half_line() -> tuple[Array, Array]:
    """Gauss-Legendre nodes on panels that halve towards 0, where activations have kinks and steep parts."""
    ends = np.concatenate([[0.0], _REACH * 0.5 ** np.arange(_PANELS, -1, -1)])
    x, w = np.polynomial.legendre.leggauss(_POINTS)
    half = np.diff(ends)[:, None] / 2
    return (ends[:-1, None] + half * (x + 1)).ravel(), (half * w).ravel()


_POSITIVE, _WIDTHS = _half_line()
_Z = np.concatenate([-_POSITIVE[::-1], _POSITIVE])
_W = np.concatenate([_WIDTHS[::-1], _WIDTHS]) * np.exp(-(_Z**2) / 2) / np.sqrt(2 * np.pi)
_SIZES = np.geomspace(1e-4, 1e4, 161)  # of s


@dataclass(frozen=True, eq=False)
class Curves:
    """``lengths = E phi(s z)^2`` and ``slopes = E phi'(s z)^2`` at the sizes s, ``[161]`` each, of an activation."""

    lengths: Array
    slopes: Array


def curves(phi: Callable[[Array], tuple[Array, Array]]) -> Curves:
    """Average an activation over Gaussian inputs: ``phi(x)`` returns its values and its derivatives, each like x.

    Good to 1e-10 for activations that are smooth but for a kink at 0; to about 1e-3 with kinks elsewhere.
    """
    found = [phi(s * _Z) for s in _SIZES]
    return Curves(np.array([f * f @ _W for f, _ in found]), np.array([d * d @ _W for _, d in found]))


def chi_at(J_squared: float, averages: Curves, bias_variance: float = 0.0) -> float:
    """Return chi where the length of signals that start with ``q = 1`` comes to rest, or runs away to."""
    here = _SIZES**2
    after = J_squared * averages.lengths + bias_variance
    grows = np.log(np.maximum(after, 1e-300)) - np.log(here)
    start = float(np.clip(np.sqrt(J_squared + bias_variance), _SIZES[0], _SIZES[-1]))
    rising = float(np.interp(np.log(start), np.log(_SIZES), grows)) > 0
    ahead = start <= _SIZES if rising else start >= _SIZES
    side = np.flatnonzero(ahead & ((grows <= 0) == rising))
    slopes = np.log(np.maximum(averages.slopes, 1e-300))
    if not side.size:  # to infinity, or to nothing
        return J_squared * float(averages.slopes[-1 if rising else 0])
    near = int(side[0]) if rising else int(side[-1])
    low, high = (max(near - 1, 0), near) if rising else (near, min(near + 1, len(_SIZES) - 1))
    gap = grows[low] - grows[high]
    part = float(np.clip(grows[low] / gap, 0, 1)) if gap else 0.0
    return J_squared * float(np.exp(slopes[low] + part * (slopes[high] - slopes[low])))


@lru_cache(4096)  # layers share activations, and mostly biases
def edge_J_squared(averages: Curves, bias_variance: float = 0.0) -> float:  # noqa: N802 - the field's name for it
    """Return the least J^2 from which on a small difference does not die out: chi = 1; nan if there is none to 10^4.

    ``bias_variance`` is the mean square of the biases. tanh has J^2 = 1 and ReLU 2 without biases. Activations such
    as GELU, of slope 1/2 at 0 and 1 far out, have no chi = 1 at rest without biases: lengths die out below an J^2, and
    with them differences, and run away above it, where differences grow; that J^2 is returned.

    >>> def tanh(x):
    ...     return np.tanh(x), 1 - np.tanh(x) ** 2
    >>> round(edge_J_squared(curves(tanh)), 4)
    1.0
    """
    grid = np.geomspace(1e-4, 1e4, 321)
    beyond = [chi_at(J2, averages, bias_variance) >= 1 - AT_EDGE for J2 in grid]
    first = int(np.argmax(beyond))
    if not beyond[first] or first == 0:
        return float("nan")
    low, high = float(grid[first - 1]), float(grid[first])
    while high / low - 1 > 1e-12:
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if chi_at(middle, averages, bias_variance) >= 1 - AT_EDGE else (middle, high)
    return high
