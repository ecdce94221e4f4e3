"""Page `training_path`: what it states of its runs (seeds of one setting): where loss and accuracy are best."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from edgechaos_core.analysis.along_path import SMOOTHED, at_spread, place_of_best_accuracy, smoothed_path
from edgechaos_core.analysis.by_setting import by_setting
from edgechaos_core.analysis.intervals import DASH, Estimate, over_seeds, said, shown
from edgechaos_core.analysis.scaling import least_test_loss, near_least, ordered_growth, scale_factor
from edgechaos_core.claims.estimates.growth import place_of_least_test_loss, place_of_least_validation_loss
from edgechaos_core.claims.estimates.optima import epoch_of_least, least_on_path
from edgechaos_core.store.runs import Run, RunConfig


def path_estimates(runs: Sequence[Run]) -> dict[str, Estimate]:
    """Return estimates over seeds, nan where the runs are too short for them.

    ``least_J``, ``least_epoch``, ``least_loss``, ``least_accuracy``: at the least test loss, its place by a parabola as
    claim C2 has it. ``best_J``: at the best smoothed accuracy.
    ``end_J``, ``end_loss``, ``end_accuracy`` (in percent): at the end. ``edge_epoch``, ``edge_accuracy``: where J
    passes 1. ``loss_factor``: end over least loss. ``gained``: points of accuracy from the edge to the end. ``c``: of
    the growth of J^2 up to the edge. Losses and accuracies are means over
    25 epochs, at the end over the last ones.
    """

    def over(value: Callable[[Run], float]) -> Estimate:
        return over_seeds([value(run) for run in runs])

    def end(run: Run, column: str) -> float:
        return float(run.history[column].iloc[-SMOOTHED:].mean())

    return {
        "least_J": place_of_least_test_loss(runs),
        "least_epoch": over(lambda run: epoch_of_least(run.history, "test_loss")),
        "least_loss": over(lambda run: float(smoothed_path(run)["test_loss"].min())),
        "least_accuracy": over(
            lambda run: 100 * at_spread(run, least_on_path(run.history, "test_loss"), "test_accuracy")
        ),
        "best_J": over(place_of_best_accuracy),
        "end_J": over(lambda run: float(np.sqrt(run.history["J_squared"].iloc[-1]))),
        "end_loss": over(lambda run: end(run, "test_loss")),
        "end_accuracy": over(lambda run: 100 * end(run, "test_accuracy")),
        "edge_epoch": over(lambda run: at_spread(run, 1.0, "epoch")),
        "edge_accuracy": over(lambda run: 100 * at_spread(run, 1.0, "test_accuracy")),
        "loss_factor": over(lambda run: end(run, "test_loss") / float(smoothed_path(run)["test_loss"].min())),
        "gained": over(lambda run: 100 * (end(run, "test_accuracy") - at_spread(run, 1.0, "test_accuracy"))),
        "c": over(lambda run: ordered_growth(run.history).slope / scale_factor(run.config)),
    }


def places_by_speed(runs: Sequence[Run], base: RunConfig) -> dict[str, str]:
    """Return in words J at the least validation loss (as C2 has it) of the settings with the base's momentum and batch.

    By names ``half_J``, ``same_J`` and ``twice_J``, the speed over the base's; a dash for one that was not run.
    """
    names = {0.5: "half_J", 1.0: "same_J", 2.0: "twice_J"}
    found = dict.fromkeys(names.values(), DASH)
    for own in by_setting(runs).values():
        config = own[0].config
        speed = scale_factor(config) / scale_factor(base)
        alike = (config.momentum, config.batch_size) == (base.momentum, base.batch_size)
        if alike and (name := names.get(round(speed, 9))):
            found[name] = shown(place_of_least_validation_loss(own))
    return found


def optimum_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row a seed: where its test loss is least and its accuracy best; a dash where a run is too short."""
    rows = {}
    for run in runs:
        least = least_test_loss(run.history)
        rows[run.config.seed] = {
            "epoch of least test loss, raw": int(least["epoch"]),
            "epochs within 2% of it": near_least(run.history),
            "least test loss, raw": f"{least['test_loss']:.4f}",
            "J at the least, by parabola": said(least_on_path(run.history, "test_loss"), ".3f"),
            "J at the best accuracy": said(place_of_best_accuracy(run), ".2f"),
            "J at the end": f"{np.sqrt(run.history['J_squared'].iloc[-1]):.3f}",
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("seed")
