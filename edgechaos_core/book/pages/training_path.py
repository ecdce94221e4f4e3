"""Page `training_path`: what it states of its runs (seeds of one setting): where loss and accuracy are best."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from edgechaos_core.analysis.along_path import SMOOTHED, at_spread, place_of_best_accuracy, smoothed_path
from edgechaos_core.analysis.by_setting import by_setting
from edgechaos_core.analysis.intervals import DASH, Estimate, over_seeds, said, shown
from edgechaos_core.analysis.scaling import least_test_loss, near_least, ordered_growth, scale_factor
from edgechaos_core.claims.estimates.growth import place_of_least_test_loss
from edgechaos_core.claims.estimates.optima import epoch_of_least, least_on_path
from edgechaos_core.store.runs import Run, RunConfig

LATE = 100  # epochs at the end of a run, and as many before them, that are compared


def path_estimates(runs: Sequence[Run]) -> dict[str, Estimate]:
    """Return estimates over seeds, nan where the runs are too short for them.

    ``least_J``, ``least_epoch``, ``least_loss``, ``least_accuracy``: at the least test loss, its place by a parabola as
    claim C2 has it; ``narrow_J`` and ``wide_J``, its place where the parabola is fitted within 5% and 20% of the least
    loss and not within 10%. ``best_J``: at the best smoothed accuracy.
    ``end_J``, ``end_loss``, ``end_accuracy`` (in percent): at the end. ``edge_epoch``, ``edge_accuracy``: where J
    passes 1. ``loss_factor``: end over least loss. ``gained``: points of accuracy from the edge to the end.
    ``late_gain``: points from the last hundred epochs but one to the last hundred. ``c``: of the growth of J^2 up to
    the edge. Losses and accuracies are means over
    25 epochs, at the end over the last ones.
    """

    def over(value: Callable[[Run], float]) -> Estimate:
        return over_seeds([value(run) for run in runs])

    def end(run: Run, column: str) -> float:
        return float(run.history[column].iloc[-SMOOTHED:].mean())

    return {
        "least_J": place_of_least_test_loss(runs),
        "narrow_J": over(lambda run: least_on_path(run.history, "test_loss", within=0.05)),
        "wide_J": over(lambda run: least_on_path(run.history, "test_loss", within=0.2)),
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
        "late_gain": over(_late_gain),
        "c": over(lambda run: ordered_growth(run.history).slope / scale_factor(run.config)),
    }


def _late_gain(run: Run) -> float:
    accuracy = run.history["test_accuracy"].to_numpy(dtype=float)
    if len(accuracy) <= 2 * LATE:
        return math.nan
    return float(100 * (accuracy[-LATE:].mean() - accuracy[-2 * LATE : -LATE].mean()))


def speed_table(runs: Sequence[Run], base: RunConfig) -> pd.DataFrame:
    """Return in words J at the least validation loss, by a parabola, of settings that differ in eta or B from the base.

    One row a speed over the base's, slow ones first: ``through η`` and ``through B``, the base in both; a dash for one
    that was not run. Seeds without a minimum are left out, and the others counted.
    """
    kept = {"through η": "batch_size", "through B": "learning_rate"}  # what stays as in the base
    found: dict[float, dict[str, str]] = {}
    for own in by_setting(runs).values():
        config = own[0].config
        row = found.setdefault(round(scale_factor(config) / scale_factor(base), 9), dict.fromkeys(kept, DASH))
        if config.momentum == base.momentum:
            row |= {way: _place(own) for way, name in kept.items() if getattr(config, name) == getattr(base, name)}
    rows = {f"{speed:g}": found[speed] for speed in sorted(found)}
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(kept)).rename_axis("speed")


def _place(runs: Sequence[Run]) -> str:
    known = [place for run in runs if math.isfinite(place := least_on_path(run.history, "validation_loss"))]
    if not known:
        return DASH
    return shown(over_seeds(known)) + ("" if len(known) == len(runs) else f" ({len(known)} of {len(runs)} seeds)")


def fewer_images(runs: Sequence[Run], fewer: Sequence[Run]) -> dict[str, str]:
    """Return in words J and epoch at the least test loss of the seeds that both have: of all images and of fewer.

    ``all_J``, ``all_epoch``, ``fewer_J``, ``fewer_epoch``, and ``fewer_validation_J``, by the validation loss; dashes
    without a seed in common.
    """
    seeds = {run.config.seed for run in runs} & {run.config.seed for run in fewer}

    def told(group: Sequence[Run], value: Callable[[Run], float]) -> str:
        values = [value(run) for run in group if run.config.seed in seeds]
        return shown(over_seeds(values)) if values else DASH

    found = {}
    for name, group in (("all", runs), ("fewer", fewer)):
        found[f"{name}_J"] = told(group, lambda run: least_on_path(run.history, "test_loss"))
        found[f"{name}_epoch"] = told(group, lambda run: epoch_of_least(run.history, "test_loss"))
    return found | {"fewer_validation_J": told(fewer, lambda run: least_on_path(run.history, "validation_loss"))}


def farthest_ratio(runs: Sequence[Run]) -> float:
    """Return the largest abs(J0) / J on the paths of runs."""
    return max(float((run.history["J0"].abs() / run.history["J_squared"] ** 0.5).max()) for run in runs)


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
