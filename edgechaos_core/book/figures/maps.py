"""Figures of the phase diagram: ``plot_x(data, ax) -> ax``. They never simulate and never load."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edgechaos_core.analysis.intervals import over_seeds
from edgechaos_core.book.style import AXES, COLORS, LABELS
from edgechaos_core.probes.diagram import Diagram, simulated_edge
from edgechaos_core.store.tables import write_whole
from edgechaos_core.theory.edges import LARGEST_RATIO, edge_of_chaos, relu_limit
from edgechaos_core.theory.meanfield import asymptotic_distance, fixed_point


def plot_edge(
    ax: Axes, activation: str = "tanh", ratios: tuple[float, float] = (-1, 2), color: str = COLORS["edge"]
) -> Axes:
    """Draw the theoretical edge of chaos, 1/J against J0/J; for ReLU also, dotted, where x grows without bound."""
    x = np.linspace(max(ratios[0], -LARGEST_RATIO), min(ratios[1], LARGEST_RATIO), 151)
    ax.plot(x, [edge_of_chaos(ratio, activation) for ratio in x], color=color, lw=1.5, ls="--")
    if activation == "relu":
        ax.plot(x, [relu_limit(ratio) for ratio in x], color=color, lw=1.5, ls=":")
    return ax


def plot_diagram(diagram: Diagram, column: str, ax: Axes) -> Axes:
    """Draw ``distance`` (per square root of N) or ``lyapunov_exponent`` over J0/J and 1/J, the mean of the draws.

    Cells without a value, because the state grows without bound, are grey.
    """
    cells = diagram.cells.groupby(["inverse_J", "ratio"])[column].mean().unstack()
    values = cells.to_numpy() / (diagram.config.neurons**0.5 if column == "distance" else 1)
    look: dict[str, Any] = {"cmap": "mako", "vmin": 0}
    if column == "lyapunov_exponent":
        finite = np.abs(values[np.isfinite(values)])
        bound = float(np.quantile(finite, 0.9)) if finite.size else 1.0
        look = {"cmap": "vlag", "vmin": -bound, "vmax": bound}
    ax.set_facecolor("0.6")
    sides = [_sides(axis.to_numpy()) for axis in (cells.columns, cells.index)]
    mesh = ax.pcolormesh(*sides, values, rasterized=True, **look)
    ax.figure.colorbar(mesh, ax=ax, label=LABELS[column], extend="both" if "vmax" in look else "neither")
    ax.set(xlabel=AXES["ratio"], ylabel=AXES["inverse_J"])
    return ax


def _sides(centres: np.ndarray) -> np.ndarray:
    """The borders of equally spaced cells, ``[n + 1]``; a single one is 0.1 wide."""
    half = (centres[1] - centres[0]) / 2 if len(centres) > 1 else 0.05
    return np.append(centres - half, centres[-1] + half)


def plot_maps(diagram: Diagram) -> Figure:
    """Return a figure of both maps of a diagram, with the theoretical edge."""
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.9), layout="constrained")
    for ax, column in zip(axes, ("distance", "lyapunov_exponent")):
        plot_diagram(diagram, column, ax)
        limits = {"xlim": ax.get_xlim(), "ylim": (0, diagram.config.inverse_j_to)}
        plot_edge(ax, diagram.config.activation, ratios=limits["xlim"], color=COLORS["edge on map"])
        ax.set(**limits)
    return figure


def plot_cut(cut: Diagram, column: str, ax: Axes, **look: Any) -> Axes:  # noqa: ANN401 - matplotlib's own
    """Draw one column of a diagram against 1/J, the mean over draws with its 95% Student-t interval."""
    scale = cut.config.neurons**0.5 if column == "distance" else 1
    values = cut.cells.pivot(index="inverse_J", columns="draw", values=column) / scale
    intervals = [over_seeds(row.tolist()) for row in values.to_numpy()]
    ends = np.array([[end if end is not None else np.nan for end in (i.low, i.high)] for i in intervals])
    line = ax.plot(values.index, [i.value for i in intervals], ".-", label=f"$N$ = {cut.config.neurons:,}", **look)[0]
    ax.fill_between(values.index, ends[:, 0], ends[:, 1], color=line.get_color(), alpha=0.25, lw=0)
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

    A size at which a draw has its edge outside the cut is left out.
    """
    ratios = sorted({cut.config.ratio_from for cut in cuts})
    for ratio, color in zip(ratios, sns.color_palette("colorblind", len(ratios)), strict=True):
        own = sorted((cut for cut in cuts if cut.config.ratio_from == ratio), key=lambda cut: cut.config.neurons)
        means = [over_seeds(simulated_edge(cut, column)["inverse_J"].to_list()) for cut in own]
        half = [interval.high - interval.value if interval.high is not None else 0 for interval in means]
        sizes = [cut.config.neurons for cut in own]
        label = f"$J_0/J$ = {ratio:g}"
        ax.errorbar(sizes, [interval.value for interval in means], half, fmt="o-", color=color, capsize=3, label=label)
        ax.axhline(edge_of_chaos(ratio), color=color, ls="--", lw=1)
    ax.set(xscale="log", xlabel="neurons, $N$", ylabel="$1/J$ at the edge")
    return ax


def interactive_diagram(diagram: Diagram) -> str:
    """Return both maps as a page element (plotly), with the values of a cell under the pointer; needs plotly.min.js."""
    import plotly.graph_objects  # which the book has and the command line need not
    from plotly.subplots import make_subplots

    panels = make_subplots(
        2, 1, vertical_spacing=0.12, subplot_titles=("asymptotic distance / √N", "largest Lyapunov exponent")
    )
    ratios = np.linspace(diagram.config.ratio_from, diagram.config.ratio_to, 121)
    edge = [edge_of_chaos(ratio, diagram.config.activation) for ratio in ratios]
    for row, (name, scale, look) in enumerate(
        [
            ("distance", diagram.config.neurons**0.5, {"colorscale": "Viridis", "colorbar_y": 0.78}),
            ("lyapunov_exponent", 1, {"colorscale": "RdBu_r", "zmid": 0, "colorbar_y": 0.22}),
        ],
        start=1,
    ):
        cells = diagram.cells.groupby(["inverse_J", "ratio"])[name].mean().unstack()
        hover = "J<sub>0</sub>/J = %{x:.2f}<br>1/J = %{y:.3f}<br>%{z:.3f}<extra></extra>"
        heat = plotly.graph_objects.Heatmap(
            x=cells.columns.to_numpy().round(4),
            y=cells.index.to_numpy().round(4),
            z=(cells.to_numpy() / scale).round(4),
            hovertemplate=hover,
            colorbar_len=0.48,
            **look,
        )
        line = plotly.graph_objects.Scatter(
            x=ratios, y=edge, mode="lines", line={"color": "black", "dash": "dash"}, name="theory", showlegend=False
        )
        panels.add_trace(heat, row, 1).add_trace(line, row, 1)
    panels.update_xaxes(title="J<sub>0</sub>/J").update_yaxes(title="1/J", range=[0, diagram.config.inverse_j_to])
    panels.update_layout(height=800, margin={"l": 50, "r": 10, "t": 40, "b": 50}, paper_bgcolor="rgba(0,0,0,0)")
    return str(
        panels.to_html(full_html=False, include_plotlyjs=False, config={"responsive": True, "displaylogo": False})
    )


def save_diagram_picture(diagram: Diagram, path: Path) -> None:
    """Write both maps of a diagram, with the theoretical edge, as one PNG: whole or not at all."""
    figure = plot_maps(diagram)
    figure.suptitle(f"{diagram.config.activation}, N = {diagram.config.neurons:,}")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=180, facecolor="white")
    plt.close(figure)
    write_whole(path, picture.getvalue())
