"""The guideline: the weight decay that holds a network at the edge of chaos, and how soon it gets there.

A penalty ``lambda ||w||^2`` takes ``4 lambda r S/B J^2`` off J^2 an epoch (r = eta / (1 - alpha)), the gradients add
``c eta/((1 - alpha) B)``. They balance at J^2 = 1 where **lambda = c / (4 S)** (Zhang et al., arXiv 2107.09437): free
of eta, alpha and B. The paper takes c from the ordered phase of training without decay. But c is
``2 S m / width`` with ``m = -<W, grad L>``, so S drops out: **lambda = m / (2 width)**; and m, measured where decay
holds the network at the edge, is larger than on the way there without decay. `calibrate` measures it from runs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from edgechaos_core.network import Activation
from edgechaos_core.optimizers import Optimizer, weight_decay_from_l2
from edgechaos_core.protocols import protocol
from edgechaos_core.runs import Run
from edgechaos_core.scaling import Interval, growth_constant, over_seeds, scale_factor, settled
from edgechaos_core.settings import Settings
from edgechaos_core.sweep import available

CALIBRATION_EPOCHS = 250
NEAR = 0.95  # of the target: the edge is reached
RATE_LIMIT = 0.08  # eta / (1 - alpha) up to which more speed costs no loss at B = 32; twice that at B = 128
SMALL_RATE = 0.02  # eta up to which momentum was raised in that chapter
LARGEST_BATCH = 128  # that chapter rescaling has seen keep the loss


class Network(Settings):
    """What the guideline is asked about; validated by settings.parse_settings, ValueError in one line."""

    samples: int = Field(60_000, ge=1)
    learning_rate: float = Field(gt=0)
    momentum: float = Field(0.0, ge=0, lt=1)
    batch_size: int = Field(ge=1)
    width: int = Field(784, ge=1)
    depth: int = Field(1, ge=1)
    activation: Activation = "tanh"
    optimizer: Optimizer = "sgd"


@dataclass(frozen=True)
class Calibration:
    """What runs with decay tell: lambda that settles J^2 at ``target`` (over seeds), and the way there.

    ``way`` is the rescaled number of steps, ``S eta / ((1 - alpha) B) epochs``, after which J^2 is within 5% of where
    it settles: that of the decay nearest to lambda, scaled to it. Both are for networks of this ``width``, trained on
    this number of ``samples``.
    """

    target: float
    l2: Interval
    way: float
    width: int
    samples: int


def calibrate(runs: Sequence[Run], target: float = 1.0) -> Calibration:
    """Find lambda at which J^2 settles at ``target``, for each seed by interpolation of ln J^2 against ln lambda.

    J^2 is where growth and decay at a run's end balance (`balance`).
    Runs differ in l2 and seed alone; those without decay are left out. Raises ValueError where no seed has runs that
    settle on both sides of the target.
    """
    decayed = [run for run in runs if run.config.l2 > 0]
    if len({run.config.model_dump_json(exclude={"l2", "seed", "epochs"}) for run in decayed}) != 1:
        raise ValueError("a calibration needs runs that differ in l2 and seed alone, some with l2 > 0")
    found = []
    for seed in sorted({run.config.seed for run in decayed}):
        own = sorted((run for run in decayed if run.config.seed == seed), key=balance)
        logs = np.log([balance(run) for run in own])
        if logs[0] <= math.log(target) <= logs[-1]:
            found.append(float(np.exp(np.interp(math.log(target), logs, np.log([run.config.l2 for run in own])))))
    if not found:
        reached = ", ".join(f"{balance(run):.3g} at l2 = {run.config.l2:g}" for run in decayed)
        raise ValueError(f"no seed has runs on both sides of J^2 = {target:g}: they settle at {reached}")
    l2 = over_seeds(found)
    nearest = min(decayed, key=lambda run: abs(math.log(run.config.l2 / l2.mean)))
    J_squared = nearest.history["J_squared"].to_numpy()
    epoch = int(np.argmax(J_squared >= NEAR * settled(nearest)))
    config = nearest.config
    way = epoch * config.samples * scale_factor(config) * config.l2 / l2.mean  # what decays, decays as exp(-4 l2 way)
    return Calibration(target, l2, way, config.width, config.samples)


def committed_calibration(target: float = 1.0) -> Calibration:
    """Calibrate on the stored runs of Fig. 6: Fashion-MNIST, width 784, 250 epochs or more, seeds 0 to 2."""
    if not (math.isfinite(target) and target > 0):
        raise ValueError(f"target, a J^2, must be positive, got {target}")
    runs = [run for run in available(protocol("fig6", seeds=range(3), epochs=CALIBRATION_EPOCHS)) if run.config.l2]
    if not runs:
        raise ValueError("no runs with decay are stored: edgechaos sweep fig6 --epochs 250 trains them")
    return calibrate(runs, target)


def balance(run: Run) -> float:
    """Return J^2 at which the growth at a run's end would balance its decay, ``c / (4 lambda S)``.

    It is ahead of J^2 itself while that still moves, and the same where it has settled.
    """
    return growth_constant(run) / (4 * run.config.l2 * run.config.samples)


@dataclass(frozen=True)
class Guidance:
    """What to do: the decay in three conventions, when J^2 gets to the edge, and settings that get there sooner.

    ``l2`` is lambda of ``lambda ||w||^2``, ``l2_interval`` its 95% interval over seeds (None for one);
    ``weight_decay_sgd`` is that of PyTorch's SGD, ``weight_decay_adamw`` a decoupled decay that shrinks the weights as
    much a step. ``epochs_to_edge`` is when J^2 is within 5% of the target. ``sooner`` are changed settings, each with
    its ``speedup`` in epochs and the factor in mini-batch ``steps``. ``untested`` names what differs from the
    calibrated network and is answered by theory, which no run has tested yet: width, samples.
    """

    target: float
    l2: float
    l2_interval: tuple[float, float] | None
    weight_decay_sgd: float
    weight_decay_adamw: float
    epochs_to_edge: float
    sooner: tuple[dict[str, float], ...]
    untested: tuple[str, ...]


def guide(network: Network, calibration: Calibration) -> Guidance:
    """Return the decay that should settle J^2 of a network at the calibrated target; nothing is run.

    lambda is the calibrated one times the ratio of widths (see the module's docstring). Raises ValueError for what the
    calibration does not speak of: another activation than tanh, another optimizer than sgd, more than one hidden layer
    (`EdgeDecay` finds the decay of such networks while they train).
    """
    known = {"activation": "tanh", "optimizer": "sgd", "depth": 1}
    for name, value in known.items():
        if getattr(network, name) != value:
            got = getattr(network, name)
            raise ValueError(f"the guideline is for {name} = {value}, got {got}: use EdgeDecay, which needs no formula")
    speed = network.learning_rate / ((1 - network.momentum) * network.batch_size)
    wider = network.width / calibration.width
    l2 = calibration.l2.mean / wider
    interval = None
    if calibration.l2.low is not None and calibration.l2.high is not None:
        interval = (calibration.l2.low / wider, calibration.l2.high / wider)
    decay = weight_decay_from_l2(l2)
    return Guidance(
        target=calibration.target,
        l2=l2,
        l2_interval=interval,
        weight_decay_sgd=decay,
        weight_decay_adamw=decay / (1 - network.momentum),
        epochs_to_edge=calibration.way * wider / (network.samples * speed),
        sooner=tuple(_sooner(network)),
        untested=tuple(name for name in ("width", "samples") if getattr(network, name) != getattr(calibration, name)),
    )


def _sooner(network: Network) -> list[dict[str, float]]:
    """Settings of the same loss at more speed, as chapter `rescaling` has seen it, without decay, for B >= 32."""
    eta, alpha, size = network.learning_rate, network.momentum, network.batch_size
    rate = eta / (1 - alpha)
    found = []
    if size >= 32 and eta <= SMALL_RATE and rate < RATE_LIMIT:
        gain = RATE_LIMIT / rate
        found.append({"learning_rate": eta, "momentum": 1 - eta / RATE_LIMIT, "batch_size": size})
        found[-1] |= {"speedup": gain, "steps": 1 / gain}
    if size >= 32 and eta <= SMALL_RATE and 4 * rate <= 2 * RATE_LIMIT and 4 * size <= LARGEST_BATCH:
        found.append({"learning_rate": 4 * eta, "momentum": alpha, "batch_size": 4 * size})
        found[-1] |= {"speedup": 1.0, "steps": 0.25}
    return found
