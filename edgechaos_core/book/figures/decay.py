"""Training with weight decay: paths, where they end, which strength ends at the edge, and where networks land."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from edgechaos_core.analysis.along_path import smoothed_path
from edgechaos_core.analysis.by_setting import setting_in_words, strength_text
from edgechaos_core.analysis.intervals import Estimate
from edgechaos_core.analysis.scaling import growth_along, scale_factor, settled
from edgechaos_core.book.figures.line_labels import label_ends
from edgechaos_core.book.figures.maps import plot_edge
from edgechaos_core.book.style import AXES, COLORS, LABELS
from edgechaos_core.claims.estimates.decay import near_the_best
from edgechaos_core.claims.estimates.optima import NEAR_THE_TOP, parabola
from edgechaos_core.store.runs import Run

Strength = tuple[str, tuple[float, float, float], list[Run]]
J_TICKS = [0.5, 0.7, 1, 1.5, 2, 3]
J_END_TICKS = [0.3, 0.5, 0.7, 1, 1.5]
J_SQUARED_TICKS = [0.1, 0.25, 0.5, 1, 2, 4]


def by_strength(runs: Sequence[Run]) -> list[Strength]:
    """Return the label, colour and runs of each strength of decay, from none to the strongest."""
    strengths = sorted({run.config.l2 for run in runs})
    colors = sns.color_palette("plasma", len(strengths) + 1)[: len(strengths)]  # the last is too light for letters
    own = [[run for run in runs if run.config.l2 == l2] for l2 in strengths]
    return list(zip(map(strength_text, strengths), colors, own, strict=True))


def plot_paths(runs: Sequence[Run], ax: Axes) -> Axes:
    """Draw the mean path of each strength of decay through the phase diagram, its end a dot, and the edge.

    At every tenth epoch: J0 jumps from one to the next.
    """
    ends = []
    for label, color, own in by_strength(runs):
        J = np.sqrt(_stacked(own, "J_squared"))
        x, y = (_stacked(own, "J0") / J).mean(0), (1 / J).mean(0)
        shown = sorted({*range(0, len(x), 10), len(x) - 1})
        ax.plot(x[shown], y[shown], color=color, lw=1.3)
        ax.plot(x[-1], y[-1], "o", color=color, ms=5)
        ends.append((label, float(y[-1]), color))
    right = 1.1 * ax.get_xlim()[1]
    for label, end, color in ends:
        _name(ax, label, right, end, color)
    plot_edge(ax, ratios=(0, min(right, 1.0)))
    ax.set(xlabel="$J_0 / J$", ylabel=AXES["inverse_J"], xlim=(0, right), yscale="log")
    ax.set_yticks(J_TICKS, map(str, J_TICKS))
    ax.minorticks_off()
    return ax


def plot_decays(runs: Sequence[Run], column: str, ax: Axes, limits: tuple[float, float] | None = None) -> Axes:
    """Draw a measured column against epoch: the mean of each strength of decay, in a band from least to largest seed.

    The strengths stand at the ends of their lines. Test loss and accuracy are smoothed (along_path.smoothed_path);
    ``limits`` are those of the axis.
    """
    ends = {}
    for label, color, own in by_strength(runs):
        rough = column in ("test_loss", "test_accuracy")
        values = _stacked([replace(run, history=smoothed_path(run)) for run in own] if rough else own, column)
        epochs = own[0].history["epoch"].to_numpy()[-values.shape[1] :]
        ax.plot(epochs, values.mean(0), color=color, lw=1.3)
        ax.fill_between(epochs, values.min(0), values.max(0), color=color, alpha=0.25, lw=0)
        ends[label] = (float(values.mean(0)[-1]), color)
        ax.set_xlim(0, epochs[-1])  # names stand outside the frame
    if column == "J_squared":
        ax.axhline(1, color=COLORS["edge"], ls="--", lw=1)
        ax.set_yscale("log")
        ax.set_yticks(J_SQUARED_TICKS, map(str, J_SQUARED_TICKS))
        ax.minorticks_off()
    ax.set(xlabel="epoch", ylabel=LABELS[column], ylim=limits)
    label_ends(ax, ends, gap=0.055)
    return ax


def plot_ends(runs: Sequence[Run], column: str, best: Estimate | None, ax: Axes) -> Axes:
    """Draw a column against J, both at the end: seeds faint, means named by lambda in units of 1e-5.

    Besides the parabola through the four strengths near the optimum, and a line and band for the ``best`` J with its
    interval.
    """
    J, means = [], []
    for number, (_, color, own) in enumerate(by_strength(runs)):
        label, above = (
            f"{own[0].config.l2 / 1e-5:g}",
            number % 2 == 0,
        )  # in turn above and below: near the top is little room
        x, y = [settled(run) ** 0.5 for run in own], [settled(run, column) for run in own]
        ax.plot(x, y, "o", color=color, alpha=0.35, ms=4)
        J.append(float(np.mean(x)))
        means.append(float(np.mean(y)))
        ax.plot(J[-1], means[-1], "o", color=color, ms=6)
        ax.annotate(label, (J[-1], means[-1]), (0, 8 if above else -14), textcoords="offset points", ha="center",
                    size=8, color=color)  # fmt: skip
    ax.plot(J, means, color="0.6", lw=0.8, zorder=0)
    if best is not None and len(J) >= NEAR_THE_TOP:
        near, values = near_the_best(runs, column, -1 if column == "test_accuracy" else 1)
        bend, slope, height = parabola(near, np.abs(values))
        along = np.linspace(near.min(), near.max(), 50)
        shifted = along - near.mean()
        ax.plot(along, height + slope * shifted + bend * shifted**2, color=COLORS["optimum"], lw=1.5, ls="--")
    if best is not None and best.low is not None and best.high is not None:
        ax.axvspan(best.low, best.high, color=COLORS["optimum"], alpha=0.2, lw=0)
        ax.axvline(best.value, color=COLORS["optimum"], lw=1.2)
    ax.axvline(1, color=COLORS["edge"], ls="--", lw=1)
    ax.set(xlabel="$J$ at the end", ylabel=f"{LABELS[column]} at the end", xscale="log")
    ax.set_xticks(J_END_TICKS, map(str, J_END_TICKS))
    ax.minorticks_off()
    ax.margins(x=0.1, y=0.15)
    return ax


def plot_strengths(found: pd.DataFrame, marks: Mapping[str, float], ax: Axes) -> Axes:
    """Draw lambda* against the epochs after which J^2 is looked at, with its interval, and ``marks`` across."""
    ax.plot(found["epochs"], found["strength"] / 1e-5, "o-", color=COLORS["J_squared"])
    ax.fill_between(
        found["epochs"], found["low"] / 1e-5, found["high"] / 1e-5, color=COLORS["J_squared"], alpha=0.25, lw=0
    )
    for label, strength in marks.items():
        ax.axhline(strength / 1e-5, color="0.5", ls=":", lw=1.2)
        ax.annotate(label, (0.98, strength / 1e-5), (0, 3), ("axes fraction", "data"), "offset points", ha="right")
    ax.set(xlabel="epochs of training", ylabel=r"$\lambda^*$ in units of $10^{-5}$", ylim=(0, 10.5))
    return ax


def plot_constants(runs: Sequence[Run], published: float, against: str, ax: Axes) -> Axes:
    """Draw c of the growth of J^2, the mean of each strength of decay and faint its seeds, and the published one.

    ``against`` is ``scaled``, rescaled steps, or ``train_loss``, which falls from left to right.
    """
    for label, color, own in by_strength(runs):
        along = [growth_along(run) for run in own]
        for part, run in zip(along, own, strict=True):
            part["train_loss"] = np.interp(part["epoch"], run.history["epoch"], run.history["train_loss"])
            ax.plot(part[against], part["c"], color=color, lw=0.6, alpha=0.35)
        count = min(map(len, along))
        x, c = (np.mean([part[name][:count] for part in along], axis=0) for name in (against, "c"))
        ax.plot(x, c, color=color, lw=1.5, label=rf"$\lambda$ = {label}")
    ax.axhline(published, color="0.6", lw=3, alpha=0.6, zorder=0)
    ax.set(ylabel="$c$ of the growth", ylim=(0, None))
    if against == "scaled":
        ax.set(xlabel=r"rescaled steps, $S\,s\,\times$ epochs")
        ax.locator_params(axis="x", nbins=4)
    else:
        ax.set(xlabel="training loss", xlim=(0.6, 0))
    return ax


def plot_steered(runs: Sequence[Run], column: str, ax: Axes) -> Axes:
    """Draw J^2 or the decay that the controller set against rescaled steps, a line a setting."""
    for run, color in zip(runs, sns.color_palette("colorblind", len(runs)), strict=True):
        steps = run.config.samples * scale_factor(run.config) * run.history["epoch"]
        scale = 1e-5 if column == "lambda" else 1
        ax.plot(steps, run.history[column] / scale, color=color, lw=1.2, label=setting_in_words(run.config))
    if column == "J_squared":
        ax.axhline(1, color=COLORS["edge"], ls="--", lw=1)
    ylabel = r"$\lambda$ in units of $10^{-5}$" if column == "lambda" else LABELS[column]
    ax.set(xlabel="rescaled steps", ylabel=ylabel)
    ax.locator_params(axis="x", nbins=4)
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


def _stacked(runs: Sequence[Run], column: str) -> np.ndarray:
    """A column of runs of one setting, ``[seeds, epochs]``, as far as all go."""
    count = min(len(run.history) for run in runs)
    return np.array([run.history[column].to_numpy(dtype=float)[:count] for run in runs])


def _name(ax: Axes, label: str, x: float, y: float, color: Any) -> None:  # noqa: ANN401 - matplotlib's colours
    ax.annotate(label, (x, y), (5, 0), textcoords="offset points", va="center", size=8, color=color)


def span(runs: Sequence[Run], low: float, high: float) -> tuple[float, float]:
    """Return limits of an axis of test losses: these, or wider ones where a run ends above them."""
    return low, max(high, 1.1 * max(settled(run, "test_loss") for run in runs))
