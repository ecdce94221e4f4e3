"""The guideline: the weight decay that holds a network at the edge of chaos, and how soon it gets there.

A penalty ``lambda ||w||^2`` takes ``4 lambda r S/B J^2`` off J^2 an epoch (r = eta / (1 - alpha)), the gradients add
``c r / B``. They balance at J^2 = 1 where **lambda = c / (4 S)** (Zhang et al., arXiv 2107.09437), free of eta, alpha
and B. The paper takes c from the ordered phase of training without decay. Exactly, with ``m = -<W, grad L>`` and g_B
the gradient of a mini-batch, ``4 lambda |W|^2 = 2 m + r E|g_B|^2``, so that c is ``S (2 m + r E|g_B|^2) / width``. In
runs that decay holds near the edge c is about twice the paper's; why is open. The formula here is therefore fitted to
runs with decay (formula_fit.py): ln lambda as a polynomial in the logarithms of S, width and J^2. It speaks of J^2
after `HORIZON` rescaled steps, ``S s epochs`` with the scale factor ``s = eta / ((1 - alpha) B)``; later J^2 is larger
yet. Speed itself drops out, but for how many epochs that takes. Using the formula needs neither torch nor pandas.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from pydantic import Field, model_validator

from edgechaos_core.conventions import Activation, OptimizerName, weight_decay_from_l2
from edgechaos_core.guideline.faster_settings import sooner
from edgechaos_core.settings import Settings
from edgechaos_core.system.places import GUIDELINE

KNOWN = {"activation": "tanh", "optimizer": "sgd", "depth": 1}  # what the formula speaks of
KNOWN_TO_PILOT = {"activation": ", or --pilot", "optimizer": "", "depth": ", or --pilot"}
ORDINARY = {"samples": 60_000, "width": 784}  # the setting of Fig. 6, where logarithms are 0
HORIZON = 20_000  # rescaled steps after which J^2 is looked at
SURE_SAMPLES = (54_000, 60_000)  # between smaller sizes of the fit J^2 ended at 1.10 (30,000) and 0.77 (10,000)
BY_HEART = 30_000  # samples; with 5,000 to 20,000 J^2 rose and sank again, with 30,000 it did not
CAUTION = (
    "with 5,000 to 20,000 samples, which such a network memorises, J^2 was seen to rise and to sink again under "
    "constant decay; EdgeDecay holds it"
)
NEAR = 0.1  # of J^2 from where it ends


class Network(Settings):
    """What the guideline is asked about; validated by settings.parse_settings, ValueError in one line."""

    samples: int = Field(60_000, ge=1, le=1_000_000_000)
    learning_rate: float = Field(ge=1e-7, le=100)
    momentum: float = Field(0.0, ge=0, le=0.999)
    batch_size: int = Field(ge=1)
    width: int = Field(784, ge=1, le=65_536)
    depth: int = Field(1, ge=1, le=100)
    activation: Activation = "tanh"
    optimizer: OptimizerName = "sgd"

    @model_validator(mode="after")
    def _fits(self) -> "Network":
        if self.batch_size > self.samples:
            raise ValueError(f"batch_size must be at most samples = {self.samples}, got {self.batch_size}")
        return self

    @property
    def speed(self) -> float:
        """The scale factor s = eta / ((1 - alpha) B)."""
        return self.learning_rate / ((1 - self.momentum) * self.batch_size)


def terms(samples: float, width: float, J_squared: float) -> dict[str, float]:
    """Return what ln lambda is linear in: logarithms of S and width relative to `ORDINARY`, of J^2, and products."""
    S, w, x = math.log(samples / ORDINARY["samples"]), math.log(width / ORDINARY["width"]), math.log(J_squared)
    return {"1": 1.0, "ln S": S, "(ln S)²": S**2, "ln w": w, "ln S ln w": S * w, "ln J²": x, "(ln J²)²": x**2}


@dataclass(frozen=True)
class Formula:
    """``ln lambda = sum of coefficients times terms`` as fitted, with what its intervals need.

    ``covariance`` is that of the coefficients, ``scatter`` the standard deviation of ln lambda about the fit, ``t`` the
    quantile of Student's t for 95%, ``runs`` how many it was fitted to, ``within`` the smallest and largest value of
    each of samples, width, J_squared and speed among them. ``left_out`` are the errors of ln lambda for networks (S and
    width, in words) by the fit to the others, ``half`` the half width of the interval of ln lambda that they give.
    ``way`` are (a, p, q) of the rescaled steps ``exp(a) (S/60000)^p (width/784)^q`` after which J^2 is within `NEAR` of
    where it ends.
    """

    coefficients: Mapping[str, float]
    covariance: tuple[tuple[float, ...], ...]
    scatter: float
    t: float
    runs: int
    within: Mapping[str, tuple[float, float]]
    left_out: Mapping[str, float]
    half: float
    way: tuple[float, float, float]

    def log_l2(self, samples: float, width: float, target: float) -> float:
        """Return ln lambda that should bring J^2 to the target.

        Beyond the sizes it is fitted to, the formula is taken at the nearest of them, and theory, lambda ~ 1 / width,
        from there: a parabola is no guide far from its points.
        """
        known = self._known("width", width)
        x = self._at(samples, known, target)
        return float(x @ np.array(list(self.coefficients.values()))) - math.log(width / known)

    def l2(self, samples: float, width: float, target: float) -> tuple[float, float, float]:
        """Return lambda that should bring J^2 to the target, and the ends of its 95% interval for a new network."""
        mean = self.log_l2(samples, width, target)
        return math.exp(mean), math.exp(mean - self.half), math.exp(mean + self.half)

    def ends(self, target: float) -> tuple[float, float]:
        """Return the 95% interval of J^2 at the end of a new network that is trained with lambda of `l2`.

        The ends are the J^2 at which lambda would be right if it were too strong, or too weak, by the half width of
        its own interval: solutions of the formula's quadratic in ln J^2.
        """
        bend, slope = self.coefficients["(ln J²)²"], self.coefficients["ln J²"]
        known = math.log(target)
        middle = slope * known + bend * known**2
        roots = (np.polynomial.Polynomial([-middle - off, slope, bend]).roots() for off in (self.half, -self.half))
        low, high = (float(min(own.real, key=lambda root: abs(root - known))) for own in roots)
        return math.exp(low), math.exp(high)

    def epochs(self, samples: float, width: float, speed: float) -> float:
        """Return after about how many epochs J^2 is within `NEAR` of where it ends; seen at `SURE_SAMPLES` alone."""
        sizes = terms(samples, width, 1.0)
        log_way = self.way[0] + self.way[1] * sizes["ln S"] + self.way[2] * sizes["ln w"]
        return math.exp(log_way) / (samples * speed)

    def nearest(self, samples: float, width: float) -> dict[str, float]:
        """Return the sizes beyond those that the formula is fitted to, each as the nearest one that is taken for it."""
        asked = {"samples": samples, "width": width}
        return {name: known for name, value in asked.items() if (known := self._known(name, value)) != value}

    def _known(self, name: str, value: float) -> float:
        low, high = self.within[name]
        return min(max(value, low), high)

    def _at(self, samples: float, width: float, target: float) -> np.ndarray:
        sizes = self._known("samples", samples), self._known("width", width)
        return np.array(list(terms(*sizes, target).values()))


def committed_formula() -> Formula:
    """Read the formula that is fitted to the committed runs; ValueError where it is missing or damaged."""
    try:
        return Formula(**json.loads(GUIDELINE.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{GUIDELINE} cannot be read ({error}): restore it, or: make calibration") from None


@dataclass(frozen=True)
class Guidance:
    """What to do: the decay in three conventions, when J^2 gets to the edge, and settings that get there sooner.

    All is about J^2 after `HORIZON` rescaled steps, which are ``training_epochs`` epochs.

    ``l2`` is lambda of ``lambda ||w||^2``, ``l2_interval`` its 95% interval for a network that the fit has not seen,
    None where there are ``untested`` settings: a width or speed (eta / ((1 - alpha) B)) beyond the runs of the fit,
    or samples other than `SURE_SAMPLES`; ``J_squared_interval`` is that of J^2 at the end which it means. ``nearest``
    are the samples and the width that the formula is taken at where those asked for are beyond its runs; from the
    nearest width on, lambda goes as 1 / width.

    ``weight_decay_sgd`` is that of PyTorch's SGD, ``weight_decay_sgd_decoupled`` that of an SGD whose decay is
    decoupled from momentum, ``w <- (1 - eta wd) w``, and shrinks the weights as much a step (AdamW's gradients make
    other steps: for it there is `EdgeDecay`).

    ``epochs_to_edge`` is about when J^2 is within `NEAR` of where it ends (after pilot runs: of the target), None where
    samples or width are untested, and for a target that is not within `NEAR` of 1. ``sooner`` are changed settings,
    each with its ``speedup`` in epochs and its ``steps_factor``, that in mini-batch steps, none where samples or width
    are untested. ``pilot`` tells of the pilot runs of which the last confirmed lambda (then there is no interval, and
    nothing is untested). ``caution`` tells where no constant decay may do.
    """

    target: float
    l2: float
    l2_interval: tuple[float, float] | None
    J_squared_interval: tuple[float, float] | None
    weight_decay_sgd: float
    weight_decay_sgd_decoupled: float
    epochs_to_edge: float | None
    sooner: tuple[dict[str, float], ...]
    untested: tuple[str, ...]
    training_epochs: float
    nearest: dict[str, float]
    pilot: str | None = None
    caution: str | None = None


def guide(network: Network, formula: Formula, target: float = 1.0) -> Guidance:
    """Return the decay that should bring J^2 of a network to the target; nothing is run.

    Raises ValueError for what the formula does not speak of: another activation than tanh, another optimizer than sgd,
    more than one hidden layer (`EdgeDecay` finds the decay of such networks while they train), or a target beyond the
    J^2 of the runs it is fitted to.

    >>> from edgechaos_core import Network, committed_formula, guide
    >>> network = Network(learning_rate=0.02, momentum=0.5, batch_size=32)
    >>> advice = guide(network, committed_formula())
    >>> f"{advice.l2:.1e}"  # lambda of a penalty lambda ||w||^2
    '8.0e-05'
    """
    for name, value in KNOWN.items():
        if getattr(network, name) != value:
            got = getattr(network, name)
            raise ValueError(f"the guideline is for {name} = {value}, got {got}: use EdgeDecay{KNOWN_TO_PILOT[name]}")
    low, high = formula.within["J_squared"]
    if not low <= target <= high:
        raise ValueError(f"target, a J^2, must be between {low:.3g} and {high:.3g}, got {target}")
    asked = {"samples": network.samples, "width": network.width, "speed": network.speed}
    tested = {**formula.within, "samples": SURE_SAMPLES}
    untested = tuple(name for name, value in asked.items() if not _between(value, tested[name]))
    l2, *interval = formula.l2(network.samples, network.width, target)
    decay = weight_decay_from_l2(l2)
    epochs = formula.epochs(network.samples, network.width, network.speed)
    sizes_known = not {"samples", "width"} & {*untested}
    return Guidance(
        target=target,
        l2=l2,
        l2_interval=None if untested else (interval[0], interval[1]),
        J_squared_interval=None if untested else formula.ends(target),
        weight_decay_sgd=decay,
        weight_decay_sgd_decoupled=decay / (1 - network.momentum),
        epochs_to_edge=epochs if sizes_known and abs(target - 1) <= NEAR else None,
        sooner=tuple(sooner(network.learning_rate, network.momentum, network.batch_size)) if sizes_known else (),
        untested=untested,
        training_epochs=HORIZON / (network.samples * network.speed),
        nearest=formula.nearest(network.samples, network.width),
        caution=CAUTION if network.samples < BY_HEART else None,
    )


def corrected(trained: float, J_squared: float, network: Network, formula: Formula, target: float) -> float:
    """Return lambda for the target, given that a run with lambda = ``trained`` ended at ``J_squared``.

    How lambda goes with J^2 is the formula's, all else is the run's own; a J^2 beyond what the formula knows counts as
    the nearest that it does.
    """
    low, high = formula.within["J_squared"]
    ends = (formula.log_l2(network.samples, network.width, place) for place in (target, min(max(J_squared, low), high)))
    return trained * math.exp(next(ends) - next(ends))


def _between(value: float, ends: tuple[float, float]) -> bool:
    # the very settings of the fit are within it, however they are rounded
    return ends[0] * (1 - 1e-9) <= value <= ends[1] * (1 + 1e-9)
