"""Which runs can be trained as one stack, those that differ in what a member has of its own; its size in memory."""

from collections.abc import Sequence

import torch

from edgechaos_core.images.datasets import CLASSES, PIXELS, TEST_SAMPLES, Dataset
from edgechaos_core.store.runs import RunConfig
from edgechaos_core.system.machine import parse_device
from edgechaos_core.training.measure import EVALUATION_BATCH

OWN_SETTINGS = {"learning_rate", "momentum", "l2", "seed"}  # what members of one stack may differ in

# A stack on a CPU gains nothing from a second member unless they are small: then calls cost more than products.
CPU_PARAMETERS = 100_000
MEMORY_SHARE = 0.7  # of a device's free memory that a stack may take
LARGEST_STACK = 1_024


def stack_kind(config: RunConfig) -> str:
    """Return what members of one stack share, as text."""
    return config.model_dump_json(exclude=OWN_SETTINGS)


def shared_settings(configs: Sequence[RunConfig], dataset: Dataset) -> RunConfig:
    """Return a config with what all share; ValueError where they cannot be one stack, or not on that data set."""
    if not configs:
        raise ValueError("train needs at least one config")
    first = configs[0].model_dump(exclude=OWN_SETTINGS)
    for config in configs[1:]:
        other = config.model_dump(exclude=OWN_SETTINGS)
        differing = [name for name in first if first[name] != other[name]]
        if differing:
            own = ", ".join(sorted(OWN_SETTINGS))
            raise ValueError(f"members of one stack must share {', '.join(differing)}; they may differ in {own}")
    wanted = (configs[0].dataset, configs[0].samples, configs[0].validation, configs[0].label_noise)
    held_out = len(dataset.validation) if dataset.validation else 0
    given = (dataset.name, len(dataset.train), held_out, dataset.label_noise)
    if wanted != given:
        names = "(dataset, samples, validation, label_noise)"
        raise ValueError(f"config and data set differ in {names}: {wanted} against {given}")
    return configs[0]


def parameters(config: RunConfig) -> int:
    """Return the number of weights and biases of one network."""
    hidden = PIXELS * config.width + (config.depth - 1) * config.width**2
    return hidden + (config.width + 1) * CLASSES[config.dataset]


def stack_memory(config: RunConfig, members: int) -> int:
    """Return about how many bytes it takes to train that many members: weights and optimizer, activations, data."""
    copies = {"sgd": 2 if config.momentum else 1, "adam": 4, "adamw": 4}[config.optimizer]
    widths = PIXELS + 2 * config.width * config.depth + 3 * CLASSES[config.dataset]
    own = 4 * parameters(config) * copies + 8 * PIXELS * config.width  # J and J0 are measured in double precision
    own += 4 * widths * (2 * config.batch_size + EVALUATION_BATCH) + 20 * config.samples
    data = 4 * PIXELS * (config.samples + config.validation + TEST_SAMPLES[config.dataset])
    return members * own + data


def members_that_fit(config: RunConfig, device: str) -> int:
    """Return how many members like ``config`` make a good stack on a device: at least one."""
    place = parse_device(device)
    if place.type == "cpu":
        return max(1, min(CPU_PARAMETERS // parameters(config), LARGEST_STACK))
    free = int(MEMORY_SHARE * torch.cuda.mem_get_info(place)[0])
    one, two = (stack_memory(config, members) for members in (1, 2))
    return max(1, min((free - one) // (two - one) + 1, LARGEST_STACK))
