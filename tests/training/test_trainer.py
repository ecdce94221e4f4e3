"""Training: against a plain torch.nn + torch.optim loop, member against stack, divergence, Ctrl-C, bad arguments."""

import math
import os
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from edgechaos_core.conventions import weight_decay_from_l2
from edgechaos_core.images.datasets import Dataset, Split, load_dataset
from edgechaos_core.models.controller import EdgeDecay
from edgechaos_core.store.runs import Outcome, parse_config
from edgechaos_core.system.machine import parse_device
from edgechaos_core.theory.order_parameters import order_parameters
from edgechaos_core.training.measure import EVALUATION_BATCH, Resident, evaluate, growth_columns, resident
from edgechaos_core.training.network import Workspace, initialise
from edgechaos_core.training.trainer import shuffles, train
from tests.reference import module_of, optimizer_of

# Epochs are 5 batches, the last of 44 samples; all ends are ragged.
SETTINGS = {"samples": 300, "batch_size": 64, "width": 32, "epochs": 3}
FLOAT64_TOLERANCE = 1e-9  # the same sums in another order, 15 steps long
FLOAT32_TOLERANCE = 1e-4  # likewise; losses are of order 1


def config_of(**settings):
    return parse_config(SETTINGS | settings)


def assert_close(one, other, tolerance: float) -> None:
    assert list(one.columns) == list(other.columns)
    np.testing.assert_allclose(one, other, rtol=0, atol=tolerance)


# against the reference ----------------------------------------------------------------------------------------------


def reference_growth(module, images, labels) -> dict[str, float]:
    """Drift, gradient and noise of each hidden layer, from the gradient of one sample after another."""
    row = {}
    for number, layer in enumerate([layer for layer in module if isinstance(layer, nn.Linear)][:-1], start=1):
        own = [
            torch.autograd.grad(nn.functional.cross_entropy(module(x[None]), y[None]), layer.weight)[0]
            for x, y in zip(images, labels, strict=True)
        ]
        mean, width = torch.stack(own).mean(0), len(layer.weight)
        centred = layer.weight.detach() - layer.weight.detach().mean()
        spread = torch.stack([(g - mean).square().sum() for g in own]).mean()
        suffix = "" if number == 1 else f"_{number}"
        row[f"drift{suffix}"] = float(-2 * (centred * mean).sum() / width)
        row[f"gradient{suffix}"] = float(mean.square().sum() / width)
        row[f"noise{suffix}"] = float(spread / width)
    return row


def reference_history(config, data: Dataset) -> list[dict[str, float]]:
    """The same training with autograd and torch.optim, in float64, measured in the plainest way."""
    shape = {"inputs": 784, "width": config.width, "depth": config.depth, "activation": config.activation}
    module = module_of(initialise([config.seed], dtype=torch.float64, **shape), 0)
    decay = weight_decay_from_l2(config.l2)
    rates = {"learning_rate": config.learning_rate, "momentum": config.momentum, "weight_decay": decay}
    optimizer = optimizer_of(config.optimizer, module, **rates)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [config.milestone] if config.milestone else [])
    controller = EdgeDecay(optimizer, module[0].weight, target=config.hold) if config.hold else None
    splits = {"train": data.train, "test": data.test, "validation": data.validation, **data.noise}
    splits = {name: (split.images.double() / 255, split.labels) for name, split in splits.items() if split is not None}

    def loss_and_accuracy(images, labels):
        with torch.no_grad():
            logits = module(images)
            return float(nn.functional.cross_entropy(logits, labels)), float(
                (logits.argmax(1) == labels).double().mean()
            )

    rows = []
    images, labels = splits["train"]
    for epoch in range(config.epochs + 1):
        train_loss = 0.0 if epoch else loss_and_accuracy(images, labels)[0]
        for batch in shuffles([config.seed], epoch, config.samples)[0].split(config.batch_size) if epoch else ():
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(module(images[batch]), labels[batch])
            loss.backward()
            optimizer.step()
            train_loss += loss.item() * len(batch) / config.samples
        row = {"epoch": epoch}
        for number, layer in enumerate([layer for layer in module if isinstance(layer, nn.Linear)][:-1], start=1):
            suffix = "" if number == 1 else f"_{number}"
            J, J0 = order_parameters(layer.weight.detach().T)
            row |= {f"J_squared{suffix}": float(J) ** 2, f"J0{suffix}": float(J0)}
        row |= {"train_loss": train_loss, "train_loss_full": loss_and_accuracy(images, labels)[0]}
        row |= reference_growth(module, images, labels) if config.gradients else {}
        for name in [name for name in splits if name != "train"]:
            row[f"{name}_loss"], row[f"{name}_accuracy"] = loss_and_accuracy(*splits[name])
        if epoch:
            scheduler.step()
        if controller is not None:
            row["lambda"] = controller.weight_decay / weight_decay_from_l2(1.0)
            if epoch:
                controller.step()
        rows.append(row)
    return rows


@pytest.mark.parametrize("validation", [0, 130])
@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate": 0.1},
        {"learning_rate": 0.05, "momentum": 0.8, "l2": 0.01, "depth": 2, "gradients": True},
        {"optimizer": "adam", "l2": 0.001, "activation": "relu"},
        {"optimizer": "adamw", "l2": 0.1, "momentum": 0.7},
        {"learning_rate": 0.05, "momentum": 0.8, "l2": 0.003, "hold": 0.24, "epochs": 5},
        {"learning_rate": 0.05, "momentum": 0.8, "l2": 0.003, "hold": 0.24, "epochs": 5, "milestone": 3},
        {"optimizer": "adamw", "l2": 0.1, "milestone": 1},
    ],
    ids=lambda settings: settings.get("optimizer", "sgd"),
)
def test_training_equals_a_plain_loop(small, settings, validation):
    config, data = config_of(validation=validation, seed=3, **settings), small(validation=validation)
    run = train([config], data, dtype=torch.float64, full_train_loss=True)[0]
    expected = reference_history(config, data)
    assert list(run.history.columns) == list(expected[0])
    assert run.outcome == Outcome("finished", config.epochs)
    for row, wanted in zip(run.history.to_dict("records"), expected, strict=True):
        assert row == pytest.approx(wanted, rel=0, abs=FLOAT64_TOLERANCE)


def test_growth_over_several_passes_is_that_over_one(small):
    """Four times the same 300 samples are measured 1,000 at a time, and give the same means as once."""
    stack = initialise([0, 1], inputs=784, width=12, depth=2, dtype=torch.float64)
    once = resident(small().train, torch.device("cpu"), torch.float64)
    often = Resident(once.images.repeat(4, 1), once.labels.repeat(4))
    one, other = (growth_columns(stack, split, Workspace(stack, EVALUATION_BATCH)) for split in (once, often))
    assert list(one) == ["drift", "gradient", "noise", "drift_2", "gradient_2", "noise_2"]
    torch.testing.assert_close(one, other, rtol=FLOAT64_TOLERANCE, atol=0)
    one, other = (evaluate(stack, split, Workspace(stack, EVALUATION_BATCH)) for split in (once, often))
    torch.testing.assert_close(one, other, rtol=FLOAT64_TOLERANCE, atol=0)


def test_training_on_shuffled_labels_equals_a_plain_loop():
    config = config_of(label_noise=0.4, learning_rate=0.1)
    data = load_dataset(samples=300, label_noise=0.4)
    data = replace(data, test=Split(data.test.images[:500], data.test.labels[:500]))
    history = train([config], data, dtype=torch.float64, full_train_loss=True)[0].history
    assert list(history.columns)[-6:] == [
        f"{part}_{what}" for part in ("shuffled", "restored", "kept") for what in ("loss", "accuracy")
    ]
    for row, wanted in zip(history.to_dict("records"), reference_history(config, data), strict=True):
        assert row == pytest.approx(wanted, rel=0, abs=FLOAT64_TOLERANCE)


def test_held_members_are_steered_each_by_its_own_path(small):
    configs = [config_of(hold=0.24, seed=seed, learning_rate=rate) for seed, rate in ((0, 0.1), (1, 0.02))]
    together = train(configs, small(), dtype=torch.float64)
    for run, config in zip(together, configs, strict=True):
        assert_close(run.history, train([config], small(), dtype=torch.float64)[0].history, FLOAT64_TOLERANCE)
    assert together[0].history["lambda"].iloc[-1] > 0


def test_a_held_layer_that_is_gone_is_left_alone():
    config = config_of(hold=1.0, l2=40.0, learning_rate=0.0125, epochs=3, samples=600, batch_size=32)
    run = train([config], load_dataset(samples=600))[0]  # w - 2 l2 eta w: nothing is left of it
    assert run.history["J_squared"].min() == 0
    assert run.outcome.state == "finished"


def test_columns_of_a_plain_run(small):
    run = train([config_of()], small())[0]
    assert list(run.history.columns) == ["epoch", "J_squared", "J0", "train_loss", "test_loss", "test_accuracy"]
    assert run.history["epoch"].tolist() == [0, 1, 2, 3]
    assert run.history["epoch"].dtype == np.int64


def test_epoch_0_is_before_training(small):
    run = train([config_of(epochs=1, learning_rate=0.03)], small())[0]
    start = run.history.iloc[0]
    assert start["J_squared"] == pytest.approx(0.25, rel=0.05)  # 25,088 draws with J = 1/2: 1% standard error
    assert start["train_loss"] == pytest.approx(math.log(10), rel=0.1)  # an untrained guess among 10 classes
    assert run.history["train_loss"].iloc[1] < start["train_loss"]


def test_deeper_layers_have_their_own_columns(small):
    history = train([config_of(depth=3)], small())[0].history
    assert list(history.columns)[1:7] == ["J_squared", "J0", "J_squared_2", "J0_2", "J_squared_3", "J0_3"]
    assert history[["J_squared", "J_squared_2", "J_squared_3"]].iloc[0].nunique() == 3


def test_measuring_gradients_leaves_training_alone(small):
    plain, measured = (train([config_of(gradients=gradients)], small())[0].history for gradients in (False, True))
    assert set(measured) - set(plain) == {"drift", "gradient", "noise"}
    assert measured[plain.columns].equals(plain)


# stack and member ---------------------------------------------------------------------------------------------------

OWN = [
    {"seed": 0, "learning_rate": 0.05},
    {"seed": 1, "learning_rate": 0.2, "momentum": 0.5},
    {"seed": 2, "learning_rate": 0.1, "l2": 0.01},
]


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, FLOAT64_TOLERANCE), (torch.float32, FLOAT32_TOLERANCE)]
)
def test_a_stack_equals_its_members_trained_alone(small, optimizer, dtype, tolerance):
    scale = 1 if optimizer == "sgd" else 0.05
    configs = [
        config_of(**own | {"optimizer": optimizer, "learning_rate": own["learning_rate"] * scale}) for own in OWN
    ]
    together = train(configs, small(), dtype=dtype)
    assert [run.config for run in together] == configs
    for config, run in zip(configs, together, strict=True):
        # Accuracy is a count: one sample on the border between two classes may fall either way.
        alone = train([config], small(), dtype=dtype)[0]
        assert_close(run.history.drop(columns="test_accuracy"), alone.history.drop(columns="test_accuracy"), tolerance)
        assert run.history["test_accuracy"].to_numpy() == pytest.approx(alone.history["test_accuracy"], abs=2 / 1_200)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_same_config_twice_is_bitwise_the_same(small, optimizer):
    configs = [config_of(optimizer=optimizer, seed=5), config_of(optimizer=optimizer, seed=5)]
    first, second = train(configs, small())
    again = train(configs, small())[0]
    assert first.history.equals(second.history)
    assert first.history.equals(again.history)


def test_seeds_differ(small):
    one, other = train([config_of(seed=0), config_of(seed=1)], small())
    assert not (one.history["J_squared"] == other.history["J_squared"]).any()


def test_longer_training_begins_with_the_shorter(small):
    short, long = (train([config_of(epochs=epochs)], small())[0].history for epochs in (2, 4))
    assert long[:3].equals(short)


def test_shuffles():
    orders = shuffles([4, 9], 3, 50)
    assert orders.shape == (2, 50)
    assert orders.dtype == torch.int64
    assert torch.equal(orders.sort(dim=1).values, torch.arange(50).expand(2, 50))
    assert torch.equal(shuffles([9], 3, 50)[0], orders[1])  # whatever the stack
    distinct = [shuffles([seed], epoch, 50)[0].tolist() for seed in (4, 9) for epoch in (1, 2, 3)]
    assert len(set(map(tuple, distinct))) == 6


# ends ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings", [{"activation": "relu", "learning_rate": 1e10}, {"learning_rate": 1e38}], ids=["relu", "tanh"]
)
def test_divergence_is_an_outcome(small, settings):
    seen = []
    run = train(
        [config_of(epochs=50, **settings)], small(), on_epoch=lambda epoch, rows: seen.append((epoch, rows[0]))
    )[0]
    last = run.outcome.epoch
    last_J = run.history["J_squared"].iloc[-1]
    assert run.outcome == Outcome("diverged", last, f"NaN or Inf in epoch {last + 1}", last_J)
    assert run.history["epoch"].tolist() == list(range(last + 1))
    assert np.isfinite(run.history.to_numpy()).all()
    assert [epoch for epoch, _ in seen] == list(range(last + 2))  # ends with the epoch that failed
    assert seen[-1][1] is None


def test_neighbours_of_a_diverged_member_are_bitwise_unaffected(small):
    quiet = [config_of(seed=1, learning_rate=0.02), config_of(seed=2, learning_rate=0.05), config_of(seed=3)]
    wild = [quiet[0], config_of(seed=2, learning_rate=1e38), quiet[2]]
    seen = []
    expected = train(quiet, small())
    runs = train(wild, small(), on_epoch=lambda _, rows: seen.append([row is None for row in rows]))
    assert [run.outcome.state for run in runs] == ["finished", "diverged", "finished"]
    for member in (0, 2):
        assert runs[member].history.equals(expected[member].history)
    assert seen == [[False, epoch > runs[1].outcome.epoch, False] for epoch in range(4)]


def test_ctrl_c_keeps_the_epochs_done(small):
    def stop(epoch, _):
        if epoch == 2:
            raise KeyboardInterrupt

    configs = [config_of(epochs=100), config_of(epochs=100, seed=1), config_of(epochs=100, learning_rate=1e38)]
    runs = train(configs, small(), on_epoch=stop)
    assert [run.outcome.state for run in runs] == ["interrupted", "interrupted", "diverged"]
    assert [run.outcome.epoch for run in runs[:2]] == [2, 2]
    expected = train(
        [config_of(epochs=2, seed=seed, learning_rate=rate) for seed, rate in ((0, 0.01), (1, 0.01), (0, 1.0))], small()
    )
    for run, whole in zip(runs[:2], expected, strict=False):
        assert run.history.equals(whole.history)


def test_an_error_in_the_callback_is_the_callers(small):
    def fail(*_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train([config_of()], small(), on_epoch=fail)


def test_the_thread_count_is_put_back(small):
    before, inside = torch.get_num_threads(), []
    other = 1 if before > 1 else min(2, os.cpu_count() or 1)

    def look(*_):
        inside.append(torch.get_num_threads())

    train([config_of(epochs=1)], small(), threads=other, on_epoch=look)
    assert inside == [other, other]
    assert torch.get_num_threads() == before
    with pytest.raises(ZeroDivisionError):
        train([config_of()], small(), threads=other, on_epoch=lambda *_: 1 / 0)
    assert torch.get_num_threads() == before


def test_provenance(small):
    first, second = train([config_of(), config_of(seed=1)], small())
    assert first.provenance == second.provenance
    expected = {
        "data_sha256": "a piece",
        "torch_version": torch.__version__,
        "threads": 1,
        "dtype": "float32",
        "stack_members": 2,
    }
    assert first.provenance.items() >= expected.items()
    assert first.provenance["device"].startswith("cpu (")
    assert 0 < first.provenance["wall_seconds"] < 600


# bad arguments ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": 33}, "must share width; they may differ in"),
        ({"batch_size": 32, "epochs": 4}, "must share batch_size, epochs; they may differ in"),
        ({"optimizer": "adam"}, "must share optimizer; they may differ in l2, learning_rate, momentum, seed"),
    ],
)
def test_members_that_cannot_share_a_stack(small, settings, message):
    with pytest.raises(ValueError, match=f"^members of one stack {message}"):
        train([config_of(), config_of(**settings)], small())


@pytest.mark.parametrize(
    "settings", [{"samples": 299}, {"validation": 1}, {"dataset": "mnist"}, {"label_noise": 0.1}], ids=str
)
def test_a_config_for_other_data(small, settings):
    with pytest.raises(
        ValueError,
        match=r"^config and data set differ in \(dataset, samples, validation, label_noise\): .* against .*$",
    ):
        train([config_of(**settings)], small())


def test_no_config(small):
    with pytest.raises(ValueError, match=r"^train needs at least one config$"):
        train([], small())


@pytest.mark.parametrize("threads", [0, -1, 100_000, 2**70])
def test_threads_out_of_range(small, threads):
    with pytest.raises(ValueError, match=rf"^threads must be between 1 and .*, got {threads}$"):
        train([config_of()], small(), threads=threads)


@pytest.mark.parametrize("device", ["", "gpu", "cpu:x", "meta", "mps", "mkldnn", "privateuseone", "cuda:99", "cuda:-1"])
def test_a_device_that_is_not_here(small, device):
    with pytest.raises(ValueError, match=f"device '{device}'") as caught:
        train([config_of()], small(), device=device)
    assert "\n" not in str(caught.value)
    assert "cpu" in str(caught.value)


def test_a_device_that_is_here():
    assert parse_device("cpu") == torch.device("cpu")


# CUDA against CPU ---------------------------------------------------------------------------------------------------

needs_cuda = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="NOT RUN: no CUDA device here; CUDA against CPU is unchecked by this run"
)
CUDA_TOLERANCES = [(torch.float64, FLOAT64_TOLERANCE), (torch.float32, FLOAT32_TOLERANCE)]  # other kernels, same sums


@pytest.mark.gpu
@needs_cuda
@pytest.mark.parametrize(("dtype", "tolerance"), CUDA_TOLERANCES)
@pytest.mark.parametrize("settings", [{}, {"depth": 2, "activation": "relu"}, {"optimizer": "adamw"}], ids=str)
def test_cuda_equals_cpu(small, settings, dtype, tolerance):
    scale = 0.05 if "optimizer" in settings else 1
    configs = [config_of(**settings | own | {"learning_rate": own["learning_rate"] * scale}) for own in OWN]
    on_cpu, on_cuda = (train(configs, small(), device=device, dtype=dtype) for device in ("cpu", "cuda"))
    assert [run.config for run in on_cuda] == configs
    for one, other in zip(on_cpu, on_cuda, strict=True):
        assert_close(one.history.drop(columns="test_accuracy"), other.history.drop(columns="test_accuracy"), tolerance)


@pytest.mark.gpu
@needs_cuda
def test_divergence_on_cuda_spares_the_neighbours(small):
    wild = [config_of(seed=1), config_of(seed=2, learning_rate=1e38)]
    assert [run.outcome.state for run in train(wild, small(), device="cuda")] == ["finished", "diverged"]


def test_random_images_train_as_well():
    images = torch.randint(256, (40, 9), dtype=torch.uint8)
    split = Split(images, torch.randint(4, (40,)))
    data = Dataset("mnist", 4, split, None, split, "random")
    run = train([parse_config({"dataset": "mnist", "samples": 40, "batch_size": 40, "width": 5, "epochs": 2})], data)[0]
    assert run.outcome == Outcome("finished", 2)
    assert run.provenance["data_sha256"] == "random"


# subnormal numbers --------------------------------------------------------------------------------------------------


def subnormals(tensor) -> int:
    return int(((tensor != 0) & (tensor.abs() < torch.finfo(tensor.dtype).tiny)).sum())


def test_adam_does_not_work_on_subnormal_moments_of_dead_units() -> None:
    """They made an epoch of ReLU with Adam four times as long once units had died."""
    # a rate at which most units are dead within a few of the 1,600 steps: their moments then only shrink
    settings = {"activation": "relu", "optimizer": "adam", "momentum": 0.9, "learning_rate": 0.1, "batch_size": 1}
    config = config_of(**settings, samples=200, epochs=8)
    kept = []
    train([config], load_dataset(samples=200), on_checkpoint=kept.append)
    first = kept[-1].tensors["first.0"]
    dead = (first == 0).all(dim=2)
    assert dead.any()
    assert {name: subnormals(tensor) for name, tensor in kept[-1].tensors.items()} == dict.fromkeys(kept[-1].tensors, 0)


@pytest.mark.parametrize("before", [False, True])
def test_training_leaves_the_callers_treatment_of_subnormals_as_it_was(before) -> None:
    torch.set_flush_denormal(before)
    try:
        train([config_of(epochs=1)], load_dataset(samples=300))
        assert bool(torch.tensor([1e-38]) * 0.1 == 0) is before
    finally:
        torch.set_flush_denormal(False)
