"""The law by which weight decay is steered so that J^2 of a layer settles at a target.

Let e count the *exposure* of the weights to decay, ``2 r`` a step of effective rate r. In the ordered phase gradients
add to J^2 in proportion to e, and weight decay wd (PyTorch's convention) takes off its share:

    dJ^2/de = a - wd J^2

A period shows what a was. The law takes a, smoothed, for the next one as well and sets wd such that ln J^2 should end
at ``x - rate (x - ln target)``, x being where it is now. As far as a stays what it was, the way to the target shrinks
by the factor 1 - rate a period: stable for any rate in (0, 1), whatever the speed of training. Below the target by
more than `LET_GO`, a network is only held back where it would otherwise come nearer than that.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

VERSION = 2  # part of the key of a run that is steered: raised when the same J^2 would give another decay
LET_GO = 0.1  # of ln J^2 below the target
LARGEST_CORRECTION = 0.5  # of ln J^2, downward in a period, as far as a stays what it was
LARGEST_SHRINK = 0.1  # of the weight in one optimizer step


@dataclass
class DecayLaw:
    """The law with its ``target`` J^2, ``rate`` in (0, 1) and ``smoothing`` in (0, 1] of a; ValueError otherwise.

    ``growth`` is a, smoothed: None before the first period.
    """

    target: float = 1.0
    rate: float = 0.3
    smoothing: float = 0.5
    growth: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("target", self.target), ("rate", self.rate), ("smoothing", self.smoothing)):
            if isinstance(value, bool) or not isinstance(value, Real):
                raise ValueError(f"{name} must be a number, got {value!r}")
        if not (math.isfinite(self.target) and self.target > 0):
            raise ValueError(f"target, a J^2, must be positive, got {self.target}")
        if not 0 < self.rate < 1:
            raise ValueError(f"rate must be in (0, 1), got {self.rate}")
        if not 0 < self.smoothing <= 1:
            raise ValueError(f"smoothing must be in (0, 1], got {self.smoothing}")

    def next(self, before: float, now: float, decay: float, exposure: float, coming: float, steps: int) -> float:
        """Return the weight decay of the next period, never negative.

        ``before`` and ``now`` are J^2 at both ends of a period of ``steps`` steps with that ``decay`` and ``exposure``;
        ``coming`` is the exposure of the next one. Where an exposure is 0 the decay stays.
        """
        if not exposure > 0:
            return decay
        shrunk = decay * exposure
        # Growth of J^2 and not of ln J^2, which falls as J^2 rises: taking the last period's for the next, the law once
        # threw fast networks back, J^2 from 0.98 to 0.48 in an epoch of AdamW.
        seen = (now - before * math.exp(-shrunk)) / (exposure * _mean_of_exp(shrunk))
        self.growth = seen if self.growth is None else self.growth + self.smoothing * (seen - self.growth)
        if not coming > 0:
            return decay
        added, aim = self.growth * coming, self._aim(now, now + self.growth * coming)

        def excess(shrunk: float) -> float:
            return now * math.exp(-shrunk) + added * _mean_of_exp(shrunk) - aim

        largest = 2 * steps * LARGEST_SHRINK
        if excess(0.0) <= 0:
            return 0.0
        if excess(largest) >= 0:
            return largest / coming
        return _root(excess, 0.0, largest) / coming

    def _aim(self, now: float, free: float) -> float:
        """Return J^2 to end the next period at, given J^2 now and where it would come to without decay."""
        x, end = math.log(now), math.log(self.target)
        wanted = max(x - self.rate * (x - end), x - LARGEST_CORRECTION)
        return max(math.exp(wanted), min(free, math.exp(end - LET_GO)))


def _mean_of_exp(x: float) -> float:
    """Return the mean of exp(-t) over t in [0, x]."""
    return -math.expm1(-x) / x if x else 1.0


def _root(falling: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function that is positive at ``low`` and negative at ``high`` crosses 0, to the last bit.

    Halving is slow, about 70 calls, but a period calls it once; it spares those who only want `EdgeDecay` scipy.
    """
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return middle
