"""Ways to choose a decay, and the searches among them."""

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes

from edgechaos_core.book.style import COLORS


def plot_search(places: Sequence[float], scores: Sequence[float], ax: Axes) -> Axes:
    """Draw each trial's score at its place, later ones lighter, a ring around the best; bad ones out of sight."""
    colors = sns.color_palette("viridis", len(places))
    ax.scatter(places, scores, c=colors, s=24)
    first = max(range(len(places)), key=lambda trial: scores[trial])
    ax.plot(places[first], scores[first], "o", ms=12, mfc="none", mec=COLORS["optimum"], mew=1.5)
    middle, top = float(np.median(scores)), scores[first]
    ax.set(xscale="log", ylabel="validation accuracy")
    ax.set_ylim(top - max(4 * (top - middle), 0.01), top + max(0.4 * (top - middle), 0.002))
    return ax


def plot_standings(accuracies: Mapping[str, Mapping[str, Sequence[float]]], ax: Axes) -> Axes:
    """Draw the accuracies, in %, of each way, a dot a seed and a bar at their mean; the outer names make the legend."""
    ways = list(dict.fromkeys(way for own in accuracies.values() for way in own))
    for color, (label, own) in zip(sns.color_palette("colorblind"), accuracies.items(), strict=False):
        places = [len(ways) - ways.index(way) for way in own]
        means = [float(np.mean(values)) for values in own.values()]
        ax.plot(means, places, "|", color=color, ms=16, mew=2.5, label=label)
        for place, values in zip(places, own.values(), strict=True):
            ax.plot(values, [place] * len(values), "o", color=color, ms=5, alpha=0.5)
    ax.set_yticks(range(len(ways), 0, -1), ways)
    ax.set(xlabel="test accuracy at the end, %")
    return ax
