"""Estimates of B11, one function a part of data/claims.yaml: does gradient noise make J^2 grow faster under decay?

Growth is told by its coefficient c, the growth of J^2 an epoch over the scale factor, what decay takes off added back;
drift and noise are what gradients predict of it (analysis.scaling.predicted_constant).
"""

import math
from collections.abc import Callable, Sequence

import pandas as pd

from edgechaos_core.analysis.by_setting import common_seeds
from edgechaos_core.analysis.intervals import Estimate, over_seeds
from edgechaos_core.analysis.scaling import at_end, in_order, near_value, predicted_constant
from edgechaos_core.claims.estimates.decay import of_strengths
from edgechaos_core.claims.estimates.optima import off_one, worst
from edgechaos_core.store.runs import Run

Rows = Callable[[Run], "pd.Series[bool]"]
EQUAL_LOSS = 0.25  # of the training images


def at_equal_loss(run: Run) -> "pd.Series[bool]":
    """Mark the epochs whose training loss is within a tenth of 0.25."""
    return near_value(run, "train_loss", EQUAL_LOSS)


def noise_in_rise_at_equal_loss(runs: Sequence[Run]) -> Estimate:
    """B11: share of the noise in what the larger of two lambdas adds to drift and noise at a training loss of 0.25."""
    return _share(runs, at_equal_loss, at_equal_loss)


def noise_in_rise_at_edge(runs: Sequence[Run]) -> Estimate:
    """B11: the same of the end of training with decay, against the ordered phase without."""
    return _share(runs, in_order, at_end)


def worst_prediction(runs: Sequence[Run]) -> Estimate:
    """B11: drift and noise over the growth that was measured, where that is farthest from 1.

    Of each strength at a training loss of 0.25; of the weakest, none, in the ordered phase; of others at the end.
    """
    ratios = []
    for place, own in enumerate(of_strengths(runs, of_one_length=False).values()):
        for rows in (at_equal_loss, at_end if place else in_order):
            found = [predicted_constant(run, rows(run)) for run in own.values()]
            ratios.append(over_seeds([terms["predicted"] / terms["measured"] for terms in found]))
    return worst(ratios, off_one)


def _share(runs: Sequence[Run], rows_free: Rows, rows_decayed: Rows) -> Estimate:
    """The share, seed by seed, between two strengths of decay, of which the weaker is called free here."""
    free, decayed = of_strengths(runs, of_one_length=False).values()
    shares = []
    for seed in common_seeds([free, decayed]):
        before = predicted_constant(free[seed], rows_free(free[seed]))
        after = predicted_constant(decayed[seed], rows_decayed(decayed[seed]))
        shares.append((after["noise"] - before["noise"]) / (after["predicted"] - before["predicted"]))
    return over_seeds(shares or [math.nan])
