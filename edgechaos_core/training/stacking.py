"""Which runs can be trained as one stack: those that differ in nothing but what a member has of its own."""

from collections.abc import Sequence

from edgechaos_core.images.datasets import Dataset
from edgechaos_core.store.runs import RunConfig

OWN_SETTINGS = {"learning_rate", "momentum", "l2", "seed"}  # what members of one stack may differ in


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
