"""The laws of speed: a fit of J^2 against epoch, the slopes beside the published ones, and what moves J^2."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from edgechaos_core.analysis import published
from edgechaos_core.analysis.intervals import said
from edgechaos_core.analysis.scaling import growth, ordered_growth, scale_factor
from edgechaos_core.book.style import COLORS, LABELS
from edgechaos_core.store.runs import Run

WIDTH = 6.9  # inches: 688 px on the page
SHOWN_TO = 1.3  # J^2 up to which a fit is drawn: beyond the edge, where the line is left
# column of the table of slopes: mark, colour, label
SLOPES = {
    "published": ("s", "0.5", "published"),
    "ordered": ("o", COLORS["J_squared"], "ours, $J^2$ from 0.3 to 1"),
    "window": ("x", COLORS["J0"], "ours, epochs 0 to 48"),
}


def draw_laws(run: Run, slopes: pd.DataFrame) -> Figure:
    """Draw four panels: the fit of one run, and A against eta, 1/(1 - alpha) and 1/B (ordered_scaling.slope_table)."""
    with sns.plotting_context("paper"):
        fig = Figure(figsize=(WIDTH, 5.6), layout="constrained")
        axes = fig.subplots(2, 2).flat
        plot_fit(run, axes[0])
        for varied, ax in zip(("η", "α", "B"), axes[1:], strict=True):
            plot_slopes(slopes, varied, ax)
        axes[1].legend(loc="upper left")
    return fig


def plot_fit(run: Run, ax: Axes) -> Axes:
    """Draw J^2 of a run against epoch to just beyond the edge, and its lines over the ordered phase and epochs 0-48."""
    rows = run.history[run.history["J_squared"] <= SHOWN_TO]
    ax.plot(rows["epoch"], rows["J_squared"], ".", ms=3, color=COLORS["J_squared"], alpha=0.5)
    ends = np.array([0, rows["epoch"].max()])
    lines = (("ordered", ordered_growth(run.history), "-"), ("window", growth(run.history), "--"))
    for (name, line, dashes), up in zip(lines, (0.16, 0.06), strict=True):
        color = SLOPES[name][1] if name == "window" else "0.15"
        ax.plot(ends, line.intercept + line.slope * ends, dashes, color=color, lw=1.3)
        told = "$J^2$ from 0.3 to 1" if name == "ordered" else "epochs 0 to 48"
        ax.text(0.97, up, f"{told}: $A$ = {said(line.slope, '.3g')}", color=color, ha="right", transform=ax.transAxes)
    ax.axhline(1, color=COLORS["edge"], ls=":", lw=1)
    ax.set(xlabel="epoch", ylabel=LABELS["J_squared"])
    return ax


def plot_slopes(slopes: pd.DataFrame, varied: str, ax: Axes) -> Axes:
    """Draw A against what one setting is taken to multiply it by, the others as in the base setting; log-log."""
    base = dict(zip(("η", "α", "B"), published.BASE_SETTING.values(), strict=True))
    own = slopes.reset_index()
    for name, value in base.items():
        own = own if name == varied else own[own[name] == value]
    x, label = {
        "η": (own["η"], r"learning rate $\eta$"),
        "α": (1 / (1 - own["α"]), r"$1 / (1 - \alpha)$"),
        "B": (1 / own["B"], "$1 / B$"),
    }[varied]
    for name, (mark, color, told) in SLOPES.items():
        hollow = name == "published"
        ax.plot(x, own[name], mark, ms=8 if hollow else 5, color=color, mfc="none" if hollow else color, label=told)
    ax.set(xscale="log", yscale="log", xlabel=label, ylabel="$A$, $J^2$ per epoch")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 3)))  # two labels a decade: a panel may span little more than one
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())
    return ax


def draw_window(runs: Sequence[Run], slopes: pd.DataFrame) -> Figure:
    """Draw J^2 of all runs in rescaled time, and c over epochs 0-48 against the J^2 at which they end."""
    with sns.plotting_context("paper"):
        fig = Figure(figsize=(WIDTH, 2.9), layout="constrained")
        left, right = fig.subplots(1, 2)
        plot_rescaled(runs, published.constant(), left)
        plot_constant(slopes["last"], slopes["window"] / slopes["scale"], published.constant(), right)
    return fig


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


def plot_constant(J_squared: "pd.Series[float]", c: "pd.Series[float]", published_c: float, ax: Axes) -> Axes:
    """Draw the constant c of each setting against the J^2 at which its window ends, and the published one in grey."""
    ax.plot(J_squared, c, "o", color=COLORS["J_squared"])
    ax.axhline(published_c, color="0.6", lw=3, alpha=0.6, zorder=0)
    ax.axvline(1, color=COLORS["edge"], ls="--", lw=1)
    ax.set(xscale="log", xlabel="$J^2$ at the end of the window", ylabel="$c$ over epochs 0-48")
    ax.set_xticks([0.25, 0.5, 1, 2, 4], ["0.25", "0.5", "1", "2", "4"])
    ax.minorticks_off()
    return ax


def draw_balance(balance: pd.DataFrame) -> Figure:
    """Draw drift and noise of the page's balance_table as stacked bars, a row a setting, a mark at the measured c."""
    with sns.plotting_context("paper"):
        fig = Figure(figsize=(WIDTH, 0.8 + 0.4 * max(len(balance), 1)), layout="constrained")
        ax = fig.subplots()
        plot_balance(balance, ax).legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=3)
    return fig


def plot_balance(balance: pd.DataFrame, ax: Axes) -> Axes:
    """Draw the same into given axes; a drift below 0 goes to the left."""
    places = np.arange(len(balance))[::-1]
    drift, noise = balance["drift"].to_numpy(dtype=float), balance["noise"].to_numpy(dtype=float)
    ax.barh(places, drift, 0.6, color=COLORS["J_squared"], alpha=0.8, label="drift")
    ax.barh(places, noise, 0.6, left=np.maximum(drift, 0), color=COLORS["J0"], alpha=0.8, label="noise")
    ax.plot(balance["measured"], places, "D", ms=6, color="0.15", label="$c$ of the growth that followed")
    ax.axvline(0, color="0.5", lw=0.8)
    names = [rf"$\eta$ = {eta:g}, $\alpha$ = {alpha:g}, $B$ = {size}" for eta, alpha, size in balance.index]
    ax.set_yticks(places, names)
    ax.set(xlabel="contribution to $c$")
    return ax
