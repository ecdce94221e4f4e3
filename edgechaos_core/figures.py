"""Figures: ``plot_x(data, ax) -> ax``. They never train and never load.

One style: transparent, so that a page's dark mode shows through; a colour keeps its role in every chapter.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import plotly.graph_objects
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from plotly.subplots import make_subplots

from edgechaos_core.diagram import Diagram, simulated_edge
from edgechaos_core.meanfield import LARGEST_RATIO, asymptotic_distance, edge_of_chaos, fixed_point, relu_limit
from edgechaos_core.runs import Run
from edgechaos_core.scaling import Line, least_test_loss, over_seeds, scale_factor
from edgechaos_core.tables import write_whole

_COLORBLIND = sns.color_palette("colorblind").as_hex()
COLORS = {
    "J_squared": _COLORBLIND[0],
    "J0": _COLORBLIND[1],
    "test_loss": _COLORBLIND[3],
    "train_loss": _COLORBLIND[7],
    "test_accuracy": _COLORBLIND[2],
    "edge": "0.25",
    "edge on map": _COLORBLIND[8],
    "path on map": _COLORBLIND[1],
    "optimum": _COLORBLIND[4],
}
LABELS = {
    "J_squared": "$J^2$",
    "J0": "$J_0$",
    "test_loss": "test loss",
    "train_loss": "train loss",
    "test_accuracy": "test accuracy",
    "distance": "asymptotic distance$\\,/\\sqrt{N}$",
    "lyapunov_exponent": "largest Lyapunov exponent",
}


AXES = {"ratio": "mean over spread of the weights, $J_0 / J$", "inverse_J": "inverse spread, $1 / J$"}


def use_style() -> None:
    """Set the house style for this process: seaborn ticks, transparent, vector output in notebooks."""
    transparent = {f"{part}.facecolor": "none" for part in ("figure", "axes", "savefig")}
    sns.set_theme(context="notebook", style="ticks", palette="colorblind", rc={**transparent, "legend.frameon": False})
    mpl.rcParams["svg.hashsalt"] = "edgechaos"  # the same figure gives the same file


def histories(runs: Sequence[Run]) -> pd.DataFrame:
    """Join the histories of runs, one row a seed and epoch, with a column ``seed``."""
    return pd.concat([run.history.assign(seed=run.config.seed) for run in runs], ignore_index=True)


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
    line = ax.plot(values.index, [i.mean for i in intervals], ".-", label=f"$N$ = {cut.config.neurons:,}", **look)[0]
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
        half = [interval.high - interval.mean if interval.high is not None else 0 for interval in means]
        sizes = [cut.config.neurons for cut in own]
        label = f"$J_0/J$ = {ratio:g}"
        ax.errorbar(sizes, [interval.mean for interval in means], half, fmt="o-", color=color, capsize=3, label=label)
        ax.axhline(edge_of_chaos(ratio), color=color, ls="--", lw=1)
    ax.set(xscale="log", xlabel="neurons, $N$", ylabel="$1/J$ at the edge")
    return ax


def interactive_diagram(diagram: Diagram) -> str:
    """Return both maps as a page element (plotly), with the values of a cell under the pointer; needs plotly.min.js."""
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


def plot_phase_path(runs: Sequence[Run], ax: Axes, *, on_map: bool = False) -> Axes:
    """Draw each run's path in the phase diagram (x: J0/J, y: 1/J), the theoretical edge, and its least test loss.

    ``on_map`` draws over a map that is there already, in colours that show on it, over the whole range of J0/J.
    """
    path, edge = (COLORS["path on map"], COLORS["edge on map"]) if on_map else (COLORS["J_squared"], COLORS["edge"])
    for run in runs:
        x, y = _path(run.history)
        ax.plot(x, y, color=path, alpha=0.8, lw=1.5)
        best = _path(least_test_loss(run.history).to_frame().T)
        ax.plot(*best, "*", ms=13, color=COLORS["optimum"], mec="white", mew=0.6)
        ax.plot(x[0], y[0], "o", ms=6, color=path)
    plot_edge(ax, ratios=(-1, 2) if on_map else (-1, 1), color=edge)
    ink = "white" if on_map else None
    names = [(-0.96, 1.03, "order", "bottom"), (-0.96, 0.97, "chaos", "top"), (0.35, 0.97, "edge, $J = 1$", "top")]
    names += [
        (0.35, y[0], "start", "top" if on_map else "center"),
        (0.35, float(best[1][0]), "least test loss", "center"),
    ]
    for across, up, name, align in names:
        ax.text(across, up, name, va=align, size="small", style="italic" if across < 0 else "normal", color=ink)
    ax.set(xlabel=AXES["ratio"], ylabel=AXES["inverse_J"])
    ax.set(xlim=(-1, 2) if on_map else (-1, 1), ylim=(0, 2) if on_map else (0, 2.15))
    return ax


def plot_by_epoch(runs: Sequence[Run], column: str, ax: Axes) -> Axes:
    """Draw one measured column against epoch, one line a seed."""
    look = {"color": COLORS[column], "lw": 1.2, "alpha": 0.8}
    before = len(ax.get_lines())
    sns.lineplot(histories(runs), x="epoch", y=column, units="seed", estimator=None, ax=ax, **look)
    ax.get_lines()[before].set_label(LABELS[column])  # one entry in the legend for all seeds
    ax.set(xlabel="epoch", ylabel=LABELS[column])
    return ax


def plot_optimum(runs: Sequence[Run], ax: Axes) -> Axes:
    """Mark the mean epoch of least test loss with a vertical line."""
    epochs = [least_test_loss(run.history)["epoch"] for run in runs]
    ax.axvline(float(np.mean(epochs)), color=COLORS["optimum"], ls=":", lw=1.5, label="least test loss")
    return ax


def plot_rescaled(runs: Sequence[Run], c: float, ax: Axes) -> Axes:
    """Draw J^2 up to 1.5 against rescaled time, epoch x eta / ((1 - alpha) B), and a line of slope c."""
    for run in runs:
        rows = run.history[run.history["J_squared"] <= 1.5]
        time = rows["epoch"] * scale_factor(run.config)
        ax.plot(time, rows["J_squared"], color=COLORS["J_squared"], lw=0.8, alpha=0.6)
    span = np.array([0, 1 / c])
    ax.plot(span, 0.25 + c * span, color="0.6", lw=3, alpha=0.6, zorder=0, label=f"slope {c:.3g}")
    ax.axhline(1, color=COLORS["edge"], ls="--", lw=1)
    ax.set(xlabel="rescaled time", ylabel=LABELS["J_squared"], xlim=(0, 0.12))
    ax.legend(loc="upper left")
    return ax


def plot_settings(runs: Sequence[Run], column: str, ax: Axes, *, rescaled: bool = False) -> Axes:
    """Draw one measured column of runs of different settings against epoch or rescaled time, slow ones dark."""
    ordered = sorted(runs, key=lambda run: (scale_factor(run.config), run.config.batch_size))
    for run, color in zip(ordered, sns.color_palette("viridis", len(ordered)), strict=True):
        factor = scale_factor(run.config) if rescaled else 1
        config = run.config
        label = rf"$\eta$ = {config.learning_rate:g}, $\alpha$ = {config.momentum:g}, $B$ = {config.batch_size}"
        ax.plot(run.history["epoch"] * factor, run.history[column], color=color, lw=1.3, alpha=0.85, label=label)
    if column == "J_squared":
        ax.axhline(1, color=COLORS["edge"], ls="--", lw=1)
    ax.set(xlabel="rescaled time" if rescaled else "epoch", ylabel=LABELS[column])
    return ax


def plot_collapse(collapsed: Mapping[str, pd.DataFrame], ax: Axes) -> Axes:
    """Draw the distance from the reference against its J^2 (see rescaling.collapse), the spread of seeds in grey."""
    for (label, own), color in zip(collapsed.items(), sns.color_palette("viridis", len(collapsed)), strict=True):
        ax.plot(own["J_squared"], 100 * own["distance"], color=color, lw=1.3, label=label)
    widest = max(collapsed.values(), key=lambda own: float(own["J_squared"].max()))
    spread = 100 * widest["spread"]
    ax.fill_between(widest["J_squared"], -spread, spread, color="0.5", alpha=0.25, lw=0, label="seeds")
    ax.axvline(1, color=COLORS["edge"], ls="--", lw=1)
    ax.set(xlabel="$J^2$ of the reference", ylabel="distance, %")
    return ax


def plot_payoff(table: pd.DataFrame, ax: Axes, column: str, label: str) -> Axes:
    """Draw a column of rescaling.payoff against speed, one colour a batch size."""
    sizes = table.index.get_level_values("B")
    for size, color in zip(sorted(set(sizes)), sns.color_palette("colorblind"), strict=False):
        own = table[sizes == size]
        ax.plot(own["speed"], own[column], "o", color=color, label=f"$B$ = {size}", alpha=0.85)
    ax.set(xscale="log", xlabel="speed (base = 1)", ylabel=label)
    ax.set_xticks([0.5, 1, 2, 4, 8, 16, 32], ["½", "1", "2", "4", "8", "16", "32"])
    ax.minorticks_off()
    return ax


def plot_constant(J_squared: "pd.Series[float]", c: "pd.Series[float]", published: float, ax: Axes) -> Axes:
    """Draw the constant c of each setting against the J^2 at which its window ends, and the published one in grey."""
    ax.plot(J_squared, c, "o", color=COLORS["J_squared"])
    ax.axhline(published, color="0.6", lw=3, alpha=0.6, zorder=0)
    ax.axvline(1, color=COLORS["edge"], ls="--", lw=1)
    ax.set(xscale="log", xlabel="$J^2$ at the end of the window", ylabel="$c$ over epochs 0-48")
    ax.set_xticks([0.25, 0.5, 1, 2, 4], ["0.25", "0.5", "1", "2", "4"])
    ax.minorticks_off()
    return ax


def plot_landing(runs: Sequence[Run], path: Axes, loss: Axes) -> None:
    """Draw the book in one picture: the path through the phase diagram, and the test loss against epoch."""
    plot_phase_path(runs, path)
    plot_by_epoch(runs, "test_loss", loss)
    plot_optimum(runs, loss).legend()


def plot_growth(runs: Sequence[Run], line: Line, window: range, ax: Axes) -> Axes:
    """Draw J^2 in the fitted window, one mark an epoch and seed, with the fitted line."""
    data = histories(runs)
    data = data[data["epoch"] <= window[-1]]
    ax.plot(data["epoch"], data["J_squared"], ".", color=COLORS["J_squared"], label=LABELS["J_squared"])
    epochs = np.array([0, data["epoch"].max()])
    ax.plot(epochs, line.intercept + line.slope * epochs, color=COLORS["edge"], label=f"line of slope {line.slope:.4g}")
    ax.set(xlabel="epoch", ylabel=LABELS["J_squared"])
    ax.legend()
    return ax


def _path(history: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    J = np.sqrt(history["J_squared"].to_numpy())
    return history["J0"].to_numpy() / J, 1 / J
