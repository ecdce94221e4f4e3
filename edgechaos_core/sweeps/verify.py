"""Runs are evidence, so they are checked: every file by its digest, some by training their first epochs again."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from tqdm import tqdm

from edgechaos_core.images.datasets import Dataset
from edgechaos_core.store.runs import Outcome, Run, RunConfig, load_run
from edgechaos_core.store.store import Store, disagreement
from edgechaos_core.store.tables import TableError
from edgechaos_core.sweeps.jobs import dataset_of
from edgechaos_core.sweeps.plan import source
from edgechaos_core.system.progress import show_progress
from edgechaos_core.training.trainer import train

# Of the tolerances for rounding (store.disagreement): as far as single and double precision of a run agree to that
# part, another processor's single precision agrees with both to the whole.
CLEARLY = 0.25


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
    of `disagreement`, for rounding alone. Training in chaos makes a per cent of a rounding error, so each run is
    trained in single and in double precision, whose distance is what rounding does to this very run, and is compared up
    to the last epoch at which these two agree to the part `CLEARLY` of the tolerances. What is stored has no say in
    that: it may be doctored. Raises ValueError for a negative sample or fewer than one epoch, and KeyboardInterrupt
    where training is interrupted.
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
        # A run at eta = 0.32, J^2 = 13 after an epoch, once came out 2% apart on another machine: rounding, amplified.
        again, precise = _trained(config, data, torch.float32), _trained(config, data, torch.float64)
        moved = _moved_at_once(again, precise)
        again, precise = _without(again, moved), _without(precise, moved)
        last = config.epochs
        while last and disagreement(_up_to(again, last), _up_to(precise, last), tolerance=CLEARLY) is not None:
            last -= 1
        again = _up_to(again, last)
        yield Check(str(path), f"epochs 0-{last} trained again", disagreement(stored, again, tolerance=1))


def _trained(config: RunConfig, data: Dataset, dtype: torch.dtype) -> Run:
    run = train([config], data, dtype=dtype)[0]
    if run.outcome.state == "interrupted":  # what was not trained again must not pass for agreeing
        raise KeyboardInterrupt
    return run


def _moved_at_once(one: Run, other: Run) -> list[str]:
    """Columns in which two runs differ before training."""
    names = one.history.columns
    begun = [_up_to(run, 0) for run in (one, other)]
    return [
        name for name in names if disagreement(*(_without(run, names.drop(name)) for run in begun), tolerance=CLEARLY)
    ]


def _without(run: Run, columns: Iterable[str]) -> Run:
    return replace(run, history=run.history.drop(columns=list(columns)))


def _up_to(run: Run, epoch: int) -> Run:
    """Epochs 0 to ``epoch`` of a run; all of one that diverged before."""
    if len(run.history) <= epoch:
        return run
    return replace(run, history=run.history.head(epoch + 1), outcome=Outcome("finished", epoch))


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
