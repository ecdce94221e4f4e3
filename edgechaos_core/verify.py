"""Runs are evidence, so they are checked: every file by its digest, some by training their first epochs again."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tqdm import tqdm

from edgechaos_core.plan import source
from edgechaos_core.progress import show_progress
from edgechaos_core.runs import Outcome, Run, load_run
from edgechaos_core.store import Store, disagreement
from edgechaos_core.tables import TableError
from edgechaos_core.trainer import train
from edgechaos_core.work import dataset_of

LARGEST_JUMP = 0.75  # of J^2 in an epoch: from where networks start to the edge. Beyond, rounding is amplified at once


@dataclass(frozen=True)
class Check:
    """What was found about one file; ``problem`` None: nothing wrong."""

    name: str
    what: str
    problem: str | None


def check_files(store: Store) -> Iterator[Check]:
    """Read every run file of a store: its digest, its history, its name against settings and data."""
    for folder in (*store.layers, store.folder):
        for path in sorted(folder.glob("*.parquet")):
            try:
                run = load_run(path)
            except TableError as error:
                yield Check(str(path), "file", str(error))
                continue
            yield Check(str(path), "file", _inconsistency(run, path.stem))


def retrain_some(store: Store, sample: int, *, epochs: int = 1, seed: int | None = None) -> Iterator[Check]:
    """Train the first epochs of randomly drawn committed runs again and compare them with what is stored.

    ``sample`` runs of the store's layers are drawn, anew each time unless ``seed`` is given; the tolerances are those
    of `disagreement`, for rounding alone. A run is compared up to the first epoch in which J^2 jumps by more than
    `LARGEST_JUMP`: training in chaos makes a per cent of a rounding error. Raises ValueError for a negative sample or
    fewer than one epoch, and KeyboardInterrupt where training is interrupted.
    """
    if sample < 0 or epochs < 1:
        raise ValueError(f"sample must be at least 0 and epochs at least 1, got {sample} and {epochs}")
    paths = sorted(path for layer in store.layers for path in layer.glob("*.parquet"))
    drawn = random.Random(seed).sample(paths, min(sample, len(paths)))
    for path in tqdm(drawn, desc="training again", unit="run", disable=not show_progress()):
        try:
            stored = load_run(path)
        except TableError as error:
            yield Check(str(path), f"epochs 0-{epochs} trained again", str(error))
            continue
        config = stored.config.model_copy(update={"epochs": min(epochs, stored.config.epochs)})
        data = dataset_of(*source(config))
        again = train([config], data)[0]
        if again.outcome.state == "interrupted":  # what was not trained again must not pass for agreeing
            raise KeyboardInterrupt
        jumps = (again.history["J_squared"].diff() > LARGEST_JUMP).to_numpy()  # its own: a stored one may be doctored
        last = config.epochs
        if jumps.any():
            last = int(jumps.argmax()) - 1
            again = replace(again, history=again.history.head(last + 1), outcome=Outcome("finished", last))
        yield Check(str(path), f"epochs 0-{last} trained again", disagreement(stored, again, tolerance=1))


def problems(checks: Sequence[Check]) -> list[str]:
    """Return one line for each problem."""
    return [f"{check.name}: {check.what}: {check.problem}" for check in checks if check.problem is not None]


def _inconsistency(run: Run, name: str) -> str | None:
    if run.config.key(str(run.provenance.get("data_sha256"))) != name:
        return "its name is not the key of its settings and data"
    if run.history["epoch"].tolist() != list(range(len(run.history))):
        return "its epochs are not 0, 1, 2 ..."
    if run.outcome.epoch != len(run.history) - 1:
        return f"its outcome is that of epoch {run.outcome.epoch}, its last row that of epoch {len(run.history) - 1}"
    return None
