"""Seconds of CPU time that an epoch of the pay-off's settings takes, by batch size: ``python -m tests.bench.payoff``.

Batch sizes take turns, one epoch each in one thread; the median over rounds goes to ``data/epoch-seconds.csv``, which
chapter `rescaling` multiplies by epochs. An epoch includes measuring loss and accuracy on test and validation images.
"""

import platform
import time

import pandas as pd

from edgechaos_core.experiments.protocols import protocol
from edgechaos_core.images.datasets import load_dataset
from edgechaos_core.store.tables import write_whole
from edgechaos_core.system.places import EPOCH_SECONDS
from edgechaos_core.training.trainer import train

ROUNDS = 5


def cpu_seconds(config) -> float:
    """The second of two epochs: the first also warms caches and allocators."""
    marks: list[float] = []
    data = load_dataset(config.dataset, samples=config.samples, validation=config.validation)
    train([config], data, on_epoch=lambda *_: marks.append(time.process_time()))
    return marks[-1] - marks[-2]


def main() -> None:
    """Measure, print and keep."""
    base = {config.batch_size: config.model_copy(update={"epochs": 2}) for config in protocol("payoff")}
    rows = [{"batch_size": size, "seconds": cpu_seconds(base[size])} for _ in range(ROUNDS) for size in sorted(base)]
    table = pd.DataFrame(rows).groupby("batch_size")["seconds"].median().round(3).reset_index()
    note = f"# CPU seconds of one epoch of the pay-off's runs (784 x 784, 50,000 images), median of {ROUNDS};\n"
    note += f"# one thread of {platform.machine()}; made by make bench\n"
    write_whole(EPOCH_SECONDS, (note + table.to_csv(index=False)).encode())
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
