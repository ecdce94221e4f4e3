"""A training run: its settings, its history by epoch, and the one Parquet file that holds both.

Rows are epochs (epoch 0 is before training); the schema metadata carry ``config``, ``provenance`` and ``outcome`` as
JSON. Files are whole and checksummed, see tables.py.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import Field, field_validator, model_validator

from edgechaos_core.conventions import INITIAL_J, Activation, OptimizerName
from edgechaos_core.images.datasets import PIXELS, TRAINING_SAMPLES, canonical_name
from edgechaos_core.settings import Settings, parse_settings
from edgechaos_core.store.tables import named_errors, read_metadata, read_table, table_bytes, write_table
from edgechaos_core.theory import decay_law

NUMERICS_VERSION = 1  # part of a run's key: raised when the same settings would give other numbers

_LEARNING_RATE = {"sgd": 0.01, "adam": 0.001, "adamw": 0.001}
_MOMENTUM = {"sgd": 0.0, "adam": 0.9, "adamw": 0.9}

Row = dict[str, float]
State = Literal["finished", "diverged", "interrupted"]


class RunConfig(Settings):
    """Settings of one run, validated; ValueError in one line through `parse_config`.

    ``learning_rate`` and ``momentum`` default by optimizer (SGD 0.01 and 0, Adam and AdamW 0.001 and 0.9), ``samples``
    to all that ``validation`` leaves.

    ``l2`` is lambda of the penalty ``lambda ||w||^2``: half PyTorch's weight_decay. For AdamW it is half the
    weight_decay too, ``w <- (1 - 2 lambda learning_rate) w`` a step, though there is no penalty. ``hold`` (0: off) is a
    J^2 of the first hidden layer that decay is steered to after every epoch, from ``l2`` on, as `EdgeDecay` does it;
    the history then has a column ``lambda``, that of each epoch. ``milestone`` (0: none) is the epoch after which the
    learning rate is a tenth, as torch's MultiStepLR lowers it.

    ``label_noise`` is the share of training labels that are shuffled (`load_dataset`). ``gradients`` also measures
    what makes J^2 grow, drift and noise, after every epoch, in about half its time.
    ``initial_J`` (None: the published start) is J of every hidden layer before training: tanh draws its weights from
    ``N(0, J^2 / fan_in)``, published J = 1/2, ReLU uniformly with the same variance, published the Glorot start.
    ``trained_map`` also measures the map ``x <- tanh(W x)`` of a square first layer after every epoch.
    """

    dataset: str = "fashion-mnist"
    samples: int = Field(ge=1)
    validation: int = Field(0, ge=0)
    width: int = Field(784, ge=1, le=65_536)
    depth: int = Field(1, ge=1, le=100)
    activation: Activation = "tanh"
    optimizer: OptimizerName = "sgd"
    learning_rate: float = Field(gt=0)
    momentum: float = Field(ge=0, lt=1)
    l2: float = Field(0.0, ge=0)
    batch_size: int = Field(32, ge=1)
    epochs: int = Field(501, ge=1, le=1_000_000)
    seed: int = Field(0, ge=0, lt=2**63)
    gradients: bool = False
    hold: float = Field(0.0, ge=0)
    label_noise: float = Field(0.0, ge=0, le=1)
    milestone: int = Field(0, ge=0, le=1_000_000)
    initial_J: float | None = Field(None, gt=0, le=100)
    trained_map: bool = False

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: object) -> object:
        # Before validation, as defaults depend on other settings; what is not valid is left to it, which names it.
        if not isinstance(values, Mapping):
            return values
        values = {name: value for name, value in values.items() if value is not None}
        if values.get("initial_J") == INITIAL_J and values.get("activation", "tanh") == "tanh":
            del values["initial_J"]  # the published start, named: one start has one key
        optimizer = str(values.get("optimizer", "sgd"))
        values.setdefault("learning_rate", _LEARNING_RATE.get(optimizer, 1.0))
        values.setdefault("momentum", _MOMENTUM.get(optimizer, 0.0))
        if "samples" not in values:
            dataset = values.get("dataset", "fashion-mnist")
            total = TRAINING_SAMPLES.get(canonical_name(dataset), 0) if isinstance(dataset, str) else 0
            validation = values.get("validation", 0)
            values["samples"] = max(total - validation, 1) if isinstance(validation, int) else 1
        return values

    @field_validator("dataset")
    @classmethod
    def _known(cls, name: str) -> str:
        return canonical_name(name)

    @field_validator("momentum")
    @classmethod
    def _unsigned_zero(cls, value: float) -> float:
        return value + 0.0  # -0.0 is the same setting as 0.0 and must have the same key

    @model_validator(mode="after")
    def _fits(self) -> "RunConfig":
        total = TRAINING_SAMPLES[self.dataset]
        if self.samples + self.validation > total:
            raise ValueError(
                f"samples + validation must be at most {total} for {self.dataset}, "
                f"got {self.samples} + {self.validation}"
            )
        if self.hold and self.optimizer != "sgd":
            raise ValueError(f"hold needs the optimizer sgd, got {self.optimizer}")
        if self.trained_map and (self.activation != "tanh" or self.width != PIXELS):
            raise ValueError(
                f"trained_map needs tanh and a square first layer, width {PIXELS}, "
                f"got {self.activation} and width {self.width}"
            )
        if self.batch_size > self.samples:
            raise ValueError(f"batch_size must be at most samples = {self.samples}, got {self.batch_size}")
        return self

    def key(self, fingerprint: str) -> str:
        """Return the content key: 16 hex digits of settings (but epochs), data fingerprint and numerics version.

        Settings at their default are left out, so that a setting added later leaves the keys of older runs alone.
        """
        identity = self.model_dump(exclude={"epochs"}, exclude_defaults=True)
        identity |= {"data": fingerprint, "numerics": NUMERICS_VERSION}
        # Of steered runs alone: a new law leaves the keys of all others as they are.
        if self.hold:
            identity |= {"law": decay_law.VERSION}
        # sorted: the order in which the class names its settings is no part of a run's identity
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def parse_config(values: Mapping[str, Any]) -> RunConfig:
    """Validate settings; raise ValueError with one line naming every bad one and what is accepted.

    >>> from edgechaos_core import parse_config
    >>> parse_config({"learning_rate": 0.02, "momentum": 0.5}).batch_size
    32
    >>> parse_config({"epochs": -1})
    Traceback (most recent call last):
        ...
    ValueError: epochs must be greater than or equal to 1, got -1
    """
    return parse_settings(RunConfig, values)


@dataclass(frozen=True)
class Wanted:
    """A run that is asked for: its settings, the fingerprint of its data, and the ``key`` that both make.

    Made once, where a grid comes in (sweep.py), and carried from there to the store: nobody works out a key again.
    """

    config: RunConfig
    fingerprint: str
    key: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", self.config.key(self.fingerprint))

    def lasting(self, epochs: int) -> "Wanted":
        """Return the same run over so many epochs: its key does not tell them."""
        return replace(self, config=self.config.model_copy(update={"epochs": epochs}))


@dataclass(frozen=True)
class Outcome:
    """How a run ended: ``epoch`` is the last one completed with finite numbers; ``detail`` says more where needed.

    ``J_squared`` is that of the last epoch with finite numbers where the run diverged, None where there is no such.
    """

    state: State
    epoch: int
    detail: str = ""
    J_squared: float | None = None


@dataclass(frozen=True)
class Run:
    """A run's settings, history (one row an epoch, 0 first), outcome and provenance."""

    config: RunConfig
    history: pd.DataFrame
    outcome: Outcome
    provenance: dict[str, Any] = field(default_factory=dict)


def save_run(run: Run, path: Path) -> None:
    """Write a run to ``path``: whole or not at all. Raises TableError naming the file where it cannot be written.

    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from edgechaos_core import RunConfig, load_dataset
    >>> from edgechaos_core import load_run, save_run, train
    >>> config = RunConfig(samples=100, width=16, epochs=1)
    >>> run = train([config], load_dataset(samples=100))[0]
    >>> with TemporaryDirectory() as folder:
    ...     save_run(run, Path(folder) / "run.parquet")
    ...     load_run(Path(folder) / "run.parquet").history.equals(run.history)
    True
    """
    write_table(run.history, _metadata(run), path)


def run_bytes(run: Run) -> bytes:
    """Return what `save_run` writes: the same run gives the same bytes."""
    return table_bytes(run.history, _metadata(run))


def load_run(path: Path) -> Run:
    """Read a run back, verifying its digest. Raises TableError naming a missing, damaged or foreign file."""
    with named_errors(path, "run file"):
        history, metadata = read_table(path)
        return _parse(history, metadata)


def peek_run(path: Path) -> Run:
    """Read all of a run but its history, which is left empty, and without verifying it; errors likewise."""
    with named_errors(path, "run file"):
        return _parse(_NOTHING, read_metadata(path))


_NOTHING = pd.DataFrame()


def cut_run(run: Run, config: RunConfig) -> Run:
    """Return a run as the answer to ``config``, which is alike but may ask for fewer epochs."""
    if run.config.epochs == config.epochs or run.outcome.epoch < config.epochs:
        return Run(config, run.history, run.outcome, run.provenance)
    history = run.history[run.history["epoch"] <= config.epochs]
    seconds = round(run.provenance["wall_seconds"] * len(history) / len(run.history), 3)
    return Run(config, history, Outcome("finished", config.epochs), run.provenance | {"wall_seconds": seconds})


def _metadata(run: Run) -> dict[str, str]:
    return {
        "config": run.config.model_dump_json(),
        "provenance": json.dumps(run.provenance),
        "outcome": json.dumps(vars(run.outcome)),
    }


def _parse(history: pd.DataFrame, metadata: Mapping[str, str]) -> Run:
    return Run(
        config=parse_config(json.loads(metadata["config"])),
        history=history,
        outcome=Outcome(**json.loads(metadata["outcome"])),
        provenance=json.loads(metadata["provenance"]),
    )
