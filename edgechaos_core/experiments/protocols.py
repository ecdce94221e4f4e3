"""From a name (named_grids.py) or a reader's YAML file to the settings of every run."""

import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgechaos_core.experiments.named_grids import PROTOCOLS, Grid
from edgechaos_core.store.runs import RunConfig, parse_config
from edgechaos_core.system.places import expanded
from edgechaos_core.system.yaml_files import read_yaml

LARGEST_GRID = 1_000_000


def protocol(
    name: str, *, seeds: Sequence[int] | None = None, epochs: int | None = None, samples: int | None = None
) -> list[RunConfig]:
    """Return the configs of a grid, seed by seed: a named protocol, or the YAML file of that name (see `read_grid`).

    ``epochs`` replaces those of the shortest runs, others and milestones keeping their proportion to it;
    ``samples`` replaces the number of training samples; ``seeds`` (default: 0) are for grids that give none. Raises
    ValueError for an unknown name, a bad file, settings that are not accepted, or seeds given both here and there.

    >>> from edgechaos_core import protocol
    >>> [config.l2 for config in protocol("fig6")]
    [0.0, 1e-05, 5e-05, 9e-05, 0.00015, 0.0003, 0.0005, 0.001]
    """
    if seeds is not None and not seeds:
        raise ValueError("at least one seed is needed")
    if epochs is not None and epochs < 1:
        raise ValueError(f"epochs must be at least 1, got {epochs}")
    if name.endswith((".yaml", ".yml")):
        grid = read_grid(expanded(Path(name)))
    elif name in PROTOCOLS:
        grid = PROTOCOLS[name]()
    else:
        raise ValueError(f"unknown protocol {name!r}: choose from {', '.join(PROTOCOLS)}, or give a file NAME.yaml")
    if seeds is not None and any("seed" in entry for entry in grid):
        raise ValueError(f"{name} gives seeds itself: leave seeds out here or there")
    override: dict[str, Any] = {} if samples is None else {"samples": samples}
    plain = [parse_config(entry | override) for entry in grid]
    shortest = min(config.epochs for config in plain)
    configs = []
    for entry, config in zip(grid, plain, strict=True):
        factor = 1 if epochs is None else epochs / shortest
        lengths = {name: round(getattr(config, name) * factor) for name in ("epochs", "milestone")}
        lengths["epochs"] = max(lengths["epochs"], 1)
        own_seeds = [entry["seed"]] if "seed" in entry else seeds or (0,)
        configs += [parse_config(entry | override | lengths | {"seed": seed}) for seed in own_seeds]
    return list(dict.fromkeys(configs))  # with fewer epochs two entries may be one run


def parse_seeds(text: str) -> list[int]:
    """Parse ``0:3`` (0, 1, 2) or ``0,2,5``; raise ValueError for another form."""
    if match := re.fullmatch(r"(\d+):(\d+)", text):
        first, end = int(match[1]), int(match[2])
        if not first < end <= first + LARGEST_GRID:
            raise ValueError(f"seeds FROM:TO need FROM below TO (and at most {LARGEST_GRID:,}), got {text!r}")
        return list(range(first, end))
    if re.fullmatch(r"\d+(,\d+)*", text):
        return list(dict.fromkeys(int(part) for part in text.split(",")))
    raise ValueError(f"seeds must be like 0:3 (0, 1 and 2) or 0,2,5, got {text!r}")


def read_grid(path: Path) -> Grid:
    """Read a grid of a reader's own: settings of a run under ``base``, ``vary`` and ``runs``.

    ``base`` are settings of every run, ``runs`` a list of settings that differ from it (default: base alone), ``vary``
    lists of values of a setting, of which every combination is run. Raises ValueError naming the file and what is
    wrong in it.
    """
    try:
        content = read_yaml(path)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from None
    try:
        return _expand(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _expand(content: object) -> Grid:
    parts = ("base", "vary", "runs")
    if not isinstance(content, Mapping) or not content or not set(content) <= set(parts):
        raise ValueError(f"a grid has the parts {', '.join(parts)}, and settings below them")
    base, vary, runs = content.get("base", {}), content.get("vary", {}), content.get("runs", [{}])
    if not isinstance(base, Mapping):
        raise ValueError("base must be settings, NAME: VALUE")
    if not isinstance(runs, list) or not runs or not all(isinstance(run, Mapping) for run in runs):
        raise ValueError("runs must be a list of settings, one run an item")
    if not isinstance(vary, Mapping) or not all(isinstance(values, list) and values for values in vary.values()):
        raise ValueError("vary must give a list of values for each setting, NAME: [VALUE, VALUE]")
    for name in {*base, *vary, *(name for run in runs for name in run)}:
        if name not in RunConfig.model_fields:
            raise ValueError(f"unknown setting {name!r}: choose from {', '.join(RunConfig.model_fields)}")
    size = len(runs)
    for values in vary.values():
        size *= len(values)
    if size > LARGEST_GRID:
        raise ValueError(f"a grid has at most {LARGEST_GRID:,} runs, this one {size:,}")
    combinations = list(itertools.product(*vary.values()))
    grid = [{**base, **run, **dict(zip(vary, values))} for run in runs for values in combinations]
    for entry in grid:
        parse_config(entry)
    return grid
