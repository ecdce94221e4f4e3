"""The run store: one file a run, named by its key, in layers: the committed runs below, the user's own above.

Only the upper layer is written, under a lock, and no finished run in it is ever replaced by another result. What is
damaged there is set aside under ``damaged``, a result that contradicts the one already stored is kept under
``conflicts``, what failed is told under ``failed``; ``checkpoints`` and ``reservations`` belong to training.
"""

import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from edgechaos_core.store.runs import Run, Wanted, cut_run, load_run, peek_run, run_bytes
from edgechaos_core.store.tables import TableError, write_whole
from edgechaos_core.system.places import COMMITTED_RUNS, STORE_VARIABLE, store_folder

# Rounding, which another stack, device or thread count changes, and training amplifies: over 60 epochs of the Fig. 2
# setting in another stack J^2, losses and J0 differed by less than 2e-7, accuracies not at all.
RELATIVE_TOLERANCE = 1e-5  # of J^2
LAMBDA_TOLERANCE = 1e-3  # of the lambda of a held run, relative: it follows small differences of J^2
LEAST_LAMBDA = 1e-5
ABSOLUTE_TOLERANCE = 1e-4  # of losses and J0
ACCURACY_TOLERANCE = 5e-4  # five images in 10,000
LONG_TRAINING = 50  # times the tolerances: what hundreds of epochs, at high rates, may make of rounding

_log = logging.getLogger("edgechaos")


class ConflictError(TableError):
    """Two results under one key differ by more than rounding; the message names both files."""


@dataclass(frozen=True)
class Store:
    """Where runs are: read-only ``layers``, looked at first, and the user's own ``folder``."""

    folder: Path
    layers: tuple[Path, ...] = ()

    @property
    def checkpoints(self) -> Path:
        """The folder of stacks in the midst of training."""
        return self.folder / "checkpoints"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the store's lock, which processes share; a process that dies gives it back."""
        with _writable(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(self.folder / "lock")
            lock.acquire()
        # Outside `_writable`: an error of what is done under the lock is not one of taking it.
        try:
            yield
        finally:
            lock.release()


def committed_store() -> Store:
    """Return the repository's own runs as a store."""
    return Store(COMMITTED_RUNS)


def open_store() -> Store:
    """Return the store: committed runs below, above them where ``EDGECHAOS_STORE`` says or the user's cache.

    >>> from edgechaos_core import open_store
    >>> committed = open_store().layers[-1]
    >>> len(list(committed.glob("*.parquet"))) > 270
    True
    """
    return Store(store_folder(), (COMMITTED_RUNS,))


def check_writable(store: Store) -> None:
    """Raise TableError naming the folder, and what to do, where the store cannot be written: before any training."""
    with store.locked(), _writable(store.folder):
        probe = store.folder / "probe"
        write_whole(probe, b"")
        probe.unlink()


def find_run(store: Store, wanted: Wanted, *, mend: bool = True) -> Run | None:
    """Return the stored run with these settings and at least as many epochs, cut to them; None where there is none.

    A run that diverged serves any length. A damaged file counts as missing: if ``mend``, the user's own is set aside,
    a committed one is named in a warning with how to restore it.
    """
    for folder in (*store.layers, store.folder):
        path = folder / f"{wanted.key}.parquet"
        try:
            run = load_run(path) if path.exists() else None
        except TableError:
            if not mend:
                continue
            try:
                with store.locked():  # another process may have mended it by now
                    run = _load_intact(store, path)
            except TableError as error:
                _log.warning("%s: its run is done again", error)
                continue
        if run is not None and (run.outcome.state == "diverged" or run.outcome.epoch >= wanted.config.epochs):
            return cut_run(run, wanted.config)
    return None


def stored_epochs(store: Store, wanted: Wanted) -> int:
    """Return how many epochs the longest stored run with these settings has, 0 for none or a damaged one.

    One that diverged has as many as were asked for: it serves any length.
    """
    found = [0]
    for folder in (*store.layers, store.folder):
        path = folder / f"{wanted.key}.parquet"
        try:
            run = peek_run(path) if path.exists() else None
        except TableError:
            continue
        if run is not None:
            found.append(run.config.epochs if run.outcome.state == "diverged" else run.outcome.epoch)
    return max(found)


def put_run(store: Store, run: Run, key: str) -> Path:
    """Store a finished or diverged run under its key and return its file; what it adds nothing to is left as it is.

    Raises ConflictError, both being kept, if it contradicts what is stored under its key, and TableError where the
    store cannot be written.
    """
    if run.outcome.state == "interrupted":
        raise ValueError("an interrupted run is a checkpoint, not a result")
    path = store.folder / f"{key}.parquet"
    with store.locked():
        for stored in (layer / path.name for layer in (*store.layers, store.folder)):
            try:
                other = _load_intact(store, stored)
            except TableError as error:
                _log.warning("%s: left alone", error)
                continue
            if other is None:
                continue
            difference = disagreement(other, run)
            if difference is not None:
                result = hashlib.sha256(run.history.to_csv().encode() + str(run.outcome).encode()).hexdigest()
                kept = store.folder / "conflicts" / f"{key}-{result[:8]}.parquet"  # the same again is kept once
                if not kept.exists():
                    write_whole(kept, run_bytes(run))
                raise ConflictError(f"{stored} holds another result for the same settings ({difference}): kept {kept}")
            if len(other.history) >= len(run.history):
                return stored
        write_whole(path, run_bytes(run))
        failure_file(store, key).unlink(missing_ok=True)
    return path


def disagreement(one: Run, other: Run, *, tolerance: float = LONG_TRAINING) -> str | None:
    """Say where two runs of one setting first differ by more than rounding, on the epochs both have; None if nowhere.

    ``tolerance`` multiplies the tolerances above: 1 for the first epochs.
    """
    count = min(len(one.history), len(other.history))
    for run, longer in ((one, other), (other, one)):
        if run.outcome.state == "diverged" and len(longer.history) > len(run.history):
            return (
                f"diverged in epoch {run.outcome.epoch + 1} against {longer.outcome.epoch} epochs with finite numbers"
            )
    for column in one.history.columns.intersection(other.history.columns):
        a, b = (run.history[column].to_numpy()[:count] for run in (one, other))
        allowed = ACCURACY_TOLERANCE if column.endswith("accuracy") else ABSOLUTE_TOLERANCE
        if column.startswith("J_squared"):
            allowed = RELATIVE_TOLERANCE * np.abs(a)
        if column == "lambda":
            allowed = LAMBDA_TOLERANCE * (np.abs(a) + LEAST_LAMBDA)
        beyond = np.flatnonzero(~(np.abs(a - b) <= tolerance * allowed))
        if len(beyond):
            return f"{column} {a[beyond[0]]:.6g} against {b[beyond[0]]:.6g} at epoch {beyond[0]}"
    return None


def note_failure(store: Store, wanted: Wanted, reason: str) -> None:
    """Keep why a run failed, to be told by a listing until it is done."""
    note = {"config": wanted.config.model_dump(), "reason": reason}
    with store.locked():
        write_whole(failure_file(store, wanted.key), json.dumps(note).encode())


def failure_file(store: Store, key: str) -> Path:
    """Return the file that tells why the run of that key failed."""
    return store.folder / "failed" / f"{key}.json"


def set_aside(store: Store, path: Path) -> Path:
    """Move a damaged file of the user's own out of the way, under a name of its own, and return where it is."""
    target = store.folder / "damaged" / path.name
    with _writable(store.folder):
        target.parent.mkdir(parents=True, exist_ok=True)
        number = 1
        while target.exists():
            target, number = target.with_name(f"{path.name}.{number}"), number + 1
        path.rename(target)
    return target


def _load_intact(store: Store, path: Path) -> Run | None:
    """Load a run; None where there is none or its damaged file was set aside; TableError for a committed one.

    The store must be locked.
    """
    if not path.exists():
        return None
    try:
        return load_run(path)
    except TableError as error:
        if path.parent != store.folder:
            raise TableError(f"{error} (restore it with `git checkout -- {path}`)") from error
        _log.warning("%s: set aside as %s, its run is done again", error, set_aside(store, path))
        return None


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, TableError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise TableError(
            f"the run store {folder} cannot be written ({reason}): free space there, or set {STORE_VARIABLE} to "
            "another folder"
        ) from error
