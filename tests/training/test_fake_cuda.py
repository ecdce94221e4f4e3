"""The CUDA path without a GPU: training, walked whole on torch's fake tensors, which have a device but no numbers.

Fake tensors of different devices do not mix, and whatever asks for a number (`item`, `tolist`, `nonzero`, `bool`)
raises; what passes between devices is counted. The numbers themselves are held against the CPU's by the tests marked
gpu.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from edgechaos_core.images.datasets import Dataset, Split
from edgechaos_core.probes.chaos import lyapunov_exponents
from edgechaos_core.probes.linear_maps import draw_maps
from edgechaos_core.store.runs import Outcome, parse_config
from edgechaos_core.training import measure, trainer
from edgechaos_core.training.measure import EVALUATION_BATCH
from edgechaos_core.training.optimizers import SGD, Adam

# Epochs are two batches, of 64 and of 44 samples; 1,200 test images make the end of evaluation ragged as well.
SAMPLES, VALIDATION, EPOCHS = 108, 50, 2
SETTINGS = {"samples": SAMPLES, "validation": VALIDATION, "label_noise": 0.2, "batch_size": 64, "width": 16}
EACH_ITS_OWN = [{"seed": 0}, {"seed": 1, "learning_rate": 0.02}, {"seed": 2, "momentum": 0.5, "l2": 0.01}]
ALIKE = [{"seed": 0}, {"seed": 1}]
NOISE = ("shuffled", "restored", "kept")


class Crossings(TorchDispatchMode):
    """Count what passes from one device to another: ``up`` to the GPU, ``down`` from it, which waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.up = self.down = self.operations = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        given, made = (
            [leaf.device.type for leaf in tree_leaves(part) if isinstance(leaf, torch.Tensor)]
            for part in ((args, kwargs), result)
        )
        self.operations += 1
        # An operation in place gives its own first argument back: the copy of one tensor into another is a crossing.
        self.up += "cpu" in given and "cuda" in made
        self.down += "cuda" in given and "cpu" in made
        return result


@contextmanager
def fake_cuda() -> Iterator[Crossings]:
    """Make all tensors fake, those on a device cuda that this machine need not have among them."""
    with FakeTensorMode(), Crossings() as crossings:
        yield crossings


def piece() -> Dataset:
    """Images of no content; call it where tensors are fake."""

    def split(samples: int) -> Split:
        return Split(torch.zeros(samples, 784, dtype=torch.uint8), torch.zeros(samples, dtype=torch.int64))

    noise = {name: split(20) for name in NOISE}
    test = split(EVALUATION_BATCH + 200)
    return Dataset("fashion-mnist", 10, split(SAMPLES), split(VALIDATION), test, "a piece", 0.2, noise)


def configs_of(own=EACH_ITS_OWN, **settings):
    return [parse_config(SETTINGS | {"epochs": EPOCHS, "gradients": True} | settings | more) for more in own]


@pytest.fixture
def fetched(monkeypatch) -> list[torch.Tensor]:
    """Stand in for the one wait of an epoch: keep the tensors that are fetched, and answer with made-up numbers."""
    tables: list[torch.Tensor] = []

    def numbers(measured):
        tables.append(measured)
        return [[0.25 + 0.01 * len(tables)] * measured.shape[1] for _ in range(len(measured))]

    def wait(*_):
        raise AssertionError("training waits for the device")

    monkeypatch.setattr(measure, "_fetched", numbers)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "a fake GPU")
    monkeypatch.setattr(torch.cuda, "synchronize", wait)
    return tables


def walk(configs):
    """Train on the fake device; return the runs, and the crossings (up, down) in each epoch after epoch 0."""
    counts: list[tuple[int, int]] = []
    with fake_cuda() as crossings:
        runs = trainer.train(
            configs,
            piece(),
            device="cuda",
            full_train_loss=True,
            on_epoch=lambda *_: counts.append((crossings.up, crossings.down)),
        )
    assert crossings.operations > 500  # it was walked
    return runs, [(after[0] - before[0], after[1] - before[1]) for before, after in pairwise(counts)]


@pytest.mark.parametrize(
    ("own", "settings"),
    [
        (EACH_ITS_OWN, {}),
        (EACH_ITS_OWN, {"hold": 0.24, "milestone": 1}),
        (EACH_ITS_OWN, {"optimizer": "adam", "l2": 0.001, "activation": "relu", "depth": 2}),
        (EACH_ITS_OWN, {"optimizer": "adamw", "l2": 0.1, "milestone": 1}),
        (ALIKE, {}),
        (ALIKE, {"momentum": 0.8, "l2": 0.01, "depth": 2}),
        (ALIKE, {"optimizer": "adam", "l2": 0.001}),
        (ALIKE, {"optimizer": "adamw", "l2": 0.1}),
    ],
    ids=str,
)
def test_training_stays_on_the_device_and_never_waits_for_it(fetched, own, settings):
    configs = configs_of(own, **settings)
    runs, crossed = walk(configs)
    assert [run.outcome for run in runs] == [Outcome("finished", EPOCHS)] * len(configs)
    assert {run.provenance["device"] for run in runs} == {"a fake GPU"}
    depth, splits = configs[0].depth, len(("test", "validation", *NOISE))
    columns = (2 + 3) * depth + 2 + 2 * splits  # order and growth of each layer, both training losses, the splits
    assert [tuple(table.shape) for table in fetched] == [(len(configs), columns)] * (EPOCHS + 1)
    assert {(type(table), table.device.type, table.dtype) for table in fetched} == {(FakeTensor, "cuda", torch.float64)}
    steered = "hold" in settings  # each member's new decay goes up as well
    assert crossed == [(1 + steered, 0)] * EPOCHS  # the epoch's shuffles go up, and nothing comes down


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_checkpoint_comes_down_whole_and_goes_up_again(fetched, optimizer):
    configs, kept = configs_of(optimizer=optimizer), []
    asked = iter(range(2))

    def stop(checkpoint):
        kept.append(checkpoint)
        raise KeyboardInterrupt

    with fake_cuda() as crossings:
        due = {"due": lambda: next(asked) == 1, "on_checkpoint": stop}  # after a batch of epoch 1
        stopped = trainer.train(configs, piece(), device="cuda", **due)
        tensors = kept[0].tensors
        assert crossings.down == len(tensors)
        assert {tensor.device.type for tensor in tensors.values()} == {"cpu"}
        runs = trainer.train(configs, piece(), device="cuda", start=kept[0])
        assert crossings.down == len(tensors) + len(tensors) - 1  # at the end again: all but the epoch's likelihoods
    assert {run.outcome for run in stopped} == {Outcome("interrupted", 0)}
    assert (kept[0].epoch, kept[0].batch) == (1, 1)
    moments = {"sgd": {"velocity"}, "adam": {"first", "second"}}[optimizer]
    assert {name.partition(".")[0] for name in tensors} == {"weight", "log_p"} | moments
    assert {run.outcome for run in runs} == {Outcome("finished", EPOCHS)}
    assert {table.device.type for table in fetched} == {"cuda"}


def test_lyapunov_exponents_stay_on_the_device():
    with fake_cuda() as crossings:
        J = torch.ones(3, dtype=torch.float64)
        maps, x, _ = draw_maps(J, J, neurons=10, seed=0, device="cuda", dtype=torch.float32)
        before, x = crossings.up, x.expand(3, -1)
        for leading in (1, 2):
            exponents = lyapunov_exponents(maps, x, leading=leading, align=1, measure=2)
            assert (exponents.device.type, tuple(exponents.shape)) == ("cuda", (3, leading))
    assert crossings.up - before == 2  # the tangent vectors' start, once each
    assert crossings.down == 0


# proof that the walk notices ------------------------------------------------------------------------------------------

FAULTS = {
    "item": (lambda w: w.sum().item(), DataDependentOutputException),
    "tolist": (lambda w: w.sum((1, 2)).tolist(), DataDependentOutputException),
    "a condition": (lambda w: bool(w.isfinite().all()), DataDependentOutputException),
    "nonzero": (lambda w: w.nonzero(), DynamicOutputShapeException),
    "a mask": (lambda w: w[w > 0], DynamicOutputShapeException),
    "synchronize": (lambda _: torch.cuda.synchronize(), AssertionError),
    "an operand": (lambda w: w.add_(torch.zeros(w.shape)), RuntimeError),
    "a factor": (lambda w: torch.bmm(w, torch.zeros(w.mT.shape)), RuntimeError),
    "an index": (lambda w: w.index_select(0, torch.zeros(1, dtype=torch.int64)), RuntimeError),
}


@pytest.mark.parametrize(("fault", "error"), FAULTS.values(), ids=FAULTS)
def test_a_wait_or_a_cpu_tensor_in_the_step_is_an_error(fetched, monkeypatch, fault, error):
    step = SGD.step

    def faulty(optimizer, factors):
        step(optimizer, factors)
        fault(optimizer.parameters[0])

    monkeypatch.setattr(SGD, "step", faulty)
    with pytest.raises(error):
        walk(configs_of(ALIKE))


@pytest.mark.parametrize(
    ("fault", "crossing"),
    [
        (lambda w: w.cpu(), (0, 1)),
        (lambda w: torch.zeros(w.shape).copy_(w), (0, 1)),
        (lambda w: w.copy_(torch.zeros(w.shape)), (1, 0)),
        (lambda w: w.add_(torch.ones(w.shape).to(w.device)), (1, 0)),
    ],
    ids=["cpu", "copied down", "copied up", "moved up"],
)
def test_what_crosses_over_in_the_step_is_counted(fetched, monkeypatch, fault, crossing):
    step = Adam.step

    def faulty(optimizer, factors):
        step(optimizer, factors)
        fault(optimizer.parameters[0])

    monkeypatch.setattr(Adam, "step", faulty)
    _, crossed = walk(configs_of(ALIKE, optimizer="adam"))
    up, down = crossing
    assert crossed == [(1 + 2 * up, 2 * down)] * EPOCHS  # two batches an epoch
