"""The law by which weight decay is steered so that J^2 of a layer settles at a target.

Let x = ln J^2. Over a period of n optimizer steps of effective rate r, weight decay wd (PyTorch's convention) takes
``E wd`` off x, with the *exposure* ``E = 2 n r``, while the gradients add g. The law measures x, takes
``gamma = (change of x + E wd) / E``, the decay that would just have balanced the period's growth, and sets
``wd = gamma + rate (x - ln target) / E`` for the next one. Then x - ln target shrinks by the factor 1 - rate a period,
up to how much gamma changes from one to the next: stable for any rate in (0, 1), whatever the speed of training.
"""

import math
from dataclasses import dataclass

LARGEST_CORRECTION = 0.5  # of ln J^2 in a period, beyond balancing growth
LARGEST_SHRINK = 0.1  # of the weight in one optimizer step


@dataclass
class DecayLaw:
    """The law with its ``target`` J^2, ``rate`` in (0, 1) and ``smoothing`` in (0, 1] of gamma; ValueError otherwise.

    ``growth`` is gamma, smoothed: None before the first period.
    """

    target: float = 1.0
    rate: float = 0.3
    smoothing: float = 0.5
    growth: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.target) and self.target > 0):
            raise ValueError(f"target, a J^2, must be positive, got {self.target}")
        if not 0 < self.rate < 1:
            raise ValueError(f"rate must be in (0, 1), got {self.rate}")
        if not 0 < self.smoothing <= 1:
            raise ValueError(f"smoothing must be in (0, 1], got {self.smoothing}")

    def next(self, before: float, now: float, decay: float, exposure: float, coming: float, steps: int) -> float:
        """Return the weight decay of the next period, never negative.

        ``before`` and ``now`` are ln J^2 at both ends of a period of ``steps`` steps with that ``decay`` and
        ``exposure``; ``coming`` is the exposure of the next one. Where an exposure is 0 the decay stays.
        """
        if not exposure > 0:
            return decay
        gamma = (now - before + exposure * decay) / exposure
        self.growth = gamma if self.growth is None else self.growth + self.smoothing * (gamma - self.growth)
        if not coming > 0:
            return decay
        correction = self.rate * (now - math.log(self.target))
        wanted = self.growth + min(max(correction, -LARGEST_CORRECTION), LARGEST_CORRECTION) / coming
        return min(max(wanted, 0.0), 2 * steps * LARGEST_SHRINK / coming)
