"""Runs in tables for people: an epoch of a deep network in short, and where the numbers of runs come from."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from edgechaos_core.store.runs import Run


def in_short(row: Mapping[Any, float]) -> dict[str, float]:
    """Return an epoch's row for a table of a deep network: of J^2 and J0 of every layer, the first and the last.

    ``J_squared`` and ``J0`` are the first layer's, as in the row; ``J_squared_last`` and ``J0_last`` follow, and
    ``J_squared_mean``, the geometric mean over layers. Of what else is measured of each layer the first stands.
    """
    deeper = {name: int(match[2]) for name in row if (match := re.fullmatch(r"(\D.*)_(\d+)", name))}
    short = {name: value for name, value in row.items() if name not in deeper}
    if not deeper:
        return short
    last = max(deeper.values())
    layers = [row["J_squared"], *(row[f"J_squared_{layer}"] for layer in range(2, last + 1))]
    added = {f"{name}_last": row[f"{name}_{last}"] for name in ("J_squared", "J0")}
    added["J_squared_mean"] = math.exp(sum(map(math.log, layers)) / last) if min(layers) > 0 else 0.0
    place = list(short).index("J0") + 1
    return dict([*list(short.items())[:place], *added.items(), *list(short.items())[place:]])


def summary(runs: Sequence[Run]) -> pd.DataFrame:
    """Return where numbers come from, one row a run; ``minutes`` is its share of its stack's wall time."""
    settings = ("learning_rate", "momentum", "batch_size", "l2", "seed")
    rows = [
        {name: getattr(run.config, name) for name in settings}
        | {
            "epochs": len(run.history) - 1,
            "outcome": run.outcome.state,
            "device": run.provenance["device"],
            "minutes": round(run.provenance["wall_seconds"] / run.provenance["stack_members"] / 60, 1),
        }
        for run in runs
    ]
    return pd.DataFrame(rows).set_index("seed")
