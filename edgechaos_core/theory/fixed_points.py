"""A fixed point of the mean-field iteration, and what its stability says: exponents and phase."""

import math
from dataclasses import dataclass, replace

import numpy as np

NO_MEAN = 1e-12  # u below counts as 0


@dataclass(frozen=True)
class FixedPoint:
    """A fixed point of the (u, q) iteration, or with ``period`` 2 a cycle of (u, q) and (-u, q).

    ``modes`` are the moduli of the iteration's two eigenvalues there, per iteration. The cycle is what an odd phi has
    at J0 < 0 in place of a fixed point at -J0: ``x_t -> (-1)^t x_t`` turns one map into the other, so that u alternates
    in sign while q, chi, modes and exponents are the same.
    """

    u: float
    q: float
    chi: float
    modes: tuple[float, float]
    period: int = 1

    @property
    def stable(self) -> bool:
        """Tell whether u and q return to it."""
        return max(self.modes) <= 1 + 1e-9

    @property
    def lyapunov_exponent(self) -> float:
        """Return the exponent of a typical small difference, ``(1/2) ln chi``: that of chaos."""
        return _half_log(self.chi)

    @property
    def depth_scale(self) -> float:
        """Return over how many layers gradients reach, ``1 / |ln chi|`` (arXiv 1611.01232); infinite at the edge."""
        return abs(1 / (2 * self.lyapunov_exponent)) if self.lyapunov_exponent else math.inf

    @property
    def largest_exponent(self) -> float:
        """Return the largest exponent of all: the above, or of the few differences that move u or q with them.

        The latter are never positive at a stable fixed point but lead in parts of the ordered phase.
        """
        return max(self.lyapunov_exponent, _half_log(max(self.modes) ** 2))

    @property
    def phase(self) -> str:
        """Name the phase: ``order``, with ``u = 0``, ``u != 0`` or ``u alternates``; ``chaos``; ``undefined``.

        The last is where nothing is stable. ``u alternates`` is a cycle, of period 2.
        """
        if np.isnan(self.chi):
            return "undefined"
        if self.chi > 1:
            return "chaos"
        if abs(self.u) < NO_MEAN:
            return "order, u = 0"
        return "order, u alternates" if self.period == 2 else "order, u != 0"

    @property
    def alternating(self) -> "FixedPoint":
        """Return what this fixed point of an odd phi is at -J0."""
        return replace(self, period=2) if abs(self.u) >= NO_MEAN else self


UNDEFINED = FixedPoint(np.nan, np.nan, np.nan, (np.nan, np.nan))


def _half_log(square: float) -> float:
    return 0.5 * float(np.log(square)) if square > 0 else (-np.inf if square == 0 else np.nan)
