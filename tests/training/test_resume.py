"""Training that is left at any mini-batch goes on, from a file, bit by bit as if it had never stopped."""

import copy
import functools
import json
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch

from edgechaos_core.store.checkpoints import Checkpoint, load_checkpoint, peek_checkpoint, save_checkpoint
from edgechaos_core.store.runs import Outcome, parse_config
from edgechaos_core.store.tables import TableError
from edgechaos_core.training.trainer import train

# Epochs are 5 batches, the last of 44 samples.
SETTINGS = {"samples": 300, "batch_size": 64, "width": 24, "epochs": 4}
OWN = [{"seed": 0, "learning_rate": 0.05}, {"seed": 1, "learning_rate": 0.2, "momentum": 0.5, "l2": 0.01}]


def configs_of(**settings):
    return [parse_config(SETTINGS | own | settings) for own in OWN]


def stopped(configs, data, questions: int, path, **options) -> Checkpoint:
    """Train until the checkpoint of the n-th batch or epoch is written to ``path``, and read it back."""
    asked = iter(range(questions + 1))

    def stop(checkpoint):
        save_checkpoint(checkpoint, path)
        raise KeyboardInterrupt

    runs = train(configs, data, due=lambda: next(asked) == questions, on_checkpoint=stop, **options)
    assert {run.outcome.state for run in runs} == {"interrupted"}
    return load_checkpoint(path)


@pytest.fixture(scope="module")
def unstopped(small):
    """Train configs as one stack, once, however often it is asked for; 50 images are held out."""
    return functools.cache(lambda configs: train(configs, small(validation=50)))


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "sgd"},
        {"optimizer": "sgd", "momentum": 0.0},
        {"optimizer": "sgd", "momentum": 0.3, "hold": 0.24},
        {"optimizer": "sgd", "momentum": 0.3, "milestone": 2, "hold": 0.24},
        {"optimizer": "adam", "learning_rate": 0.003},
        {"optimizer": "adam", "learning_rate": 0.003, "milestone": 2},
        {"optimizer": "adamw", "learning_rate": 0.003, "depth": 2, "activation": "relu"},
    ],
    ids=lambda settings: " ".join(str(settings.get(name, "")) for name in ("optimizer", "momentum", "milestone")),
)
@pytest.mark.parametrize("questions", [0, 1, 3, 5, 6, 10, 13, 19])
def test_what_was_stopped_is_bitwise_what_was_not(small, unstopped, tmp_path, settings, questions):
    configs, data, path = configs_of(**settings, validation=50), small(validation=50), tmp_path / "stack.safetensors"
    whole = unstopped(tuple(configs))
    again = train(configs, data, start=stopped(configs, data, questions, path))
    for one, other in zip(whole, again, strict=True):
        assert one.history.equals(other.history)
        assert one.outcome == other.outcome == Outcome("finished", 4)
    assert len(again[0].provenance["earlier"]) == 1


def test_stopped_at_every_batch_in_turn(small, tmp_path):
    configs, data, path = configs_of(epochs=2), small(), tmp_path / "stack.safetensors"
    start, parts = None, 0
    while True:
        saved = []

        def keep(checkpoint, saved=saved):
            save_checkpoint(checkpoint, path)
            saved.append(checkpoint.epoch)
            if checkpoint.epoch <= 2:
                raise KeyboardInterrupt

        runs = train(configs, data, start=start, due=lambda: True, on_checkpoint=keep)
        parts += 1
        if saved == [3]:
            break
        start = load_checkpoint(path)
    assert parts == 11  # epoch 0, then 5 batches in each of two epochs, an end of an epoch being one of them
    for one, other in zip(train(configs, data), runs, strict=True):
        assert one.history.equals(other.history)
    assert runs[0].provenance["wall_seconds"] >= sum(part["wall_seconds"] for part in runs[0].provenance["earlier"])


def test_a_checkpoint_stays_what_it_was_while_training_goes_on(small):
    kept: list[tuple[Checkpoint, Checkpoint]] = []
    wild = parse_config(SETTINGS | {"learning_rate": 1e38})
    train(
        [*configs_of(), wild],
        small(),
        due=lambda: True,
        on_checkpoint=lambda checkpoint: kept.append((checkpoint, copy.deepcopy(checkpoint))),
    )
    assert len(kept) == 1 + 4 * 5  # after every mini-batch and epoch
    for later, then in kept:
        assert {**vars(later), "tensors": {}} == {**vars(then), "tensors": {}}
        torch.testing.assert_close(later.tensors, then.tensors, rtol=0, atol=0, equal_nan=True)


def test_nobody_is_handed_a_checkpoint_that_is_not_due(small):
    kept, asked = [], []

    def never():
        asked.append(True)
        return False

    train(configs_of(), small(), due=never, on_checkpoint=kept.append)
    assert [(checkpoint.epoch, checkpoint.batch) for checkpoint in kept] == [(5, 0)]  # the end alone
    assert len(asked) == 1 + 4 * 5  # after every mini-batch and epoch


def test_more_epochs_go_on_from_the_end(small, tmp_path):
    data, kept = small(), []
    train(configs_of(epochs=2), data, on_checkpoint=kept.append)
    assert [(checkpoint.epoch, checkpoint.batch) for checkpoint in kept] == [(3, 0)]
    save_checkpoint(kept[0], tmp_path / "end")
    epochs = []
    longer = train(
        configs_of(epochs=5), data, start=load_checkpoint(tmp_path / "end"), on_epoch=lambda e, _: epochs.append(e)
    )
    assert epochs == [3, 4, 5]
    for one, other in zip(train(configs_of(epochs=5), data), longer, strict=True):
        assert one.history.equals(other.history)


def test_fewer_epochs_are_cut_from_the_checkpoint(small):
    data, kept = small(), []
    long = train(configs_of(epochs=4), data, on_checkpoint=kept.append)
    short = train(configs_of(epochs=1), data, start=kept[-1])
    assert short[0].history.equals(long[0].history[:2])
    assert short[0].outcome == Outcome("finished", 1)


def test_one_member_can_go_on_without_the_other(small):
    configs, data, kept = configs_of(), small(), []
    train(configs_of(epochs=2), data, on_checkpoint=kept.append)
    alone = train(configs[1:], data, start=kept[0].take([1], configs[1:]))[0]
    whole = train(configs, data)[1]
    assert alone.history[:3].equals(whole.history[:3])
    np.testing.assert_allclose(alone.history, whole.history, rtol=0, atol=1e-4)  # rounding of another stack


def test_a_diverged_member_stays_so_and_leaves_its_neighbour_alone(small):
    wild = parse_config(SETTINGS | {"learning_rate": 1e38, "epochs": 2})
    tame, data, kept = configs_of(epochs=2)[0], small(), []
    train([wild, tame], data, on_checkpoint=kept.append)
    longer = [config.model_copy(update={"epochs": 4}) for config in (wild, tame)]
    stopped_, tamed = train(longer, data, start=kept[-1])
    unstopped, unstopped_tame = train(longer, data)
    assert stopped_.outcome == unstopped.outcome
    assert stopped_.outcome.state == "diverged"
    assert stopped_.outcome.J_squared == stopped_.history["J_squared"].iloc[-1]
    assert tamed.history.equals(unstopped_tame.history)


def test_a_late_divergence_tells_the_last_finite_j_squared(small):
    configs, data, kept = configs_of(), small(), []
    whole = train(configs, data, due=lambda: True, on_checkpoint=kept.append)
    start = next(checkpoint for checkpoint in kept if (checkpoint.epoch, checkpoint.batch) == (3, 1))
    with torch.inference_mode():
        start.tensors["weight.0"][1, 0, 0] = torch.inf
    tame, lost = train(configs, data, start=start)
    assert tame.history.equals(whole[0].history)
    J_squared = whole[1].history["J_squared"]
    assert lost.outcome == Outcome("diverged", 2, "NaN or Inf in epoch 3", J_squared[2])
    assert J_squared[2] != J_squared[0]
    assert lost.history.equals(whole[1].history[:3])


def test_members_taken_from_a_checkpoint_keep_what_is_their_own():
    configs = [*configs_of(), parse_config(SETTINGS | {"seed": 2})]
    rows = [[{"epoch": member}] for member in range(3)]
    outcomes = [Outcome("diverged", 3), None, Outcome("diverged", 1)]
    whole = Checkpoint(tuple(configs), "data", 5, 0, rows, outcomes, {"weight.0": torch.arange(3.0)[:, None]})
    own = whole.take([2, 1], [configs[2], configs[1]])
    assert own.configs == (configs[2], configs[1])
    assert own.histories == [[{"epoch": 2}], [{"epoch": 1}]]
    assert own.outcomes == [Outcome("diverged", 1), None]
    assert own.tensors["weight.0"].tolist() == [[2.0], [1.0]]
    assert (own.fingerprint, own.epoch, own.batch) == ("data", 5, 0)


def test_a_checkpoint_of_something_else_is_refused(small):
    data, kept = small(), []
    train(configs_of(), data, on_checkpoint=kept.append)
    other = [configs_of(l2=0.5), configs_of(epochs=9)[::-1]]
    for configs in other:
        with pytest.raises(ValueError, match="checkpoint is of other settings or data"):
            train(configs, data, start=kept[0])
    elsewhere = replace(data, fingerprint="another piece")
    with pytest.raises(ValueError, match="checkpoint is of other settings or data"):
        train(configs_of(epochs=9), elsewhere, start=kept[0])
    with pytest.raises(ValueError, match=r"the checkpoint's weight.0 is not that"):
        train(configs_of(epochs=9), data, start=kept[0], dtype=torch.float64)


# files --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def file(small, tmp_path):
    path = tmp_path / "stack.safetensors"
    stopped(configs_of(), small(), 7, path)
    return path


def test_round_trip(file):
    one, again = load_checkpoint(file), file.with_name("again")
    save_checkpoint(one, again)
    other = load_checkpoint(again)
    assert one.tensors.keys() == other.tensors.keys()
    assert all(torch.equal(tensor, other.tensors[name]) for name, tensor in one.tensors.items())
    assert {**vars(one), "tensors": {}} == {**vars(other), "tensors": {}} == vars(peek_checkpoint(file))
    assert (one.epoch, one.batch) == (2, 2)


@pytest.mark.parametrize("place", [0.0, 1e-4, 0.01, 0.05, 0.3, 0.6, 0.99])
@pytest.mark.parametrize("how", ["flipped", "cut"])
def test_a_damaged_checkpoint_is_named(file, how, place):
    content = bytearray(file.read_bytes())
    at = int(place * len(content))
    if how == "flipped":
        content[at] ^= 4
    else:
        del content[at:]
    file.write_bytes(content)
    with pytest.raises(TableError) as caught:
        load_checkpoint(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [lambda tensor: tensor.flatten(), lambda tensor: tensor.mT, lambda tensor: tensor.view(torch.int32)],
    ids=["flat", "transposed", "another dtype"],
)
def test_the_same_bytes_in_another_shape_are_no_checkpoint(file, change):
    with safetensors.safe_open(file, framework="pt") as opened:
        metadata = opened.metadata()
    tensors = safetensors.torch.load_file(file)
    own = tensors["weight.0"]
    changed = change(own).reshape(change(own).shape)
    tensors["weight.0"] = own.view(changed.dtype).reshape(changed.shape)
    assert tensors["weight.0"].numpy().tobytes() == own.numpy().tobytes()
    safetensors.torch.save_file(tensors, file, metadata)
    with pytest.raises(TableError, match="its content does not match its SHA-256 digest"):
        load_checkpoint(file)


def test_files_that_are_no_checkpoints(tmp_path):
    path = tmp_path / "stack.safetensors"
    with pytest.raises(TableError, match="does not exist"):
        load_checkpoint(path)
    header = json.dumps({"__metadata__": {"state": "{}"}}).encode()
    for content in (b"", b"checkpoint", len(header).to_bytes(8, "little") + header):
        path.write_bytes(content)
        for read in (load_checkpoint, peek_checkpoint):
            with pytest.raises(TableError, match="not a readable checkpoint"):
                read(path)
    path.write_bytes(safetensors.torch.save({"a": torch.zeros(2)}))
    with pytest.raises(TableError, match="not a readable checkpoint"):
        load_checkpoint(path)


def test_a_run_that_diverges_beyond_what_was_asked_for_is_finished(small):
    configs, data, kept = configs_of(epochs=4), small(), []
    train(configs, data, on_checkpoint=kept.append)
    beyond = Checkpoint(**{**vars(kept[0]), "outcomes": [Outcome("diverged", 3), None]})
    short = train(configs_of(epochs=2), data, start=beyond)
    assert [run.outcome for run in short] == [Outcome("finished", 2)] * 2
    assert [len(run.history) for run in short] == [3, 3]


def test_histories_beyond_a_header_of_safetensors(tmp_path):
    rows = [{"epoch": epoch, "J_squared": 0.25, "filling": "x" * 1_000} for epoch in range(101_000)]
    config = configs_of()[0]
    long = Checkpoint((config,), "data", 5, 0, [rows], [None], {"weight.0": torch.zeros(1, 2)})
    save_checkpoint(long, tmp_path / "stack.safetensors")
    assert load_checkpoint(tmp_path / "stack.safetensors").histories == [rows]
