"""What is measured of a stack: loss and accuracy over a split, and the order parameters of its hidden layers."""

from dataclasses import dataclass

import torch
from torch import Tensor

from edgechaos_core.data import Split
from edgechaos_core.network import Stack, Workspace, forward, log_likelihood
from edgechaos_core.order_parameters import order_parameters

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
    members, size = workspace.labels.shape
    total = torch.zeros(members, dtype=torch.float64, device=split.labels.device)
    correct = torch.zeros_like(total)
    for start in range(0, len(split.labels), size):
        count = min(size, len(split.labels) - start)
        ws = workspace if count == size else Workspace(stack, count)
        ws.x.copy_(split.images[start : start + count])
        ws.labels.copy_(split.labels[start : start + count])
        log_p = forward(stack, ws)
        total -= log_likelihood(ws).sum(1, dtype=torch.float64)
        correct += (log_p.argmax(-1) == ws.labels).sum(1)
    return total / len(split.labels), correct / len(split.labels)


def order_columns(stack: Stack) -> dict[str, Tensor]:
    """J^2 and J0 of the first hidden layer without a suffix, of hidden layer l > 1 with suffix ``_l``."""
    columns: dict[str, Tensor] = {}
    for layer, weight in enumerate(stack.hidden, start=1):
        J, J0 = order_parameters(weight)
        suffix = "" if layer == 1 else f"_{layer}"
        columns |= {f"J_squared{suffix}": J**2, f"J0{suffix}": J0}
    return columns
