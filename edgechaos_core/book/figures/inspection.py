"""Pictures of an inspection: where each weight stands, how a difference grows, and its place in the phase diagram."""

from collections.abc import Sequence
from math import ceil, isfinite
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from edgechaos_core.book.figures.maps import plot_edge
from edgechaos_core.book.style import COLORS
from edgechaos_core.models.inspection_table import Inspection

NEEDED = ("name", "J_squared", "ratio", "activation", "edge", "phase", "growth_from_input", "scale_free", "steerable")
MUTED = "0.45"
PHASES = {"order": COLORS["J_squared"], "edge": COLORS["optimum"], "chaos": COLORS["test_loss"], "not defined": MUTED}
ROW, TALLEST, SHORTEST = 0.15, 18.0, 1.8  # inches: a row with its name, the rows of a figure in all, and a figure
FARTHEST = 2.5  # J0/J up to which the edge is drawn: beyond, 1/J is under 0.03 there, on the axis, and slow to find
LETTERS, LONGEST = 8, 30  # points; characters of a name


def plot_inspection(table: Inspection | pd.DataFrame, axes: Sequence[Axes] | None = None) -> Figure:
    """Draw a row for each weight of a table of `inspect`, from the first at the top, and return the figure.

    Left, J^2 over that of its edge, on a logarithmic scale with the edge at 1, in the colour of its phase. Right, by
    how much a small difference was multiplied from the sample to there, as measured. Weights that `EdgeDecay` cannot
    steer, or to no purpose, have open dots and say on the right why: a normalisation follows (scale-free), or not
    steerable; so does a weight that has no edge, and with it no dot on the left.

    The figure is as tall as there are rows, up to 120; of more, only some are named. ``axes`` are two axes to draw on,
    where what was drawn before stays. Raises ValueError for what is no table of `inspect` (or its ``to_frame()``), an
    empty one, and one without any edge or growth, as that of a file of weights is.

    >>> import torch
    >>> from torch import nn
    >>> from edgechaos_core import inspect, plot_inspection
    >>> layers = nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 2)
    >>> table = inspect(nn.Sequential(*layers), torch.randn(16, 8))
    >>> figure = plot_inspection(table)
    >>> figure.axes[0].get_yticks().tolist()
    [0, 1]
    """
    rows = _rows(table)
    rows["over_edge"] = (rows["J_squared"] / rows["edge"]).where(rows["edge"] > 0)
    if not (rows["over_edge"].gt(0) | rows["growth_from_input"].gt(0)).any():
        raise ValueError("no weight of the table has an edge or a growth to draw: inspect a model with a sample")
    if axes is None:
        height = max(min(ROW * len(rows), TALLEST) + 1, SHORTEST)
        _, axes = plt.subplots(1, 2, figsize=(6.9, height), sharey=True, layout="constrained")
    try:
        left, right = axes
    except (TypeError, ValueError):
        raise ValueError(f"axes must be two axes, as of plt.subplots(1, 2), got {type(axes).__name__}") from None
    right.plot(rows["growth_from_input"].where(rows["growth_from_input"] > 0), rows.index, color="0.7", lw=1, zorder=1)
    for ax, column in ((left, "over_edge"), (right, "growth_from_input")):
        _draw_dots(rows, column, ax)
        ax.axvline(1, color=COLORS["edge"], lw=1, ls="--" if ax is left else ":", zorder=0)
        _logarithmic(ax)
    left.set_xlabel("$J^2$ over that of the edge", fontsize=LETTERS + 1)
    right.set_xlabel("growth from the input to here", fontsize=LETTERS + 1)
    _name_rows(rows, left, right)
    known = dict(zip(*reversed(left.get_legend_handles_labels()), strict=True))
    left.legend(known.values(), known, fontsize=LETTERS, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(known),
                frameon=False, handletextpad=0, columnspacing=1, borderaxespad=0)  # fmt: skip
    figure = left.figure
    assert isinstance(figure, Figure)
    return figure


def plot_layers_on_map(table: Inspection | pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw each weight that tanh follows at its place in the phase diagram (x: J0/J, y: 1/J), with theory's edge.

    The edge is that of infinite width and depth without biases; colours and open dots are those of `plot_inspection`.
    ``table`` is what `inspect` returns, or its ``to_frame()``. Raises ValueError where no weight is followed by tanh,
    and as `plot_inspection` does. Weights with gates and those whose scale a normalisation undoes have no place there.
    """
    rows = _rows(table)
    rows = rows[(rows["activation"] == "tanh") & (rows["edge"] > 0) & (rows["J_squared"] > 0) & ~rows["scale_free"]]
    if rows.empty:
        raise ValueError("no weight of the table has a place on the map, which is that of layers followed by tanh")
    if ax is None:
        _, ax = plt.subplots(figsize=(3.6, 3.2), layout="constrained")
    for filled in (True, False):
        for phase, color in PHASES.items():
            own = rows[(rows["phase"] == phase) & (rows["steerable"] == filled)]
            if len(own):
                ax.plot(own["ratio"], own["J_squared"] ** -0.5, **_look(color, filled=filled), alpha=0.7)
    x = [*ax.get_xlim(), -1.0, 2.0]
    y = [ax.get_ylim()[1], 2.0]
    plot_edge(ax, ratios=(max(min(x), -FARTHEST), min(max(x), FARTHEST)))
    for across, up, name in ((1.3, 1.5, "order"), (0.55, 0.35, "chaos")):
        ax.text(across, up, name, fontsize=LETTERS, style="italic", ha="center")
    ax.set(xlim=(min(x), max(x)), ylim=(0, max(y)))
    ax.set_xlabel("$J_0 / J$", fontsize=LETTERS + 1)
    ax.set_ylabel("$1 / J$", fontsize=LETTERS + 1)
    ax.tick_params(labelsize=LETTERS)
    return ax


def _rows(table: Inspection | pd.DataFrame) -> pd.DataFrame:
    """The rows that are drawn, from 0 on; ValueError for what is no table of `inspect`."""
    if not isinstance(table, (Inspection, pd.DataFrame)):
        raise ValueError(f"the table must be what inspect returns, or its to_frame(), got {type(table).__name__}")
    rows = table.to_frame() if isinstance(table, Inspection) else table.reset_index(drop=True)
    if missing := [name for name in NEEDED if name not in rows]:
        raise ValueError(f"the table must have the columns of inspect's to_frame(), it lacks {', '.join(missing)}")
    if rows.empty:
        raise ValueError("the table is empty: the model that was inspected has no weights")
    return rows


def _look(color: str, *, filled: bool) -> dict[str, Any]:
    return {"marker": "o", "ls": "", "ms": 5, "mec": color, "mfc": color if filled else "none"}


def _draw_dots(rows: pd.DataFrame, column: str, ax: Axes) -> None:
    """Draw a row's number at its height, a line of dots for each phase; open ones cannot be steered."""
    shown = rows[np.isfinite(rows[column]) & (rows[column] > 0)]
    for filled in (True, False):
        for phase, color in PHASES.items():
            own = shown[(shown["phase"] == phase) & (shown["steerable"] == filled)]
            if len(own):
                label = phase if filled else "_open"  # of a phase the filled ones alone are in the legend
                ax.plot(own[column], own.index, **_look(color, filled=filled), label=label)


def _logarithmic(ax: Axes) -> None:
    """Show numbers from 0.2 to 5 at least, so that there is room on either side of 1, at plain numbers."""
    ax.set_xscale("log")
    low, high = ax.get_xlim()
    low, high = min(low, 0.2), max(high, 5)
    ax.set_xlim(low, high)
    if high / low < 1e3:  # beyond, powers of ten are told as such
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 3) if high / low > 40 else (1, 2, 5)))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.tick_params(axis="x", labelsize=LETTERS)


def _name_rows(rows: pd.DataFrame, left: Axes, right: Axes) -> None:
    """Name the rows at the left, and at the right say why some are muted; as many as there is room for."""
    height = left.get_window_extent().height / left.figure.dpi
    places = list(rows.index[:: max(ceil(ROW * 0.75 * len(rows) / height), 1)])
    left.set_yticks(places, [_short(rows["name"][place]) for place in places], fontsize=LETTERS)
    left.set_ylim(len(rows) - 0.5, -0.5)
    right.set_ylim(left.get_ylim())
    right.tick_params(axis="y", left=False, labelleft=False)
    for place in places:
        if why := _why_muted(rows.loc[place]):
            right.text(1.02, place, why, color=MUTED, fontsize=LETTERS, va="center",
                       transform=right.get_yaxis_transform())  # fmt: skip


def _why_muted(row: Any) -> str:  # noqa: ANN401 - a row of a table
    if row.scale_free:
        return "scale-free"
    if not row.steerable:
        return "not steerable"
    if row.growth_from_input == 0:
        return "difference lost"
    return "" if isfinite(row.over_edge) else f"no edge: {row.activation}"


def _short(name: str) -> str:
    """A long name with its modules' initials and numbers, from the left as far as needed: ``e.l.e0.mlp.0.weight``."""
    *modules, last = name.split(".")
    for place, module in enumerate(modules):
        if len(name) <= LONGEST:
            break
        modules[place] = module[:1] + "".join(filter(str.isdigit, module[1:]))
        name = ".".join([*modules, last])
    return name if len(name) <= LONGEST else f"…{name[1 - LONGEST :]}"
