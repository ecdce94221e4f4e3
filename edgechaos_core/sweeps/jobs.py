"""Train one stack of a sweep and keep all that comes of it: the piece of work that every backend hands out.

It is idempotent: what is stored already is not trained, what another process is training is left to it, what was begun
goes on from its checkpoint. The store is the only truth; a piece of work may be lost, repeated or moved at any time.
"""

import functools
import hashlib
import json
import logging
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from edgechaos_core import EdgechaosError
from edgechaos_core.images.datasets import Dataset, load_dataset
from edgechaos_core.images.files import DataError
from edgechaos_core.store.checkpoints import Checkpoint, load_checkpoint, save_checkpoint
from edgechaos_core.store.reservations import reserved
from edgechaos_core.store.runs import Row, Run, Wanted, parse_config
from edgechaos_core.store.store import Store, find_run, note_failure, put_run, set_aside
from edgechaos_core.store.tables import TableError
from edgechaos_core.sweeps.plan import source
from edgechaos_core.training.trainer import train

CHECKPOINT_SECONDS = 60.0

_log = logging.getLogger("edgechaos")


@dataclass(frozen=True)
class Job:
    """One stack to train into a store; ``checkpoint`` is where it was begun, perhaps among other members."""

    members: tuple[Wanted, ...]
    store: Store
    device: str = "cpu"
    threads: int = 1
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    checkpoint: Path | None = None
    attempt: int = 1

    def to_json(self) -> str:
        """Return the job as one line of JSON."""
        plain: dict[str, Any] = {
            "members": [(member.config.model_dump(), member.fingerprint) for member in self.members],
            "store": [str(folder) for folder in (self.store.folder, *self.store.layers)],
            "checkpoint": str(self.checkpoint) if self.checkpoint else None,
        }
        plain |= {name: getattr(self, name) for name in ("device", "threads", "checkpoint_seconds", "attempt")}
        return json.dumps(plain)

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """Return the job of a line of JSON."""
        plain = json.loads(text)
        folder, *layers = (Path(name) for name in plain.pop("store"))
        members = tuple(Wanted(parse_config(config), fingerprint) for config, fingerprint in plain.pop("members"))
        checkpoint = plain.pop("checkpoint")
        return cls(members, Store(folder, tuple(layers)), checkpoint=Path(checkpoint) if checkpoint else None, **plain)

    @property
    def steps(self) -> int:
        """Epochs of all members: what `work` reports as it advances."""
        return sum(member.config.epochs for member in self.members)


@dataclass(frozen=True)
class Ended:
    """How a job ended; *busy*: another process trains one of its runs; *died*: its process did, whatever the cause.

    ``members`` are those of the job that *failed*, by number; the others are stored.
    """

    state: Literal["done", "busy", "interrupted", "out of memory", "died", "failed"]
    detail: str = ""
    members: tuple[int, ...] = ()


@functools.lru_cache(maxsize=2)
def dataset_of(name: str, samples: int, validation: int, label_noise: float) -> Dataset:
    """Load a data set as `load_dataset` does, and keep it for the next job of this process."""
    return load_dataset(name, samples=samples, validation=validation, label_noise=label_noise)


def work(
    job: Job, *, on_advance: Callable[[int], object] = lambda _: None, stop: Callable[[], bool] = lambda: False
) -> Ended:
    """Train what is missing of a job's runs and store it; ``on_advance`` is told of the epochs done, of all members.

    ``stop`` is asked after every mini-batch; training then ends with a checkpoint. What goes wrong is the job's end and
    not an exception: where it concerns the runs it is noted in the store.
    """
    try:
        dataset = dataset_of(*source(job.members[0].config))
        if any(member.fingerprint != dataset.fingerprint for member in job.members):  # perhaps on another node
            raise DataError(f"{dataset.name} here is not the {dataset.name} that the sweep was planned with")
        with reserved(job.store, [member.key for member in job.members]) as ours:
            return _train(job, dataset, on_advance, stop) if ours else Ended("busy")
    except (MemoryError, RuntimeError) as error:  # torch's allocators raise RuntimeError
        if out_of_memory(error):
            return Ended("out of memory", _one_line(error))
        return failed(job, error)
    except Exception as error:  # a job must not take the others with it: the sweep tells of it at its end
        return failed(job, error)


def out_of_memory(error: Exception) -> bool:
    """Tell whether an error says that there is no memory left: torch has several ways to."""
    said = ("out of memory", "not enough memory", "can't allocate memory")
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in said)


def stack_file(store: Store, members: Sequence[Wanted]) -> Path:
    """Return the file of a stack's checkpoint: a function of its members in their order."""
    keys = [member.key for member in members]
    return store.checkpoints / f"{hashlib.sha256(json.dumps(keys).encode()).hexdigest()[:16]}.safetensors"


def _train(job: Job, dataset: Dataset, on_advance: Callable[[int], object], stop: Callable[[], bool]) -> Ended:
    start = _begun(job)
    missing = [member for member in job.members if find_run(job.store, member) is None]
    if not missing:
        on_advance(job.steps)
        return Ended("done")
    # A stack that was begun goes on whole: without a member that is stored meanwhile its rounding would be another.
    members = job.members if start is not None else tuple(missing)
    done = sum(max(start.epoch - 1, 0) for _ in members) if start is not None else 0
    on_advance(min(job.steps - sum(member.config.epochs for member in members) + done, job.steps))
    last = time.monotonic()

    def due() -> bool:
        return stop() or time.monotonic() - last >= job.checkpoint_seconds

    def on_checkpoint(checkpoint: Checkpoint) -> None:
        nonlocal last
        try:
            save_checkpoint(checkpoint, stack_file(job.store, members))
        except TableError as error:  # training may yet come to its end, and its runs are small
            _log.warning("%s: training goes on without a checkpoint", error)
        last = time.monotonic()
        if stop():  # which changes nothing for what is at its end
            raise KeyboardInterrupt

    def on_epoch(epoch: int, rows: list[Row | None]) -> None:
        on_advance(len(rows) if epoch else 0)

    runs = train(
        [member.config for member in members],
        dataset,
        device=job.device,
        threads=job.threads,
        start=start,
        due=due,
        on_checkpoint=on_checkpoint,
        on_epoch=on_epoch,
    )
    if any(run.outcome.state == "interrupted" for run in runs):
        return Ended("interrupted")
    return _store(job, members, runs)


def _store(job: Job, members: Sequence[Wanted], runs: Sequence[Run]) -> Ended:
    """Store every run that can be stored, then tell of those that could not."""
    lost: dict[int, TableError] = {}
    for member, run in zip(members, runs, strict=True):
        try:
            put_run(job.store, run, member.key)
        except TableError as error:
            lost[job.members.index(member)] = error
    for number, problem in lost.items():
        failed(replace(job, members=(job.members[number],)), problem)
    return Ended("failed", _reason(next(iter(lost.values()))), tuple(lost)) if lost else Ended("done")


def _begun(job: Job) -> Checkpoint | None:
    """The checkpoint of this very stack, or the members of the one that the job names; a damaged one is set aside."""
    own = stack_file(job.store, job.members)
    for path in (own, job.checkpoint):
        if path is None or not path.exists():
            continue
        try:
            checkpoint = load_checkpoint(path)
        except TableError:
            with job.store.locked():  # another process may have set it aside, or written it anew, by now
                try:
                    checkpoint = load_checkpoint(path)
                except TableError as error:
                    if path.exists():
                        _log.warning("%s: set aside as %s, its stack begins anew", error, set_aside(job.store, path))
                    continue
        members = [member.key for member in checkpoint.members]
        own_keys = [member.key for member in job.members]
        if set(own_keys) <= set(members):
            configs = [member.config for member in job.members]
            return checkpoint.take([members.index(key) for key in own_keys], configs)
    return None


def failed(job: Job, error: Exception) -> Ended:
    """Note in the store why a job's runs failed, and return that end."""
    try:
        for member in job.members:
            note_failure(job.store, member, _reason(error))
    except Exception as second:  # the first error is the one to tell
        _log.warning("the failure could not be noted in the store: %s", _one_line(second))
    return Ended("failed", _reason(error), tuple(range(len(job.members))))


def _reason(error: Exception) -> str:
    """An error of ours in its own words, any other with its kind and place."""
    if isinstance(error, EdgechaosError):
        return _one_line(error)
    return f"{type(error).__name__}: {_one_line(error)} (at {_place(error)})"


def _place(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:500] or type(error).__name__
