"""The simulated phase diagram: distance and Lyapunov exponent in every cell of a grid of (J0/J, 1/J).

The grid is that of Zhang et al. (arXiv 2107.09437), Fig. 1b: 1/J in (0, 2] and J0/J in [-1, 2]. Cells are simulated in
tiles that bound the memory; a file is written after each tile, so that an interrupted diagram goes on where it was.
"""

import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from pydantic import Field, model_validator
from tqdm import tqdm

from edgechaos_core.conventions import Activation
from edgechaos_core.probes.chaos import (
    ALIGN,
    ITERATIONS,
    MEASURE,
    PERTURBATION,
    OnProgress,
    asymptotic_distance,
    draw_maps,
    lyapunov_exponents,
)
from edgechaos_core.settings import Settings, parse_settings
from edgechaos_core.store.tables import TableError, named_errors, read_metadata, read_table, write_table
from edgechaos_core.system.machine import cpu_threads, parse_device, provenance
from edgechaos_core.system.places import COMMITTED_DIAGRAMS, diagrams_folder
from edgechaos_core.system.progress import duration, show_progress
from edgechaos_core.theory.edges import LARGEST_RATIO, edge_of_chaos
from edgechaos_core.theory.meanfield import LARGEST_J

LARGEST_SIZE = 10_000_000  # cells
TILE = 512  # cells simulated together: enough for the products to run at their peak
CELL = ["draw", "inverse_J", "ratio"]
_TYPICAL = 40  # iterations before a cell in order has settled


class DiagramConfig(Settings):
    """What is simulated: N neurons, a grid of cells, iterations, draws of Z and of the start, activation, seed.

    Rows of 1/J are equally spaced above ``inverse_j_from`` up to ``inverse_j_to``, columns of J0/J from ``ratio_from``
    to ``ratio_to``. ``align`` and ``measure`` are the iterations of `lyapunov_exponents`.
    """

    neurons: int = Field(4_000, ge=2, le=100_000)
    rows: int = Field(100, ge=1, le=10_000)
    columns: int = Field(151, ge=1, le=10_000)
    inverse_j_from: float = Field(0.0, ge=0)
    inverse_j_to: float = Field(2.0, gt=0, le=100)
    ratio_from: float = Field(-1.0, ge=-LARGEST_RATIO)
    ratio_to: float = Field(2.0, le=LARGEST_RATIO)
    iterations: int = Field(ITERATIONS, ge=5, le=1_000_000)
    align: int = Field(ALIGN, ge=0, le=1_000_000)
    measure: int = Field(MEASURE, ge=1, le=1_000_000)
    draws: int = Field(1, ge=1, le=10_000)
    activation: Activation = "tanh"
    seed: int = Field(0, ge=0, lt=2**63)

    @model_validator(mode="after")
    def _ordered(self) -> "DiagramConfig":
        if self.inverse_j_from >= self.inverse_j_to:
            raise ValueError(
                f"inverse_j_from must be below inverse_j_to = {self.inverse_j_to:g}, got {self.inverse_j_from:g}"
            )
        if self.ratio_from > self.ratio_to or (self.ratio_from < self.ratio_to and self.columns == 1):
            raise ValueError(
                f"ratio_from must be at most ratio_to, and equal to it with one column, "
                f"got {self.ratio_from:g} to {self.ratio_to:g} in {self.columns} columns"
            )
        lowest = self.inverse_j_from + (self.inverse_j_to - self.inverse_j_from) / self.rows
        if lowest < 1 / LARGEST_J:
            raise ValueError(f"the smallest 1/J must be at least 1/{LARGEST_J:g}, got {lowest:g}: use fewer rows")
        if self.size > LARGEST_SIZE:
            raise ValueError(f"rows x columns x draws must be at most {LARGEST_SIZE:,}, got {self.size:,}")
        return self

    @property
    def size(self) -> int:
        """The number of cells of all draws."""
        return self.rows * self.columns * self.draws

    @property
    def cells(self) -> pd.DataFrame:
        """All cells, row by row from the smallest 1/J: ``draw``, ``inverse_J``, ``ratio`` = J0/J."""
        inverse_J = np.linspace(self.inverse_j_from, self.inverse_j_to, self.rows + 1)[1:]
        ratios = np.linspace(self.ratio_from, self.ratio_to, self.columns)
        return pd.MultiIndex.from_product([range(self.draws), inverse_J, ratios], names=CELL).to_frame(index=False)


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
        return len(self.cells) == self.config.size


def simulate(
    config: DiagramConfig,
    *,
    path: Path | None = None,
    resume: bool = True,
    device: str = "cpu",
    threads: int | None = None,
    dtype: torch.dtype = torch.float32,
    on_progress: OnProgress | None = None,
) -> Diagram:
    """Simulate a diagram; with ``path`` keep it there tile by tile, and ``resume`` what the file already has.

    ``threads`` defaults to all cores, to one below 1,000 neurons, where more get in each other's way. ``on_progress``
    is called with the steps just done, of those that `steps` counts. Raises ValueError for a bad device or thread count
    or a file of other settings, TableError for one that cannot be read or written. Ctrl-C leaves the tiles done in the
    file and raises KeyboardInterrupt.

    >>> config = DiagramConfig(neurons=200, rows=4, columns=1, ratio_from=0, ratio_to=0, iterations=100)
    >>> (simulate(config).cells["lyapunov_exponent"] > 0).tolist()  # at 1/J of 0.5, 1, 1.5 and 2: chaos, then order
    [True, False, False, False]
    """
    place, threads = parse_device(device), _threads(config, threads)
    done = begun(config, path if resume else None)
    if done.complete:
        return done
    with torch.inference_mode(), cpu_threads(threads):
        before = {name: value for name, value in done.provenance.items() if name in ("started", "wall_seconds")}
        made_by = provenance(place, threads=threads, dtype=dtype) | {"wall_seconds": 0.0} | before
        remaining = config.cells[len(done.cells) :]  # cells are simulated in order
        parts, clock = [done.cells], time.perf_counter()
        for tile in _tiles(config, remaining, place, dtype, on_progress):
            parts.append(tile)
            now = time.perf_counter()
            made_by["wall_seconds"] = round(made_by["wall_seconds"] + now - clock, 3)
            clock = now
            if path is not None:
                save_diagram(Diagram(config, pd.concat(parts, ignore_index=True), made_by), path)
    return Diagram(config, pd.concat(parts, ignore_index=True), made_by)


def steps(config: DiagramConfig, cells: int | None = None) -> int:
    """Return the steps that `simulate` reports for that many cells, by default all: cells x iterations."""
    return (config.size if cells is None else cells) * (config.iterations + config.align + config.measure)


def simulate_with_bar(
    config: DiagramConfig, path: Path | None, *, resume: bool = True, device: str = "cpu", threads: int | None = None
) -> Diagram:
    """Do as `simulate` does, behind a progress bar that counts what is done already but not as speed."""
    done = steps(config, len(begun(config, path if resume else None).cells))
    look: dict[str, Any] = {"unit": "step", "unit_scale": True, "desc": f"phase diagram, N = {config.neurons:,}"}
    with tqdm(total=steps(config), initial=done, disable=not show_progress(), **look) as bar:
        return simulate(config, path=path, resume=resume, device=device, threads=threads, on_progress=bar.update)


def estimate(config: DiagramConfig, *, device: str = "cpu", threads: int | None = None) -> str:
    """Say in one line what `simulate` would cost here, from a timed piece of a product of its size.

    Counts all iterations for the cells that theory calls chaotic and a typical 40 before another cell settles.
    """
    place, threads, N = parse_device(device), _threads(config, threads), config.neurons
    cells = config.cells
    rows, slab = 2 * min(TILE, config.rows * config.columns), min(N, 2_000)
    with torch.inference_mode(), cpu_threads(threads):
        Z, x = (torch.rand(size, N, device=place) for size in (slab, rows))
        out, clocks = torch.mm(x, Z.T), []
        for _ in range(3):
            clock = time.perf_counter()
            float(torch.mm(x, Z.T, out=out)[0, 0])
            clocks.append((time.perf_counter() - clock) * N / slab)
    edge = {ratio: edge_of_chaos(ratio, config.activation) for ratio in cells["ratio"].unique()}
    chaotic = int((cells["inverse_J"] < cells["ratio"].map(edge)).sum())
    settled = (config.size - chaotic) * max(config.iterations - _TYPICAL, 0)
    products = 2 * (steps(config) - settled)
    seconds, bound = (count * min(clocks) / rows for count in (products, 2 * steps(config)))
    memory = 4 * N * (N + 8 * TILE) / 1e9
    return (
        f"{config.size:,} cells of {N:,} neurons, {chaotic:,} of them chaotic by theory: about {duration(seconds)}, "
        f"at most {duration(bound)}; {memory + 0.3:.1f} GB of memory"
    )


def save_diagram(diagram: Diagram, path: Path) -> None:
    """Write a diagram to ``path``: whole or not at all. Raises TableError naming a file that cannot be written."""
    metadata = {"config": diagram.config.model_dump_json(), "provenance": json.dumps(diagram.provenance)}
    write_table(diagram.cells, metadata, path)


def load_diagram(path: Path, *, partial: bool = False) -> Diagram:
    """Read a diagram back, verifying its digest; ``partial`` allows one that is not complete.

    Raises TableError naming a missing, damaged, foreign or incomplete file.
    """
    with named_errors(path, "phase diagram"):
        cells, metadata = read_table(path)
        config = parse_settings(DiagramConfig, json.loads(metadata["config"]))
        cells = cells[[*CELL, "distance", "lyapunov_exponent"]]
        diagram = Diagram(config, cells, json.loads(metadata["provenance"]))
        expected = config.cells[: len(cells)]
        if len(cells) > config.size or not np.allclose(cells[CELL], expected, rtol=0, atol=1e-9):
            raise ValueError("its cells are not those of its settings")
    if not diagram.complete and not partial:
        done = f"{len(diagram.cells):,} of {config.size:,} cells"
        raise TableError(f"{path} has {done}: run the same edgechaos phase-diagram again to finish it")
    return diagram


def obtain_diagram(config: DiagramConfig, *, device: str = "cpu", threads: int | None = None) -> Diagram:
    """Return a diagram: the committed one with these settings, or the user's own, simulated where it is missing.

    A simulation shows a progress bar and is kept in the user's cache tile by tile, so that it goes on where Ctrl-C
    (KeyboardInterrupt) ended it. Raises what `simulate` raises.
    """
    for path in sorted(COMMITTED_DIAGRAMS.glob("*.parquet")):
        with named_errors(path, "phase diagram"):
            found = json.loads(read_metadata(path)["config"])
        if parse_settings(DiagramConfig, found) == config:
            return load_diagram(path)
    key = hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:16]
    path = diagrams_folder() / f"{key}.parquet"
    return simulate_with_bar(config, path, device=device, threads=threads)


def simulated_edge(diagram: Diagram, column: Literal["lyapunov_exponent", "distance"]) -> pd.DataFrame:
    """Return where each draw and ratio turns chaotic: ``draw``, ``ratio``, ``inverse_J``.

    A cell counts as chaotic if its distance exceeds that of the start, or if its exponent exceeds 1 / measure: neutral
    motion, as on a limit cycle, cannot be told from growth by less than e over the iterations measured. The edge is the
    1/J, half-way between two rows, with the fewest cells on the wrong side, chaos being below; the middle one of
    several. Where all cells agree the edge is outside the diagram, and ``nan``. Cells without a value are left out.
    """
    config = diagram.config
    above = PERTURBATION * config.neurons**0.5 if column == "distance" else 1 / config.measure
    edges = []
    for (draw, ratio), cells in diagram.cells.dropna(subset=column).sort_values("inverse_J").groupby(["draw", "ratio"]):
        chaotic, inverse_J = (cells[column] > above).to_numpy(), cells["inverse_J"].to_numpy()
        wrong = np.concatenate([[0], np.cumsum(~chaotic)]) + np.concatenate([np.cumsum(chaotic[::-1])[::-1], [0]])
        tied = np.flatnonzero(wrong == wrong.min())
        best = tied[(len(tied) - 1) // 2]
        inside = 0 < best < len(cells)
        edges.append((draw, ratio, inverse_J[best - 1 : best + 1].mean() if inside else np.nan))
    return pd.DataFrame(edges, columns=["draw", "ratio", "inverse_J"])


def begun(config: DiagramConfig, path: Path | None) -> Diagram:
    """Return what a file has of a diagram, nothing where there is no file; ValueError if it has another diagram."""
    if path is None or not path.exists():
        return Diagram(config, config.cells[:0].assign(distance=0.0, lyapunov_exponent=0.0))
    diagram = load_diagram(path, partial=True)
    if diagram.config != config:
        own, wanted = diagram.config.model_dump(), config.model_dump()
        differing = ", ".join(f"{name} {own[name]} and not {wanted[name]}" for name in own if own[name] != wanted[name])
        raise ValueError(
            f"{path} holds a diagram of other settings, {differing}: choose another name or replace it with --force"
        )
    return diagram


def _threads(config: DiagramConfig, wanted: int | None) -> int:
    if wanted is not None:
        return wanted
    return (os.cpu_count() or 1) if config.neurons >= 1_000 else 1


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
            options |= {"align": config.align, "measure": config.measure, "seed": config.seed}
            exponent = lyapunov_exponents(part, state, **options)[:, 0]
            yield tile.assign(distance=distance.cpu().numpy(), lyapunov_exponent=exponent.cpu().numpy())
