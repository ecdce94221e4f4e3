"""A training run: its settings, its history by epoch, and the one Parquet file that holds both.

Rows are epochs (epoch 0 is before training); the schema metadata carry ``config``, ``provenance`` and ``outcome`` as
JSON, and ``sha256``, a digest of history and metadata alike (Parquet's own checksums leave the schema out). A file
appears whole or not at all: it is written beside its place, synced and renamed.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from edgechaos_core import EdgechaosError
from edgechaos_core.data import REPOSITORY, TRAINING_SAMPLES, cache_folder, canonical_name
from edgechaos_core.network import Activation
from edgechaos_core.optimizers import Optimizer

NUMERICS_VERSION = 1  # part of a run's key: raised when the same settings would give other numbers
COMMITTED_RUNS = REPOSITORY / "data" / "runs"

_LEARNING_RATE = {"sgd": 0.01, "adam": 0.001, "adamw": 0.001}
_MOMENTUM = {"sgd": 0.0, "adam": 0.9, "adamw": 0.9}

State = Literal["finished", "diverged", "interrupted"]


class RunError(EdgechaosError):
    """A run file is missing, damaged or cannot be written; the message names it."""


class RunConfig(BaseModel):
    """Settings of one run, validated; ValueError in one line through `parse_config`.

    ``learning_rate`` and ``momentum`` default by optimizer (SGD 0.01 and 0, Adam and AdamW 0.001 and 0.9), ``samples``
    to all that ``validation`` leaves. ``l2`` is lambda of the penalty ``lambda ||w||^2``: half PyTorch's weight_decay.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

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
    try:
        return RunConfig.model_validate(dict(values))
    except ValidationError as error:
        raise ValueError(describe(error)) from None


def describe(error: ValidationError) -> str:
    """Put a pydantic error in one line: ``learning_rate must be greater than 0, got -1.0; ...``."""
    lines = []
    for item in error.errors():
        name = ".".join(str(part) for part in item["loc"])
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            message = f"unknown setting {name!r}: choose from {', '.join(RunConfig.model_fields)}"
        elif message.startswith("Input should"):
            message = f"{name} must{message.removeprefix('Input should')}, got {item['input']!r}"
        lines.append(message)
    return "; ".join(lines)


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
    """Write a run to ``path``: whole or not at all. Raises RunError naming the file where it cannot be written."""
    table = pa.Table.from_pandas(run.history, preserve_index=False)
    metadata = {
        "config": run.config.model_dump_json(),
        "provenance": json.dumps(run.provenance),
        "outcome": json.dumps(vars(run.outcome)),
    }
    table = table.replace_schema_metadata(metadata | {"sha256": _digest(run.history, metadata)})
    scratch = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            scratch = Path(file.name)
            pq.write_table(table, file, compression="zstd", write_page_checksum=True)
            file.flush()
            os.fsync(file.fileno())
        scratch.chmod(0o644)
        scratch.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        if scratch is not None:
            scratch.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _digest(history: pd.DataFrame, metadata: Mapping[str, str]) -> str:
    columns = [(name, str(kind)) for name, kind in history.dtypes.items()]
    digest = hashlib.sha256(json.dumps([columns, metadata], sort_keys=True).encode())
    for name in history:
        digest.update(history[name].to_numpy().tobytes())
    return digest.hexdigest()


def load_run(path: Path) -> Run:
    """Read a run back, verifying its digest. Raises RunError naming a missing, damaged or foreign file."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
        metadata = {name.decode(): value.decode() for name, value in (table.schema.metadata or {}).items()}
        expected, history = metadata.pop("sha256"), table.to_pandas()
        if _digest(history, metadata) != expected:
            raise ValueError("its content does not match its SHA-256 digest")
        return Run(
            config=parse_config(json.loads(metadata["config"])),
            history=history,
            outcome=Outcome(**json.loads(metadata["outcome"])),
            provenance=json.loads(metadata["provenance"]),
        )
    except FileNotFoundError as error:
        raise RunError(f"{path} does not exist") from error
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(f"{path} is not a readable run file ({type(error).__name__}: {reason})") from error


def find_run(config: RunConfig, fingerprint: str) -> Run | None:
    """Return the stored run with these settings and at least as many epochs, cut to them; None where there is none.

    Looks in the committed ``data/runs`` first, then in the user's cache. A run that diverged serves any length.
    """
    for folder in (COMMITTED_RUNS, cached_runs()):
        path = folder / f"{config.key(fingerprint)}.parquet"
        if path.exists():
            try:
                run = load_run(path)
            except RunError as error:
                raise RunError(f"{error}: delete it and the run is trained again") from error
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
