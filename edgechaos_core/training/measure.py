"""What is measured of a stack: loss and accuracy over a split, order parameters of its hidden layers, their growth."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from edgechaos_core.images.datasets import Dataset, Split
from edgechaos_core.store.runs import Row, RunConfig
from edgechaos_core.theory.order_parameters import order_parameters
from edgechaos_core.training.network import Stack, Workspace, forward, gradient_factors, log_likelihood
from edgechaos_core.training.trained_map import map_columns

EVALUATION_BATCH = 1_000


@dataclass(frozen=True)
class Resident:
    """A split on the device: images in [0, 1] ``[n, pixels]``, labels int64 ``[n]``."""

    images: Tensor
    labels: Tensor


def resident(split: Split, device: torch.device, dtype: torch.dtype) -> Resident:
    """Move a split to the device, pixels scaled to [0, 1]."""
    return Resident(split.images.to(device).to(dtype).div_(255), split.labels.to(device))


def gather(split: Resident, batch: Tensor, workspace: Workspace) -> None:
    """Copy the samples of ``batch``, indices int64 ``[M, B]``, into a workspace."""
    index = batch.reshape(-1)
    torch.index_select(split.images, 0, index, out=workspace.x.view(len(index), -1))
    torch.index_select(split.labels, 0, index, out=workspace.labels.view(-1))


def evaluate(stack: Stack, split: Resident, workspace: Workspace) -> tuple[Tensor, Tensor]:
    """Return mean cross-entropy and accuracy of each member over a split, float64 ``[M]`` each."""
    members = len(workspace.labels)
    total = torch.zeros(members, dtype=torch.float64, device=split.labels.device)
    correct = torch.zeros_like(total)
    for ws in _passes(stack, split, workspace):
        total -= log_likelihood(ws).sum(1, dtype=torch.float64)
        correct += (ws.log_p.argmax(-1) == ws.labels).sum(1)
    return total / len(split.labels), correct / len(split.labels)


def _passes(stack: Stack, split: Resident, workspace: Workspace) -> Iterator[Workspace]:
    """Forward passes over a split, as many samples at a time as the workspace holds."""
    size = workspace.labels.shape[1]
    for start in range(0, len(split.labels), size):
        count = min(size, len(split.labels) - start)
        ws = workspace if count == size else Workspace(stack, count)
        ws.x.copy_(split.images[start : start + count])
        ws.labels.copy_(split.labels[start : start + count])
        forward(stack, ws)
        yield ws


def order_columns(stack: Stack) -> dict[str, Tensor]:
    """J^2 and J0 of the first hidden layer without a suffix, of hidden layer l > 1 with suffix ``_l``."""
    columns: dict[str, Tensor] = {}
    for layer, weight in enumerate(stack.hidden, start=1):
        J, J0 = order_parameters(weight)
        columns |= _named(layer, J_squared=J**2, J0=J0)
    return columns


def growth_columns(stack: Stack, split: Resident, workspace: Workspace) -> dict[str, Tensor]:
    """What SGD will do to J^2 of each hidden layer, from the gradients over a split; named as in `order_columns`.

    With g the gradient of one sample's cross-entropy, G its mean over the split and W* = W - mean(W), each of these is
    divided by the layer's width, as ``J^2 = |W*|^2 / width``: ``drift`` is ``-2 <W*, G>``, ``gradient`` ``|G|^2``,
    and ``noise`` ``E|g|^2 - |G|^2``. A step of rate r on a mini-batch of B adds
    ``r drift + r^2 (gradient + noise / B)`` to J^2 on average (see scaling.predicted_growth). Float64 ``[M]`` each.
    """
    means = [torch.zeros_like(weight) for weight in stack.hidden]
    squares = torch.zeros(len(stack.hidden), len(stack.bias), dtype=torch.float64, device=stack.bias.device)
    for ws in _passes(stack, split, workspace):
        size = ws.labels.shape[1]  # the factors are those of the mean over so many samples
        for layer, (left, right) in enumerate(gradient_factors(stack, ws)[: len(means)]):
            means[layer].baddbmm_(left.mT, right, alpha=size / len(split.labels))
            # The gradient of one sample is the outer product of its two factors, so its square norm is that of both
            # multiplied.
            squares[layer] += (left.square().sum(-1) * right.square().sum(-1)).sum(1, dtype=torch.float64) * size**2
    columns: dict[str, Tensor] = {}
    for layer, (weight, mean) in enumerate(zip(stack.hidden, means, strict=True), start=1):
        wide, steepest = weight.double(), mean.double()
        width = weight.shape[-1]
        along = ((wide - wide.mean((1, 2), keepdim=True)) * steepest).sum((1, 2))
        gradient = steepest.square().sum((1, 2)) / width
        noise = squares[layer - 1] / len(split.labels) / width - gradient
        columns |= _named(layer, drift=-2 * along / width, gradient=gradient, noise=noise)
    return columns


def _named(layer: int, **columns: Tensor) -> dict[str, Tensor]:
    return {name if layer == 1 else f"{name}_{layer}": column for name, column in columns.items()}


class Measurement:
    """What is measured of a stack after an epoch: order parameters, losses, and what settings ask for."""

    def __init__(
        self, config: RunConfig, dataset: Dataset, stack: Stack, training: Resident, *, full_train_loss: bool
    ) -> None:
        self.config, self.stack, self.training, self.full_train_loss = config, stack, training, full_train_loss
        device, dtype = training.images.device, training.images.dtype
        held_out = {"test": dataset.test, "validation": dataset.validation, **dataset.noise}
        self.held_out = {name: resident(split, device, dtype) for name, split in held_out.items() if split is not None}
        self.workspace = Workspace(stack, EVALUATION_BATCH)

    def rows(self, epoch: int, train_loss: Tensor | None, seeds: Sequence[int]) -> list[Row | None]:
        """Return one row a member for the epoch just done, None where it is not finite.

        ``train_loss`` ``[M]`` is the running one; None, before training, is over the whole training set.
        """
        over_training = train_loss is None or self.full_train_loss
        full = evaluate(self.stack, self.training, self.workspace)[0] if over_training else None
        train_loss = full if train_loss is None else train_loss
        columns = order_columns(self.stack) | ({} if train_loss is None else {"train_loss": train_loss})
        if self.full_train_loss and full is not None:
            columns["train_loss_full"] = full
        if self.config.gradients:
            columns |= growth_columns(self.stack, self.training, self.workspace)
        if self.config.trained_map:
            columns |= map_columns(self.stack, seeds, epoch)
        for name, split in self.held_out.items():
            columns[f"{name}_loss"], columns[f"{name}_accuracy"] = evaluate(self.stack, split, self.workspace)
        return [
            {"epoch": epoch, **dict(zip(columns, row, strict=True))} if all(map(math.isfinite, row)) else None
            for row in _fetched(torch.stack(list(columns.values()), dim=1))
        ]


def _fetched(measured: Tensor) -> list[list[float]]:
    """What was measured, one row a member: the one place where training waits for the device, once an epoch.

    A function of its own, so that a test without a GPU can stand in for it and for nothing else.
    """
    rows: list[list[float]] = measured.tolist()
    return rows
