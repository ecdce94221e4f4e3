"""Figures of training: ``plot_x(data, ax) -> ax``. They never train and never load."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from edgechaos_core.analysis.scaling import Line, growth_along, least_test_loss, scale_factor, settled
from edgechaos_core.book.map_figures import plot_edge
from edgechaos_core.book.style import AXES, COLORS, LABELS
from edgechaos_core.store.runs import Run


def histories(runs: Sequence[Run]) -> pd.DataFrame:
    """Join the histories of runs, one row a seed and epoch, with a column ``seed``."""
    return pd.concat([run.history.assign(seed=run.config.seed) for run in runs], ignore_index=True)


def plot_phase_path(runs: Sequence[Run], ax: Axes, *, on_map: bool = False) -> Axes:
    """Draw each run's path in the phase diagram (x: J0/J, y: 1/J), the theoretical edge, and its least test loss.

    ``on_map`` draws over a map that is there already, in colours that show on it, over the whole range of J0/J.
    """
    path, edge = (COLORS["path on map"], COLORS["edge on map"]) if on_map else (COLORS["J_squared"], COLORS["edge"])
    for run in runs:
        x, y = _path(run.history)
        ax.plot(x, y, color=path, alpha=0.8, lw=1.5)
        best = _path(least_test_loss(run.history).to_frame().T)
        ax.plot(*best, "*", ms=13, color=COLORS["optimum"], mec="white", mew=0.6)
        ax.plot(x[0], y[0], "o", ms=6, color=path)
    plot_edge(ax, ratios=(-1, 2) if on_map else (-1, 1), color=edge)
    ink = "white" if on_map else None
    names = [(-0.96, 1.03, "order", "bottom"), (-0.96, 0.97, "chaos", "top"), (0.35, 0.97, "edge, $J = 1$", "top")]
    names += [
        (0.35, y[0], "start", "top" if on_map else "center"),
        (0.35, float(best[1][0]), "least test loss", "center"),
    ]
    for across, up, name, align in names:
        ax.text(across, up, name, va=align, size="small", style="italic" if across < 0 else "normal", color=ink)
    ax.set(xlabel=AXES["ratio"], ylabel=AXES["inverse_J"])
    ax.set(xlim=(-1, 2) if on_map else (-1, 1), ylim=(0, 2) if on_map else (0, 2.15))
    return ax


def plot_by_epoch(runs: Sequence[Run], column: str, ax: Axes) -> Axes:
    """Draw one measured column against epoch, one line a seed."""
    look = {"color": COLORS[column], "lw": 1.2, "alpha": 0.8}
    before = len(ax.get_lines())
    sns.lineplot(histories(runs), x="epoch", y=column, units="seed", estimator=None, ax=ax, **look)
    ax.get_lines()[before].set_label(LABELS[column])  # one entry in the legend for all seeds
    ax.set(xlabel="epoch", ylabel=LABELS[column])
    return ax


def plot_optimum(runs: Sequence[Run], ax: Axes) -> Axes:
    """Mark the mean epoch of least test loss with a vertical line."""
    epochs = [least_test_loss(run.history)["epoch"] for run in runs]
    ax.axvline(float(np.mean(epochs)), color=COLORS["optimum"], ls=":", lw=1.5, label="least test loss")
    return ax


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


def plot_settings(runs: Sequence[Run], column: str, ax: Axes, *, rescaled: bool = False) -> Axes:
    """Draw one measured column of runs of different settings against epoch or rescaled time, slow ones dark."""
    ordered = sorted(runs, key=lambda run: (scale_factor(run.config), run.config.batch_size))
    for run, color in zip(ordered, sns.color_palette("viridis", len(ordered)), strict=True):
        factor = scale_factor(run.config) if rescaled else 1
        config = run.config
        label = rf"$\eta$ = {config.learning_rate:g}, $\alpha$ = {config.momentum:g}, $B$ = {config.batch_size}"
        ax.plot(run.history["epoch"] * factor, run.history[column], color=color, lw=1.3, alpha=0.85, label=label)
    if column == "J_squared":
        ax.axhline(1, color=COLORS["edge"], ls="--", lw=1)
    ax.set(xlabel="rescaled time" if rescaled else "epoch", ylabel=LABELS[column])
    return ax


def plot_decays(runs: Sequence[Run], column: str, ax: Axes) -> Axes:
    """Draw one measured column against epoch, a line a run and a colour a strength of decay."""
    for run, color, label in by_decay(runs):
        ax.plot(run.history["epoch"], run.history[column], color=color, lw=1.1, alpha=0.8, label=label)
    if column == "J_squared":
        ax.axhline(1, color=COLORS["edge"], ls="--", lw=1)
    ax.set(xlabel="epoch", ylabel=LABELS[column])
    return ax


def plot_constants(runs: Sequence[Run], published: float, ax: Axes) -> Axes:
    """Draw c of the growth of J^2 against rescaled steps, a line a run and a colour a strength of decay."""
    for run, color, label in by_decay(runs):
        along = growth_along(run)
        ax.plot(along["scaled"], along["c"], color=color, lw=1.3, alpha=0.85, label=label)
    ax.axhline(published, color="0.6", lw=3, alpha=0.6, zorder=0, label=f"$c$ = {published:.3g}")
    ax.set(xlabel=r"rescaled steps, $S\,s\,\times$ epochs", ylabel="$c$ of the growth", ylim=(0, None))
    ax.locator_params(axis="x", nbins=4)
    return ax


def plot_landing_places(ends: pd.DataFrame, ax: Axes, bands: Mapping[str, tuple[float, float]]) -> Axes:
    """Draw J^2 at the end (column ``J²``) for each ``setting`` and ``way``, seeds as dots, and a band for each way."""
    settings = list(dict.fromkeys(ends["setting"]))
    places = {setting: len(settings) - number for number, setting in enumerate(settings)}
    for (way, (width, _)), color in zip(bands.items(), sns.color_palette("colorblind"), strict=False):
        own = ends[ends["way"] == way]
        shift = 0.2 * ((len(bands) - 1) / 2 - list(bands).index(way))
        ax.plot(own["J²"], own["setting"].map(places) + shift, "o", color=color, label=way, alpha=0.8)
        ax.axvspan(1 - width, 1 + width, color=color, alpha=0.12, lw=0)
    ax.axvline(1, color=COLORS["edge"], ls="--", lw=1)
    ax.set_yticks(list(places.values()), list(places))
    ax.set(xlabel="$J^2$ at the end")
    return ax


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


def plot_noise(runs: Mapping[tuple[float, str], Sequence[Run]], column: str, ax: Axes) -> Axes:
    """Draw a column against epoch for each (share of noise, way), a colour a way, lighter for less noise."""
    ways = list(dict.fromkeys(way for _, way in runs))
    shares = sorted({share for share, _ in runs})
    for (share, way), own in runs.items():
        color = sns.color_palette("colorblind")[ways.index(way)]
        alpha = 0.35 + 0.6 * (shares.index(share) + 1) / len(shares)
        for number, run in enumerate(own):
            if column in run.history:
                label = f"{way}, {share:.0%}" if number == 0 else "_"
                ax.plot(
                    run.history["epoch"], run.history[column], color=color, alpha=min(alpha, 1), lw=1.1, label=label
                )
    ax.set(xlabel="epoch", ylabel=LABELS.get(column, column))
    return ax


def plot_ends(runs: Sequence[Run], ax: Axes) -> Axes:
    """Draw test accuracy against J^2, both over the last tenth of the epochs, a dot a run."""
    for run, color, label in by_decay(runs):
        ax.plot(settled(run), settled(run, "test_accuracy"), "o", color=color, label=label)
    ax.axvline(1, color=COLORS["edge"], ls="--", lw=1)
    ax.set(xlabel="$J^2$ at the end", ylabel="test accuracy at the end", xscale="log")
    ax.set_xticks([0.25, 0.5, 1, 2, 4], ["0.25", "0.5", "1", "2", "4"])
    ax.minorticks_off()
    return ax


def by_decay(runs: Sequence[Run]) -> list[tuple[Run, tuple[float, float, float], str]]:
    """Return runs with the colour of their strength of decay, and its label on the first of each."""
    strengths = sorted({run.config.l2 for run in runs})
    colors = dict(zip(strengths, sns.color_palette("viridis", len(strengths)), strict=True))
    first = {l2: next(run for run in runs if run.config.l2 == l2) for l2 in strengths}
    return [
        (run, colors[run.config.l2], rf"$\lambda$ = {run.config.l2:g}" if first[run.config.l2] is run else "_")
        for run in runs
    ]


def plot_collapse(collapsed: Mapping[str, pd.DataFrame], ax: Axes) -> Axes:
    """Draw the distance from the reference against its J^2 (see rescaling.collapse), the spread of seeds in grey."""
    for (label, own), color in zip(collapsed.items(), sns.color_palette("viridis", len(collapsed)), strict=True):
        ax.plot(own["J_squared"], 100 * own["distance"], color=color, lw=1.3, label=label)
    widest = max(collapsed.values(), key=lambda own: float(own["J_squared"].max()))
    spread = 100 * widest["spread"]
    ax.fill_between(widest["J_squared"], -spread, spread, color="0.5", alpha=0.25, lw=0, label="seeds")
    ax.axvline(1, color=COLORS["edge"], ls="--", lw=1)
    ax.set(xlabel="$J^2$ of the reference", ylabel="distance, %")
    return ax


def plot_payoff(table: pd.DataFrame, ax: Axes, column: str, label: str) -> Axes:
    """Draw a column of rescaling.payoff against speed, one colour a batch size."""
    sizes = table.index.get_level_values("B")
    for size, color in zip(sorted(set(sizes)), sns.color_palette("colorblind"), strict=False):
        own = table[sizes == size]
        ax.plot(own["speed"], own[column], "o", color=color, label=f"$B$ = {size}", alpha=0.85)
    ax.set(xscale="log", xlabel="speed (base = 1)", ylabel=label)
    ax.set_xticks([0.5, 1, 2, 4, 8, 16, 32], ["½", "1", "2", "4", "8", "16", "32"])
    ax.minorticks_off()
    return ax


def plot_constant(J_squared: "pd.Series[float]", c: "pd.Series[float]", published: float, ax: Axes) -> Axes:
    """Draw the constant c of each setting against the J^2 at which its window ends, and the published one in grey."""
    ax.plot(J_squared, c, "o", color=COLORS["J_squared"])
    ax.axhline(published, color="0.6", lw=3, alpha=0.6, zorder=0)
    ax.axvline(1, color=COLORS["edge"], ls="--", lw=1)
    ax.set(xscale="log", xlabel="$J^2$ at the end of the window", ylabel="$c$ over epochs 0-48")
    ax.set_xticks([0.25, 0.5, 1, 2, 4], ["0.25", "0.5", "1", "2", "4"])
    ax.minorticks_off()
    return ax


def plot_landing(runs: Sequence[Run], path: Axes, loss: Axes) -> None:
    """Draw the book in one picture: the path through the phase diagram, and the test loss against epoch."""
    plot_phase_path(runs, path)
    plot_by_epoch(runs, "test_loss", loss)
    plot_optimum(runs, loss).legend()


def plot_growth(runs: Sequence[Run], line: Line, window: range, ax: Axes) -> Axes:
    """Draw J^2 in the fitted window, one mark an epoch and seed, with the fitted line."""
    data = histories(runs)
    data = data[data["epoch"] <= window[-1]]
    ax.plot(data["epoch"], data["J_squared"], ".", color=COLORS["J_squared"], label=LABELS["J_squared"])
    epochs = np.array([0, data["epoch"].max()])
    ax.plot(epochs, line.intercept + line.slope * epochs, color=COLORS["edge"], label=f"line of slope {line.slope:.4g}")
    ax.set(xlabel="epoch", ylabel=LABELS["J_squared"])
    ax.legend()
    return ax


def _path(history: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    J = np.sqrt(history["J_squared"].to_numpy())
    return history["J0"].to_numpy() / J, 1 / J
