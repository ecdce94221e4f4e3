"""Settings side by side: against epoch or rescaled time, their distance, and what speed costs."""

from collections.abc import Mapping, Sequence

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from edgechaos_core.analysis.scaling import scale_factor
from edgechaos_core.book.style import COLORS, LABELS
from edgechaos_core.store.runs import Run


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
