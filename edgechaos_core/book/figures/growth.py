"""The growth of J^2: in rescaled time, and its constant c."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from edgechaos_core.analysis.scaling import growth_along, scale_factor
from edgechaos_core.book.figures.decay import by_decay
from edgechaos_core.book.style import COLORS, LABELS
from edgechaos_core.store.runs import Run


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


def plot_constants(runs: Sequence[Run], published: float, ax: Axes) -> Axes:
    """Draw c of the growth of J^2 against rescaled steps, a line a run and a colour a strength of decay."""
    for run, color, label in by_decay(runs):
        along = growth_along(run)
        ax.plot(along["scaled"], along["c"], color=color, lw=1.3, alpha=0.85, label=label)
    ax.axhline(published, color="0.6", lw=3, alpha=0.6, zorder=0, label=f"$c$ = {published:.3g}")
    ax.set(xlabel=r"rescaled steps, $S\,s\,\times$ epochs", ylabel="$c$ of the growth", ylim=(0, None))
    ax.locator_params(axis="x", nbins=4)
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
