"""Figures: ``plot_x(data, ax) -> ax``. They never train and never load.

One style: transparent, so that a page's dark mode shows through; a colour keeps its role in every chapter.
"""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from edgechaos_core.runs import Run
from edgechaos_core.scaling import Line, least_test_loss

_COLORBLIND = sns.color_palette("colorblind").as_hex()
COLORS = {
    "J_squared": _COLORBLIND[0],
    "J0": _COLORBLIND[1],
    "test_loss": _COLORBLIND[3],
    "train_loss": _COLORBLIND[7],
    "test_accuracy": _COLORBLIND[2],
    "edge": "0.25",
    "optimum": _COLORBLIND[4],
}
LABELS = {
    "J_squared": "$J^2$",
    "J0": "$J_0$",
    "test_loss": "test loss",
    "train_loss": "train loss",
    "test_accuracy": "test accuracy",
}


def use_style() -> None:
    """Set the house style for this process: seaborn ticks, transparent, vector output in notebooks."""
    transparent = {f"{part}.facecolor": "none" for part in ("figure", "axes", "savefig")}
    sns.set_theme(context="notebook", style="ticks", palette="colorblind", rc={**transparent, "legend.frameon": False})
    mpl.rcParams["svg.hashsalt"] = "edgechaos"  # the same figure gives the same file


def histories(runs: Sequence[Run]) -> pd.DataFrame:
    """Join the histories of runs, one row a seed and epoch, with a column ``seed``."""
    return pd.concat([run.history.assign(seed=run.config.seed) for run in runs], ignore_index=True)


def plot_phase_path(runs: Sequence[Run], ax: Axes) -> Axes:
    """Draw each run's path in the phase diagram (x: J0/J, y: 1/J), the edge at J = 1, and its least test loss.

    The edge is drawn at J = 1, its theoretical place for |J0/J| <= 1; the axis shows no more than that range.
    """
    for run in runs:
        x, y = _path(run.history)
        ax.plot(x, y, color=COLORS["J_squared"], alpha=0.8, lw=1.5)
        best = _path(least_test_loss(run.history).to_frame().T)
        ax.plot(*best, "*", ms=13, color=COLORS["optimum"], mec="white", mew=0.6)
        ax.plot(x[0], y[0], "o", ms=6, color=COLORS["J_squared"])
    ax.axhline(1, color=COLORS["edge"], ls="--", lw=1.2)
    names = [(-0.96, 1.03, "order", "bottom"), (-0.96, 0.97, "chaos", "top"), (0.35, 0.97, "edge, $J = 1$", "top")]
    names += [(0.35, y[0], "start", "center"), (0.35, float(best[1][0]), "least test loss", "center")]
    for across, up, name, align in names:
        ax.text(across, up, name, va=align, size="small", style="italic" if across < 0 else "normal")
    ax.set(xlabel="mean over spread of the weights, $J_0 / J$", ylabel="inverse spread, $1 / J$")
    ax.set(xlim=(-1, 1), ylim=(0, 2.15))
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
