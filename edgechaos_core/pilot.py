"""A pilot run for the guideline: train the network once with the formula's decay, and see where J^2 ends."""

import math

from edgechaos_core.guideline import HORIZON, Guidance, Network
from edgechaos_core.runs import Run, parse_config
from edgechaos_core.sweep import obtain

DIGITS = 3  # of the decay it trains with
LONGEST = 100_000  # epochs


def pilot(network: Network, advice: Guidance, dataset: str = "fashion-mnist", seed: int = 0) -> Run:
    """Train a network once with the decay of ``advice`` over `HORIZON` rescaled steps; nothing is kept.

    Behind a progress bar. Raises ValueError for settings that cannot be trained, that take too long, or where training
    diverges, and what sweep.obtain raises.
    """
    epochs = math.ceil(HORIZON / (network.samples * network.speed))
    if epochs > LONGEST:
        raise ValueError(f"a pilot run would take {epochs:,} epochs at this speed: raise learning_rate or momentum")
    own = {"dataset": dataset, "seed": seed, "l2": float(f"{advice.l2:.{DIGITS}g}"), "epochs": epochs}
    run = obtain([parse_config(network.model_dump() | own)], retrain=True)[0]
    if run.outcome.state != "finished":
        raise ValueError(f"the pilot run has {run.outcome.state}: a smaller learning_rate, or less momentum")
    return run
