"""Figures of the phase diagram: ``plot_x(data, ax) -> ax``. They never simulate and never load."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke

from edgechaos_core.analysis.intervals import over_seeds
from edgechaos_core.book.figures.pictures import save_picture
from edgechaos_core.book.pages.phase_diagram import Cuts
from edgechaos_core.book.style import AXES, COLORS, LABELS
from edgechaos_core.claims.estimates.growth import simulated_passages, theoretical_passage
from edgechaos_core.probes.chaos import SETTLED
from edgechaos_core.probes.diagram import Diagram, simulated_edge
from edgechaos_core.theory.edges import LARGEST_RATIO, edge_of_chaos, relu_limit
from edgechaos_core.theory.meanfield import asymptotic_distance, fixed_point

MAP_COLORS = {"distance": "mako", "lyapunov_exponent": "vlag"}
FEWEST = 5  # draws whose interval is drawn as a band; of fewer each is drawn by itself


def plot_edge(
    ax: Axes, activation: str = "tanh", ratios: tuple[float, float] = (-1, 2), color: str = COLORS["edge"]
) -> Axes:
    """Draw the theoretical edge of chaos, 1/J against J0/J; for ReLU also, dotted, where x grows without bound."""
    x = np.linspace(max(ratios[0], -LARGEST_RATIO), min(ratios[1], LARGEST_RATIO), 151)
    look: dict[str, Any] = {"color": color, "lw": 1.5}
    if color == COLORS["edge on map"]:
        look |= {"lw": 2, "path_effects": [Stroke(linewidth=4, foreground="black"), Normal()]}  # seen on any colour
    ax.plot(x, [edge_of_chaos(ratio, activation) for ratio in x], ls="--", **look)
    if activation == "relu":
        ax.plot(x, [relu_limit(ratio) for ratio in x], ls=":", **look)
    return ax


def plot_diagram(diagram: Diagram, column: str, ax: Axes) -> Axes:
    """Draw ``distance`` (per square root of N) or ``lyapunov_exponent`` over J0/J and 1/J, the mean of the draws.

    Distances are on a logarithmic scale, on which the small ones just above the edge are seen too; those of settled
    cells are drawn as 1e-6, below which a cell counts as settled. Cells without a value, because the state grows
    without bound, are grey.
    """
    cells = grid(diagram, column)
    values = cells.to_numpy()
    low, high = scale(cells, column)
    look: dict[str, Any] = {"cmap": MAP_COLORS[column], "vmin": low, "vmax": high}
    if column == "distance":
        look = {"cmap": MAP_COLORS[column], "norm": LogNorm(low, high)}
    ax.set_facecolor("0.6")
    sides = [_sides(axis.to_numpy()) for axis in (cells.columns, cells.index)]
    mesh = ax.pcolormesh(*sides, values, rasterized=True, **look)
    ax.figure.colorbar(mesh, ax=ax, label=LABELS[column], extend="both" if "vmax" in look else "min")
    ax.set(xlabel=AXES["ratio"], ylabel=AXES["inverse_J"])
    return ax


def grid(diagram: Diagram, column: str) -> pd.DataFrame:
    """Return the mean of the draws, a row a 1/J and a column a J0/J; distances per square root of N, 1e-6 at least."""
    cells = diagram.cells.groupby(["inverse_J", "ratio"])[column].mean().unstack()
    return (cells / diagram.config.neurons**0.5).clip(lower=SETTLED) if column == "distance" else cells


def scale(cells: pd.DataFrame, column: str) -> tuple[float, float]:
    """Return the values at which the colours of a map begin and end, of cells as `grid` returns them."""
    values = cells.to_numpy()
    if column == "distance":
        return SETTLED, max(float(np.nanmax(values)), 1.0)
    finite = np.abs(values[np.isfinite(values)])
    bound = float(np.quantile(finite, 0.9)) if finite.size else 1.0
    return -bound, bound


def _sides(centres: np.ndarray) -> np.ndarray:
    """The borders of equally spaced cells, ``[n + 1]``; a single one is 0.1 wide."""
    half = (centres[1] - centres[0]) / 2 if len(centres) > 1 else 0.05
    return np.append(centres - half, centres[-1] + half)


def plot_maps(diagram: Diagram) -> Figure:
    """Return a figure of both maps of a diagram, with the theoretical edge."""
    with sns.plotting_context("paper"):
        figure, axes = plt.subplots(1, 2, figsize=(6.9, 3.1), layout="constrained")
        for ax, column in zip(axes, ("distance", "lyapunov_exponent")):
            plot_diagram(diagram, column, ax)
            limits = {"xlim": ax.get_xlim(), "ylim": (0, diagram.config.inverse_j_to)}
            plot_edge(ax, diagram.config.activation, ratios=limits["xlim"], color=COLORS["edge on map"])
            ax.set(xlabel="$J_0 / J$", ylabel="$1 / J$", **limits)
    return figure


def plot_cuts(cuts: Cuts, ratios: Sequence[float], sizes: Sequence[int], spans: int) -> Figure:
    """Return distance (above) and largest exponent (below) along cuts, a column a J0/J and a line a size, with theory.

    The axes span the cut of size ``spans``.
    """
    with sns.plotting_context("paper"):
        figure, axes = plt.subplots(
            2, len(ratios), figsize=(6.9, 4.6), sharex="col", sharey="row", layout="constrained"
        )
        for column_axes, ratio in zip(axes.T, ratios, strict=True):
            span = cuts[ratio, spans].config
            for ax, column in zip(column_axes, ("distance", "lyapunov_exponent"), strict=True):
                for size, color in zip(sizes, sns.color_palette("crest", len(sizes)), strict=True):
                    plot_cut(cuts[ratio, size], column, ax, color=color, ms=3)
                plot_theory(ratio, column, (span.inverse_j_from, span.inverse_j_to), ax)
                ax.set(xlim=(span.inverse_j_from, span.inverse_j_to), xlabel="", ylabel="")
            column_axes[0].set_title(f"$J_0/J$ = {ratio:g}")
            column_axes[1].set_xlabel("$1 / J$")
            column_axes[1].axhline(0, color="0.6", lw=0.8)
        axes[0, 0].set_ylabel(LABELS["distance"])
        axes[1, 0].set(ylabel=LABELS["lyapunov_exponent"], ylim=(-0.25, 0.25))
        axes[0, 0].legend(loc="upper right")
    return figure


def plot_cut(cut: Diagram, column: str, ax: Axes, **look: Any) -> Axes:  # noqa: ANN401 - matplotlib's own
    """Draw one column of a diagram against 1/J: the mean over draws, in a band of its 95% Student-t interval.

    Fewer than five draws have no band, which would say more of Student's t than of them: each is a faint line.
    """
    unit = cut.config.neurons**0.5 if column == "distance" else 1
    values = cut.cells.pivot(index="inverse_J", columns="draw", values=column) / unit
    intervals = [over_seeds(row.tolist()) for row in values.to_numpy()]
    line = ax.plot(values.index, [i.value for i in intervals], ".-", label=f"$N$ = {cut.config.neurons:,}", **look)[0]
    if len(values.columns) >= FEWEST:
        ends = np.array([[end if end is not None else np.nan for end in (i.low, i.high)] for i in intervals])
        ax.fill_between(values.index, ends[:, 0], ends[:, 1], color=line.get_color(), alpha=0.25, lw=0)
    elif len(values.columns) > 1:
        ax.plot(values.index, values.to_numpy(), color=line.get_color(), alpha=0.5, lw=0.8)
    ax.set(xlabel=AXES["inverse_J"], ylabel=LABELS[column])
    return ax


def plot_theory(ratio: float, column: str, span: tuple[float, float], ax: Axes) -> Axes:
    """Draw mean-field theory for tanh along a cut of fixed J0/J: the distance, or the largest exponent."""
    inverse_J = np.linspace(max(span[0], 0.02), span[1], 40)
    if column == "distance":
        values = [asymptotic_distance(1 / y, ratio / y) for y in inverse_J]
    else:
        values = [fixed_point(1 / y, ratio / y).largest_exponent for y in inverse_J]
    ax.plot(inverse_J, values, color=COLORS["edge"], lw=1.5, label="theory")
    ax.axvline(edge_of_chaos(ratio), color=COLORS["edge"], ls="--", lw=1)
    return ax


def plot_edge_against_size(cuts: Sequence[Diagram], column: Literal["lyapunov_exponent", "distance"], ax: Axes) -> Axes:
    """Draw the simulated edge against N, one colour a J0/J: mean and 95% interval over draws, theory dashed.

    By exponent simulation and theory are both read where it passes 0.005. A size at which a draw has its edge outside
    the cut is left out.
    """
    by_exponent = column == "lyapunov_exponent"
    ratios = sorted({cut.config.ratio_from for cut in cuts})
    for ratio, color in zip(ratios, sns.color_palette("colorblind", len(ratios)), strict=True):
        own = sorted((cut for cut in cuts if cut.config.ratio_from == ratio), key=lambda cut: cut.config.neurons)
        edges = [
            simulated_passages(cut) if by_exponent else simulated_edge(cut, column)["inverse_J"].to_list()
            for cut in own
        ]
        means = [over_seeds(of_size) for of_size in edges]
        half = [interval.high - interval.value if interval.high is not None else 0 for interval in means]
        sizes, values = [cut.config.neurons for cut in own], [interval.value for interval in means]
        ax.errorbar(sizes, values, half, fmt="o-", color=color, ms=4, capsize=3)
        theory = theoretical_passage(ratio) if by_exponent else edge_of_chaos(ratio)
        ax.axhline(theory, color=color, ls="--", lw=1)
        label = f"$J_0/J$ = {ratio:g}"
        ax.annotate(label, (1, theory), xycoords=("axes fraction", "data"), color=color, va="center", xytext=(4, 0),
                    textcoords="offset points")  # fmt: skip
    ax.set(xscale="log", xlabel="neurons, $N$", ylabel="$1/J$ at the edge")
    return ax


def plot_sizes(cuts: Sequence[Diagram]) -> Figure:
    """Return the simulated edge against N, by exponent (left) and by distance (right)."""
    with sns.plotting_context("paper"):
        figure, axes = plt.subplots(1, 2, figsize=(6.9, 3.4), sharey=True, layout="constrained")
        plot_edge_against_size(cuts, "lyapunov_exponent", axes[0]).set_title("by exponent")
        plot_edge_against_size(cuts, "distance", axes[1]).set(title="by distance", ylabel="")
    return figure


def plot_own_edges(edges: pd.DataFrame, ratio: float, ax: Axes) -> Axes:
    """Draw the ``simulated`` edge of each W against the one ``predicted`` from its eigenvalue, and theory's at J0/J."""
    ends = [float(np.nanmin(edges.to_numpy())), float(np.nanmax(edges.to_numpy()))]
    ax.plot(edges["predicted"], edges["simulated"], "o", color=COLORS["J_squared"])
    ax.plot(ends, ends, color=COLORS["edge"], ls="--")
    theory = theoretical_passage(ratio)
    ax.plot(theory, theory, "s", color=COLORS["optimum"], label=f"theory at a leading eigenvalue of {ratio:g}")
    ax.legend(loc="lower right", fontsize=8)
    ax.set(
        xlabel="$1/J$ by theory, from the leading eigenvalue of $W / J$", ylabel="$1/J$ at the simulated edge of $W$"
    )
    return ax


def plot_edge_of_size(inverse_J: float, deviation: float, label: str, ax: Axes) -> Axes:
    """Draw on a map where random networks of one size turn chaotic for abs(J0) < J: mean 1/J, and one deviation."""
    low, high = inverse_J - deviation, inverse_J + deviation
    ax.fill_between([-1, 1], low, high, facecolor=COLORS["size on map"], edgecolor="black", alpha=0.8, lw=0.8)
    ax.plot([-1, 1], [inverse_J, inverse_J], color="black", lw=1.5)
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}  # black letters show on white in dark mode too
    ax.text(1.15, inverse_J, label, va="center", size="small", color="black", bbox=box)
    return ax


def save_diagram_picture(diagram: Diagram, path: Path) -> None:
    """Write both maps of a diagram, with the theoretical edge, as one PNG."""
    figure = plot_maps(diagram)
    figure.suptitle(f"{diagram.config.activation}, N = {diagram.config.neurons:,}")
    save_picture(figure, path)
