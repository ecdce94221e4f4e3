"""Who trains what: runs that a live process has reserved, and the store's house-keeping when nobody is at work."""

import json
import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from edgechaos_core.store.checkpoints import peek_checkpoint
from edgechaos_core.store.store import Store, find_run
from edgechaos_core.store.tables import TableError, named_errors, write_whole

KEPT_BYTES = 4_000_000_000  # of checkpoints of finished stacks, from which longer runs go on
FOLDERS = ("checkpoints", "conflicts", "failed", "reservations")
# As write_whole names what it has not renamed yet.
_SCRATCH = re.compile(r"\.(probe|[0-9a-f]{16,32}(-[0-9a-f]{8})?\.(parquet|safetensors|json))\.\w+")


@contextmanager
def reserved(store: Store, keys: Sequence[str]) -> Iterator[bool]:
    """Reserve keys for this process while it lives; yields False if another live process holds one of them.

    A reservation is a file with the keys and a lock beside it, which dies with its process, however that ends.
    """
    folder = store.folder / "reservations"
    # Not the process id, which two nodes of a cluster may have in the same store.
    note = folder / f"{uuid.uuid4().hex}.json"
    own = FileLock(note.with_suffix(".lock"))
    with store.locked():
        free = not set(keys) & _reserved_keys(folder)
        if free:
            # Note and lock are made and given back under the store's lock: nobody meets the one without the other.
            write_whole(note, json.dumps(list(keys)).encode())
            own.acquire()
    try:
        yield free
    finally:
        if free:
            with store.locked():
                _discard(note)
                own.release()


def _reserved_keys(folder: Path) -> set[str]:
    """The keys that live processes hold; what dead ones left is removed. The store must be locked."""
    held: set[str] = set()
    for note in folder.glob("*.json"):
        lock = FileLock(note.with_suffix(".lock"))
        try:
            with lock.acquire(blocking=False):  # free: the process that held it is gone
                _discard(note)
        except Timeout:
            with named_errors(note, "reservation"):
                held.update(json.loads(note.read_bytes()))
    for lock_file in folder.glob("*.lock"):
        if not lock_file.with_suffix(".json").exists():  # killed while giving its reservation back
            lock_file.unlink()
    return held


def _discard(note: Path) -> None:
    for path in (note, note.with_suffix(".lock")):
        path.unlink(missing_ok=True)


def tidy(store: Store) -> None:
    """Delete what nothing needs: half-written files of killed processes, and checkpoints beyond ``KEPT_BYTES``.

    The latter are those of stacks whose runs are all stored, the oldest first.
    """
    kept: list[tuple[float, int, Path]] = []
    with store.locked():
        held = _reserved_keys(store.folder / "reservations")
        if not held:  # no live process is writing: only a reservation's holder does without the lock
            for folder in (store.folder, *(store.folder / name for name in FOLDERS)):
                for path in folder.glob(".*"):
                    if _SCRATCH.fullmatch(path.name):
                        path.unlink()
        for path in store.checkpoints.glob("*.safetensors"):
            try:
                checkpoint = peek_checkpoint(path)
            except TableError:
                continue  # set aside when it is needed
            keys = {member.key for member in checkpoint.members}
            reached = [member.lasting(max(checkpoint.epoch - 1, 1)) for member in checkpoint.members]
            stored = all(find_run(store, member, mend=False) for member in reached)
            if stored and held.isdisjoint(keys):
                kept.append((path.stat().st_mtime, path.stat().st_size, path))
        excess = sum(size for _, size, _ in kept) - KEPT_BYTES
        for _, size, path in sorted(kept):
            if excess <= 0:
                return
            path.unlink()
            excess -= size
