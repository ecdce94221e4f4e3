"""A pilot run for the guideline: train the network once with the formula's decay, and correct it by where J^2 ended."""

import math

from edgechaos_core.guideline import Formula, Guidance, Network
from edgechaos_core.runs import Run, parse_config
from edgechaos_core.scaling import settled
from edgechaos_core.sweep import obtain

LENGTH = 1.5  # of a pilot, in epochs to the edge: by then J^2 has settled
DIGITS = 3  # of the decay it trains with


def pilot(network: Network, advice: Guidance, dataset: str = "fashion-mnist", seed: int = 0) -> Run:
    """Train a network once with the decay of ``advice``, behind a progress bar; nothing is kept.

    Raises ValueError for settings that cannot be trained, and what sweep.obtain raises.
    """
    config = parse_config(
        network.model_dump()
        | {"dataset": dataset, "seed": seed, "l2": float(f"{advice.l2:.{DIGITS}g}")}
        | {"epochs": math.ceil(LENGTH * advice.epochs_to_edge)}
    )
    return obtain([config], retrain=True)[0]


def after_pilot(run: Run, formula: Formula, target: float = 1.0) -> float:
    """Return lambda for the target, given where J^2 of a pilot run settled.

    How lambda goes with J^2 is the formula's, all else is the run's own. Raises ValueError for a run that diverged.
    """
    if run.outcome.state != "finished":
        raise ValueError(f"the pilot run has {run.outcome.state}: a smaller learning_rate, or less momentum")
    return run.config.l2 * math.exp(formula.coefficients["J_squared"] * math.log(target / settled(run)))
