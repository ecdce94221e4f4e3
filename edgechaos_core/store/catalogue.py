"""What is in a run store: the listing of its runs, and their epochs as one table."""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa

from edgechaos_core.store.checkpoints import peek_checkpoint
from edgechaos_core.store.runs import Outcome, Run, RunConfig, parse_config, peek_run
from edgechaos_core.store.store import Store
from edgechaos_core.store.tables import TableError, named_errors, read_arrow

StoredState = Literal["finished", "diverged", "interrupted", "failed", "damaged"]


@dataclass(frozen=True)
class Entry:
    """One run of the store as a listing shows it: ``epoch`` is the last one done; ``run`` lacks its history."""

    key: str
    state: StoredState
    epoch: int
    path: Path
    committed: bool
    run: Run | None
    detail: str = ""


def entries(store: Store) -> list[Entry]:
    """Return every run of the store by key: finished, diverged, interrupted (a checkpoint is there), failed, damaged.

    Files are not verified beyond their metadata. What is finished is not listed as interrupted again.
    """
    found: dict[str, Entry] = {}
    for folder in (store.folder, *reversed(store.layers)):
        for path in folder.glob("*.parquet"):
            entry = _entry(path, committed=folder in store.layers)
            if path.stem not in found or _worth(entry) >= _worth(found[path.stem]):
                found[path.stem] = entry
    for path in sorted(store.checkpoints.glob("*.safetensors")):
        try:
            checkpoint = peek_checkpoint(path)
        except TableError as error:
            found[path.stem] = Entry(path.stem, "damaged", -1, path, False, None, str(error))
            continue
        for member, history in zip(checkpoint.members, checkpoint.histories, strict=True):
            epoch = len(history) - 1
            run = Run(member.config, pd.DataFrame(), Outcome("interrupted", epoch), checkpoint.made_by)
            found.setdefault(member.key, Entry(member.key, "interrupted", epoch, path, False, run))
    for path in sorted((store.folder / "failed").glob("*.json")):
        try:
            with named_errors(path, "note of a failure"):
                entry = Entry(path.stem, "failed", -1, path, False, None, json.loads(path.read_bytes())["reason"])
        except TableError as error:
            entry = Entry(path.stem, "damaged", -1, path, False, None, str(error))
        found.setdefault(path.stem, entry)
    return [found[key] for key in sorted(found)]


def whole_key(beginning: str, keys: Collection[str]) -> str:
    """Return the one of ``keys`` that begins so; raises ValueError if there is none or more than one."""
    found = [key for key in keys if beginning and key.startswith(beginning)]
    if len(found) != 1:
        what = f"{len(found)} stored runs have" if found else "no stored run has"
        raise ValueError(f"{what} a key that begins with {beginning!r}: see edgechaos runs list")
    return found[0]


def read_store(
    store: Store, keys: Sequence[str] | None = None, *, on_damaged: Callable[[TableError], object] | None = None
) -> pd.DataFrame:
    """Return stored runs as one tidy table, by default all: one row an epoch, with ``key``, settings and ``outcome``.

    ``keys`` may be cut short. Every file is verified; a damaged one is told to ``on_damaged`` and left out, or raises
    TableError naming it where there is no such call. Raises ValueError for a key that is not stored.
    """
    paths: dict[str, Path] = {}
    for folder in (store.folder, *reversed(store.layers)):
        for path in folder.glob("*.parquet"):
            twice = path.stem in paths
            if not twice or _worth(_entry(path, committed=True)) >= _worth(_entry(paths[path.stem], committed=True)):
                paths[path.stem] = path
    wanted = sorted(paths) if keys is None else [whole_key(key, paths) for key in keys]
    settings = [name for name in RunConfig.model_fields if name != "epochs"]  # a row an epoch tells how many
    tables, rows = [], []
    for key in wanted:
        try:
            table, row = _read_row(paths[key])
        except TableError as error:
            if on_damaged is None:
                raise
            on_damaged(error)
            continue
        tables.append(table)
        rows.append({"key": key, **row})
    if not rows:
        return pd.DataFrame(columns=["key", *settings, "outcome", "epoch"])
    values = pd.DataFrame(rows)[["key", *settings, "outcome"]]
    repeated = values.loc[values.index.repeat([len(table) for table in tables])].reset_index(drop=True)
    history: pd.DataFrame = pa.concat_tables(tables, promote_options="default").to_pandas()
    return pd.concat([repeated, history], axis=1)


def _read_row(path: Path) -> tuple[pa.Table, dict[str, Any]]:
    """Read a run file's history and what its rows share: settings and outcome."""
    with named_errors(path, "run file"):
        table, metadata = read_arrow(path)
        config = parse_config(json.loads(metadata["config"]))  # settings added since have their defaults
        return table, config.model_dump() | {"outcome": json.loads(metadata["outcome"])["state"]}


def _worth(entry: Entry) -> tuple[bool, bool, int]:
    """Which of two files of one run to show: one that can be read, that ended by itself, that is longer."""
    return entry.state != "damaged", entry.state == "diverged", entry.epoch


def _entry(path: Path, *, committed: bool) -> Entry:
    try:
        run = peek_run(path)
    except TableError as error:
        return Entry(path.stem, "damaged", -1, path, committed, None, str(error))
    return Entry(path.stem, run.outcome.state, run.outcome.epoch, path, committed, run, run.outcome.detail)
