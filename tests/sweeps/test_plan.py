"""Plans of sweeps: how many members a device takes, which checkpoints are taken up, and what is said to be left."""

import itertools

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
    members_that_fit,
    stack_memory,
)
from edgechaos_core.system.progress import duration
from edgechaos_core.training.measure import EVALUATION_BATCH
from edgechaos_core.training.network import Workspace, initialise
from edgechaos_core.training.optimizers import make_optimizer

SETTINGS = {"samples": 300, "batch_size": 64, "width": 16, "epochs": 9}
FINGERPRINT = "data"


def config_of(**settings):
    return parse_config(SETTINGS | settings)


# memory ---------------------------------------------------------------------------------------------------------------


def tensors_of(thing) -> list[torch.Tensor]:
    """All tensors that are attributes of an object, or in its lists."""
    found = []
    for value in vars(thing).values():
        found += [
            own for own in (value if isinstance(value, list | tuple) else [value]) if isinstance(own, torch.Tensor)
        ]
    return found


@pytest.mark.parametrize(
    ("settings", "copies"),
    [
        ({"momentum": 0.0}, 1),
        ({"momentum": 0.5}, 2),  # and velocities
        ({"optimizer": "adam"}, 4),  # and gradients and two moments
        ({"optimizer": "adamw", "depth": 2}, 4),
    ],
    ids=str,
)
def test_a_member_takes_the_bytes_that_it_is_said_to(settings, copies):
    config = config_of(width=200, batch_size=50, **settings)
    shape = {"inputs": 784, "width": config.width, "depth": config.depth}
    stack = initialise([0], **shape)
    weights = sum(parameter.nbytes for parameter in stack.parameters)
    assert weights == 4 * plan.parameters(config)
    own = {"learning_rate": [0.1], "momentum": [config.momentum], "weight_decay": [0.0]}
    held = sum(tensor.nbytes for tensor in tensors_of(make_optimizer(config.optimizer, stack, **own)))
    assert held == copies * weights  # the optimizer has the weights among its own
    sizes = (config.batch_size, config.batch_size, EVALUATION_BATCH)
    buffers = sum(tensor.nbytes for size in sizes for tensor in tensors_of(Workspace(stack, size)))
    told = stack_memory(config, 2) - stack_memory(config, 1)
    wide = stack.hidden[0].double().nbytes
    assert held + buffers + wide <= told <= 1.05 * (held + buffers + wide)
    data = stack_memory(config, 1) - told
    assert data == 4 * 784 * (300 + 10_000)
    more = stack_memory(config.model_copy(update={"validation": 50}), 1) - stack_memory(config, 1)
    assert more == 4 * 784 * 50


def test_a_stack_on_a_gpu_takes_its_share_of_the_free_memory(monkeypatch):
    config, free = config_of(width=784), [0]
    monkeypatch.setattr(plan, "parse_device", lambda _: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free[0], 10**12))
    for members, spare in itertools.product((2, 7, 500), (0.001, 0.999)):
        one, two = stack_memory(config, members), stack_memory(config, members + 1)
        free[0] = int((one + spare * (two - one)) / plan.MEMORY_SHARE)
        assert members_that_fit(config, "cuda") == members
    for free[0], members in ((0, 1), (10**12, plan.LARGEST_STACK)):
        assert members_that_fit(config, "cuda") == members


def test_a_stack_on_a_cpu_is_of_small_networks():
    small, large = config_of(width=4, samples=60_000), config_of(width=200)
    assert members_that_fit(small, "cpu") == plan.CPU_PARAMETERS // (4 * 784 + 5 * 10)
    assert members_that_fit(large, "cpu") == 1
    assert members_that_fit(config_of(width=1), "cpu") <= plan.LARGEST_STACK


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
