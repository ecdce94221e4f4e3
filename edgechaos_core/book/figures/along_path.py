"""The path of training on the map, and loss and accuracy along it: mean and band over seeds, raw seeds faint."""

from collections.abc import Sequence
from typing import Literal

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edgechaos_core.analysis.along_path import mean_and_band, smoothed_path
from edgechaos_core.book.figures.maps import plot_edge
from edgechaos_core.book.style import AXES, COLORS, LABELS
from edgechaos_core.store.runs import Run

NAMES = {"J": "spread of the weights, $J$", "epoch": "epoch"}


def plot_along(runs: Sequence[Run], x: Literal["J", "epoch"], column: str, ax: Axes) -> Axes:
    """Draw a measured column against the epoch, or against J, both means over seeds at equal epochs.

    Test loss and test accuracy are smoothed, others are not; the faint lines are the seeds as they were measured.
    """
    color = COLORS[column]
    trained = [run.history[run.history["epoch"] > 0] for run in runs]
    paths = [smoothed_path(run) for run in runs]
    for rows, path in zip(trained, paths, strict=True):
        ax.plot(path[x], rows[column], color=color, lw=0.5, alpha=0.25)
    smooth = [path if column in path else rows for rows, path in zip(trained, paths, strict=True)]
    mean, low, high = mean_and_band([rows[column].to_numpy(dtype=float) for rows in smooth])
    places = mean_and_band([path[x].to_numpy(dtype=float) for path in paths])[0]
    ax.plot(places, mean, color=color, lw=1.8)
    ax.fill_between(places, low, high, color=color, alpha=0.3, lw=0)
    ax.set(xlabel=NAMES[x], ylabel=LABELS[column])
    return ax


def plot_mean_path(runs: Sequence[Run], marks: dict[str, float], ax: Axes) -> Axes:
    """Draw the mean path in the phase diagram (x: J0/J, y: 1/J) over the seeds' own, the edge, and J of named marks.

    A mark that is nan is left out.
    """
    paths = [(run.history["J0"] / np.sqrt(run.history["J_squared"]), run.history["J_squared"] ** -0.5) for run in runs]
    for own in paths:
        ax.plot(*own, color=COLORS["J_squared"], lw=0.5, alpha=0.25)
    x, y = (mean_and_band([path[axis].to_numpy(dtype=float) for path in paths])[0] for axis in (0, 1))
    ax.plot(x, y, color=COLORS["J_squared"], lw=1.8)
    plot_edge(ax, ratios=(-1, 1))
    places = {"start": (x[0], y[0])}
    for name, J in marks.items():
        if np.isfinite(J):
            place = int(np.abs(1 / y - J).argmin())
            places[name] = (x[place], y[place])
    for name, (across, up) in places.items():
        color = COLORS[_ROLES.get(name, "J_squared")]
        ax.plot(across, up, "o", color=color, mec="white", mew=0.6)
        ax.annotate(name, (across, up), (7, 0), textcoords="offset points", va="center", color=color)
    for up, name, align in [(1.03, "order", "bottom"), (0.97, "chaos", "top")]:
        ax.text(-0.95, up, name, va=align, style="italic")
    ax.text(0.97, 0.97, "edge, $J = 1$", va="top", ha="right", color=COLORS["edge"])
    ax.set(xlabel=AXES["ratio"].replace(" of the weights", ""), ylabel=AXES["inverse_J"], xlim=(-1, 1), ylim=(0, 2.15))
    return ax


_ROLES = {"least loss": "test_loss", "best accuracy": "test_accuracy"}


def path_and_measures(runs: Sequence[Run], marks: dict[str, float]) -> Figure:
    """Return the path on the map beside test loss and test accuracy against J, with the J of the ``marks``.

    ``marks``: J by name, ``least loss`` and ``best accuracy``; a mark that is nan is left out.
    """
    with sns.plotting_context("paper"):
        figure = plt.figure(figsize=(6.9, 4.5), layout="constrained")
        panels = figure.subplot_mosaic([["path", "test_loss"], ["path", "test_accuracy"]])
        plot_mean_path(runs, marks, panels["path"])
        for column in ("test_loss", "test_accuracy"):
            ax = plot_along(runs, "J", column, panels[column])
            ax.axvline(1, color=COLORS["edge"], ls="--", lw=1)
            for name, J in marks.items():
                if np.isfinite(J) and _ROLES.get(name) == column:
                    ax.axvline(J, color=COLORS[column], ls=":", lw=1.5)
        panels["test_loss"].set_xlabel("")
        accuracy = mean_and_band([smoothed_path(run)["test_accuracy"].to_numpy(dtype=float) for run in runs])[0]
        panels["test_accuracy"].set_ylim(float(np.quantile(accuracy, 0.03)), None)  # past the steep rise at the start
    return figure


def measures_by_epoch(runs: Sequence[Run]) -> Figure:
    """Return four panels against the epoch: train and test loss, test accuracy, J^2 and J0."""
    with sns.plotting_context("paper"):
        figure, axes = plt.subplots(2, 2, figsize=(6.9, 4.5), sharex=True, layout="constrained")
        for ax, columns in zip(axes.flat, [["train_loss", "test_loss"], ["test_accuracy"], ["J_squared"], ["J0"]]):
            for column in columns:
                plot_along(runs, "epoch", column, ax)
                if len(columns) > 1:
                    last = ax.get_lines()[-1]
                    shift = 5 if column == "train_loss" else -16  # above the lower line, below the upper one
                    end = (float(np.asarray(last.get_xdata())[-1]), float(np.asarray(last.get_ydata())[-1]))
                    ax.annotate(
                        LABELS[column], end, (0, shift), textcoords="offset points", ha="right", color=COLORS[column]
                    )
        axes[0, 0].set_ylabel("loss")
        axes[1, 0].axhline(1, color=COLORS["edge"], ls="--", lw=1)
        for ax in axes[0]:
            ax.set_xlabel("")
    return figure
