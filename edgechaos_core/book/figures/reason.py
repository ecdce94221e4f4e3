"""Figures of chapter `reason`: where the loss turns, against where training starts, its speed, and where it is held."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edgechaos_core.analysis.by_setting import by_setting
from edgechaos_core.analysis.intervals import over_seeds
from edgechaos_core.analysis.scaling import scale_factor
from edgechaos_core.book.figures.sections import panels
from edgechaos_core.book.pages.further_tests import held_ends
from edgechaos_core.book.pages.reason import gained_below_the_edge, turns
from edgechaos_core.book.style import COLORS
from edgechaos_core.claims.estimates.reason import VALIDATION, started_at
from edgechaos_core.experiments.named_grids import JUDGED
from edgechaos_core.store.runs import Run, parse_config

TURN = "J at the least validation loss"
HIGHEST = 1.3  # loss in sight, over the least
LEAST_EXPONENT = -1.0  # in sight
MAPS = {"": "trained", "_shuffled": "entries shuffled", "_bulk": "without outliers"}  # suffixes of trained_map.py


def draw_starts(runs: Sequence[Run]) -> Figure:
    """Draw J at the turn against J at the start with both hypotheses, and beside it the loss along each path."""
    fig = panels(2, 3.5)
    plot_starts(turns(runs), fig.axes[0])
    plot_losses(runs, fig.axes[1])
    return fig


def plot_starts(turned: pd.DataFrame, ax: Axes) -> Axes:
    """Draw J at the turn against J at the start, seeds faint, and what the edge and a fixed gain of J^2 predict.

    The edge as the cause: 1 from below it; from beyond it predicts no place. Gain: ``J^2 = J_start^2 + G`` with the
    mean of G over the starts below the edge, so that the others are no part of it.
    """
    top = 1.05 * max(turned["start"].max(), 1.0)
    across = np.linspace(0, top, 200)
    ax.plot([0, 1], [1, 1], color=COLORS["edge"], ls="--", lw=1.3)
    ax.plot(across, np.sqrt(across**2 + gained_below_the_edge(turned)), color=COLORS["J0"], lw=1.6)
    ax.text(0.03 * top, 1.03, "edge", color=COLORS["edge"], size="small", va="bottom")
    ax.text(0.03 * top, 0.6, "fixed gain", color=COLORS["J0"], size="small", va="top")
    plot_means(turned, "start", "J", ax)
    ax.set(xlabel="J at the start", ylabel=TURN, xlim=(0, top), ylim=(0, None))
    return ax


def plot_means(turned: pd.DataFrame, across: str, column: str, ax: Axes, color: str = COLORS["J_squared"]) -> Axes:
    """Draw a column of `turns` against another: seeds faint, the mean of each place with its 95% interval."""
    known = turned.dropna(subset=[column])
    ax.plot(known[across], known[column], "o", color=color, ms=4, alpha=0.35)
    for place in sorted(set(known[across])):
        estimate = over_seeds(known.loc[known[across] == place, column].tolist())
        low, high = (estimate.value if end is None else end for end in (estimate.low, estimate.high))
        ax.plot([place, place], [low, high], color=color, lw=1.5)
        ax.plot([place], [estimate.value], "o", color=color, ms=6)
    return ax


def plot_losses(runs: Sequence[Run], ax: Axes) -> Axes:
    """Draw the validation loss against J along training, a line a start: mean over seeds, and over five epochs.

    J at the start is written where each line comes into sight.
    """
    groups = {started_at(own[0].config): own for own in by_setting(runs).values()}
    colors = sns.color_palette("viridis", len(groups))
    least = min(float(run.history[VALIDATION].min()) for run in runs)
    for number, (start, own) in enumerate(sorted(groups.items())):
        path = pd.DataFrame(dict(zip(("J", "loss"), _mean_path(own, VALIDATION), strict=True)))
        path = path.rolling(5, center=True, min_periods=1).mean()
        ax.plot(path["J"], path["loss"], color=colors[number], lw=1.4)
        into_sight = path.loc[path["loss"] < HIGHEST * least, "J"].iloc[0]
        place = (float(into_sight), 1.01 + 0.05 * (number % 2))  # neighbours would touch on one height
        look = {"color": colors[number], "size": "x-small", "ha": "center"}
        ax.annotate(f"{start:g}", place, xycoords=("data", "axes fraction"), **look)
    ax.axvline(1, color=COLORS["edge"], ls="--", lw=1.3)
    ax.set(xlabel="J", ylabel="validation loss", ylim=(0.98 * least, HIGHEST * least))
    return ax


def _mean_path(runs: Sequence[Run], column: str) -> tuple[np.ndarray, np.ndarray]:
    """J and a column by epoch, seeds averaged as far as all of them last."""
    length = min(len(run.history) for run in runs)
    J = np.mean([np.sqrt(run.history["J_squared"].to_numpy()[:length]) for run in runs], axis=0)
    return J, np.mean([run.history[column].to_numpy()[:length] for run in runs], axis=0)


def draw_candidates(runs: Sequence[Run]) -> Figure:
    """Draw, against J at the start, the epoch at which the loss turns, J^2 gained by then, and the training loss."""
    fig, turned = panels(3, 2.8), turns(runs)
    labels = {"epoch": "epoch of the turn", "gained": "J² gained by then", "train_loss": "training loss there"}
    for ax, (column, label) in zip(fig.axes, labels.items(), strict=True):
        plot_means(turned, "start", column, ax)
        top = turned[column].max()
        ax.set(xlabel="J at the start", ylabel=label, ylim=(0, 1.25 * top if top > 0 else 1))
    return fig


def draw_speeds(runs: Sequence[Run]) -> Figure:
    """Draw J at the turn, and the training loss there, against speed, a colour each for what makes the speed."""
    fig, turned = panels(2), turns(runs)
    fig.axes[0].axhline(1, color=COLORS["edge"], ls="--", lw=1.3)
    turned["speed"] /= scale_factor(parse_config(JUDGED))
    rate, batch = turned["through"].str[0], turned["through"].str[1]
    through = {"B": (turned[rate == 0.02], COLORS["J0"]), "η": (turned[batch == 32], COLORS["J_squared"])}
    for ax, column, label in zip(fig.axes, ("J", "train_loss"), (TURN, "training loss there"), strict=True):
        for name, (own, color) in through.items():
            plot_means(own, "speed", column, ax, color)
            line = own.dropna(subset=[column]).groupby("speed")[column].mean()
            ax.plot(line.index, line.to_numpy(), color=color, lw=1.2, label=f"through {name}")
        ax.set(xscale="log", xlabel="speed divided by the paper's", ylabel=label, xlim=(0.2, 5))
        ax.set_ylim(0, None)
        ax.set_xticks([0.25, 0.5, 1, 2, 4], ["1/4", "1/2", "1", "2", "4"])
        ax.minorticks_off()
    fig.axes[0].legend(fontsize="small", loc="lower right")
    return fig


def draw_held(runs: Sequence[Run]) -> Figure:
    """Draw validation loss and accuracy at the end against J there, a line a speed; squares are not held."""
    fig, ends = panels(2), held_ends(runs)
    for ax, column in zip(fig.axes, ("loss", "accuracy"), strict=True):
        plot_ends(ends, column, ax)
    fig.axes[0].set_ylabel("validation loss at the end")
    fig.axes[1].set_ylabel("validation accuracy at the end, %")
    return fig


def plot_ends(ends: pd.DataFrame, column: str, ax: Axes) -> Axes:
    """Draw a column of `held_ends` against J: a line a speed through the means of what is held."""
    speeds = sorted(set(ends["speed"]))
    for color, speed in zip(sns.color_palette("colorblind", len(speeds)).as_hex(), speeds, strict=True):
        own = ends[ends["speed"] == speed]
        held, free = own[own["hold"] > 0], own[own["hold"] == 0]
        ax.plot(held["J"], held[column], "o", color=color, ms=3, alpha=0.35)
        means = held.groupby("hold")[["J", column]].mean()
        name = f"{speed / speeds[0]:.2g} times"
        ax.plot(means["J"], means[column], color=color, marker="o", ms=5, lw=1.4, label=name)
        ax.plot(free["J"], free[column], color=color, ls="none", marker="s", mfc="none", ms=5)
    ax.axvline(1, color=COLORS["edge"], ls="--", lw=1.3)
    ax.set(xlabel="J at the end")
    if len(speeds) > 1:
        ax.legend(title="speed", fontsize="small", title_fontsize="small")
    return ax


def draw_trained_map(runs: Sequence[Run]) -> Figure:
    """Draw the largest Lyapunov exponent of the first layer against J along training, a panel a speed.

    Where more than half of the singular values are outliers there is no bulk to speak of, and none is drawn.
    """
    runs = [_with_bulk(run) for run in runs]
    groups = sorted(by_setting(runs).values(), key=lambda own: scale_factor(own[0].config))
    fig = panels(len(groups))
    for ax, own in zip(fig.axes, groups, strict=True):
        plot_exponents(own, ax, MAPS)
        times = scale_factor(own[0].config) / scale_factor(parse_config(JUDGED))
        ax.set_title("the paper's speed" if times == 1 else f"{times:.2g} times the speed", size="small")
    fig.legend(*fig.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(MAPS), fontsize="small")
    fig.axes[0].set_ylabel("largest Lyapunov exponent")
    return fig


def _with_bulk(run: Run) -> Run:
    """A run whose exponent of the bulk is nan where there is none."""
    history = run.history
    known = history["outliers"] <= run.config.width / 2
    return Run(run.config, history.assign(lyapunov_bulk=history["lyapunov_bulk"].where(known)), run.outcome)


def plot_exponents(runs: Sequence[Run], ax: Axes, kinds: Iterable[str]) -> Axes:
    """Draw the exponent of each kind of map against J, seeds faint and their mean."""
    colors = dict(zip(MAPS, (COLORS["test_loss"], COLORS["J_squared"], COLORS["test_accuracy"]), strict=True))
    for kind in kinds:
        column = f"lyapunov{kind}"
        for run in runs:
            J = np.sqrt(run.history["J_squared"])
            ax.plot(J, run.history[column], color=colors[kind], lw=0.7, alpha=0.35)
        ax.plot(*_mean_path(runs, column), color=colors[kind], lw=1.5, label=MAPS[kind])
    ax.axhline(0, color=COLORS["edge"], lw=0.8)
    ax.axvline(1, color=COLORS["edge"], ls="--", lw=1.3)
    ax.set(xlabel="J", ylim=(LEAST_EXPONENT, None))
    return ax
