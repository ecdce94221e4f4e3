"""The simulated phase diagram: distance and Lyapunov exponent in every cell of a grid of (J0/J, 1/J).

The grid is that of Zhang et al. (arXiv 2107.09437), Fig. 1b: 1/J in (0, 2] and J0/J in [-1, 2]. Cells are simulated in
tiles that bound the memory; a file is written after each tile, so that an interrupted diagram goes on where it was.
"""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pydantic import Field

from edgechaos_core.machine import cpu_threads, parse_device, provenance
from edgechaos_core.network import Activation
from edgechaos_core.probes import (
    ALIGN,
    ITERATIONS,
    MEASURE,
    OnProgress,
    asymptotic_distance,
    draw_maps,
    lyapunov_exponents,
)
from edgechaos_core.settings import Settings, parse_settings
from edgechaos_core.tables import named_errors, read_table, write_table

INVERSE_J = (0.0, 2.0)  # rows: above the first, up to the second
RATIO = (-1.0, 2.0)  # columns: J0 / J, both ends included
TILE = 512  # cells simulated together: enough for the products to run at their peak
CELL = ["draw", "inverse_J", "ratio"]


class DiagramConfig(Settings):
    """What is simulated: N neurons, rows of 1/J, columns of J0/J, iterations, draws of Z, activation and seed."""

    neurons: int = Field(4_000, ge=2, le=100_000)
    rows: int = Field(100, ge=1, le=10_000)
    columns: int = Field(151, ge=1, le=10_000)
    iterations: int = Field(ITERATIONS, ge=5, le=1_000_000)
    draws: int = Field(1, ge=1, le=10_000)
    activation: Activation = "tanh"
    seed: int = Field(0, ge=0, lt=2**63)

    @property
    def cells(self) -> pd.DataFrame:
        """All cells, row by row from the smallest 1/J: ``draw``, ``inverse_J``, ``ratio`` = J0/J."""
        grid = pd.MultiIndex.from_product(
            [range(self.draws), np.linspace(*INVERSE_J, self.rows + 1)[1:], np.linspace(*RATIO, self.columns)],
            names=CELL,
        )
        return grid.to_frame(index=False)


@dataclass(frozen=True)
class Diagram:
    """A simulated diagram: ``cells`` has draw, inverse_J, ratio, distance and lyapunov_exponent, one row a cell.

    ``distance`` is the Euclidean norm of `asymptotic_distance`; both are ``nan`` where the state grows without bound.
    """

    config: DiagramConfig
    cells: pd.DataFrame
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Tell whether every cell has been simulated."""
        return len(self.cells) == len(self.config.cells)


def simulate(
    config: DiagramConfig,
    *,
    path: Path | None = None,
    device: str = "cpu",
    threads: int | None = None,
    dtype: torch.dtype = torch.float32,
    on_progress: OnProgress | None = None,
) -> Diagram:
    """Simulate a diagram; with ``path`` keep it there tile by tile, going on with what the file already has.

    ``threads`` defaults to all cores. ``on_progress`` is called with steps done out of `steps`. Raises ValueError for a
    bad device or thread count or a file of other settings, TableError for one that cannot be read or written. Ctrl-C
    leaves the tiles done in the file and raises KeyboardInterrupt.
    """
    place, threads = parse_device(device), threads or os.cpu_count() or 1
    done = _resume(config, path)
    with torch.inference_mode(), cpu_threads(threads):
        made_by = provenance(place, threads=threads, dtype=dtype) | {"wall_seconds": 0.0} | done.provenance
        remaining = config.cells.merge(done.cells[CELL], how="left", on=CELL, indicator=True)
        remaining = remaining[remaining.pop("_merge") == "left_only"]
        if on_progress is not None:
            on_progress((len(config.cells) - len(remaining)) * _steps_per_cell(config))
        parts, clock = [done.cells], time.perf_counter()
        for tile in _tiles(config, remaining, place, dtype, on_progress):
            parts.append(tile)
            now = time.perf_counter()
            made_by["wall_seconds"] = round(made_by["wall_seconds"] + now - clock, 3)
            clock = now
            if path is not None:
                save_diagram(Diagram(config, pd.concat(parts, ignore_index=True), made_by), path)
    return Diagram(config, pd.concat(parts, ignore_index=True), made_by)


def steps(config: DiagramConfig) -> int:
    """Return the number of steps that `simulate` reports: cells x iterations."""
    return len(config.cells) * _steps_per_cell(config)


def save_diagram(diagram: Diagram, path: Path) -> None:
    """Write a diagram to ``path``: whole or not at all. Raises TableError naming a file that cannot be written."""
    metadata = {"config": diagram.config.model_dump_json(), "provenance": json.dumps(diagram.provenance)}
    write_table(diagram.cells, metadata, path)


def load_diagram(path: Path) -> Diagram:
    """Read a diagram back, verifying its digest. Raises TableError naming a missing, damaged or foreign file."""
    with named_errors(path, "phase diagram"):
        cells, metadata = read_table(path)
        config = parse_settings(DiagramConfig, json.loads(metadata["config"]))
        return Diagram(config, cells[[*CELL, "distance", "lyapunov_exponent"]], json.loads(metadata["provenance"]))


def _resume(config: DiagramConfig, path: Path | None) -> Diagram:
    if path is None or not path.exists():
        return Diagram(config, config.cells[:0].assign(distance=0.0, lyapunov_exponent=0.0))
    diagram = load_diagram(path)
    if diagram.config != config:
        raise ValueError(f"{path} has other settings ({diagram.config!r}): choose another name")
    return diagram


def _steps_per_cell(config: DiagramConfig) -> int:
    return config.iterations + ALIGN + MEASURE


def _tiles(
    config: DiagramConfig,
    cells: pd.DataFrame,
    device: torch.device,
    dtype: torch.dtype,
    on_progress: OnProgress | None,
) -> Iterator[pd.DataFrame]:
    """Simulate cells in tiles of one draw each and yield them with their results."""
    for draw in range(config.draws):
        own = cells[cells["draw"] == draw]
        if own.empty:
            continue
        J = torch.tensor(1 / own["inverse_J"].to_numpy())
        J0 = torch.tensor(own["ratio"].to_numpy()) * J
        options: dict[str, Any] = {"neurons": config.neurons, "seed": config.seed, "device": device, "dtype": dtype}
        maps, start, perturbation = draw_maps(J, J0, draw=draw, **options)
        for first in range(0, len(own), TILE):
            tile = own[first : first + TILE].reset_index(drop=True)
            part = maps.take(torch.arange(first, first + len(tile), device=device))
            x, shift = start.expand(len(tile), -1), perturbation.expand(len(tile), -1)
            options = {"activation": config.activation, "on_progress": on_progress}
            distance, state = asymptotic_distance(part, x, shift, iterations=config.iterations, **options)
            exponent = lyapunov_exponents(part, state, seed=config.seed, **options)[:, 0]
            yield tile.assign(distance=distance.cpu().numpy(), lyapunov_exponent=exponent.cpu().numpy())
