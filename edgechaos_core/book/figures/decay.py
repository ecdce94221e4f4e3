"""Training with weight decay: paths, where it ends, and where it lands."""

from collections.abc import Mapping, Sequence

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from edgechaos_core.analysis.scaling import settled
from edgechaos_core.book.style import COLORS, LABELS
from edgechaos_core.store.runs import Run


def plot_decays(runs: Sequence[Run], column: str, ax: Axes) -> Axes:
    """Draw one measured column against epoch, a line a run and a colour a strength of decay."""
    for run, color, label in by_decay(runs):
        ax.plot(run.history["epoch"], run.history[column], color=color, lw=1.1, alpha=0.8, label=label)
    if column == "J_squared":
        ax.axhline(1, color=COLORS["edge"], ls="--", lw=1)
    ax.set(xlabel="epoch", ylabel=LABELS[column])
    return ax


def plot_landing_places(ends: pd.DataFrame, ax: Axes, bands: Mapping[str, float]) -> Axes:
    """Draw J^2 at the end (column ``J²``) for each ``setting`` and ``way``, seeds as dots, and a band for each way."""
    settings = list(dict.fromkeys(ends["setting"]))
    places = {setting: len(settings) - number for number, setting in enumerate(settings)}
    for (way, width), color in zip(bands.items(), sns.color_palette("colorblind"), strict=False):
        own = ends[ends["way"] == way]
        shift = 0.2 * ((len(bands) - 1) / 2 - list(bands).index(way))
        ax.plot(own["J²"], own["setting"].map(places) + shift, "o", color=color, label=way, alpha=0.8)
        ax.axvspan(1 - width, 1 + width, color=color, alpha=0.12, lw=0)
    ax.axvline(1, color=COLORS["edge"], ls="--", lw=1)
    ax.set_yticks(list(places.values()), list(places))
    ax.set(xlabel="$J^2$ at the end")
    return ax


def plot_ends(runs: Sequence[Run], ax: Axes) -> Axes:
    """Draw test accuracy against J^2, both over the last tenth of the epochs, a dot a run."""
    for run, color, label in by_decay(runs):
        ax.plot(settled(run), settled(run, "test_accuracy"), "o", color=color, label=label)
    ax.axvline(1, color=COLORS["edge"], ls="--", lw=1)
    ax.set(xlabel="$J^2$ at the end", ylabel="test accuracy at the end", xscale="log")
    ax.set_xticks([0.25, 0.5, 1, 2, 4], ["0.25", "0.5", "1", "2", "4"])
    ax.minorticks_off()
    return ax


def by_decay(runs: Sequence[Run]) -> list[tuple[Run, tuple[float, float, float], str]]:
    """Return runs with the colour of their strength of decay, and its label on the first of each."""
    strengths = sorted({run.config.l2 for run in runs})
    colors = dict(zip(strengths, sns.color_palette("viridis", len(strengths)), strict=True))
    first = {l2: next(run for run in runs if run.config.l2 == l2) for l2 in strengths}
    return [
        (run, colors[run.config.l2], rf"$\lambda$ = {run.config.l2:g}" if first[run.config.l2] is run else "_")
        for run in runs
    ]
