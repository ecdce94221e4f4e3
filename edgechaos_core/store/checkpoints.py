"""A stack in the midst of training, and the one safetensors file that holds it.

A file appears whole or not at all and carries a SHA-256 digest of all it holds; nothing in it is ever executed.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from edgechaos_core.store.runs import Outcome, Row, RunConfig, Wanted, parse_config
from edgechaos_core.store.tables import named_errors, write_whole

_STATE = "state"  # the tensor that holds all but the tensors, as JSON


@dataclass(frozen=True)
class Checkpoint:
    """A stack that has done ``batch`` mini-batches of epoch ``epoch``, with what its members have measured so far.

    ``tensors`` are all that training depends on, member axis first: weights, optimizer state and, within an epoch, the
    log-likelihoods of its samples. Shuffles are a function of (seed, epoch) and need no state. ``made_by`` has the
    provenance of this part of training and, under ``earlier``, of those before it.
    """

    configs: tuple[RunConfig, ...]
    fingerprint: str
    epoch: int
    batch: int
    histories: list[list[Row]]
    outcomes: list[Outcome | None]
    tensors: dict[str, Tensor]
    made_by: dict[str, Any] = field(default_factory=dict)

    @property
    def members(self) -> list[Wanted]:
        """The runs that it is the beginning of, by the identities that it was written under."""
        return [Wanted(config, self.fingerprint) for config in self.configs]

    def take(self, members: Sequence[int], configs: Sequence[RunConfig]) -> "Checkpoint":
        """Return these members alone, under ``configs``, which may ask for more epochs."""
        return replace(
            self,
            configs=tuple(configs),
            histories=[self.histories[member] for member in members],
            outcomes=[self.outcomes[member] for member in members],
            tensors={name: tensor[list(members)] for name, tensor in self.tensors.items()},
        )


def save_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint: whole or not at all. Raises TableError naming the file where it cannot be written."""
    # safetensors takes nothing else, and the output weight is kept transposed.
    tensors = {name: tensor.contiguous() for name, tensor in checkpoint.tensors.items()}
    state = {
        "configs": [config.model_dump() for config in checkpoint.configs],
        "fingerprint": checkpoint.fingerprint,
        "epoch": checkpoint.epoch,
        "batch": checkpoint.batch,
        "histories": checkpoint.histories,
        "outcomes": [outcome and vars(outcome) for outcome in checkpoint.outcomes],
        "made_by": checkpoint.made_by,
    }
    # A tensor, and not metadata: safetensors refuses headers beyond 100 MB, which many long histories are.
    tensors[_STATE] = torch.frombuffer(bytearray(json.dumps(state).encode()), dtype=torch.uint8)
    write_whole(path, safetensors.torch.save(tensors, {"sha256": _digest(tensors)}))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint back onto the CPU, verifying its digest. Raises TableError naming a missing or damaged file."""
    with named_errors(path, "checkpoint"), _plain_errors():
        path.stat()  # safetensors has an error of its own for a missing file
        with safetensors.safe_open(path, framework="pt") as file:
            expected = file.metadata()["sha256"]
        tensors = safetensors.torch.load(path.read_bytes())
        if _digest(tensors) != expected:
            raise ValueError("its content does not match its SHA-256 digest")
        return _parse(tensors.pop(_STATE), tensors)


def peek_checkpoint(path: Path) -> Checkpoint:
    """Read all of a checkpoint but its tensors, which are left out, and without verifying it; errors likewise."""
    with named_errors(path, "checkpoint"), _plain_errors():
        path.stat()
        with safetensors.safe_open(path, framework="pt") as file:
            return _parse(file.get_tensor(_STATE), {})


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except safetensors.SafetensorError as error:
        raise ValueError(str(error)) from error


def _parse(content: Tensor, tensors: dict[str, Tensor]) -> Checkpoint:
    state = json.loads(content.numpy().tobytes())
    state["configs"] = tuple(parse_config(config) for config in state["configs"])
    state["outcomes"] = [outcome and Outcome(**outcome) for outcome in state["outcomes"]]
    return Checkpoint(tensors=tensors, **state)


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()
