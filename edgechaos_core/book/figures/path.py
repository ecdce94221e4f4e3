"""The path of training through the phase diagram, and what is measured along it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from edgechaos_core.analysis.scaling import least_test_loss
from edgechaos_core.book.figures.maps import plot_edge
from edgechaos_core.book.style import AXES, COLORS, LABELS
from edgechaos_core.claims.estimates.optima import least_on_path
from edgechaos_core.store.runs import Run


def histories(runs: Sequence[Run]) -> pd.DataFrame:
    """Join the histories of runs, one row a seed and epoch, with a column ``seed``."""
    return pd.concat([run.history.assign(seed=run.config.seed) for run in runs], ignore_index=True)


def plot_phase_path(runs: Sequence[Run], ax: Axes, *, on_map: bool = False) -> Axes:
    """Draw each run's path in the phase diagram (x: J0/J, y: 1/J), the theoretical edge, and its least test loss.

    The place of the least loss is that of claim C2, by a parabola; a run that is too short for one has none.
    ``on_map`` draws over a map that is there already, in colours that show on it, over the whole range of J0/J.
    """
    path, edge = (COLORS["path on map"], COLORS["edge on map"]) if on_map else (COLORS["J_squared"], COLORS["edge"])
    best: float | None = None
    for run in runs:
        x, y = _path(run.history)
        ax.plot(x, y, color=path, alpha=0.8, lw=1.5)
        J = least_on_path(run.history, "test_loss")
        if np.isfinite(J):
            place = int(np.abs(1 / y - J).argmin())
            best = float(y[place])
            ax.plot(x[place], best, "*", ms=13, color=COLORS["optimum"], mec="white", mew=0.6)
        ax.plot(x[0], y[0], "o", ms=6, color=path)
    plot_edge(ax, ratios=(-1, 2) if on_map else (-1, 1), color=edge)
    ink = "white" if on_map else None
    effects = [withStroke(linewidth=2, foreground="black")] if on_map else None
    # On a map chaos is named where its cells are chaotic: just below the edge differences are neutral.
    names = [(-0.96, 1.03, "order", "bottom"), (-0.96, 0.6 if on_map else 0.97, "chaos", "top")]
    names += [(0.35, 0.97, "edge, $J = 1$", "top")]
    names += [(0.35, y[0], "start", "top" if on_map else "center")]
    names += [(0.35, best, "least test loss", "center")] if best is not None else []
    for across, up, name, align in names:
        ax.text(across, up, name, va=align, size="small", style="italic" if across < 0 else "normal", color=ink,
                path_effects=effects)  # fmt: skip
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


def plot_landing(runs: Sequence[Run], path: Axes, loss: Axes) -> None:
    """Draw the book in one picture: the path through the phase diagram, and the test loss against epoch."""
    plot_phase_path(runs, path)
    plot_by_epoch(runs, "test_loss", loss)
    plot_optimum(runs, loss).legend()


def _path(history: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    J = np.sqrt(history["J_squared"].to_numpy())
    return history["J0"].to_numpy() / J, 1 / J
