"""Figures: ``plot_x(data, ax) -> ax``. They never train and never load.

One style: transparent, so that a page's dark mode shows through; a colour keeps its role in every chapter.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from edgechaos_core.diagram import Diagram
from edgechaos_core.meanfield import edge_of_chaos, relu_limit
from edgechaos_core.runs import Run
from edgechaos_core.scaling import Line, least_test_loss
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
    x = np.linspace(*ratios, 151)
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
        bound = float(np.nanquantile(np.abs(values[np.isfinite(values)]), 0.98))
        look = {"cmap": "vlag", "vmin": -bound, "vmax": bound}
    ax.set_facecolor("0.6")
    mesh = ax.pcolormesh(cells.columns, cells.index, values, rasterized=True, shading="nearest", **look)
    plt.colorbar(mesh, ax=ax, label=LABELS[column], extend="both" if "vmax" in look else "neither")
    ax.set(xlabel=AXES["ratio"], ylabel=AXES["inverse_J"])
    return ax


def save_diagram_picture(diagram: Diagram, path: Path) -> None:
    """Write both maps of a diagram, with the theoretical edge, as one PNG: whole or not at all."""
    figure, axes = plt.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
    for ax, column in zip(axes, ("distance", "lyapunov_exponent")):
        plot_diagram(diagram, column, ax)
        plot_edge(ax, diagram.config.activation, color=COLORS["edge on map"])
        ax.set(xlim=ax.get_xlim(), ylim=(0, diagram.config.inverse_j_to))
    figure.suptitle(f"{diagram.config.activation}, N = {diagram.config.neurons:,}")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=150, facecolor="white")
    plt.close(figure)
    write_whole(path, picture.getvalue())


def plot_phase_path(runs: Sequence[Run], ax: Axes) -> Axes:
    """Draw each run's path in the phase diagram (x: J0/J, y: 1/J), the theoretical edge, and its least test loss."""
    for run in runs:
        x, y = _path(run.history)
        ax.plot(x, y, color=COLORS["J_squared"], alpha=0.8, lw=1.5)
        best = _path(least_test_loss(run.history).to_frame().T)
        ax.plot(*best, "*", ms=13, color=COLORS["optimum"], mec="white", mew=0.6)
        ax.plot(x[0], y[0], "o", ms=6, color=COLORS["J_squared"])
    plot_edge(ax, ratios=(-1, 1))
    names = [(-0.96, 1.03, "order", "bottom"), (-0.96, 0.97, "chaos", "top"), (0.35, 0.97, "edge, $J = 1$", "top")]
    names += [(0.35, y[0], "start", "center"), (0.35, float(best[1][0]), "least test loss", "center")]
    for across, up, name, align in names:
        ax.text(across, up, name, va=align, size="small", style="italic" if across < 0 else "normal")
    ax.set(xlabel=AXES["ratio"], ylabel=AXES["inverse_J"])
    ax.set(xlim=(-1, 1), ylim=(0, 2.15))
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
