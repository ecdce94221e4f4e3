"""Training with shuffled labels."""

from collections.abc import Mapping, Sequence

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from edgechaos_core.book.figures.line_labels import label_ends
from edgechaos_core.store.runs import Run

SMOOTHED = 30  # a mean is taken over one part of so many of the epochs


def plot_noise(runs: Mapping[str, Sequence[Run]], column: str, ax: Axes, *, bottom: float | None = None) -> Axes:
    """Draw a share against epoch, a colour a way: each seed faintly, and the smoothed mean over seeds with its name.

    Ways without runs, or without that column, are left out. ``bottom`` is where the share's axis begins.
    """
    ends = {}
    for color, (way, own) in zip(sns.color_palette("colorblind").as_hex(), runs.items(), strict=False):
        courses = [run.history.set_index("epoch")[column] for run in own if column in run.history]
        if not courses:
            continue
        for course in courses:
            ax.plot(course.index, course, color=color, alpha=0.25, lw=0.6)
        mean = pd.concat(courses, axis=1).mean(axis=1)
        smooth = mean.rolling(max(len(mean) // SMOOTHED, 1), center=True, min_periods=1).mean()
        ax.plot(smooth.index, smooth, color=color, lw=1.6, label=way)
        ends[way] = (float(smooth.iloc[-1]), color)
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    ax.tick_params(labelsize=8)
    ax.set_xlabel("epoch", fontsize=9)
    ax.set_ylim(bottom=bottom)
    label_ends(ax, ends)
    return ax
