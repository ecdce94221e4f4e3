"""Weight decay on five networks that people use: none, three usual strengths, and J^2 held at the edge.

All are trained by AdamW on the same images of Fashion-MNIST, for as many steps, at a learning rate that falls to zero.
The strength and the epoch of a network are chosen on validation images; test images are looked at for the result alone.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from edgechaos_core.images.datasets import Dataset, Split, load_dataset
from edgechaos_core.models.controller import EdgeDecay
from edgechaos_core.models.inspection import inspect
from edgechaos_core.store.tables import named_errors, read_table, write_table
from edgechaos_core.system.machine import cpu_threads, provenance
from edgechaos_core.system.places import FIVE_NETWORKS
from edgechaos_core.system.progress import show_progress

DECAYS = (0.0, 0.01, 0.1, 1.0)  # of AdamW; 0.01 is PyTorch's default
HELD = "held at the edge"
LEARNING_RATE, BATCH = 3e-3, 64
SAMPLES, VALIDATION, EPOCHS = 5_000, 5_000, 12
SIDE = 28  # pixels of an image's row, and of its column


def _mlp(activation: Callable[[], nn.Module]) -> nn.Sequential:
    layers = [nn.Flatten(), nn.Linear(784, 256), activation(), nn.Linear(256, 256), activation()]
    return nn.Sequential(*layers, nn.Linear(256, 256), activation(), nn.Linear(256, 10))


def _convolutions() -> nn.Sequential:
    first = [nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(16 * 49, 64), nn.ReLU(), nn.Linear(64, 10))


class Transformer(nn.Module):
    """Two encoder layers over the 16 patches of 7 x 7 pixels of an image ``[n, 1, 28, 28]``; logits ``[n, 10]``."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 7, stride=7)
        self.positions = nn.Parameter(0.02 * torch.randn(16, width))
        layer = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, activation="gelu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of a batch."""
        tokens = self.patches(images).flatten(2).transpose(1, 2) + self.positions
        return self.head(self.encoder(tokens).mean(1))  # type: ignore[no-any-return]


class Rows(nn.Module):
    """An LSTM that reads an image ``[n, 1, 28, 28]`` row by row; logits ``[n, 10]`` from its last state."""

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.lstm = nn.LSTM(SIDE, width, batch_first=True)
        self.head = nn.Linear(width, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of a batch."""
        return self.head(self.lstm(images.squeeze(1))[0][:, -1])  # type: ignore[no-any-return]


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "tanh MLP": lambda: _mlp(nn.Tanh),
    "ReLU MLP": lambda: _mlp(nn.ReLU),
    "CNN": _convolutions,
    "transformer": Transformer,
    "LSTM": Rows,
}


def ways() -> list[str]:
    """Return the names of the ways: the strengths of decay, and held."""
    return [*map(decay_name, DECAYS), HELD]


def decay_name(decay: float) -> str:
    """Return the name of the way with this strength of decay.

    >>> decay_name(0.01), decay_name(0)
    ('weight_decay 0.01', 'weight_decay 0')
    """
    return f"weight_decay {decay:g}"


def compare(
    networks: Sequence[str] = tuple(NETWORKS),
    seeds: Sequence[int] = (0, 1, 2),
    *,
    samples: int = SAMPLES,
    validation: int = VALIDATION,
    epochs: int = EPOCHS,
) -> pd.DataFrame:
    """Train these networks in every way; return one row a network, way, seed and epoch.

    Columns: ``network, way, seed, epoch``, ``validation_loss``, ``validation_accuracy``, ``test_loss``,
    ``test_accuracy`` (nan where the validation loss is not the least so far), and ``over_edge``, the geometric mean of
    J^2 over that of the edge, of the weights that have one.
    Weights at the start and the order of the images are the same in all ways of a seed. Raises ValueError naming the
    choices for an unknown network, or numbers out of range.
    """
    if unknown := [name for name in networks if name not in NETWORKS]:
        raise ValueError(f"unknown network {unknown[0]!r}: choose from {', '.join(NETWORKS)}")
    if epochs < 1:
        raise ValueError(f"epochs must be at least 1, got {epochs}")
    data = load_dataset("fashion-mnist", samples=samples, validation=validation)
    todo = [(network, way, seed) for network in networks for seed in seeds for way in ways()]
    rows: list[dict[str, Any]] = []
    with cpu_threads(1), tqdm(todo, unit="network", disable=not show_progress()) as bar:
        for network, way, seed in bar:
            bar.set_description(f"{network}, {way}")
            rows += _train(data, network, way, seed, epochs)
    return pd.DataFrame(rows)


def _train(data: Dataset, network: str, way: str, seed: int, epochs: int) -> list[dict[str, Any]]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = NETWORKS[network]()
    order = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, weight_decay=0.0)
    for group in optimizer.param_groups:
        group["weight_decay"] = next((decay for decay in DECAYS if decay_name(decay) == way), 0.0)
    images, labels = _as_input(data.train), data.train.labels
    edge = EdgeDecay.for_model(model, optimizer, sample=images[:BATCH], target="edge") if way == HELD else None
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * math.ceil(len(labels) / BATCH))
    assert data.validation is not None  # compare asks for one
    rows, least = [], math.inf
    for epoch in range(1, epochs + 1):
        model.train()
        for batch in torch.split(torch.randperm(len(labels), generator=order), BATCH):
            optimizer.zero_grad()
            error = nn.functional.cross_entropy(model(images[batch]), labels[batch])
            error.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        if edge is not None:
            edge.step()
        loss, accuracy = _judge(model, data.validation)
        # Test images are looked at where the network may be chosen: at the least validation loss so far.
        tested = _judge(model, data.test) if loss < least else (math.nan, math.nan)
        least = min(least, loss)
        row: dict[str, Any] = {"network": network, "way": way, "seed": seed, "epoch": epoch}
        row |= {"validation_loss": loss, "validation_accuracy": accuracy}
        rows.append(row | dict(zip(("test_loss", "test_accuracy"), tested)) | {"over_edge": _over_edge(model, images)})
    return rows


def _as_input(split: Split) -> Tensor:
    """Return images as floats in 0 .. 1, ``[n, 1, 28, 28]``."""
    return split.images.float().div(255).reshape(-1, 1, SIDE, SIDE)


def _judge(model: nn.Module, split: Split) -> tuple[float, float]:
    """Return the mean cross-entropy and the accuracy over a split."""
    model.eval()
    with torch.inference_mode():
        logits = torch.cat([model(part) for part in torch.split(_as_input(split), 1_000)])
    correct = (logits.argmax(1) == split.labels).float().mean()
    return nn.functional.cross_entropy(logits, split.labels).item(), correct.item()


def _over_edge(model: nn.Module, images: Tensor) -> float:
    """Return the geometric mean of J^2 over that of the edge, of the weights that have one."""
    rows = [row for row in inspect(model, images[:BATCH]) if row.edge > 0 and not row.scale_free]
    return math.exp(float(np.mean([math.log(row.J_squared / row.edge) for row in rows])))


def chosen(found: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of each network, way and seed at the epoch of least validation loss."""
    return found.loc[found.groupby(["network", "way", "seed"], sort=False)["validation_loss"].idxmin()]


def made_by() -> dict[str, Any]:
    """Return what is about to make a comparison; asked before the training, so that its commit is the code's."""
    return provenance(torch.device("cpu"), threads=1, dtype=torch.float32)


def save(found: pd.DataFrame, how: Mapping[str, Any], path: Path = FIVE_NETWORKS) -> None:
    """Write what `compare` found, with how it was made (`made_by`)."""
    write_table(found, {"provenance": json.dumps(dict(how))}, path)


def load(path: Path = FIVE_NETWORKS) -> pd.DataFrame:
    """Read it back; TableError naming a file that is missing or damaged."""
    with named_errors(path, "comparison of weight decays"):
        return read_table(path)[0]


def main(path: Path = FIVE_NETWORKS) -> None:
    """Make the comparison, and keep it."""
    how = made_by()
    save(compare(), how, path)
    print(path)


if __name__ == "__main__":
    main()
