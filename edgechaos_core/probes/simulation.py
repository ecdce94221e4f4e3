"""A phase diagram simulated: in tiles that bound the memory, and resumed where it was interrupted.

A file is written after each tile, so that an interrupted diagram goes on where it was.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tqdm import tqdm

from edgechaos_core.probes.chaos import OnProgress, asymptotic_distance, lyapunov_exponents
from edgechaos_core.probes.diagram import Diagram, DiagramConfig, begun, committed_diagram, save_diagram
from edgechaos_core.probes.linear_maps import draw_maps
from edgechaos_core.system.machine import cpu_threads, parse_device, provenance
from edgechaos_core.system.places import diagrams_folder
from edgechaos_core.system.progress import duration, show_progress
from edgechaos_core.theory.edges import edge_of_chaos

TILE = 512  # cells simulated together: enough for the products to run at their peak
_TYPICAL = 40  # iterations before a cell in order has settled


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

    >>> from edgechaos_core import DiagramConfig, simulate
    >>> config = DiagramConfig(neurons=200, iterations=100, rows=4, columns=1,
    ...                        ratio_from=0, ratio_to=0)  # 1/J = 0.5, 1, 1.5, 2
    >>> (simulate(config).cells["lyapunov_exponent"] > 0).tolist()
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
        # the least of three: whatever else the machine does can only add; reading a number waits for the device
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


def obtain_diagram(config: DiagramConfig, *, device: str = "cpu", threads: int | None = None) -> Diagram:
    """Return a diagram: the committed one with these settings, or the user's own, simulated where it is missing.

    A simulation shows a progress bar and is kept in the user's cache tile by tile, so that it goes on where Ctrl-C
    (KeyboardInterrupt) ended it. Raises what `simulate` raises.
    """
    if (found := committed_diagram(config)) is not None:
        return found
    key = hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:16]
    path = diagrams_folder() / f"{key}.parquet"
    return simulate_with_bar(config, path, device=device, threads=threads)


def _threads(config: DiagramConfig, wanted: int | None) -> int:
    if wanted is not None:
        return wanted
    return (os.cpu_count() or 1) if config.neurons >= 1_000 else 1


def _tiles(
    config: DiagramConfig, cells: pd.DataFrame, device: torch.device, dtype: torch.dtype, on_progress: OnProgress | None
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
