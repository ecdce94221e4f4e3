"""The scorecard as a picture: every estimate with its interval, against the bounds that it is judged by."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from edgechaos_core.analysis.intervals import Estimate
from edgechaos_core.claims.judging import Judged
from edgechaos_core.claims.verdicts import Part

VERDICT_COLORS = {
    "reproduced": "#029e73",
    "not reproduced": "#d55e00",
    "inconclusive": "#0173b2",
    "no verdict": "#949494",
}
BEYOND = 3.0  # where estimates farther from the bounds are drawn, as arrows


def plot_scorecard(parts: Mapping[str, Sequence[Judged]], ax: Axes, *, narrow: bool = False) -> Axes:
    """Draw one row a part: its estimate and 95% interval in units of its bounds, which are at -1 and 1.

    What counts as the claim says lies in the grey band, which has no end where a part has no bound on that side: then a
    unit is half of the bound, or for a bound of 0 the estimate. Parts that are not run have no dot. The name of a part
    stands beside its row, or, ``narrow``, in the row above the estimate, as a phone needs it.
    """
    rows = [(name, own) for name, judged in parts.items() for own in judged]
    for place, (_, own) in enumerate(rows):
        height = place + 0.15 * narrow  # of the estimate
        low, high = own.part.inside
        ends = (-BEYOND - 0.2 if low is None else -1, BEYOND + 0.2 if high is None else 1)
        ax.barh(place, ends[1] - ends[0], left=ends[0], height=1, color="0.5", alpha=0.15, lw=0)
        if own.estimate is None or math.isnan(own.estimate.value):
            ax.text(
                0,
                height,
                own.shown if own.estimate is None else "no value",
                ha="center",
                va="center",
                size=8,
                color="0.5",
            )
            continue
        color = VERDICT_COLORS[own.verdict]
        low, value, high = _in_units(own.part, own.estimate)
        ax.plot(np.clip([low, high], -BEYOND, BEYOND), [height, height], color=color, lw=2, solid_capstyle="butt")
        for end in (low, high):
            if abs(end) > BEYOND:  # it goes on where the picture ends
                ax.plot(math.copysign(BEYOND, end), height, "<" if end < 0 else ">", color=color, ms=6)
        if abs(value) <= BEYOND:
            ax.plot(value, height, "o", color=color, ms=6)
    names = [f"{name}  {own.part.short}" for name, own in rows]
    if narrow:
        ax.set_yticks([])
        for place, name in enumerate(names):
            ax.text(-BEYOND, place - 0.25, name, ha="left", va="center", size=8)
    else:
        ax.set_yticks(range(len(rows)), names, fontsize=8)
    ax.set(xlim=(-BEYOND - 0.2, BEYOND + 0.2), ylim=(len(rows) - 0.5, -0.5))
    ax.set_xticks([-1, 1], ["lower bound", "upper bound"], fontsize=8)
    keys = [Line2D([], [], color=color, marker="o", lw=2, label=verdict) for verdict, color in VERDICT_COLORS.items()]
    columns = 2 if narrow else 4
    ax.legend(handles=keys, ncols=columns, fontsize=8, loc="lower right", bbox_to_anchor=(1.02, 1), columnspacing=1)
    return ax


def _in_units(part: Part, estimate: Estimate) -> tuple[float, float, float]:
    """Low end, value and high end of an estimate in units of its bounds; without an interval the value three times."""
    bounds, value = part.bounds, estimate.value
    low, high = (value if end is None else end for end in (estimate.low, estimate.high))
    middle, unit = sum(bounds) / 2, (bounds[1] - bounds[0]) / 2
    if not math.isfinite(unit):
        bound, side = (bounds[0], 1) if math.isfinite(bounds[0]) else (bounds[1], -1)
        unit = abs(bound) / 2 or abs(value) or 1.0
        middle = bound + side * unit
    return (low - middle) / unit, (value - middle) / unit, (high - middle) / unit
