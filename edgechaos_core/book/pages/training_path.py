"""Page `training_path`: what it states of its runs (seeds of one setting): where loss and accuracy are best."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from edgechaos_core.analysis.along_path import SMOOTHED, passage, place_of_best_accuracy, smoothed_path
from edgechaos_core.analysis.intervals import Estimate, over_seeds, said
from edgechaos_core.analysis.scaling import least_test_loss, near_least, ordered_growth, scale_factor
from edgechaos_core.claims.estimates.growth import place_of_least_test_loss
from edgechaos_core.claims.estimates.optima import epoch_of_least, least_on_path
from edgechaos_core.store.runs import Run


def path_estimates(runs: Sequence[Run]) -> dict[str, Estimate]:
    """Return estimates over seeds, nan where the runs are too short for them.

    ``least_J``, ``least_epoch``, ``least_loss``: at the least test loss. ``best_J``: at the best smoothed accuracy.
    ``end_J``, ``end_loss``, ``end_accuracy`` (in percent): at the end. ``edge_epoch``, ``edge_accuracy``: where J
    passes 1. ``loss_factor``: end over least loss. ``gained``: points of accuracy from the edge to the end. ``c``: of
    the growth of J^2 up to the edge. Losses and accuracies are means over
    25 epochs, at the end over the last ones.
    """

    def over(value: Callable[[Run], float]) -> Estimate:
        return over_seeds([value(run) for run in runs])

    def at_edge(run: Run, column: str) -> float:
        place = passage(run)
        return math.nan if place is None else float(smoothed_path(run)[column].iloc[place])

    def end(run: Run, column: str) -> float:
        return float(run.history[column].iloc[-SMOOTHED:].mean())

    return {
        "least_J": place_of_least_test_loss(runs),
        "least_epoch": over(lambda run: epoch_of_least(run.history, "test_loss")),
        "least_loss": over(lambda run: float(smoothed_path(run)["test_loss"].min())),
        "best_J": over(place_of_best_accuracy),
        "end_J": over(lambda run: float(np.sqrt(run.history["J_squared"].iloc[-1]))),
        "end_loss": over(lambda run: end(run, "test_loss")),
        "end_accuracy": over(lambda run: 100 * end(run, "test_accuracy")),
        "edge_epoch": over(lambda run: at_edge(run, "epoch")),
        "edge_accuracy": over(lambda run: 100 * at_edge(run, "test_accuracy")),
        "loss_factor": over(lambda run: end(run, "test_loss") / float(smoothed_path(run)["test_loss"].min())),
        "gained": over(lambda run: 100 * (end(run, "test_accuracy") - at_edge(run, "test_accuracy"))),
        "c": over(lambda run: ordered_growth(run.history).slope / scale_factor(run.config)),
    }


def optimum_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row a seed: where its test loss is least and its accuracy best; a dash where a run is too short."""
    rows = {}
    for run in runs:
        least = least_test_loss(run.history)
        rows[run.config.seed] = {
            "epoch of least test loss": int(least["epoch"]),
            "epochs within 2% of it": near_least(run.history),
            "least test loss": f"{least['test_loss']:.4f}",
            "J there, by parabola": said(least_on_path(run.history, "test_loss"), ".3f"),
            "J at the best accuracy": said(place_of_best_accuracy(run), ".2f"),
            "J at the end": f"{np.sqrt(run.history['J_squared'].iloc[-1]):.3f}",
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("seed")
