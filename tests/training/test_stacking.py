"""The memory that a stack takes, and how many members a device takes."""

import itertools

import pytest
import torch

from edgechaos_core.store.runs import parse_config
from edgechaos_core.training import stacking
from edgechaos_core.training.measure import EVALUATION_BATCH
from edgechaos_core.training.network import Workspace, initialise
from edgechaos_core.training.optimizers import make_optimizer
from edgechaos_core.training.stacking import members_that_fit, stack_memory

SETTINGS = {"samples": 300, "batch_size": 64, "width": 16, "epochs": 9}


def config_of(**settings):
    return parse_config(SETTINGS | settings)


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
    assert weights == 4 * stacking.parameters(config)
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
    monkeypatch.setattr(stacking, "parse_device", lambda _: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free[0], 10**12))
    for members, spare in itertools.product((2, 7, 500), (0.001, 0.999)):
        one, two = stack_memory(config, members), stack_memory(config, members + 1)
        free[0] = int((one + spare * (two - one)) / stacking.MEMORY_SHARE)
        assert members_that_fit(config, "cuda") == members
    for free[0], members in ((0, 1), (10**12, stacking.LARGEST_STACK)):
        assert members_that_fit(config, "cuda") == members


def test_a_stack_on_a_cpu_is_of_small_networks():
    small, large = config_of(width=4, samples=60_000), config_of(width=200)
    assert members_that_fit(small, "cpu") == stacking.CPU_PARAMETERS // (4 * 784 + 5 * 10)
    assert members_that_fit(large, "cpu") == 1
    assert members_that_fit(config_of(width=1), "cpu") <= stacking.LARGEST_STACK
