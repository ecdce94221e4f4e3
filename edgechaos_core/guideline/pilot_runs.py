"""Pilot runs for the guideline: train the network with the formula's decay, and correct it until a run confirms it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgechaos_core.analysis.scaling import settled
from edgechaos_core.conventions import weight_decay_from_l2
from edgechaos_core.guideline.decay_formula import HORIZON, KNOWN, NEAR, Formula, Guidance, Network, corrected
from edgechaos_core.store.runs import parse_config
from edgechaos_core.sweeps.sweep import obtain

DIGITS = 3  # of the decay that is trained with
LONGEST = 100_000  # epochs
MOST = 4  # pilot runs
CONFIRMED = 0.05  # of J^2 from the target at the end of a run
LARGEST_STEP = 4.0  # the factor between the decays of two runs
LEAST_APART = 0.02  # of ln J^2 between runs that tell how it goes with decay


@dataclass(frozen=True)
class Pilot:
    """What pilot runs found: lambda of the last, and for each of them what was tried and where J^2 ended.

    ``epochs_to_edge`` is when J^2 of the last came within `NEAR` of the target.
    """

    l2: float
    tried: tuple[tuple[float, float], ...]
    epochs: int
    epochs_to_edge: int

    @property
    def story(self) -> str:
        """The same in words."""
        return _story(self.tried, self.epochs)


def pilot(network: Network, advice: Guidance, formula: Formula, dataset: str = "fashion-mnist", seed: int = 0) -> Pilot:
    """Train a network with the decay of ``advice`` over `HORIZON` rescaled steps; correct it until a run confirms it.

    A run confirms its decay if J^2 ends within 5% of the target and has not sunk there from above. The first is
    corrected by the formula, later ones by how J^2 went with decay between the two that ended nearest to the target, on
    either side of it if there are such. Nothing is kept. Behind a progress bar. Raises ValueError for settings that
    cannot be trained, that take too long, where training diverges, where `MOST` runs have confirmed nothing, or where
    J^2 only passes the target; and what sweep.obtain raises.
    """
    epochs = math.ceil(HORIZON / (network.samples * network.speed))
    if epochs > LONGEST:
        raise ValueError(f"a pilot run would take {epochs:,} epochs at this speed: raise learning_rate or momentum")
    l2, tried = advice.l2, list[tuple[float, float]]()
    while len(tried) < MOST:
        own = {"dataset": dataset, "seed": seed, "l2": float(f"{l2:.{DIGITS}g}"), "epochs": epochs}
        run = obtain([parse_config(network.model_dump() | own)], retrain=True)[0]
        if run.outcome.state != "finished":
            raise ValueError(f"the pilot run has {run.outcome.state}: a smaller learning_rate, or less momentum")
        tried.append((run.config.l2, settled(run)))
        J_squared = run.history["J_squared"].to_numpy()
        if abs(tried[-1][1] / advice.target - 1) <= CONFIRMED:
            if J_squared.max() > max((1 + NEAR) * tried[-1][1], J_squared[0]):
                raise ValueError(
                    f"no constant decay was found: {_story(tried, epochs)}, but only passed the target, "
                    f"coming down from {J_squared.max():.3g}; EdgeDecay holds it"
                )
            near = int((abs(J_squared / advice.target - 1) <= NEAR).argmax())
            return Pilot(run.config.l2, tuple(tried), epochs, near)
        found = _next(tried, network, formula, advice.target)
        if found is None:
            break
        l2 = found
    raise ValueError(f"no constant decay was found: {_story(tried, epochs)}; EdgeDecay needs no formula")


def after_pilot(advice: Guidance, network: Network, l2: float, epochs_to_edge: float, story: str) -> Guidance:
    """Return the advice with lambda and epochs as pilot runs have found them, and the ``story`` of how they did."""
    decay = weight_decay_from_l2(l2)
    return replace(
        advice,
        l2=l2,
        l2_interval=None,
        J_squared_interval=None,
        weight_decay_sgd=decay,
        weight_decay_sgd_decoupled=decay / (1 - network.momentum),
        epochs_to_edge=epochs_to_edge,
        sooner=advice.sooner if all(getattr(network, name) == value for name, value in KNOWN.items()) else (),
        untested=(),
        nearest={},
        pilot=story,
        caution=None,
    )


def _next(tried: Sequence[tuple[float, float]], network: Network, formula: Formula, target: float) -> float | None:
    """Return the decay to try, None where J^2 does not fall with decay."""
    if len(tried) == 1:
        return corrected(*tried[0], network, formula, target)
    (l2, end), *more = sorted(tried, key=lambda run: abs(math.log(run[1] / target)))
    # one on the other side of the target if there is one: what is sought lies between the two
    other, far = next((run for run in more if (run[1] > target) != (end > target)), more[0])
    apart = math.log(end / far)
    if abs(apart) < LEAST_APART or (slope := math.log(l2 / other) / apart) >= 0:
        return None
    step = slope * math.log(target / end)
    limit = math.log(LARGEST_STEP)
    return l2 * math.exp(min(max(step, -limit), limit))


def _story(tried: Sequence[tuple[float, float]], epochs: int) -> str:
    ends = "; ".join(f"lambda {l2:.3g} ended at J^2 = {J_squared:.3g}" for l2, J_squared in tried)
    return f"{epochs} epochs with {ends}"
