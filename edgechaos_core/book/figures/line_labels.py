"""Names written at the ends of lines, which spare a legend."""

import itertools
from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.typing import ColorType


def label_ends(ax: Axes, ends: Mapping[str, tuple[float, ColorType]], *, gap: float = 0.07, size: float = 8) -> None:
    """Write each name beside the right edge of the axes, at the height of its line's end and in its colour.

    ``ends`` gives (height, colour) by name. Names closer than ``gap``, as a fraction of the axes, move apart. The
    limits of the axes must be final.
    """
    to_axes = ax.transData + ax.transAxes.inverted()
    heights = {name: float(to_axes.transform((0, end))[1]) for name, (end, _) in ends.items()}
    ranked = sorted(heights, key=lambda name: heights[name])
    for lower, upper in itertools.pairwise(ranked):
        heights[upper] = max(heights[upper], heights[lower] + gap)
    for name, (_, color) in ends.items():
        ax.text(1.02, heights[name], name, color=color, fontsize=size, va="center", transform=ax.transAxes)
