"""Pilot runs for the guideline: train the network with the formula's decay, see where J^2 ends, and correct it."""

import math
from dataclasses import dataclass

from edgechaos_core.guideline import HORIZON, Formula, Guidance, Network, corrected
from edgechaos_core.runs import parse_config
from edgechaos_core.scaling import settled
from edgechaos_core.sweep import obtain

DIGITS = 3  # of the decay that is trained with
LONGEST = 100_000  # epochs
MOST = 4  # pilot runs: one, unless J^2 ends where the formula cannot correct it


@dataclass(frozen=True)
class Pilot:
    """What pilot runs found: lambda, and for each of them what was tried and where J^2 ended."""

    l2: float
    tried: tuple[tuple[float, float], ...]
    epochs: int

    @property
    def story(self) -> str:
        """The same in words."""
        ends = "; ".join(f"lambda {l2:.3g} ended at J^2 = {J_squared:.3g}" for l2, J_squared in self.tried)
        return f"{self.epochs} epochs with {ends}"


def pilot(network: Network, advice: Guidance, formula: Formula, dataset: str = "fashion-mnist", seed: int = 0) -> Pilot:
    """Train a network with the decay of ``advice`` over `HORIZON` rescaled steps and correct it; nothing is kept.

    Where J^2 ends beyond what the formula knows, another run is trained with the corrected decay. Behind a progress
    bar. Raises ValueError for settings that cannot be trained, that take too long, where training diverges, or where
    J^2 does not come near the target in `MOST` runs; and what sweep.obtain raises.
    """
    epochs = math.ceil(HORIZON / (network.samples * network.speed))
    if epochs > LONGEST:
        raise ValueError(f"a pilot run would take {epochs:,} epochs at this speed: raise learning_rate or momentum")
    low, high = formula.within["J_squared"]
    l2, tried = advice.l2, list[tuple[float, float]]()
    while len(tried) < MOST:
        own = {"dataset": dataset, "seed": seed, "l2": float(f"{l2:.{DIGITS}g}"), "epochs": epochs}
        run = obtain([parse_config(network.model_dump() | own)], retrain=True)[0]
        if run.outcome.state != "finished":
            raise ValueError(f"the pilot run has {run.outcome.state}: a smaller learning_rate, or less momentum")
        tried.append((run.config.l2, settled(run)))
        l2 = corrected(*tried[-1], network, formula, advice.target)
        if low <= tried[-1][1] <= high:
            return Pilot(l2, tuple(tried), epochs)
    raise ValueError(f"no decay was found: {Pilot(l2, tuple(tried), epochs).story}; EdgeDecay needs no formula")
