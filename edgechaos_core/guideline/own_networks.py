"""Networks of a reader's own choice, to be trained with the formula's decay, after a pilot run, and steered."""

from collections.abc import Sequence

from edgechaos_core.analysis.by_setting import setting_in_words
from edgechaos_core.analysis.scaling import settled
from edgechaos_core.guideline.decay_formula import HORIZON, Formula, Network, corrected, guide
from edgechaos_core.settings import parse_settings
from edgechaos_core.store.runs import Run, RunConfig, parse_config

BASE = {"learning_rate": 0.02, "momentum": 0.75, "batch_size": 32}
SAMPLES = 20_000  # of networks of other widths


def configs_to_try(
    sizes: Sequence[int], widths: Sequence[int], epochs: int | None, seeds: Sequence[int], formula: Formula
) -> list[RunConfig]:
    """Return runs of networks of these sizes of data, and widths: with the formula's lambda, and steered to J^2 = 1.

    Of so many epochs, or of `HORIZON` rescaled steps where that is None.
    """
    found = []
    for own in [{"samples": size} for size in sizes] + [{"samples": SAMPLES, "width": width} for width in widths]:
        network = parse_settings(Network, BASE | own)
        length = epochs or round(HORIZON / (network.samples * network.speed))
        ways = ({"l2": _rounded(guide(network, formula).l2)}, {"hold": 1.0})
        found += [parse_config(BASE | own | way | {"seed": seed, "epochs": length}) for way in ways for seed in seeds]
    return found


def piloted_configs(first: Sequence[Run], formula: Formula) -> list[RunConfig]:
    """Return for each setting a run with the lambda that its ``first`` run corrects, from a seed that none has."""
    seed = max(run.config.seed for run in first) + 1
    found: dict[str, RunConfig] = {}
    for run in first:
        network = parse_settings(Network, run.config.model_dump(include=set(Network.model_fields)))
        l2 = _rounded(corrected(run.config.l2, settled(run), network, formula, 1.0))
        found.setdefault(setting_in_words(run.config), run.config.model_copy(update={"l2": l2, "seed": seed}))
    return list(found.values())


def _rounded(l2: float) -> float:
    return float(f"{l2:.2g}")
