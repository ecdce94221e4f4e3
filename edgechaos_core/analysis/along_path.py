"""What is measured along the path of training: smoothed over epochs, and its mean over seeds with an interval."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from edgechaos_core.analysis.intervals import CONFIDENCE, FEWEST
from edgechaos_core.store.runs import Run

# Epochs of the running mean. The accuracy of the published setting jumps by half a point from one epoch to the next,
# beyond the edge as much as it rises there altogether, so that the best single epoch says little.
SMOOTHED = 25

Array = NDArray[np.float64]


def smoothed(values: Array, epochs: int = SMOOTHED) -> Array:
    """Return the running mean over so many values, centred; towards both ends over fewer, so that it stays centred.

    >>> smoothed(np.array([0.0, 3.0, 0.0, 3.0]), 3).tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    places = np.arange(len(values))
    half = np.minimum(epochs // 2, np.minimum(places, places[::-1]))
    sums = np.concatenate([[0.0], np.cumsum(values)])
    means: Array = (sums[places + half + 1] - sums[places - half]) / (2 * half + 1)
    return means


def smoothed_path(run: Run) -> pd.DataFrame:
    """Return epoch, J, J0, test_loss and test_accuracy of a run from the first trained epoch on, the last two smoothed.

    The untrained network of epoch 0 is left out: it would bend the running mean of the first epochs.
    """
    rows = run.history[run.history["epoch"] > 0]
    columns = {"epoch": rows["epoch"].to_numpy(), "J": np.sqrt(rows["J_squared"].to_numpy())}
    columns |= {"J0": rows["J0"].to_numpy()}
    columns |= {name: smoothed(rows[name].to_numpy(dtype=float)) for name in ("test_loss", "test_accuracy")}
    return pd.DataFrame(columns)


def place_of_best_accuracy(run: Run) -> float:
    """Return J where the smoothed test accuracy of a run is best; nan for a run shorter than two running means.

    Both ends, where the mean is over fewer epochs, are left out: a single lucky epoch would be the best there.
    """
    path = smoothed_path(run)
    if len(path) < 2 * SMOOTHED:
        return math.nan
    whole = path[SMOOTHED // 2 : len(path) - SMOOTHED // 2]
    return float(whole["J"].iloc[int(whole["test_accuracy"].to_numpy().argmax())])


def at_spread(run: Run, J: float, column: str) -> float:
    """Return a column of a run's `smoothed_path` in the first epoch beyond a J; nan where it does not come so far."""
    path = smoothed_path(run)
    beyond = np.flatnonzero(path["J"] > J)  # nothing is beyond a J that is nan
    return float(path[column].iloc[beyond[0]]) if beyond.size else math.nan


def crossing(x: Array, values: Array, level: float) -> float:
    """Return x where ``values`` first exceed a level, linear between two of them; nan where never or from the start.

    >>> crossing(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 3.0]), 2.0)
    1.5
    """
    above = np.flatnonzero(values > level)
    if not above.size or above[0] == 0:
        return math.nan
    pair = slice(above[0] - 1, above[0] + 1)
    return float(np.interp(level, values[pair], x[pair]))


def mean_and_band(rows: Sequence[Array]) -> tuple[Array, Array, Array]:
    """Return mean, low and high of rows (one a seed, cut to the shortest) at each place: Student's 95% interval.

    Low and high are nan for fewer than three rows.
    """
    shortest = min(map(len, rows))
    values = np.array([row[:shortest] for row in rows])
    mean, n = values.mean(0), len(values)
    half = np.full(shortest, np.nan)
    if n >= FEWEST:
        half = stats.sem(values, axis=0) * stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)
    return mean, mean - half, mean + half
