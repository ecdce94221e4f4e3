"""Plans of sweeps: how many members a device takes, which checkpoints are taken up, and what is said to be left."""

import pytest
import torch

from edgechaos_core.store.checkpoints import Checkpoint, save_checkpoint
from edgechaos_core.store.runs import Wanted, parse_config
from edgechaos_core.store.store import Store
from edgechaos_core.sweeps import plan
from edgechaos_core.sweeps.plan import (
    Plan,
    StackPlan,
    epoch_seconds,
    estimate,
    make_plan,
)
from edgechaos_core.system.progress import duration
from edgechaos_core.training.stacking import stack_memory

SETTINGS = {"samples": 300, "batch_size": 64, "width": 16, "epochs": 9}
FINGERPRINT = "data"


def config_of(**settings):
    return parse_config(SETTINGS | settings)


# checkpoints ----------------------------------------------------------------------------------------------------------


def wanted(configs) -> list[Wanted]:
    return [Wanted(config, FINGERPRINT) for config in configs]


def begun(store: Store, name: str, configs, epoch: int) -> None:
    """Store the checkpoint of a stack in the midst of an epoch; a plan looks at no tensor of it."""
    rows = [[{"epoch": done, "J_squared": 0.25} for done in range(epoch)] for _ in configs]
    weights = {"weight.0": torch.zeros(len(configs), 2, 2)}
    checkpoint = Checkpoint(tuple(configs), FINGERPRINT, epoch, 1, rows, [None] * len(configs), weights)
    save_checkpoint(checkpoint, store.checkpoints / f"{name}.safetensors")


def planned(configs, store: Store) -> list[tuple[list[int], str | None, int]]:
    """Seeds, checkpoint and epoch of each stack that is planned."""
    stacks = make_plan(wanted(configs), store).stacks
    return [
        ([member.config.seed for member in stack.members], stack.checkpoint and stack.checkpoint.stem, stack.epoch)
        for stack in stacks
    ]


@pytest.mark.parametrize("names", ["ab", "ba"])  # whichever name comes first
def test_of_two_checkpoints_the_more_advanced_is_taken(tmp_path, names):
    store, configs = Store(tmp_path), [config_of(seed=seed, width=200) for seed in range(3)]
    begun(store, names[0], configs[:1], 6)
    begun(store, names[1], configs[:2], 3)
    assert planned(configs[:1], store) == [([0], names[0], 5)]
    assert planned(configs[:2], store) == [([1], names[1], 2), ([0], names[0], 5)]  # most work first
    assert planned(configs, store) == [([2], None, 0), ([1], names[1], 2), ([0], names[0], 5)]


def test_a_begun_stack_is_taken_up_whole_where_all_of_it_is_asked_for(tmp_path):
    store, configs = Store(tmp_path), [config_of(seed=seed, width=200) for seed in range(3)]
    begun(store, "a", configs, 4)
    assert planned(configs, store) == [([0, 1, 2], "a", 3)]
    assert planned(configs[1:], store) == [([1, 2], "a", 3)]
    longer = [config.model_copy(update={"epochs": 20 + config.seed}) for config in configs]
    assert planned(longer, store) == [([0, 1, 2], "a", 3)]
    plans = make_plan(wanted(longer), store).stacks
    assert [member.config.epochs for member in plans[0].members] == [22] * 3  # one stack trains as long as the longest
    assert planned([config.model_copy(update={"epochs": 1}) for config in configs], store) == [([0, 1, 2], "a", 1)]


def test_a_checkpoint_of_other_data_is_not_taken_up(tmp_path):
    store, config = Store(tmp_path), config_of(width=200)
    begun(store, "a", [config], 4)
    stacks = make_plan([Wanted(config, "other data")], store).stacks
    assert [(stack.checkpoint, stack.epoch) for stack in stacks] == [(None, 0)]


# what is said ---------------------------------------------------------------------------------------------------------


def test_epochs_left_are_those_of_all_members():
    two, three = (tuple(wanted(config_of(seed=seed) for seed in range(count))) for count in (2, 3))
    assert Plan(9, 4, (StackPlan(two, epoch=4), StackPlan(three))).epochs == 2 * (9 - 4) + 3 * 9


def test_an_estimate_measures_each_kind_of_stack_once(tmp_path, monkeypatch):
    asked = []

    def seconds(config, members, device, threads):
        asked.append((config.width, members, device, threads))
        return {200: 60.0, 300: 240.0}[config.width]

    monkeypatch.setattr(plan, "epoch_seconds", seconds)
    narrow = [config_of(width=200, seed=seed, learning_rate=0.1 + seed) for seed in range(3)]
    wide = [config_of(width=300, epochs=epochs, optimizer="adam") for epochs in (20, 10)]
    stacks = [StackPlan((config,)) for config in wanted([*narrow, *wide])]
    stacks[0] = StackPlan(stacks[0].members, tmp_path, 4)
    line = estimate(Plan(8, 3, tuple(stacks)), threads=1, workers=2)
    assert asked == [(200, 1, "cpu", 1), (300, 1, "cpu", 1)]
    whole = 60.0 * (5 + 9 + 9) + 240.0 * (20 + 10)
    assert line == (
        f"8 runs, 3 of them stored; 5 stacks to train, 1 of them begun, 53 epochs: about {duration(whole / 2)} with "
        f"2 at a time, {stack_memory(wide[0], 1) / 1e9 + 0.4:.1f} GB of memory each"
    )
    assert f"about {duration(whole / 5)} with 9 at a time" in estimate(Plan(8, 3, tuple(stacks)), workers=9)
    assert estimate(Plan(8, 8, ())) == "8 runs, 8 of them stored: nothing to train"


@pytest.mark.parametrize("validation", [0, 5_000])
@pytest.mark.parametrize("samples", [20_010, 300])
def test_an_epoch_is_its_steps_and_the_rest_of_it(monkeypatch, samples, validation):
    """By a clock that takes 0.01 s a mini-batch and 0.5 s for what 1,000 test images are evaluated in."""
    seen = []

    def shortest(configs, data, device, threads):
        seen.append((len(configs), len(data.train), len(data.test), configs[0].validation))
        return 0.01 * len(data.train) / configs[0].batch_size + 0.5

    monkeypatch.setattr(plan, "_shortest_epoch", shortest)
    config = config_of(samples=samples, batch_size=8, validation=validation, label_noise=0.1)
    told = epoch_seconds(config, 3, "cpu", 1)
    assert seen == [(3, 128, 1_000, 0), (3, min(384, samples), 1_000, 0)]
    assert told == pytest.approx(0.01 * -(-samples // 8) + 0.5 * (10_000 + validation) / 1_000)
