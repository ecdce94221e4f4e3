"""The picture of five networks under usual weight decays, and held at the edge."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from edgechaos_core.analysis.intervals import over_seeds
from edgechaos_core.book.figures.line_labels import label_ends
from edgechaos_core.book.style import COLORS
from edgechaos_core.experiments.five_networks import HELD, chosen


def plot_five(found: pd.DataFrame, axes: Sequence[Axes]) -> None:
    """Draw a network on each of some axes: over the ways, test accuracy in percent, a dot a seed, the mean's interval.

    Of rows as `five_networks.compare` returns them, each network at its epoch of least validation loss.
    """
    rows = chosen(found)
    ways = list(dict.fromkeys(found["way"]))
    for ax, (name, own) in zip(axes, rows.groupby("network", sort=False), strict=True):
        for place, way in enumerate(ways):
            values = 100 * own.loc[own["way"] == way, "test_accuracy"].to_numpy()
            color = COLORS["optimum"] if way == HELD else COLORS["J_squared"]
            ax.plot(np.full(len(values), place), values, ".", color=color, alpha=0.4, ms=5)
            estimate = over_seeds(values.tolist())
            ends = [estimate.value if end is None else end for end in (estimate.low, estimate.high)]
            ax.plot([place, place], ends, color=color, lw=2)
            ax.plot(place, estimate.value, "o", color=color, ms=5)
        ax.set_title(str(name), fontsize=9)
        ax.set_xticks(range(len(ways)), [_short(way) for way in ways], fontsize=8, rotation=45)
        ax.tick_params(axis="y", labelsize=8)
        ax.margins(x=0.15)


def plot_growth(found: pd.DataFrame, ax: Axes) -> Axes:
    """Draw J^2 over that of the edge against the epoch, without decay and held, a pair of lines a network."""
    ends = {}
    names = list(dict.fromkeys(found["network"]))
    for number, name in enumerate(names):
        color = f"C{number}"
        for way, style in ((found["way"].iloc[0], "-"), (HELD, "--")):
            own = found[(found["network"] == name) & (found["way"] == way)]
            mean = own.groupby("epoch")["over_edge"].mean()
            ax.plot(mean.index, mean, style, color=color, lw=1.5)
            if style == "-":
                ends[name] = (float(mean.iloc[-1]), color)
    ax.axhline(1, color=COLORS["edge"], lw=1)
    ax.set(yscale="log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 4, 6)))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("epoch", fontsize=9)
    ax.set_ylabel("$J^2$ over that of the edge", fontsize=9)
    ax.tick_params(labelsize=8, which="both")
    label_ends(ax, ends)
    return ax


def _short(way: str) -> str:
    return "held" if way == HELD else way.removeprefix("weight_decay ")
