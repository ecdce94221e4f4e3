"""Ways to choose a decay, and the searches among them."""

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from edgechaos_core.analysis.scaling import settled
from edgechaos_core.book.style import COLORS
from edgechaos_core.experiments.comparison import ON, Contest, Standing
from edgechaos_core.experiments.hyperparameter_search import score
from edgechaos_core.experiments.named_grids import GUIDED_L2


def plot_search(places: Sequence[float], scores: Sequence[float], ax: Axes) -> Axes:
    """Draw each trial's score at its place, its number as colour, a ring around the best; bad ones out of sight."""
    ax.scatter(places, scores, c=range(1, len(places) + 1), cmap="viridis", vmin=1, vmax=max(len(places), 2), s=14)
    first = max(range(len(places)), key=lambda trial: scores[trial])
    ax.plot(places[first], scores[first], "o", ms=10, mfc="none", mec=COLORS["optimum"], mew=1.5)
    middle, top = float(np.median(scores)), scores[first]
    ax.set_xscale("log")
    ax.set_ylabel("validation accuracy", fontsize=9)
    ax.tick_params(labelsize=8)
    ax.set_ylim(top - max(4 * (top - middle), 0.01), top + max(0.4 * (top - middle), 0.002))
    return ax


def plot_standings(values: Mapping[str, Mapping[str, Sequence[float]]], ax: Axes) -> Axes:
    """Draw the values of each way, a dot a seed and a bar at their mean; the outer names make the legend.

    Ways stand in their order of appearance, first on top; the marks of the outer names lie a little apart.
    """
    ways = list(dict.fromkeys(way for own in values.values() for way in own))
    palette = sns.color_palette("colorblind")
    for number, (label, own) in enumerate(values.items()):
        shift = 0.3 * (0.5 * (len(values) - 1) - number)
        places = {way: len(ways) - ways.index(way) + shift for way in own}
        means = {way: float(np.mean(found)) for way, found in own.items()}
        usual = [way for way in own if way != ON]
        ax.plot(
            [means[way] for way in usual],
            [places[way] for way in usual],
            "|",
            color=palette[number],
            ms=10,
            mew=2,
            label=label,
        )
        for way, found in own.items():
            color = palette[number if way in usual else 0]  # the other one trains at the first rate to its end
            ax.plot(found, [places[way]] * len(found), "o", color=color, ms=3, alpha=0.5)
            if way == ON:
                ax.plot([means[way]], [places[way]], "|", color=color, ms=10, mew=2)
    ax.set_yticks(range(len(ways), 0, -1), ways)
    ax.tick_params(labelsize=8)
    ax.grid(axis="y", lw=0.3)
    return ax


def plot_contest(parts: Mapping[str, Standing | None], figure: Figure) -> Figure:
    """Draw test accuracy and, beside it, test loss at the end of training, with a row a way (`plot_standings`)."""
    left, right = figure.subplots(1, 2, sharey=True)
    for ax, column, unit in ((left, "accuracies", 100), (right, "losses", 1)):
        ends = {
            label: {
                entry.name: [unit * value for value in getattr(entry, column).values()]
                for entry in (part.entries.values() if part else ())
            }
            for label, part in parts.items()
        }
        plot_standings(ends, ax)
    left.set_xlabel("test accuracy at the end, %", fontsize=9)
    right.set_xlabel("test loss at the end", fontsize=9)
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize=8)
    return figure


def plot_searches(contest: Contest | None, figure: Figure) -> Figure:
    """Draw the trials of the search over lambda against lambda, and those of the other against J^2 at the end.

    Without a contest the figure stays empty.
    """
    if contest is None:
        return figure
    left, right = figure.subplots(1, 2)
    over_l2, over_both = contest.searches.values()
    plot_search([run.config.l2 for run in over_l2], list(map(score, over_l2)), left)
    plot_search([settled(run) for run in over_both], list(map(score, over_both)), right)
    left.set_xlabel(r"decay tried, $\lambda$", fontsize=9)
    right.set_xlabel("$J^2$ at the end", fontsize=9)
    bar = figure.colorbar(left.collections[0], ax=[left, right], aspect=30, pad=0.02)
    bar.set_label("number of the trial", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    for ax, place, title in ((left, GUIDED_L2, "search over λ"), (right, 1.0, "search over λ and η")):
        ax.axvline(place, color=COLORS["edge"], ls="--", lw=1)
        ax.set_title(title, fontsize=9)
    return figure
