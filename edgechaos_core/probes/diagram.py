"""A phase diagram: which cells of (J0/J, 1/J) it has, what was measured in each, its file, and the edge it shows.

The grid is that of Zhang et al. (arXiv 2107.09437), Fig. 1b: 1/J in (0, 2] and J0/J in [-1, 2].
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field, model_validator

from edgechaos_core.conventions import Activation
from edgechaos_core.probes.chaos import ALIGN, ITERATIONS, MEASURE
from edgechaos_core.probes.linear_maps import PERTURBATION
from edgechaos_core.settings import Settings, parse_settings
from edgechaos_core.store.tables import TableError, named_errors, read_metadata, read_table, write_table
from edgechaos_core.system.places import COMMITTED_DIAGRAMS
from edgechaos_core.theory.edges import LARGEST_RATIO
from edgechaos_core.theory.meanfield import LARGEST_J

LARGEST_SIZE = 10_000_000  # cells
CELL = ["draw", "inverse_J", "ratio"]


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


def committed_diagram(config: DiagramConfig) -> Diagram | None:
    """Return the committed diagram with these settings, None where there is none; errors as for `load_diagram`."""
    for path in sorted(COMMITTED_DIAGRAMS.glob("*.parquet")):
        with named_errors(path, "phase diagram"):
            found = json.loads(read_metadata(path)["config"])
        if parse_settings(DiagramConfig, found) == config:
            return load_diagram(path)
    return None


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
        # wrong[k]: cells on the wrong side if the first k, of least 1/J, are to be the chaotic ones
        wrong = np.concatenate([[0], np.cumsum(~chaotic)]) + np.concatenate([np.cumsum(chaotic[::-1])[::-1], [0]])
        tied = np.flatnonzero(wrong == wrong.min())
        best = tied[(len(tied) - 1) // 2]
        inside = 0 < best < len(cells)
        edges.append((draw, ratio, inverse_J[best - 1 : best + 1].mean() if inside else np.nan))
    return pd.DataFrame(edges, columns=["draw", "ratio", "inverse_J"])
