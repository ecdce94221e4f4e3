"""The laws of training in the ordered phase: J^2 grows by A per epoch, ``J^2 = J^2(0) + A epoch``."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

PUBLISHED_WINDOW = range(0, 49, 2)  # the published fit: epochs 0-48, every second one


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


def straightness(history: pd.DataFrame, window: range = PUBLISHED_WINDOW) -> float:
    """Return the slope over the second half of the window divided by that over the first: 1 for a straight line.

    nan where a half has fewer than three epochs, or J^2 does not change over the first.
    """
    middle = len(window) // 2
    early, late = growth(history, window[: middle + 1]).slope, growth(history, window[middle:]).slope
    return late / early if early else np.nan


def least_test_loss(history: pd.DataFrame) -> "pd.Series[float]":
    """Return the history's row of least test loss: the paper's optimal epoch."""
    return history.iloc[int(history["test_loss"].to_numpy().argmin())]


def near_least(history: pd.DataFrame, tolerance: float = 0.02) -> str:
    """Return the first and last epoch whose test loss exceeds the least by no more than that fraction: ``30-66``."""
    near = history.loc[history["test_loss"] <= (1 + tolerance) * history["test_loss"].min(), "epoch"]
    return f"{near.min()}-{near.max()}"


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with its confidence interval; ``low`` and ``high`` are None for a single seed."""

    mean: float
    low: float | None
    high: float | None
    seeds: int


def over_seeds(values: list[float], confidence: float = 0.95) -> Interval:
    """Return the mean of one value a seed with Student's t interval. Raises ValueError for an empty list."""
    if not values:
        raise ValueError("an interval over seeds needs at least one value")
    if len(values) == 1:
        return Interval(values[0], None, None, 1)
    mean = float(np.mean(values))
    half = float(stats.sem(values) * stats.t.ppf((1 + confidence) / 2, len(values) - 1))
    return Interval(mean, mean - half, mean + half, len(values))
