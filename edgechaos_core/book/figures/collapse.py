"""Settings side by side: against epoch or rescaled time, their distance, and what speed costs."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edgechaos_core.analysis.intervals import Estimate, estimates_of
from edgechaos_core.analysis.published import has_published_step
from edgechaos_core.analysis.rescaling import EDGE, collapse, rescaled_time
from edgechaos_core.analysis.scaling import scale_factor
from edgechaos_core.book.style import COLORS, LABELS
from edgechaos_core.store.runs import Run, RunConfig, parse_config

Place = tuple[float, float, int]  # learning rate, momentum and batch size of a setting
WIDTH = 6.9  # inches: 688 px on the page
SPEEDS = {1 / 16: "1/16", 1 / 8: "1/8", 1 / 4: "1/4", 1 / 2: "1/2", 1: "1", 2: "2", 4: "4", 8: "8", 16: "16"}


def by_speed(runs: Sequence[Run]) -> list[tuple[Run, tuple[float, float, float], str]]:
    """Return runs, slow ones first, with the colour of their setting, and its label on the first of each."""
    ordered = sorted(runs, key=lambda run: (scale_factor(run.config), run.config.batch_size, run.config.seed))
    names = [_name(run.config) for run in ordered]
    settings = list(dict.fromkeys(names))
    colors = dict(zip(settings, sns.color_palette("colorblind", len(settings)), strict=True))
    labels = [name if name not in names[:number] else "_" for number, name in enumerate(names)]
    return [(run, colors[name], label) for run, name, label in zip(ordered, names, labels, strict=True)]


def _name(config: RunConfig) -> str:
    return rf"$\eta$ = {config.learning_rate:g}, $\alpha$ = {config.momentum:g}, $B$ = {config.batch_size}"


def draw_collapse(reference: Sequence[Run], columns: Mapping[str, Sequence[Run]]) -> Figure:
    """Draw J^2 of groups of runs against rescaled time, a column a group, and below it the distance from the reference.

    Distances are between runs of the same seed (rescaling.collapse).
    """
    with sns.plotting_context("paper"):
        fig = Figure(figsize=(WIDTH, 6.4), layout="constrained")
        axes = fig.subplots(2, len(columns), sharex="col", squeeze=False, height_ratios=(3, 2))
        for (title, runs), (above, below) in zip(columns.items(), axes.T, strict=True):
            plot_settings([*reference, *runs], "J_squared", above)
            plot_residual(reference, runs, below)
            legend_below(above, below)
            last = max(float(rescaled_time(run)[-1]) for run in runs)
            above.set(title=title, xlabel="", xlim=(0, 1.02 * last), ylim=(0, None))
    return fig


def legend_below(labelled: Axes, ax: Axes) -> None:
    """Name what is drawn in one panel below another, the lowest of its column, where no curve is hidden."""
    handles, labels = labelled.get_legend_handles_labels()
    ax.legend(handles, labels, loc="upper center", bbox_to_anchor=(0.5, -0.3), fontsize=8, handlelength=1)


def plot_settings(runs: Sequence[Run], column: str, ax: Axes) -> Axes:
    """Draw one measured column of runs of different settings against rescaled time, a colour a setting."""
    for run, color, label in by_speed(runs):
        ax.plot(rescaled_time(run), run.history[column], color=color, lw=1.3, alpha=0.85, label=label)
    if column == "J_squared":
        ax.axhline(EDGE, color=COLORS["edge"], ls="--", lw=1)
    ax.set(xlabel="rescaled time", ylabel=LABELS[column])
    return ax


def plot_residual(reference: Sequence[Run], runs: Sequence[Run], ax: Axes) -> Axes:
    """Draw how far J^2 of each run is from the reference's of the same seed, and what two seeds differ by in grey."""
    base = {own.config for own in reference}
    drawn = [(run, color) for run, color, _ in by_speed([*reference, *runs]) if run.config not in base]
    collapsed = [(collapse(reference, run), color) for run, color in drawn]
    for own, color in collapsed:
        ax.plot(own["time"], 100 * own["distance"], color=color, lw=1.3)
    widest = max((own for own, _ in collapsed), key=lambda own: float(own["time"].iloc[-1]))
    spread = 100 * widest["spread"]
    ax.fill_between(widest["time"], -spread, spread, color="0.5", alpha=0.25, lw=0)
    passed = widest.loc[widest["J_squared"] > EDGE, "time"]
    if len(passed):
        ax.axvline(float(passed.iloc[0]), color=COLORS["edge"], ls="--", lw=1)
    ax.axhline(0, color="0.5", lw=0.8)
    ax.set(xlabel="rescaled time", ylabel="distance in $J^2$, %")
    return ax


def draw_others(columns: Mapping[str, Sequence[Run]]) -> Figure:
    """Draw J0, test loss and test accuracy of groups of runs against rescaled time, a column a group."""
    limits = {"J0": None, "test_loss": (0.3, 0.6), "test_accuracy": (0.8, 0.9)}
    with sns.plotting_context("paper"):
        fig = Figure(figsize=(WIDTH, 7.4), layout="constrained")
        axes = fig.subplots(len(limits), len(columns), sharex="col", sharey="row", squeeze=False)
        for (title, runs), column in zip(columns.items(), axes.T, strict=True):
            for (name, limit), ax in zip(limits.items(), column, strict=True):
                plot_settings(runs, name, ax).set(xlabel="")
                if limit:
                    ax.set_ylim(limit)
            column[0].set_title(title)
            column[-1].set(xlabel="rescaled time")
            legend_below(column[-1], column[-1])
    return fig


def draw_trends(equal: pd.DataFrame, others: pd.DataFrame) -> Figure:
    """Draw what C8 and C9 are judged by (paths.settings_over_base): against batch size, and against speed."""
    with sns.plotting_context("paper"):
        fig = Figure(figsize=(WIDTH, 3.2), layout="constrained")
        left, right = fig.subplots(1, 2)
        sizes = [size for _, _, size in equal.index.to_list()]
        ratios = {
            "J² where the reference's is 1": ("o", "where the reference has 1"),
            "J² at the end / the reference's": ("s", "at the end"),
        }
        for (name, (mark, label)), color in zip(ratios.items(), (COLORS["J_squared"], COLORS["J0"]), strict=True):
            plot_estimates(sizes, estimates_of(equal, name).values(), left, mark, color, label)
        left.axhspan(0.98, 1.02, color="0.5", alpha=0.2, lw=0)
        left.set(xscale="log", xlabel="batch size, same scale factor", ylabel="$J^2$ / the reference's $J^2$")
        left.set_xticks(sizes, list(map(str, sizes)))
        left.minorticks_off()
        for ax in (left, plot_distances(others, right)):
            ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, handletextpad=0.1, columnspacing=1)
    return fig


def plot_distances(others: pd.DataFrame, ax: Axes) -> Axes:
    """Draw the largest distance in percent up to the edge and beyond it against speed, and the margin of 5%."""
    names = {"up to the edge": ("o", COLORS["J_squared"]), "beyond the edge": ("s", COLORS["J0"])}
    for name, (mark, color) in names.items():
        plot_estimates(list(others["speed"]), estimates_of(others, name).values(), ax, mark, color, name, scale=100)
    ax.axhline(5, color=COLORS["edge"], ls=":", lw=1)
    ax.set(xscale="log", xlabel="speed / the reference's", ylabel="largest distance in $J^2$, %", ylim=(0, None))
    _speed_ticks(ax, list(others["speed"]))
    return ax


def plot_estimates(
    x: Sequence[float],
    estimates: Iterable[Estimate],
    ax: Axes,
    mark: str,
    color: str | tuple[float, float, float],
    label: str,
    *,
    scale: float = 1.0,
    face: str | tuple[float, float, float] | None = None,
) -> Axes:
    """Draw estimates, and their intervals where they have one as error bars."""
    drawn = list(estimates)
    known = [(own.value if own.low is None else own.low, own.value if own.high is None else own.high) for own in drawn]
    values, ends = scale * np.array([own.value for own in drawn]), scale * np.array(known).reshape(-1, 2)
    lengths = [values - ends[:, 0], ends[:, 1] - values]
    ax.errorbar(x, values, yerr=lengths, fmt=mark, color=color, mfc=face or color, label=label, ms=5, lw=1.2)
    return ax


def draw_price(table: pd.DataFrame, over_base: pd.DataFrame) -> Figure:
    """Draw epochs to the best of pages.rescaling.payoff, and loss and accuracy there over the base's, against speed.

    Settings that never improve, whose best epoch is 0, are left out.
    """
    if table.empty:
        return Figure(figsize=(WIDTH, 0.2))
    table = table[table["epochs"] > 0]
    over_base = over_base.loc[table.index]
    with sns.plotting_context("paper"):
        fig = Figure(figsize=(WIDTH, 3.0), layout="constrained")
        left, middle, right = fig.subplots(1, 3)
        speed = dict(zip(table.index.to_list(), table["speed"].to_list(), strict=True))
        lengths = zip(speed, table["epochs"].to_list(), strict=True)
        epochs = {place: Estimate(value, None, None, 1) for place, value in lengths}
        plot_price(speed, epochs, left).set(yscale="log", ylabel="epochs to the best")
        left.set_yticks([5, 10, 20, 40, 80], ["5", "10", "20", "40", "80"])
        left.minorticks_off()
        plot_price(speed, estimates_of(over_base, "loss / the reference's"), middle)
        middle.axhspan(0.98, 1.02, color="0.5", alpha=0.2, lw=0)
        middle.set(ylabel="test loss / the reference's", ylim=(0.9, 1.6))
        plot_price(speed, estimates_of(over_base, "points of accuracy"), right)
        right.axhspan(-0.5, 0.5, color="0.5", alpha=0.2, lw=0)
        right.set(ylabel="points of accuracy gained", ylim=(-5, 2))
        fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4, handletextpad=0.1)
    return fig


def plot_price(speed: Mapping[Place, float], estimates: Mapping[Place, Estimate], ax: Axes) -> Axes:
    """Draw estimates against speed, a colour a batch size; hollow where the step is larger than the paper's largest."""
    sizes = sorted({size for _, _, size in estimates})
    colors = dict(zip(sizes, sns.color_palette("colorblind"), strict=False))
    told = set()
    for place, estimate in sorted(estimates.items(), key=lambda item: item[0][2]):
        rate, momentum, size = place
        step = parse_config({"learning_rate": rate, "momentum": momentum})
        face = colors[size] if has_published_step(step) else "none"
        label = "_" if size in told else f"$B$ = {size}"
        plot_estimates([speed[place]], [estimate], ax, "o", colors[size], label, face=face)
        told.add(size)
    ax.set(xscale="log", xlabel="speed / the reference's")
    _speed_ticks(ax, list(speed.values()))
    return ax


def _speed_ticks(ax: Axes, speeds: Sequence[float]) -> None:
    ticks = [tick for tick in SPEEDS if speeds and 0.9 * min(speeds) <= tick <= 1.1 * max(speeds)]
    ax.set_xticks(ticks, [SPEEDS[tick] for tick in ticks])
    ax.minorticks_off()
