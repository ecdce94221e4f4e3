"""Figures of chapter `deeper`: what depth makes of the start, and the picture of other optimizers and data."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from edgechaos_core.analysis.by_setting import by_setting
from edgechaos_core.analysis.scaling import settled
from edgechaos_core.book.figures.reason import TURN, plot_means
from edgechaos_core.book.figures.sections import panels
from edgechaos_core.book.pages.deeper import accuracy_by_depth, trainable_depth
from edgechaos_core.book.pages.reason import turns
from edgechaos_core.book.style import COLORS
from edgechaos_core.claims.estimates.decay import RELU_EDGE
from edgechaos_core.claims.estimates.reason import DEFAULT_AND_EDGE, VALIDATION
from edgechaos_core.conventions import Activation
from edgechaos_core.experiments.named_grids import JUDGED
from edgechaos_core.store.runs import Run, RunConfig, parse_config

HIGHEST = 1.8  # loss in sight, over the least
_EDGE: dict[Activation, float] = {"tanh": 1.0, "relu": RELU_EDGE}  # J


def draw_depths(runs: Sequence[Run]) -> Figure:
    """Draw test accuracy over J at the start and depth, with theory's depth 6 xi and PyTorch's default start."""
    fig = panels(1, 4.0, 5.8)
    plot_depths(accuracy_by_depth(runs), fig.axes[0])
    return fig


def plot_depths(accuracies: pd.DataFrame, ax: Axes) -> Axes:
    """Draw the map of `accuracy_by_depth`, depth on a logarithmic axis; what has not been run is left blank."""
    J, depths = accuracies.index.to_numpy(dtype=float), accuracies.columns.to_numpy(dtype=float)
    mesh = ax.pcolormesh(
        cell_edges(J), np.exp(cell_edges(np.log(depths))), accuracies.to_numpy(dtype=float).T,
        vmin=0.1, vmax=max(float(accuracies.max().max()), 0.2), cmap="viridis",
    )  # fmt: skip
    if ax.figure is not None:
        ax.figure.colorbar(mesh, ax=ax, label="test accuracy")
    limits = ax.get_xlim(), ax.get_ylim()
    for side in _sides(*limits[0]):
        ax.plot(side, [trainable_depth(value) for value in side], color="white", lw=3.2)
        ax.plot(side, [trainable_depth(value) for value in side], color=COLORS["test_loss"], lw=1.8)
    default = DEFAULT_AND_EDGE[0]
    ax.axvline(default, color="white", ls="--", lw=1.5)
    if limits[0][0] < default < limits[0][1]:
        ax.text(default + 0.02, depths[0], "PyTorch's default", size="x-small", rotation=90, va="bottom", color="0.1")
    if limits[0][0] < 1 < limits[0][1]:
        ax.axvline(1, color="0.1", ls="--", lw=1.3)
        ax.text(1.02, depths[0], "edge", size="x-small", va="bottom", color="0.1")
    ax.set(yscale="log", xlabel="J at the start", ylabel="hidden layers", xlim=limits[0], ylim=limits[1])
    ax.set_yticks(depths, [f"{depth:g}" for depth in depths])
    ax.minorticks_off()
    return ax


def cell_edges(centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return edges of cells around rising centres: halfway between, and as far again at both ends.

    >>> cell_edges(np.array([1.0, 2.0, 4.0])).tolist()
    [0.5, 1.5, 3.0, 5.0]
    """
    if len(centres) == 1:
        return np.array([centres[0] - 0.1, centres[0] + 0.1])
    middle = (centres[1:] + centres[:-1]) / 2
    return np.concatenate([[2 * centres[0] - middle[0]], middle, [2 * centres[-1] - middle[-1]]])


def _sides(low: float, high: float) -> list[NDArray[np.float64]]:
    """J below and beyond the edge, where theory's depth is finite, as far as the map reaches."""
    sides = [np.linspace(low, min(high, 0.995), 40), np.linspace(max(low, 1.02), high, 40)]
    return [side for side in sides if side[0] < side[-1]]


def draw_relu(runs: Sequence[Run]) -> Figure:
    """Draw ReLU with Adam: test loss and test accuracy along the path without decay, and the ends of all decays."""
    fig, free = panels(2), [run for run in runs if not run.config.l2]
    plot_path(free, "test_loss", fig.axes[0])
    plot_path(free, "test_accuracy", fig.axes[1])
    plot_ends(runs, "test_accuracy", fig.axes[1])
    best = max(float(run.history["test_accuracy"].max()) for run in runs)
    fig.axes[1].set(xlabel="J over J of the edge", ylabel="test accuracy", ylim=(best - 0.06, best + 0.005))
    return fig


def draw_sizes(runs: Sequence[Run]) -> Figure:
    """Draw J where the validation loss turns, against the width (left) and the number of training images (right)."""
    fig, turned = panels(2), turns(runs)
    most, usual = turned["samples"].max(), turned["width"] == parse_config(JUDGED).width
    kinds = {"width": (turned[turned["samples"] == most], "width"), "samples": (turned[usual], "training images")}
    for ax, (column, (own, label)) in zip(fig.axes, kinds.items(), strict=True):
        ax.axhline(1, color=COLORS["edge"], ls="--", lw=1.3)
        plot_means(own, column, "J", ax)
        places = sorted(set(own[column]))
        ax.set(xscale="log", xlabel=label, ylabel=TURN, ylim=(0, None))
        ax.set_xticks(places, [f"{place:,}" for place in places])
        ax.minorticks_off()
    return fig


def draw_adamw(runs: Sequence[Run]) -> Figure:
    """Draw tanh with AdamW: validation loss along the path without decay, and accuracy at the end of all decays."""
    return _draw(runs, VALIDATION, "validation_accuracy", lambda config: config.l2)


def draw_mnist(runs: Sequence[Run]) -> Figure:
    """Draw MNIST: validation loss along the path, and accuracy at the end of what is free and what is held."""
    return _draw(runs, VALIDATION, "validation_accuracy", lambda config: config.hold)


def _draw(runs: Sequence[Run], loss: str, accuracy: str, steered: Callable[[RunConfig], float]) -> Figure:
    fig = panels(2)
    plot_path([run for run in runs if not steered(run.config)], loss, fig.axes[0])
    plot_ends(runs, accuracy, fig.axes[1])
    return fig


def plot_path(runs: Sequence[Run], column: str, ax: Axes) -> Axes:
    """Draw a measured column against J over J of the edge, seeds faint and their mean."""
    for run in runs:
        ax.plot(_over_edge(run), run.history[column], color=COLORS["test_loss"], lw=0.8, alpha=0.4)
    for own in by_setting(runs).values():
        length = min(len(run.history) for run in own)
        mean = [np.mean([values[:length] for values in rows], axis=0) for rows in
                ([_over_edge(run) for run in own], [run.history[column].to_numpy() for run in own])]  # fmt: skip
        ax.plot(*mean, color=COLORS["test_loss"], lw=1.6)
    least = min((float(run.history[column].min()) for run in runs), default=1.0)
    ax.axvline(1, color=COLORS["edge"], ls="--", lw=1.3)
    ax.set(xlabel="J over J of the edge", ylabel=column.replace("_", " "), ylim=(0.95 * least, HIGHEST * least))
    return ax


def plot_ends(runs: Sequence[Run], column: str, ax: Axes) -> Axes:
    """Draw a column at the end against J there over J of the edge, a colour a setting."""
    groups = by_setting(runs).values()
    for color, own in zip(sns.color_palette("viridis", len(groups)), groups, strict=True):
        J = [settled(run) ** 0.5 / _EDGE[run.config.activation] for run in own]
        ax.plot(J, [settled(run, column) for run in own], "o", color=color, ms=5, alpha=0.8)
    ax.axvline(1, color=COLORS["edge"], ls="--", lw=1.3)
    ax.set(xlabel="J at the end over J of the edge", ylabel=f"{column.replace('_', ' ')} at the end")
    return ax


def _over_edge(run: Run) -> NDArray[np.float64]:
    J: NDArray[np.float64] = np.sqrt(run.history["J_squared"].to_numpy(dtype=float)) / _EDGE[run.config.activation]
    return J
