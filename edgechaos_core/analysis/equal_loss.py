"""The growth of J^2 under different strengths of decay, compared at equal training loss.

If the constant c of the growth told how much there is left to learn, it would be the same at the same training loss.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from edgechaos_core.analysis.endpoints import strength_text
from edgechaos_core.analysis.intervals import over_seeds, shown
from edgechaos_core.analysis.scaling import growth_along, growth_constant, settled
from edgechaos_core.store.runs import Run

LOSSES = (0.25, 0.15, 0.10)  # of the training images


def growth_at_loss(run: Run, loss: float) -> float:
    """Return c of the growth of J^2 when the training loss first falls to ``loss``, linear between parts of the run.

    Of scaling.growth_along; nan for a run that does not come so low, or starts below.
    """
    along = growth_along(run)
    losses = np.interp(along["epoch"], run.history["epoch"], run.history["train_loss"])
    below = np.flatnonzero(losses <= loss)
    if not below.size or below[0] == 0:
        return math.nan
    pair = [below[0], below[0] - 1]  # the loss falls, and np.interp wants it rising
    return float(np.interp(loss, losses[pair], along["c"].to_numpy()[pair]))


def constants(runs: Sequence[Run], losses: Sequence[float] = LOSSES) -> pd.DataFrame:
    """Return c by strength of decay (index λ), in words: at equal training losses, and at the end with the loss there.

    Means over seeds with their interval; a dash where not every seed comes to that loss.
    """
    rows: dict[str, dict[str, str]] = {}
    for l2 in sorted({run.config.l2 for run in runs}):
        own = [run for run in runs if run.config.l2 == l2]
        at = {f"c at training loss {loss:.2f}": [growth_at_loss(run, loss) for run in own] for loss in losses}
        at |= {
            "c at the end": [growth_constant(run) for run in own],
            "training loss at the end": [settled(run, "train_loss") for run in own],
        }
        rows[strength_text(l2)] = {
            name: shown(over_seeds(values)) if np.isfinite(values).all() else "–" for name, values in at.items()
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("λ")
