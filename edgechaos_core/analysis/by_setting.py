"""Runs by their setting, which is all but seed and epochs: grouped, by seed, and told in words."""

from collections.abc import Callable, Sequence

from edgechaos_core.store.runs import Run, RunConfig

USUAL = {"samples": 60_000, "width": 784, "dataset": "fashion-mnist"}


def by_setting(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Group runs that are seeds of one setting, by `setting_of`."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(setting_of(run.config), []).append(run)
    return groups


def setting_of(config: RunConfig) -> str:
    """Return what runs share that are seeds of one setting, as text: all but seed and epochs."""
    return config.model_dump_json(exclude={"seed", "epochs"})


def of_seeds(configs: Sequence[RunConfig], seeds: Sequence[int]) -> list[RunConfig]:
    """Return configs with each of these seeds instead of their own, seed by seed."""
    return [config.model_copy(update={"seed": seed}) for seed in seeds for config in configs]


def of_settings(runs: Sequence[Run]) -> list[dict[int, Run]]:
    """Return the runs of each setting by seed, in an order that does not depend on that of the runs.

    The bootstrap draws places: settings by speed (eta, alpha, B, lambda), seeds by number.
    Raises ValueError for no runs, or a seed that one setting has twice.
    """
    if not runs:
        raise ValueError("an estimate needs at least one run")
    groups = []
    for own in by_setting(sorted(runs, key=_place)).values():
        seeds = {run.config.seed: run for run in own}
        if len(seeds) < len(own):
            raise ValueError(f"a setting has a seed twice: {[run.config.seed for run in own]}")
        groups.append(seeds)
    return groups


def _place(run: Run) -> tuple[float, ...]:
    config = run.config
    return (config.learning_rate, config.momentum, config.batch_size, config.l2, config.seed)


def of_one_setting(runs: Sequence[Run]) -> dict[int, Run]:
    """Return runs of one setting by seed; ValueError for no runs, several settings, or a seed twice."""
    groups = of_settings(runs)
    if len(groups) != 1:
        raise ValueError(f"seeds of one setting are needed, got {len(groups)} settings")
    return groups[0]


def apart(runs: Sequence[Run], is_base: Callable[[RunConfig], bool]) -> tuple[dict[int, Run], list[dict[int, Run]]]:
    """Return the base setting's runs by seed, and those of each other setting.

    Raises ValueError where no setting, or more than one, is the base, or there is no other.
    """
    groups = of_settings(runs)
    base = [own for own in groups if is_base(next(iter(own.values())).config)]
    others = [own for own in groups if own not in base]
    if len(base) != 1 or not others:
        raise ValueError(f"one base setting and at least one other are compared, got {len(base)} and {len(others)}")
    return base[0], others


def common_seeds(groups: Sequence[dict[int, Run]]) -> list[int]:
    """Return the seeds that all settings have, rising; none for no settings."""
    return sorted(set.intersection(*map(set, groups))) if groups else []


def place(config: RunConfig) -> tuple[float, float, int]:
    """Return learning rate, momentum and batch size, by which settings of the paper's first figures are told apart."""
    return config.learning_rate, config.momentum, config.batch_size


def setting_in_words(config: RunConfig) -> str:
    """Return in words what network and training a run is of."""
    sizes = {"samples": f"S {config.samples:,}", "width": f"width {config.width:,}", "dataset": config.dataset}
    own = [text for name, text in sizes.items() if getattr(config, name) != USUAL[name]]
    rates = f"η {config.learning_rate:g}, α {config.momentum:g}, B {config.batch_size}"
    return "; ".join([*own, rates])


def strength_text(l2: float) -> str:
    """Write a strength of decay as pages do.

    >>> strength_text(0.0), strength_text(9e-5), strength_text(0.00015), strength_text(0.001)
    ('0', '9e-5', '1.5e-4', '1e-3')
    """
    if not l2:
        return "0"
    mantissa, exponent = f"{l2:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"
