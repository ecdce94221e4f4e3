"""Page `phase_diagram`: simulated edges beside theory, by size, and beside the published ones.

By exponent an edge is where the largest Lyapunov exponent passes 0.005, in simulation and theory alike.
By distance it is where a difference ends larger than it began (`simulated_edge`), the published measure.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr

from edgechaos_core.analysis import published
from edgechaos_core.analysis.intervals import DASH, over_seeds, shown
from edgechaos_core.claims.estimates.growth import simulated_passages, theoretical_passage
from edgechaos_core.probes.diagram import Diagram, load_diagram, simulated_edge
from edgechaos_core.probes.linear_maps import draw_maps, leading_eigenvalue
from edgechaos_core.system.places import COMMITTED_DIAGRAMS
from edgechaos_core.theory.edges import edge_of_chaos
from edgechaos_core.theory.meanfield import fixed_point, fixed_points

Cuts = Mapping[tuple[float, int], Diagram]  # by J0/J and N

TRAINED = 784  # units of the network that the book trains
SMALL = 300  # units of a layer that is called small
CLEAR = 0.2  # of 1/J from the edge: farther away a cell should be on the side that theory gives, in any network
LARGEST = 10_000  # N of the published simulation
SCATTER_SIZES = (1_000, 3_000)  # N with enough draws to know how much the edge of one W scatters


def committed_cuts(folder: Path = COMMITTED_DIAGRAMS) -> dict[tuple[float, int], Diagram]:
    """Return the committed diagrams of one J0/J each, by J0/J and N, in that order."""
    cuts = map(load_diagram, folder.glob("cut-*.parquet"))
    return dict(sorted(((cut.config.ratio_from, cut.config.neurons), cut) for cut in cuts))


def agreement(diagram: Diagram) -> float:
    """Return the share of cells farther than 0.2 in 1/J from the edge that are on the side that theory gives.

    Chaos is an exponent above 1 / measure, as in `simulated_edge`: 0.02 on a map.
    """
    cells = diagram.cells.dropna()
    edges = {ratio: edge_of_chaos(ratio, diagram.config.activation) for ratio in cells["ratio"].unique()}
    edge = cells["ratio"].map(edges)
    clear = ~((cells["inverse_J"] - edge).abs() < CLEAR)
    agree = (cells["lyapunov_exponent"] > 1 / diagram.config.measure) == (cells["inverse_J"] < edge)
    return float(agree[clear].mean())


def size_table(cuts: Cuts, ratio: float = 0.0) -> pd.DataFrame:
    """Return the edge by exponent at one J0/J for each N, and that of theory read in the same way in the last row."""
    rows, theory = {}, theoretical_passage(ratio)
    for neurons in sorted(size for own, size in cuts if own == ratio):
        edges = simulated_passages(cuts[ratio, neurons])
        mean = over_seeds(edges)
        rows[f"{neurons:,}"] = {
            "draws of W": str(len(edges)),
            "1/J at the edge": shown(mean),
            "J at the edge": f"{1 / mean.value:.2f}",
            "below theory in 1/J": f"{theory - mean.value:.2f}",
            "standard deviation of 1/J": f"{np.std(edges, ddof=1):.3f}",
        }
    infinite = [DASH, f"{theory:.3f}", f"{1 / theory:.2f}", f"{0:.2f}", DASH]
    rows["infinite"] = dict(zip(next(iter(rows.values())), infinite, strict=True))
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("N")


def trained_size(cuts: Cuts) -> dict[str, float]:
    """Return where a random network of 784 units turns chaotic at J0 = 0.

    ``inverse_J``, its standard ``deviation`` of one W, and ``J``; 1/J and J of ``theory`` read at the same exponent,
    ``theory`` and ``theory_J``; how much 1/J is below 1, ``whole``, of which ``finite`` is what it is below that theory
    and ``threshold`` what that is below 1; and how much larger J is than by that theory, in percent: ``larger``, and
    ``small_low`` to ``small_high`` for networks of 100 to 300 units, where there are any.
    """
    edges = simulated_passages(cuts[0.0, TRAINED])
    mean, theory = float(np.mean(edges)), theoretical_passage(0.0)
    small = [np.mean(simulated_passages(cut)) for (ratio, size), cut in cuts.items() if ratio == 0 and size <= SMALL]
    more = [100 * (theory / float(edge) - 1) for edge in small] or [math.nan]
    return {
        "inverse_J": mean,
        "deviation": float(np.std(edges, ddof=1)),
        "J": 1 / mean,
        "theory": theory,
        "theory_J": 1 / theory,
        "whole": 1 - mean,
        "finite": theory - mean,
        "threshold": 1 - theory,
        "larger": 100 * (theory / mean - 1),
        "small_low": min(more),
        "small_high": max(more),
    }


def excess(cuts: Cuts, ratio: float = 1.1) -> dict[str, float]:
    """Return what the published edge at one J0/J lies above theory by, in 1/J, and how much of it has which cause.

    ``whole``: published less theory. ``measure``: our edge at N = 10,000 by distance less that by exponent, both as in
    `beside_published`. ``matrices``: our edge by exponent less theory read at the same exponent, with its standard
    error over draws, ``error``. ``read``: that theory, and ``from_read`` how far the published edge is above it.
    ``scatter``: of one W, as in `beside_published`, and
    ``error_expected``: the standard error that it lets expect of as many draws.
    ``far_least`` and ``far_most``: our edge by distance over theory, over all J0/J; ``above_least`` and ``above_most``:
    the one less the other. ``rest_most``: the same at the other J0/J; ``rest_published``: that of the published edge.
    """
    table = beside_published(cuts)
    row, far = table.to_dict("index")[ratio], table["here, by distance"] / table["theory"]
    above, rest = table["here, by distance"] - table["theory"], table.drop(index=ratio)
    edges = simulated_passages(cuts[ratio, LARGEST])
    matrices = [edge - theoretical_passage(ratio) for edge in edges]
    return {
        "whole": row["published"] - row["theory"],
        "measure": row["here, by distance"] - row["here, by exponent"],
        "matrices": float(np.mean(matrices)),
        "error": float(np.std(matrices, ddof=1) / len(matrices) ** 0.5),
        "read": row["theory at 0.005"],
        "from_read": row["published"] - row["theory at 0.005"],
        "scatter": row["scatter of one W"],
        "error_expected": row["scatter of one W"] / len(matrices) ** 0.5,
        "far_least": float(far.min()),
        "far_most": float(far.max()),
        "above_least": float(above.min()),
        "above_most": float(above.max()),
        "rest_most": float(above[rest.index].max()),
        "rest_published": float((rest["published"] - rest["theory"]).max()),
    }


def phase_table(places: Sequence[tuple[float, float]]) -> pd.DataFrame:
    """Return for places (J, J0) the number of fixed points, and u, q and chi of the one that the start leads to."""
    rows = []
    for J, J0 in places:
        point = fixed_point(J, J0)
        row = {
            "phase": point.phase.replace("!=", "≠"),
            "J0/J": J0 / J,
            "1/J": 1 / J,
            "fixed points": len(fixed_points(J, J0)),
        }
        rows.append(row | {"mean u": abs(point.u), "mean square q": point.q, "χ": point.chi})
    return pd.DataFrame(rows).set_index("phase").round(4)


def cost_table(diagrams: Sequence[Diagram]) -> pd.DataFrame:
    """Return what simulated diagrams cost: size, device, threads and minutes of wall time."""
    rows = [
        {
            "N": diagram.config.neurons,
            "cells": len(diagram.cells),
            "activation": diagram.config.activation,
            "device": diagram.provenance["device"],
            "threads": diagram.provenance["threads"],
            "minutes": round(diagram.provenance["wall_seconds"] / 60, 1),
        }
        for diagram in diagrams
    ]
    return pd.DataFrame(rows).set_index("N")


def beside_published(cuts: Cuts) -> pd.DataFrame:
    """Return the edge at N = 10,000 for each J0/J of the paper: theory, published, by distance and by exponent.

    ``theory`` is where the exponent passes 0, ``theory at 0.005`` where it passes what the edge by exponent is read at.
    The scatter is the standard deviation of the edge of one W by distance, scaled to that N as 1/sqrt(N).
    """
    rows = {}
    for ratio, value in published.edge().items():
        theory, largest = edge_of_chaos(ratio), cuts[ratio, LARGEST]
        by_distance = {size: _by_distance(cuts[ratio, size]) for size in SCATTER_SIZES}
        scatter = float(np.mean([own.std() * (size / LARGEST) ** 0.5 for size, own in by_distance.items()]))
        rows[ratio] = {
            "theory": theory,
            "published": value,
            "here, by distance": float(_by_distance(largest).mean()),
            "theory at 0.005": theoretical_passage(ratio),
            "here, by exponent": float(np.mean(simulated_passages(largest))),
            "scatter of one W": scatter,
            "(published - theory) / scatter": (value - theory) / scatter,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("J0/J")


def patience_table(cuts: Cuts, longer: Sequence[Diagram]) -> pd.DataFrame:
    """Return the edge by distance after the published iterations and after more, over the draws that both have."""
    rows = {}
    for long in longer:
        usual = cuts[long.config.ratio_from, long.config.neurons]
        both = [_by_distance(cut)[: long.config.draws].mean() for cut in (usual, long)]
        names = [f"after {cut.config.iterations:,} iterations" for cut in (usual, long)]
        rows[long.config.ratio_from] = dict(zip(names, both, strict=True))
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("J0/J")


def own_edges(cut: Diagram) -> pd.DataFrame:
    """Return for each draw of a cut its edge by exponent, and the edge of theory at the leading eigenvalue of its W/J.

    Columns ``simulated`` and ``predicted``; the matrices are drawn again from the cut's seed.
    """
    one, config = torch.ones(1), cut.config
    predicted = []
    for draw in range(config.draws):
        Z = draw_maps(one, one, neurons=config.neurons, seed=config.seed, draw=draw, device="cpu", dtype=torch.float32)[
            0
        ].Z
        W = config.ratio_from / config.neurons + Z.double() / config.neurons**0.5
        predicted.append(theoretical_passage(leading_eigenvalue(W)))
    return pd.DataFrame({"predicted": predicted, "simulated": simulated_passages(cut)})


def rank_correlation(edges: pd.DataFrame) -> float:
    """Return Spearman's rank correlation of `own_edges`, draws whose edge is outside the cut left out."""
    return float(spearmanr(edges["predicted"], edges["simulated"], nan_policy="omit").statistic)


def _by_distance(cut: Diagram) -> "pd.Series[float]":
    return simulated_edge(cut, "distance").sort_values("draw", ignore_index=True)["inverse_J"]
