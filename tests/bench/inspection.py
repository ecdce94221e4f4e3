"""What `inspect` costs: ``python -m tests.bench.inspection``.

CPU seconds of one thread for networks of torchvision with random weights, at the size of image that they are made for,
and for an LSTM that tags words. The bound is 5 s each.
"""

import time

import torch
import torchvision
from torch import Tensor, nn

from edgechaos_core import inspect

BOUND = 5.0  # CPU seconds
IMAGES = ("resnet18", "vit_b_16", "convnext_tiny")


class Tagger(nn.Module):
    """Words, a bidirectional LSTM of two layers, and a tag for each word."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.lstm = nn.Embedding(10_000, 128), nn.LSTM(128, 256, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(512, 9)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of each word's tag."""
        return self.head(self.lstm(self.words(x))[0])


def main() -> None:
    """Measure, print, and fail beyond the bound."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    cases = {name: getattr(torchvision.models, name)(weights=None) for name in IMAGES} | {"LSTM": Tagger()}
    slow = []
    for name, model in cases.items():
        sample = torch.randint(10_000, (4, 32)) if name == "LSTM" else torch.randn(1, 3, 224, 224)
        start = time.process_time()
        table = inspect(model, sample)
        took = time.process_time() - start
        print(f"inspect {name:14} {len(table):3} weights: {took:.2f} CPU s")
        if took > BOUND:
            slow.append(name)
    if slow:
        raise SystemExit(f"inspect takes more than {BOUND:g} CPU s: {', '.join(slow)}")


if __name__ == "__main__":
    main()
