"""Train one stack of networks and measure it after every epoch.

Members share shapes, batch size, optimizer and data; each has its own learning rate, momentum, decay and seed. Initial
weights and shuffles depend on the member's seed alone. Nothing waits for the device inside an epoch.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from edgechaos_core.data import Dataset, Split
from edgechaos_core.machine import cpu_threads, parse_device, provenance
from edgechaos_core.network import Stack, Workspace, forward, gradient_factors, initialise, log_likelihood
from edgechaos_core.optimizers import make_optimizer, weight_decay_from_l2
from edgechaos_core.order_parameters import order_parameters
from edgechaos_core.runs import Outcome, Run, RunConfig

OWN_SETTINGS = {"learning_rate", "momentum", "l2", "seed"}  # what members of one stack may differ in
EVALUATION_BATCH = 1_000

Row = dict[str, float]
OnEpoch = Callable[[int, list[Row | None]], None]


@dataclass(frozen=True)
class Resident:
    """A split on the device: images in [0, 1] ``[n, pixels]``, labels int64 ``[n]``."""

    images: Tensor
    labels: Tensor


def train(
    configs: Sequence[RunConfig],
    dataset: Dataset,
    *,
    device: str = "cpu",
    threads: int = 1,
    dtype: torch.dtype = torch.float32,
    full_train_loss: bool = False,
    on_epoch: OnEpoch | None = None,
) -> list[Run]:
    """Train one stack, a member per config, and return their runs in order.

    ``on_epoch(epoch, rows)`` is called after each epoch, 0 (before training) included, with one row a member (None for
    a member that has diverged). ``train_loss`` is the running mean over the epoch's mini-batches, each before its
    update (at epoch 0: over the whole training set); ``full_train_loss`` adds ``train_loss_full``, over the whole set
    after each epoch. A member whose loss or weights are no longer finite has *diverged*: its rows end before that
    epoch and its neighbours go on. Ctrl-C ends training with the epochs done so far, outcome *interrupted*.

    Raises ValueError for configs that cannot share a stack, a config that does not fit the data set, or a bad device.
    """
    shared = _shared_settings(configs, dataset)
    place = parse_device(device)
    clock = time.perf_counter()
    histories: list[list[Row]] = [[] for _ in configs]
    outcomes: list[Outcome | None] = [None for _ in configs]
    with torch.inference_mode(), cpu_threads(threads):
        made_by = provenance(place, threads=threads, dtype=dtype)
        made_by |= {"data_sha256": dataset.fingerprint, "stack_members": len(configs)}
        try:
            for epoch, rows in _epochs(configs, dataset, place, dtype, full_train_loss):
                for member, row in enumerate(rows):
                    if outcomes[member] is not None:
                        rows[member] = None
                    elif row is None:
                        outcomes[member] = Outcome("diverged", epoch - 1, f"NaN or Inf in epoch {epoch}")
                    else:
                        histories[member].append(row)
                if on_epoch is not None:
                    on_epoch(epoch, rows)
                if all(outcomes):
                    break
        except KeyboardInterrupt:
            outcomes = [outcome or Outcome("interrupted", len(rows) - 1) for outcome, rows in zip(outcomes, histories)]
    made_by["wall_seconds"] = round(time.perf_counter() - clock, 3)
    return [
        Run(config, _history(rows), outcome or Outcome("finished", shared.epochs), made_by)
        for config, rows, outcome in zip(configs, histories, outcomes, strict=True)
    ]


def _shared_settings(configs: Sequence[RunConfig], dataset: Dataset) -> RunConfig:
    if not configs:
        raise ValueError("train needs at least one config")
    first = configs[0].model_dump(exclude=OWN_SETTINGS)
    for config in configs[1:]:
        other = config.model_dump(exclude=OWN_SETTINGS)
        differing = [name for name in first if first[name] != other[name]]
        if differing:
            raise ValueError(f"members of one stack must share {', '.join(differing)}; they may differ in {_own()}")
    wanted = (configs[0].dataset, configs[0].samples, configs[0].validation)
    given = (dataset.name, len(dataset.train), len(dataset.validation) if dataset.validation else 0)
    if wanted != given:
        raise ValueError(f"config and data set differ in (dataset, samples, validation): {wanted} against {given}")
    return configs[0]


def _own() -> str:
    return ", ".join(sorted(OWN_SETTINGS))


def _epochs(
    configs: Sequence[RunConfig], dataset: Dataset, device: torch.device, dtype: torch.dtype, full_train_loss: bool
) -> Iterator[tuple[int, list[Row | None]]]:
    """Yield (epoch, one row a member or None where it is not finite), starting with epoch 0 before training."""
    config, seeds = configs[0], [config.seed for config in configs]
    training = resident(dataset.train, device, dtype)
    held_out = {"test": resident(dataset.test, device, dtype)}
    if dataset.validation:
        held_out["validation"] = resident(dataset.validation, device, dtype)
    stack = initialise(
        seeds,
        inputs=training.images.shape[1],
        width=config.width,
        depth=config.depth,
        classes=dataset.classes,
        activation=config.activation,
        device=device,
        dtype=dtype,
    )
    optimizer = make_optimizer(
        config.optimizer,
        stack,
        learning_rate=[member.learning_rate for member in configs],
        momentum=[member.momentum for member in configs],
        weight_decay=[weight_decay_from_l2(member.l2) for member in configs],
    )
    samples = len(dataset.train)
    log_p = torch.empty(len(seeds), samples, device=device, dtype=dtype)
    workspaces = {size: Workspace(stack, size) for size in _batch_sizes(samples, config.batch_size)}
    evaluation = Workspace(stack, EVALUATION_BATCH)
    for epoch in range(config.epochs + 1):
        if epoch:
            order = shuffles(seeds, epoch, samples).to(device)
            for start in range(0, samples, config.batch_size):
                batch = order[:, start : start + config.batch_size]
                workspace = workspaces[batch.shape[1]]
                gather(training, batch, workspace)
                forward(stack, workspace)
                log_likelihood(workspace, out=log_p[:, start : start + config.batch_size])
                optimizer.step(gradient_factors(stack, workspace))
            train_loss = -log_p.double().mean(1)
        else:
            train_loss = evaluate(stack, training, evaluation)[0]
        columns = _order_columns(stack) | {"train_loss": train_loss}
        if full_train_loss:
            columns["train_loss_full"] = evaluate(stack, training, evaluation)[0]
        for name, split in held_out.items():
            columns[f"{name}_loss"], columns[f"{name}_accuracy"] = evaluate(stack, split, evaluation)
        values = torch.stack(list(columns.values()), dim=1).cpu()
        yield (
            epoch,
            [
                {"epoch": epoch, **dict(zip(columns, row.tolist(), strict=True))} if row.isfinite().all() else None
                for row in values
            ],
        )


def shuffles(seeds: Sequence[int], epoch: int, samples: int) -> Tensor:
    """Return the order of the training samples in one epoch, int64 ``[M, samples]``: a function of (seed, epoch)."""
    orders = [np.random.default_rng([seed, 1, epoch]).permutation(samples) for seed in seeds]
    return torch.from_numpy(np.stack(orders))


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


def gather(split: Resident, batch: Tensor, workspace: Workspace) -> None:
    """Copy the samples of ``batch``, indices int64 ``[M, B]``, into a workspace."""
    index = batch.reshape(-1)
    torch.index_select(split.images, 0, index, out=workspace.x.view(len(index), -1))
    torch.index_select(split.labels, 0, index, out=workspace.labels.view(-1))


def resident(split: Split, device: torch.device, dtype: torch.dtype) -> Resident:
    """Move a split to the device, pixels scaled to [0, 1]."""
    return Resident(split.images.to(device).to(dtype).div_(255), split.labels.to(device))


def _batch_sizes(samples: int, batch_size: int) -> set[int]:
    return {batch_size, samples % batch_size or batch_size}


def _order_columns(stack: Stack) -> dict[str, Tensor]:
    """J^2 and J0 of the first hidden layer without a suffix, of hidden layer l > 1 with suffix ``_l``."""
    columns: dict[str, Tensor] = {}
    for layer, weight in enumerate(stack.hidden, start=1):
        J, J0 = order_parameters(weight)
        suffix = "" if layer == 1 else f"_{layer}"
        columns |= {f"J_squared{suffix}": J**2, f"J0{suffix}": J0}
    return columns


def _history(rows: list[Row]) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    return frame.astype({"epoch": "int64"}) if rows else frame
