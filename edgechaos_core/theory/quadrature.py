"""Gaussian averages ``E f(m + s z)``, z standard normal, of an activation and its derivative, to double precision.

Averages are sums over equidistant nodes (the trapezoidal rule), which on the whole line converges exponentially for an
analytic integrand; the spacing is halved until the sums agree. Gauss-Hermite sums of any fixed size are wrong by
percents where s is large.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]

# Sums of two spacings agree to this, relative to the mean size of what is averaged, or a thousandth of the largest.
TOLERANCE = 1e-13
_REACH = 9.0  # the normal density is below 1e-18 outside
_FINEST = 16  # a spacing of 2^-16


@dataclass(frozen=True)
class Smooth:
    """An activation and its derivative, vectorised over numpy arrays, both smooth on the whole line.

    ``bend``, if given, is ``1 - phi'(x) / phi'(0)`` without the rounding of that difference, for the last digits of
    `edge_of_chaos` where J0/J is barely beyond 1 or -1.
    """

    function: Callable[[Array], Array]
    derivative: Callable[[Array], Array]
    bend: Callable[[Array], Array] | None = None

    @cached_property
    def slope(self) -> float:
        """Return phi'(0)."""
        return float(self.derivative(np.zeros(1))[0])

    @cached_property
    def odd(self) -> bool:
        """Tell whether phi(-x) = -phi(x), to the rounding of phi, at 200 values of x from 0.001 to 100."""
        x = np.geomspace(1e-3, 1e2, 200)
        f, mirrored = self.function(x), self.function(-x)
        return bool(np.allclose(mirrored, -f, rtol=1e-12, atol=0)) and float(self.function(np.zeros(1))[0]) == 0


# cosh^2 overflows at 355
TANH = Smooth(np.tanh, lambda a: 1 / np.cosh(np.clip(a, -350, 350)) ** 2, lambda a: np.tanh(a) ** 2)


@cache
def nodes(level: int) -> tuple[Array, Array]:
    """Return nodes of spacing 2^-level and their weights under the standard normal density, ``[n]`` each."""
    count = int(_REACH * 2**level)
    z = np.arange(-count, count + 1) / 2**level
    return z, np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) / 2**level


def coarsest_level(s: float) -> int:
    """Return the level of the coarsest spacing worth trying: 1/2, or that of the features of phi(s z)."""
    return max(1, int(np.ceil(np.log2(max(s, 1e-300)))))


class Averages(NamedTuple):
    """Averages over z at ``m + s z``: f stands for phi, d for phi'; ``zfd`` is E z phi phi'."""

    f: float
    ff: float
    dd: float
    d: float
    zd: float
    fd: float
    zfd: float


def averages(m: float, s: float, phi: Smooth) -> Averages:
    """Return the averages of phi and its derivative; raise ValueError where the sums do not converge."""

    def integrands(z: Array) -> Array:
        f, d = phi.function(m + s * z), phi.derivative(m + s * z)
        return np.stack([f, f * f, d * d, d, z * d, f * d, z * f * d])

    return Averages(*expectations(integrands, m, s).tolist())


def expectations(integrands: Callable[[Array], Array], m: float, s: float) -> Array:
    """Return ``E g(z)``, z standard normal, of each row of ``g(z)`` ``[k, n]``, functions of ``m + s z``: ``[k]``.

    Raises ValueError where the sums do not converge.
    """
    level, last, change = coarsest_level(s), None, np.inf
    while level <= _FINEST:
        z, w = nodes(level)
        values = integrands(z)
        now = values @ w
        if last is not None:
            size = np.abs(values) @ w
            before, change = change, float(np.max(np.abs(now - last) / np.maximum(size, 1e-3 * size.max())))
            # Halving squares the error of an analytic integrand: seen to do so, the next change need not be awaited.
            if change <= TOLERANCE or (change < 1e-9 and change < before**1.6):
                return now
        level, last = level + 1, now
    raise ValueError(f"averages of the activation do not converge (at m = {m:g}, s = {s:g}): it must be smooth")


def relu_mean(r: float) -> float:
    """Return ``g1(r) = E relu(r + z)``."""
    return float(r * ndtr(r) + np.exp(-(r**2) / 2) / np.sqrt(2 * np.pi))


def relu_square(r: float) -> float:
    """Return ``g2(r) = E relu(r + z)^2``."""
    return float((1 + r * r) * ndtr(r) + r * np.exp(-(r**2) / 2) / np.sqrt(2 * np.pi))
