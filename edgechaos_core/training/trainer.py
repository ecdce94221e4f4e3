"""Train one stack of networks and measure it after every epoch.

Members share shapes, batch size, optimizer and data; each has its own learning rate, momentum, decay and seed. Initial
weights and shuffles depend on the member's seed alone. Nothing waits for the device inside an epoch. Training can be
left at any mini-batch, as a checkpoint, and goes on from there bit by bit as if it had never stopped.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from edgechaos_core.conventions import weight_decay_from_l2
from edgechaos_core.images.datasets import Dataset
from edgechaos_core.store.checkpoints import Checkpoint
from edgechaos_core.store.runs import Outcome, Row, Run, RunConfig
from edgechaos_core.system.machine import cpu_threads, no_subnormals, parse_device, provenance
from edgechaos_core.training.measure import Measurement, gather, resident
from edgechaos_core.training.network import Workspace, forward, gradient_factors, initialise, log_likelihood
from edgechaos_core.training.optimizers import make_optimizer
from edgechaos_core.training.schedule import LOWERED, Schedule
from edgechaos_core.training.stacking import shared_settings

OnEpoch = Callable[[int, list[Row | None]], None]


def train(
    configs: Sequence[RunConfig],
    dataset: Dataset,
    *,
    device: str = "cpu",
    threads: int = 1,
    dtype: torch.dtype = torch.float32,
    full_train_loss: bool = False,
    on_epoch: OnEpoch | None = None,
    start: Checkpoint | None = None,
    due: Callable[[], bool] = lambda: False,
    on_checkpoint: Callable[[Checkpoint], None] = lambda _: None,
) -> list[Run]:
    """Train one stack, a member per config, and return their runs in order.

    ``on_epoch(epoch, rows)`` is called after each epoch, 0 (before training) included, with one row a member (None for
    a member that has diverged). ``train_loss`` is the running mean over the epoch's mini-batches, each before its
    update (at epoch 0: over the whole training set); ``full_train_loss`` adds ``train_loss_full``, over the whole set
    after each epoch. A member whose loss or weights are no longer finite has *diverged*: its rows end before that
    epoch and its neighbours go on. Ctrl-C ends training with the epochs done so far, outcome *interrupted*.

    ``due`` is asked after every mini-batch and epoch whether to hand a checkpoint to ``on_checkpoint``, which may raise
    KeyboardInterrupt to stop there; a last one follows the last epoch. ``start`` is where to go on from: a checkpoint
    of the same settings, epochs aside. On the same device and stack, and with the same threads, training that was
    stopped is bitwise that which was not.

    Raises ValueError for configs that cannot share a stack, a config that does not fit the data set, a checkpoint of
    other settings, or a bad device.

    >>> from edgechaos_core import load_dataset, parse_config, train
    >>> settings = {"samples": 1_000, "width": 100, "epochs": 2}
    >>> both = [parse_config(settings | {"learning_rate": rate})
    ...         for rate in (0.01, 0.04)]
    >>> slow, fast = train(both, load_dataset(samples=1_000))  # in one stack
    >>> ends = [run.history["J_squared"].iloc[-1] for run in (slow, fast)]
    >>> bool(0.25 < ends[0] < ends[1])
    True
    """
    shared = shared_settings(configs, dataset)
    place = parse_device(device)
    # gradients are in closed form: nothing needs autograd
    with torch.inference_mode(), cpu_threads(threads), no_subnormals():
        made_by = provenance(place, threads=threads, dtype=dtype)
        made_by |= {"data_sha256": dataset.fingerprint, "stack_members": len(configs)}
        training = _Training(configs, dataset, made_by)
        try:
            training.begin(place, dtype, full_train_loss, start)
            training.run(on_epoch, due, on_checkpoint)
        except KeyboardInterrupt:
            for member, rows in enumerate(training.histories):
                training.outcomes[member] = training.outcomes[member] or Outcome("interrupted", len(rows) - 1)
    made_by = training.provenance()
    return [
        Run(config, _history(rows, shared.epochs), _outcome(outcome, shared.epochs), made_by)
        for config, rows, outcome in zip(configs, training.histories, training.outcomes, strict=True)
    ]


def shuffles(seeds: Sequence[int], epoch: int, samples: int) -> Tensor:
    """Return the order of the training samples in one epoch, int64 ``[M, samples]``: a function of (seed, epoch)."""
    orders = [np.random.default_rng([seed, 1, epoch]).permutation(samples) for seed in seeds]
    return torch.from_numpy(np.stack(orders))


class _Training:
    """A stack, its data and its place in training: ``batch`` mini-batches of epoch ``epoch`` are done."""

    def __init__(self, configs: Sequence[RunConfig], dataset: Dataset, made_by: dict[str, Any]) -> None:
        self.configs, self.config, self.dataset = configs, configs[0], dataset
        self.seeds, self.samples = [config.seed for config in configs], len(dataset.train)
        self.made_by, self.clock = made_by, time.perf_counter()
        self.epoch = self.batch = 0
        self.histories: list[list[Row]] = [[] for _ in configs]
        self.outcomes: list[Outcome | None] = [None for _ in configs]
        self.schedule = Schedule(configs, steps=-(-self.samples // self.config.batch_size))

    def begin(self, device: torch.device, dtype: torch.dtype, full_train_loss: bool, start: Checkpoint | None) -> None:
        """Lay out everything on the device, and take the place of a checkpoint if there is one to go on from."""
        configs, config, dataset = self.configs, self.config, self.dataset
        self.device = device
        self.training = resident(dataset.train, device, dtype)
        self.stack = initialise(
            self.seeds,
            inputs=self.training.images.shape[1],
            width=config.width,
            depth=config.depth,
            classes=dataset.classes,
            activation=config.activation,
            initial_J=config.initial_J,
            device=device,
            dtype=dtype,
        )
        self.optimizer = make_optimizer(
            config.optimizer,
            self.stack,
            learning_rate=[member.learning_rate for member in configs],
            momentum=[member.momentum for member in configs],
            weight_decay=[weight_decay_from_l2(member.l2) for member in configs],
        )
        # Every sample's log-likelihood stays on the device until the epoch's end: asking for a loss would wait for it.
        self.log_p = torch.zeros(len(configs), self.samples, device=device, dtype=dtype)
        # the last mini-batch of an epoch may be smaller: it has buffers of its own
        sizes = {config.batch_size, self.samples % config.batch_size or config.batch_size}
        self.workspaces = {size: Workspace(self.stack, size) for size in sizes}
        self.measurement = Measurement(config, dataset, self.stack, self.training, full_train_loss=full_train_loss)
        if start is not None:
            self._restore(start)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """All that the rest of training depends on, ``[M, ...]`` each."""
        weights = {f"weight.{i}": weight for i, weight in enumerate(self.stack.parameters)}
        return weights | self.optimizer.state | ({"log_p": self.log_p} if self.batch else {})

    def _restore(self, start: Checkpoint) -> None:
        """Raise ValueError for a checkpoint of other settings, data or precision."""
        own, other = (
            [config.model_dump(exclude={"epochs"}) for config in part] for part in (self.configs, start.configs)
        )
        if own != other or self.dataset.fingerprint != start.fingerprint:
            raise ValueError("the checkpoint is of other settings or data than the runs to go on with")
        self.epoch, self.batch = start.epoch, start.batch
        self.optimizer.steps = max(self.epoch - 1, 0) * self.schedule.steps + self.batch
        self.histories, self.outcomes = [list(rows) for rows in start.histories], list(start.outcomes)
        left = self.schedule.left_of_rate(self.epoch if self.batch else self.epoch - 1)  # as it was when it was written
        # before the tensors are copied: it scales v, which the checkpoint holds scaled already
        if left < 1:
            self.optimizer.scale_learning_rate(left)
        for name, tensor in self.tensors.items():
            saved = start.tensors.get(name)
            if saved is None or (saved.shape, saved.dtype) != (tensor.shape, tensor.dtype):
                raise ValueError(f"the checkpoint's {name} is not that of the runs to go on with")
            tensor.copy_(saved)
        # The laws of decay have no state in the file: they are led through the histories again.
        for epoch in range(1, self.epoch):
            self.schedule.steer(self.optimizer, self.histories, epoch)
        earlier = dict(start.made_by)
        self.made_by["earlier"] = [*earlier.pop("earlier", []), earlier]

    def snapshot(self) -> Checkpoint:
        """Return a checkpoint of this moment, on the CPU; it shares nothing with the training that goes on."""
        tensors = {name: tensor.to("cpu", copy=True) for name, tensor in self.tensors.items()}
        place = (tuple(self.configs), self.dataset.fingerprint, self.epoch, self.batch)
        histories, outcomes = [list(rows) for rows in self.histories], list(self.outcomes)
        return Checkpoint(*place, histories, outcomes, tensors, self._this_part())

    def provenance(self) -> dict[str, Any]:
        """Return what made the runs, ``wall_seconds`` being those of all parts of training together."""
        made_by = self._this_part()
        made_by["wall_seconds"] += sum(part["wall_seconds"] for part in made_by.get("earlier", []))
        return made_by | {"wall_seconds": round(made_by["wall_seconds"], 3)}

    def _this_part(self) -> dict[str, Any]:
        return self.made_by | {"wall_seconds": round(time.perf_counter() - self.clock, 3)}

    def run(
        self, on_epoch: OnEpoch | None, due: Callable[[], bool], on_checkpoint: Callable[[Checkpoint], None]
    ) -> None:
        """Train to the last epoch, or until every member has diverged."""
        while self.epoch <= self.config.epochs and not all(self.outcomes):
            self._finish_epoch(due, on_checkpoint)
            rows = self.measurement.rows(self.epoch, -self.log_p.double().mean(1) if self.epoch else None, self.seeds)
            for member, row in enumerate(rows):
                if self.outcomes[member] is not None:
                    rows[member] = None
                elif row is None:
                    self.outcomes[member] = self._diverged(member)
                else:
                    self.histories[member].append(row | self.schedule.column(member))
                    rows[member] = self.histories[member][-1]
            if self.epoch:
                self.schedule.steer(self.optimizer, self.histories, self.epoch)
            epoch, self.epoch, self.batch = self.epoch, self.epoch + 1, 0
            if on_epoch is not None:
                on_epoch(epoch, rows)
            if due() or self.epoch > self.config.epochs or all(self.outcomes):
                on_checkpoint(self.snapshot())

    def _finish_epoch(self, due: Callable[[], bool], on_checkpoint: Callable[[Checkpoint], None]) -> None:
        if self.epoch == 0:
            return
        # Resumed within its epoch, a milestone has been taken by `_restore`.
        if self.schedule.is_milestone(self.epoch) and not self.batch:
            self.optimizer.scale_learning_rate(LOWERED)
        size = self.config.batch_size
        order = shuffles(self.seeds, self.epoch, self.samples).to(self.device)
        for start in range(self.batch * size, self.samples, size):
            batch = order[:, start : start + size]
            workspace = self.workspaces[batch.shape[1]]
            gather(self.training, batch, workspace)
            forward(self.stack, workspace)
            log_likelihood(workspace, out=self.log_p[:, start : start + size])
            self.optimizer.step(gradient_factors(self.stack, workspace))
            self.batch += 1
            if start + size < self.samples and due():
                on_checkpoint(self.snapshot())

    def _diverged(self, member: int) -> Outcome:
        rows = self.histories[member]
        last = rows[-1]["J_squared"] if rows else None
        return Outcome("diverged", self.epoch - 1, f"NaN or Inf in epoch {self.epoch}", last)


def _outcome(outcome: Outcome | None, epochs: int) -> Outcome:
    """How a run of that many epochs ended: a checkpoint may have come further, and diverged beyond them."""
    return Outcome("finished", epochs) if outcome is None or outcome.epoch >= epochs else outcome


def _history(rows: list[Row], epochs: int) -> pd.DataFrame:
    frame = pd.DataFrame(rows[: epochs + 1])
    return frame.astype({"epoch": "int64"}) if rows else frame
