"""A training run: its settings, its history by epoch, and the one Parquet file that holds both.

Rows are epochs (epoch 0 is before training); the schema metadata carry ``config``, ``provenance`` and ``outcome`` as
JSON. Files are whole and checksummed, see tables.py.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import Field, field_validator, model_validator

from edgechaos_core.data import REPOSITORY, TRAINING_SAMPLES, cache_folder, canonical_name
from edgechaos_core.network import Activation
from edgechaos_core.optimizers import Optimizer
from edgechaos_core.settings import Settings, parse_settings
from edgechaos_core.tables import TableError, named_errors, read_table, write_table

NUMERICS_VERSION = 1  # part of a run's key: raised when the same settings would give other numbers
COMMITTED_RUNS = REPOSITORY / "data" / "runs"

_LEARNING_RATE = {"sgd": 0.01, "adam": 0.001, "adamw": 0.001}
_MOMENTUM = {"sgd": 0.0, "adam": 0.9, "adamw": 0.9}

State = Literal["finished", "diverged", "interrupted"]


class RunConfig(Settings):
    """Settings of one run, validated; ValueError in one line through `parse_config`.

    ``learning_rate`` and ``momentum`` default by optimizer (SGD 0.01 and 0, Adam and AdamW 0.001 and 0.9), ``samples``
    to all that ``validation`` leaves. ``l2`` is lambda of the penalty ``lambda ||w||^2``: half PyTorch's weight_decay.
    """

    dataset: str = "fashion-mnist"
    samples: int = Field(ge=1)
    validation: int = Field(0, ge=0)
    width: int = Field(784, ge=1, le=65_536)
    depth: int = Field(1, ge=1, le=100)
    activation: Activation = "tanh"
    optimizer: Optimizer = "sgd"
    learning_rate: float = Field(gt=0)
    momentum: float = Field(ge=0, lt=1)
    l2: float = Field(0.0, ge=0)
    batch_size: int = Field(32, ge=1)
    epochs: int = Field(501, ge=1, le=1_000_000)
    seed: int = Field(0, ge=0, lt=2**63)

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: object) -> object:
        if not isinstance(values, Mapping):
            return values
        values = {name: value for name, value in values.items() if value is not None}
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
        if self.batch_size > self.samples:
            raise ValueError(f"batch_size must be at most samples = {self.samples}, got {self.batch_size}")
        return self

    def key(self, fingerprint: str) -> str:
        """Return the content key: 16 hex digits of settings (but epochs), data fingerprint and numerics version.

        Settings at their default are left out, so that a setting added later leaves the keys of older runs alone.
        """
        identity = self.model_dump(exclude={"epochs"}, exclude_defaults=True)
        identity |= {"data": fingerprint, "numerics": NUMERICS_VERSION}
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def parse_config(values: Mapping[str, Any]) -> RunConfig:
    """Validate settings; raise ValueError with one line naming every bad one and what is accepted."""
    return parse_settings(RunConfig, values)


@dataclass(frozen=True)
class Outcome:
    """How a run ended: ``epoch`` is the last one completed with finite numbers; ``detail`` says more where needed."""

    state: State
    epoch: int
    detail: str = ""


@dataclass(frozen=True)
class Run:
    """A run's settings, history (one row an epoch, 0 first), outcome and provenance."""

    config: RunConfig
    history: pd.DataFrame
    outcome: Outcome
    provenance: dict[str, Any] = field(default_factory=dict)


def save_run(run: Run, path: Path) -> None:
    """Write a run to ``path``: whole or not at all. Raises TableError naming the file where it cannot be written."""
    metadata = {
        "config": run.config.model_dump_json(),
        "provenance": json.dumps(run.provenance),
        "outcome": json.dumps(vars(run.outcome)),
    }
    write_table(run.history, metadata, path)


def load_run(path: Path) -> Run:
    """Read a run back, verifying its digest. Raises TableError naming a missing, damaged or foreign file."""
    with named_errors(path, "run file"):
        history, metadata = read_table(path)
        return Run(
            config=parse_config(json.loads(metadata["config"])),
            history=history,
            outcome=Outcome(**json.loads(metadata["outcome"])),
            provenance=json.loads(metadata["provenance"]),
        )


def find_run(config: RunConfig, fingerprint: str) -> Run | None:
    """Return the stored run with these settings and at least as many epochs, cut to them; None where there is none.

    Looks in the committed ``data/runs`` first, then in the user's cache. A run that diverged serves any length.
    """
    for folder in (COMMITTED_RUNS, cached_runs()):
        path = folder / f"{config.key(fingerprint)}.parquet"
        if path.exists():
            try:
                run = load_run(path)
            except TableError as error:
                raise TableError(f"{error}: delete it and the run is trained again") from error
            if run.outcome.state == "diverged" or run.outcome.epoch >= config.epochs:
                return _cut(run, config)
    return None


def cached_runs() -> Path:
    """Return the user's own folder of runs, below the cache folder."""
    return cache_folder() / "runs"


def _cut(run: Run, config: RunConfig) -> Run:
    if run.config.epochs == config.epochs or run.outcome.epoch < config.epochs:
        return Run(config, run.history, run.outcome, run.provenance)
    history = run.history[run.history["epoch"] <= config.epochs]
    seconds = round(run.provenance["wall_seconds"] * len(history) / len(run.history), 3)
    return Run(config, history, Outcome("finished", config.epochs), run.provenance | {"wall_seconds": seconds})


def summary(runs: Sequence[Run]) -> pd.DataFrame:
    """Return where numbers come from, one row a run; ``minutes`` is its share of its stack's wall time."""
    rows = [
        {
            "learning_rate": run.config.learning_rate,
            "momentum": run.config.momentum,
            "batch_size": run.config.batch_size,
            "l2": run.config.l2,
            "seed": run.config.seed,
            "epochs": len(run.history) - 1,
            "outcome": run.outcome.state,
            "device": run.provenance["device"],
            "minutes": round(run.provenance["wall_seconds"] / run.provenance["stack_members"] / 60, 1),
        }
        for run in runs
    ]
    return pd.DataFrame(rows).set_index("seed")
