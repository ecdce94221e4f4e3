"""The laws of training in the ordered phase: J^2 grows by A per epoch, ``J^2 = J^2(0) + A epoch``."""

import itertools
import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from edgechaos_core.analysis.along_path import crossing
from edgechaos_core.store.runs import Run, RunConfig

PUBLISHED_WINDOW = range(0, 49, 2)  # the published fit: epochs 0-48, every second one
SETTLED = 0.1  # the last part of the epochs, over which the end of training is averaged
ORDERED = (0.3, 1.0)  # J^2 of the ordered phase, from beyond the first jump to the edge
MIDDLE = 0.65  # J^2 in the middle of it


@dataclass(frozen=True)
class Line:
    """A least-squares line: ``slope`` per epoch, ``intercept`` at epoch 0, ``r_squared`` of the fit."""

    slope: float
    intercept: float
    r_squared: float


def growth(history: pd.DataFrame, window: range = PUBLISHED_WINDOW) -> Line:
    """Fit J^2 against epoch, with an intercept, on the epochs of ``window`` (the slope is A of the paper's Fig. 3).

    Epochs the history does not reach are left out; where fewer than three remain the line is nan.
    """
    rows = history[history["epoch"].isin(window)]
    if len(rows) < 3:
        return Line(np.nan, np.nan, np.nan)
    fit = stats.linregress(rows["epoch"], rows["J_squared"])
    return Line(float(fit.slope), float(fit.intercept), float(fit.rvalue) ** 2)


def least_test_loss(history: pd.DataFrame) -> "pd.Series[float]":
    """Return the history's row of least test loss: the paper's optimal epoch."""
    return history.iloc[int(history["test_loss"].to_numpy().argmin())]


def near_least(history: pd.DataFrame, tolerance: float = 0.02) -> str:
    """Return the first and last epoch whose test loss exceeds the least by no more than that fraction: ``30-66``."""
    near = history.loc[history["test_loss"] <= (1 + tolerance) * history["test_loss"].min(), "epoch"]
    return f"{near.min()}-{near.max()}"


def scale_factor(config: RunConfig) -> float:
    """Return ``eta / ((1 - alpha) B)``: the speed of training in the ordered phase, up to the paper's c.

    Raises ValueError for a run with a milestone, which has two.
    """
    if config.milestone:
        raise ValueError("a run with a milestone has no one speed: milestone must be 0")
    return config.learning_rate / ((1 - config.momentum) * config.batch_size)


def epochs_to_pass(config: RunConfig) -> int:
    """Return a number of epochs in which J^2 surely passes 1 by the law, at least 8."""
    # 0.0672 = (1 - 1/4) / 11.16: the way from the start to the edge, over c, of which the paper's slopes have 10.8 to
    # 12.2.
    return max(math.ceil(0.0672 / scale_factor(config)) + 5, 8)


def ordered_growth(history: pd.DataFrame, stretch: tuple[float, float] = ORDERED) -> Line:
    """Fit J^2 against epoch over the ordered phase, told by the data: from J^2 = 0.3, past the first jump, up to 1.

    The same stretch of the way for every setting, however many epochs it takes; ``stretch`` names another, (from, to).
    nan where the history does not pass its end, or passes it in fewer than three epochs.
    """
    J_squared = history["J_squared"].to_numpy()
    low, high = stretch
    end = int(np.argmax(J_squared > high)) if (J_squared > high).any() else 0
    rows = history[:end][J_squared[:end] >= low]
    return growth(rows, range(int(history["epoch"].max()) + 1))


def late_over_early(history: pd.DataFrame) -> float:
    """Return the slope of J^2 from 0.65 to 1 over that from 0.3 to 0.65: 1 on a line. nan where either is."""
    early, late = (ordered_growth(history, half).slope for half in ((ORDERED[0], MIDDLE), (MIDDLE, ORDERED[1])))
    return late / early if early else math.nan


def predicted_growth(run: Run) -> pd.DataFrame:
    """Return the growth of J^2 per epoch that the gradients at each epoch's end predict, one row an epoch.

    With step ``r = eta / (1 - alpha)``, S / B steps an epoch and the gradient terms of measure.growth_columns:
    ``drift`` = S/B r drift, ``noise`` = S/B r^2 (gradient + noise / B), ``decay`` = -4 lambda r S/B J^2, and ``total``
    their sum; nothing is fitted. Raises ValueError for a run without gradients, not of SGD, held or with a milestone.
    """
    config, history = run.config, run.history
    if not config.gradients or config.optimizer != "sgd" or config.hold or config.milestone:
        raise ValueError("a prediction of growth needs a run of sgd with gradients: true, no hold and no milestone")
    rate = config.learning_rate / (1 - config.momentum)
    steps = config.samples / config.batch_size
    terms = pd.DataFrame(
        {
            "epoch": history["epoch"],
            "drift": steps * rate * history["drift"],
            "noise": steps * rate**2 * (history["gradient"] + history["noise"] / config.batch_size),
            "decay": -4 * config.l2 * rate * steps * history["J_squared"],
        }
    )
    return terms.assign(total=terms["drift"] + terms["noise"] + terms["decay"])


def predicted_constant(run: Run, rows: "pd.Series[bool] | None" = None) -> dict[str, float]:
    """Compare c of ``A = c eta/((1-alpha) B)`` as the gradients predict it with that of the growth that followed.

    Over some epochs, those of the ordered phase (`in_order`) if ``rows`` marks no others: ``measured`` from the growth
    of J^2, what decay takes off added back, ``predicted`` from `predicted_growth` at their ends, its parts ``drift``
    and ``noise``, the ``share`` of the noise in the prediction, and ``epochs``. The drift at one moment of an epoch is
    far from its mean over the epoch: ``jumps`` is its standard deviation over epochs, and ``error`` the standard error
    of predicted less measured, whose epochs are taken as independent. nan where there are fewer than three epochs.
    """
    terms = predicted_growth(run) / scale_factor(run.config)
    rows = in_order(run) if rows is None else rows
    names = ("measured", "predicted", "drift", "noise", "share", "jumps", "error")
    if rows.sum() < 3:
        return dict.fromkeys(names, math.nan) | {"epochs": int(rows.sum())}
    steps = run.history["J_squared"].diff().shift(-1) / scale_factor(run.config)  # the last has no growth yet
    grown = (steps - terms["decay"])[rows].to_numpy(dtype=float)
    drift, noise = (terms[name][rows].mean() for name in ("drift", "noise"))
    error = stats.sem((terms["drift"] + terms["noise"])[rows].to_numpy(dtype=float) - grown, nan_policy="omit")
    total = drift + noise
    parts = (np.nanmean(grown), total, drift, noise, noise / total, terms["drift"][rows].std(), error)
    return dict(zip(names, map(float, parts), strict=True)) | {"epochs": int(rows.sum())}


def in_order(run: Run) -> "pd.Series[bool]":
    """Mark the epochs of the ordered phase, J^2 from 0.3 to 1."""
    return run.history["J_squared"].between(*ORDERED)


def near_value(run: Run, column: str, value: float, tolerance: float = 0.1) -> "pd.Series[bool]":
    """Mark the epochs after the first whose column, a loss or J^2, is within that fraction of a value."""
    near = run.history[column].between(value * (1 - tolerance), value * (1 + tolerance))
    return near & (run.history["epoch"] > 0)


def at_end(run: Run) -> "pd.Series[bool]":
    """Mark the last tenth of a run's epochs, over which `settled` averages.

    Of these, after a milestone, only those at the lower learning rate.
    """
    rows = len(run.history)
    last = pd.Series(np.arange(rows) >= rows - max(round(SETTLED * rows), 1), index=run.history.index)
    slowed = last & (run.history["epoch"] > run.config.milestone)
    return slowed if slowed.any() else last


def settled(run: Run, column: str = "J_squared") -> float:
    """Return a measured column, J^2 if none is named, averaged over the last tenth of a run's epochs.

    nan for a run that diverged: it has no end to speak of.
    """
    if run.outcome.state == "diverged":
        return math.nan
    return float(run.history[column][at_end(run)].mean())


def growth_constant(run: Run) -> float:
    """Return c of the growth over the last tenth of a run's epochs, what decay takes off added back.

    ``c = (change of J^2 an epoch) / s + 4 lambda S J^2`` with the scale factor ``s = eta / ((1 - alpha) B)``.
    """
    rows = len(run.history)
    return _growth_constant(run, rows - max(round(SETTLED * rows), 2), rows - 1)


def growth_along(run: Run, parts: int = 25) -> pd.DataFrame:
    """Return c of the growth, as `growth_constant` does, over each of so many equal parts of a run's epochs.

    One row a part: ``epoch`` and ``J_squared`` in its middle, ``c``, and ``scaled``, the rescaled number of steps
    ``S s epoch``. A part has at least one epoch.
    """
    ends = np.unique(np.linspace(0, len(run.history) - 1, parts + 1).round().astype(int))
    J_squared, epochs = run.history["J_squared"].to_numpy(), (ends[:-1] + ends[1:]) / 2
    return pd.DataFrame(
        {
            "epoch": epochs,
            "scaled": run.config.samples * scale_factor(run.config) * epochs,
            "J_squared": [J_squared[first : last + 1].mean() for first, last in itertools.pairwise(ends)],
            "c": [_growth_constant(run, first, last) for first, last in itertools.pairwise(ends)],
        }
    )


def growth_at_loss(run: Run, loss: float) -> float:
    """Return c of the growth of J^2 when the training loss first falls to ``loss``, linear between parts of the run.

    Of `growth_along`; nan for a run that does not come so low, or starts below.
    """
    along = growth_along(run)
    losses = np.interp(along["epoch"], run.history["epoch"], run.history["train_loss"])
    return crossing(along["c"].to_numpy(), -losses, -loss)  # the loss falls


def _growth_constant(run: Run, first: int, last: int) -> float:
    """The same between two epochs."""
    J_squared = run.history["J_squared"].to_numpy()[first : last + 1]
    grown = (J_squared[-1] - J_squared[0]) / (last - first) / scale_factor(run.config)
    held = run.history["lambda"].to_numpy()[first + 1 : last + 1].mean() if run.config.hold else run.config.l2
    return float(grown + 4 * held * run.config.samples * J_squared.mean())
