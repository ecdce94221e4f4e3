"""What bookkeeping costs: checkpoints beside training, a store of 10,000 runs, a plan of 100,000.

Run ``python -m tests.bench.store``. Medians over repeats; training with and without checkpoints runs in turn, and what
checkpoints add is scaled to one a minute.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from edgechaos_core.images.datasets import load_dataset
from edgechaos_core.store.catalogue import entries, read_store
from edgechaos_core.store.checkpoints import save_checkpoint
from edgechaos_core.store.reservations import reserved
from edgechaos_core.store.runs import Outcome, Run, Wanted, parse_config, run_bytes
from edgechaos_core.store.store import Store
from edgechaos_core.sweeps.plan import make_plan
from edgechaos_core.training.trainer import train

RUNS, CONFIGS, EPOCHS, REPEATS = 10_000, 100_000, 50, 3


def main() -> None:
    """Measure every figure and print it beside its target."""
    _row("bookkeeping, share of training at one checkpoint a minute", bookkeeping(), 0.02, "{:.2%}")
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        size = fill(store)
        print(f"a store of {RUNS:,} runs of {EPOCHS} epochs, {size / 1e6:.0f} MB")
        _row("listing it, s", median(lambda: entries(store)), 2, "{:.2f}")
        _row("loading it as one table, every file verified, s", median(lambda: read_store(store)), 10, "{:.2f}")
        _row(f"planning {CONFIGS:,} configs over it, s", median(lambda: plan(store)), 10, "{:.2f}")


def bookkeeping(samples: int = 12_000, checkpoints: int = 10) -> float:
    """The share of a minute that a checkpoint, a reservation and storing take beside the paper's network training."""
    config, data = parse_config({"samples": samples, "momentum": 0.5, "epochs": 1}), load_dataset(samples=samples)
    kept = []
    train([config], data, on_checkpoint=kept.append)
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        costs = []
        for number in range(checkpoints):
            clock = time.perf_counter()
            save_checkpoint(kept[0], Path(folder) / f"{number}.safetensors")
            with reserved(Store(Path(folder)), ["key"]):
                pass
            costs.append(time.perf_counter() - clock)
    return float(np.median(costs)) / 60 + polling(config, data)


def polling(config: object, data: object) -> float:
    """The share of training that asking after every mini-batch whether a checkpoint is due takes: with over without."""

    def seconds(due: Callable[[], bool]) -> float:
        clock = time.process_time()
        train([config], data, due=due)
        return time.process_time() - clock

    def due() -> bool:
        return time.monotonic() < 0

    ratios = []
    for _ in range(5):
        plain, asked = seconds(lambda: False), seconds(due)
        ratios.append(asked / plain - 1)
    return max(float(np.median(ratios)), 0.0)


def fill(store: Store) -> int:
    """Write many made-up runs, unsynced, as `save_run` would; return their size in bytes."""
    store.folder.mkdir(exist_ok=True)
    generator, total = np.random.default_rng(0), 0
    names = ["J_squared", "J0", "train_loss", "test_loss", "test_accuracy"]
    made_by = {"data_sha256": "f" * 64, "code_version": "0.1.0", "device": "cpu", "threads": 1, "wall_seconds": 1.0}
    for seed in tqdm(range(RUNS), desc="making a store", leave=False, disable=not sys.stderr.isatty()):
        config = parse_config({"seed": seed, "epochs": EPOCHS})
        history = pd.DataFrame(generator.random((EPOCHS + 1, 5)), columns=names)
        history.insert(0, "epoch", np.arange(EPOCHS + 1))
        content = run_bytes(Run(config, history, Outcome("finished", EPOCHS), made_by))
        (store.folder / f"{config.key('f' * 64)}.parquet").write_bytes(content)
        total += len(content)
    return total


def plan(store: Store) -> None:
    """Make configs and plan them; a tenth of them are in the store."""
    configs = [parse_config({"seed": seed, "epochs": EPOCHS}) for seed in range(CONFIGS)]
    found = make_plan([Wanted(config, "f" * 64) for config in configs], store)
    assert (found.runs, found.stored) == (CONFIGS, RUNS)


def median(call: Callable[[], object]) -> float:
    """Return the median time of a call, after one to warm up the file cache."""
    call()
    clocks = []
    for _ in range(REPEATS):
        clock = time.perf_counter()
        call()
        clocks.append(time.perf_counter() - clock)
    return float(np.median(clocks))


def _row(name: str, value: float, target: float, form: str) -> None:
    reached = "yes" if value <= target else "NO"
    print(f"{name:62}{form.format(value):>8}   <= {form.format(target):>6}  {reached}", flush=True)


if __name__ == "__main__":
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    main()
