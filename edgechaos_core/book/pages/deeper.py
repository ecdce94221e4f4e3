"""Page `deeper`: deep networks that are trained, beside the depth that mean-field theory lets a difference through.

Differences between inputs, and gradients, change by a factor chi a layer, so that they reach over
``xi = 1 / |ln chi|`` layers; Schoenholz et al. (arXiv 1611.01232) find networks trainable up to about ``6 xi``.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from edgechaos_core.analysis.by_setting import by_setting
from edgechaos_core.analysis.intervals import DASH, over_seeds, said, shown, spanned
from edgechaos_core.analysis.scaling import settled
from edgechaos_core.book.pages.reason import turns
from edgechaos_core.claims.estimates.decay import RELU_EDGE
from edgechaos_core.claims.estimates.reason import (
    DEFAULT_AND_EDGE,
    LAST_EPOCHS,
    TRAINED,
    VALIDATION,
    exponent_of_place_in_samples,
    exponent_of_place_in_width,
    started_at,
)
from edgechaos_core.experiments.named_grids import JUDGED
from edgechaos_core.store.runs import Run, parse_config
from edgechaos_core.theory.meanfield import fixed_point

SHOWN = (8, 16, 32, 50)  # depths whose accuracies a table has beside that of the smallest
REACH = 6  # depth scales that are trainable, by Schoenholz et al.


def trainable_depth(J: float) -> float:
    """Return 6 xi of tanh networks without bias that start at J; infinite at the edge.

    >>> round(trainable_depth(0.5), 1), trainable_depth(1.0)
    (4.3, inf)
    """
    return REACH * fixed_point(J, 0.0).depth_scale


def accuracy_by_depth(runs: Sequence[Run]) -> pd.DataFrame:
    """Return test accuracy, the mean of the last three epochs and over seeds: a row a J at the start, a column a depth.

    nan for settings without a run, empty for no runs.
    """
    rows = [
        (started_at(run.config), run.config.depth, float(run.history["test_accuracy"][-LAST_EPOCHS:].mean()))
        for run in runs
    ]
    table = pd.DataFrame(rows, columns=["J", "depth", "accuracy"])
    return table.pivot_table(index="J", columns="depth", values="accuracy", aggfunc="mean")


def deepest_trained(accuracies: pd.DataFrame) -> "pd.Series[float]":
    """Return the largest depth with an accuracy above one half from each start, of `accuracy_by_depth`; 0 for none."""
    depths = accuracies.columns.to_numpy(dtype=float)
    reached: pd.Series[float] = (accuracies > TRAINED).mul(depths).max(axis=1)
    return reached


def depth_table(accuracies: pd.DataFrame) -> pd.DataFrame:
    """Return each start with chi, 6 xi, the largest depth trained and accuracies of some depths, in text."""
    reached = deepest_trained(accuracies)
    depths = [int(depth) for depth in accuracies.columns]
    shown = [depth for depth in depths if depth in SHOWN or depth == min(depths)]
    rows = []
    for J in accuracies.index:
        reach = trainable_depth(J)
        rows.append(
            {
                "J at the start": f"{J:.3g}",
                "χ": f"{fixed_point(J, 0.0).chi:.2f}",
                "6 ξ": "no limit" if math.isinf(reach) else f"{reach:.{1 if reach < 10 else 0}f}",
                "deepest trained": f"{reached[J]:.0f}" if reached[J] else "none",
            }
            | {_counted_layers(depth): said(accuracies.loc[J, depth], ".0%") for depth in shown}
        )
    return pd.DataFrame(rows).set_index("J at the start")


def _counted_layers(depth: int) -> str:
    return f"{depth} layer{'s' if depth > 1 else ''}"


def depth_numbers(accuracies: pd.DataFrame) -> dict[str, str]:
    """Return what chapter `deeper` says of the grid, in text; a dash for what it does not tell.

    Depths trained from PyTorch's default and from the edge, the range of starts that reach the largest depth trained,
    that over starts of the accuracy at the smallest depth, and start, depth and accuracy of the best setting.
    """
    default, edge = (_depth_from(accuracies, J) for J in DEFAULT_AND_EDGE)
    told = _limits(accuracies, default) | {
        "from_default": default,
        "from_edge": edge,
        "default_reach": f"{trainable_depth(DEFAULT_AND_EDGE[0]):.1f}",
    }
    names = (
        "shallow",
        "shallow_least",
        "shallow_most",
        "reach_least",
        "reach_most",
        "best",
        "best_J",
        "best_depth",
        "largest",
        "largest_best",
        "largest_edge",
    )
    if accuracies.empty:
        return told | dict.fromkeys(names, DASH)
    shallow, largest = accuracies.columns.min(), accuracies.columns.max()
    best_J, best_depth = max(
        ((J, depth) for J in accuracies.index for depth in accuracies.columns),
        key=lambda place: float(np.nan_to_num(accuracies.loc[place])),
    )
    reached = deepest_trained(accuracies)
    farthest = reached.index[(reached == reached.max()) & (reached > 0)]
    return told | {
        "reach_least": f"{min(farthest):.3g}" if len(farthest) else DASH,
        "reach_most": f"{max(farthest):.3g}" if len(farthest) else DASH,
        "shallow": str(shallow),
        "shallow_least": said(accuracies[shallow].min(), ".1%"),
        "shallow_most": said(accuracies[shallow].max(), ".1%"),
        "best": said(float(accuracies.loc[best_J, best_depth]), ".1%"),
        "best_J": f"{best_J:.3g}",
        "best_depth": str(best_depth),
        "largest": str(largest),
        "largest_best": said(accuracies[largest].max(), ".1%"),
        "largest_edge": said(accuracies[largest].get(DEFAULT_AND_EDGE[1], math.nan), ".1%"),
    }


def _depth_from(accuracies: pd.DataFrame, J: float) -> str:
    near = [start for start in accuracies.index if math.isclose(start, J)]
    return f"{deepest_trained(accuracies)[near[0]]:.0f}" if near else DASH


def _limits(accuracies: pd.DataFrame, default: str) -> dict[str, str]:
    """Where the limits of training lie, in text: the starts from which two depths are trained, and next depths.

    ``from_16`` and ``from_32``: the range of J from which that depth is trained. ``after_default``: the next depth
    tried after the deepest trained from PyTorch's default. ``over_least`` and ``over_most``: the deepest trained over 6
    xi, over the starts below the edge.
    """
    told = dict.fromkeys(("from_16", "from_32", "after_default", "over_least", "over_most"), DASH)
    for depth in (16, 32):
        if depth in accuracies and len(starts := accuracies.index[accuracies[depth] > TRAINED]):
            told[f"from_{depth}"] = f"{min(starts):.3g} to {max(starts):.3g}"
    if default != DASH and (deeper := [depth for depth in map(int, accuracies.columns) if depth > float(default)]):
        told["after_default"] = str(min(deeper))
    reached = deepest_trained(accuracies)
    # At the largest depth tried the limit is not seen.
    limited = [J for J in reached.index if J < 1 and 0 < reached[J] < max(accuracies.columns)]
    over = [float(reached[J]) / trainable_depth(J) for J in limited]
    if over:
        told |= {"over_least": f"{min(over):.1f}", "over_most": f"{max(over):.1f}"}
    return told


def ways_table(runs: Sequence[Run], *, loss: str = VALIDATION, accuracy: str = "validation_accuracy") -> pd.DataFrame:
    """Return where networks of several decays have their least loss, and where and how they end; weakest decay first.

    One row a setting, with means and 95% intervals over seeds in text. The index is ``weight_decay`` as PyTorch's, 2
    lambda, or *held* where J^2 is steered. The least loss is that of a single epoch, and J is taken there. *At the end*
    is the mean of the last tenth of the epochs.
    """
    groups = sorted(by_setting(runs).values(), key=lambda own: (own[0].config.hold, own[0].config.l2))
    rows = {}
    for own in groups:
        config = own[0].config
        best = [run.history.iloc[int(run.history[loss].argmin())] for run in own]
        rows["held" if config.hold else f"{2 * config.l2:g}"] = {
            "J at the least loss": shown(over_seeds([float(row["J_squared"]) ** 0.5 for row in best])),
            "least loss": shown(over_seeds([float(row[loss]) for row in best])),
            "J at the end": shown(over_seeds([settled(run) ** 0.5 for run in own])),
            "loss at the end": shown(over_seeds([settled(run, loss) for run in own])),
            "accuracy, %": shown(over_seeds([100 * settled(run, accuracy) for run in own])),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("weight_decay")


def ways_numbers(table: pd.DataFrame, name: str) -> dict[str, str]:
    """Return the cells of `ways_table` by ``name``, row and column, as in ``adamw 0.1 least loss``."""
    return {f"{name} {row} {column}": text for row, cells in table.iterrows() for column, text in cells.items()}


def sizes_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Return what `turns` has of networks of several widths and numbers of images, one row a size, in text.

    Means with 95% intervals over seeds; a turn that a run lacks counts for its size as unknown. The index is the size
    in words, by width and then by images, most images first.
    """
    turned = turns(runs)
    sizes = sorted(set(zip(turned["samples"], turned["width"], strict=True)), key=lambda size: (-size[0], size[1]))
    groups = [
        ((width, samples), turned[(turned["width"] == width) & (turned["samples"] == samples)])
        for samples, width in sizes
    ]
    rows = {
        f"width {width:,}, {samples:,} images": {
            "J at the turn": shown(over_seeds(own["J"].tolist())),
            "epoch": shown(over_seeds(own["epoch"].tolist())),
            "J² gained": shown(over_seeds(own["gained"].tolist())),
            "training loss": shown(over_seeds(own["train_loss"].tolist())),
            "least loss": shown(over_seeds(own["least_loss"].tolist())),
        }
        for (width, samples), own in groups
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("network")


def sizes_numbers(runs: Sequence[Run]) -> dict[str, str]:
    """Return in text the cells of `sizes_table` by row and column, and what follows from them.

    ``width_exponent`` and ``images_exponent``: the exponents of J^2 at the turn, the second without the fewest images;
    of the runs with those, ``few_runs``, ``without_turn`` have none. Dashes where runs are lacking.
    """
    table, turned = sizes_table(runs), turns(runs)
    most, fewest = turned["samples"].max(), turned["samples"].min()
    few = turned[turned["samples"] == fewest]
    wide = [run for run in runs if run.config.samples == most]
    usual = [run for run in runs if run.config.width == parse_config(JUDGED).width and run.config.samples > fewest]
    told = {
        "width_exponent": shown(exponent_of_place_in_width(wide)) if wide else DASH,
        "images_exponent": shown(exponent_of_place_in_samples(usual)) if usual else DASH,
        "few_runs": str(len(few)),
        "without_turn": str(int(few["J"].isna().sum())),
    }
    return told | {f"{row} {column}": text for row, cells in table.iterrows() for column, text in cells.items()}


def relu_numbers(runs: Sequence[Run]) -> dict[str, str]:
    """Return in text where ReLU networks without decay stand when they have passed their edge, J = sqrt(2); by run.

    ``edge_epoch`` is the first epoch after which J is beyond it, ``edge_loss`` and ``edge_accuracy`` (%) are the test
    loss and accuracy after that epoch: the least value of all runs to the largest.
    """
    past = [run.history[run.history["J_squared"] > RELU_EDGE**2] for run in runs if not run.config.l2]
    first = [history.iloc[0] for history in past if len(history)]
    return {
        "edge_epoch": spanned([float(row["epoch"]) for row in first], ".0f"),
        "edge_loss": spanned([float(row["test_loss"]) for row in first], ".2f"),
        "edge_accuracy": spanned([100 * float(row["test_accuracy"]) for row in first], ".1f"),
    }
