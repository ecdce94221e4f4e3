"""The further tests of page `reason`: networks that are held elsewhere (B4), and the maps of trained layers (B5)."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from edgechaos_core.analysis.by_setting import strength_text
from edgechaos_core.analysis.intervals import DASH, over_seeds, said, shown, spanned
from edgechaos_core.analysis.scaling import scale_factor, settled
from edgechaos_core.claims.estimates.reason import VALIDATION, held_place_of_least_loss, passage
from edgechaos_core.probes.linear_maps import radius_of_cut
from edgechaos_core.store.runs import Run

RESOLVED = 0.005  # a Lyapunov exponent that simulations tell from 0
ACCURACY = "validation_accuracy"
NOT_HELD = "not held"


def held_ends(runs: Sequence[Run]) -> pd.DataFrame:
    """Return where networks end that are held, one row a run: J^2 at which it was ``hold``, by `settled`.

    ``hold`` is 0 for a network that is not held; ``speed`` is that of training before the milestone. ``J``, ``l2``
    (lambda, that of the decay), ``loss`` and ``accuracy`` (%), both on validation images, are at the end.
    """
    rows = [
        {
            "speed": scale_factor(run.config.model_copy(update={"milestone": 0})),
            "hold": run.config.hold,
            "seed": run.config.seed,
            "J": settled(run) ** 0.5,
            "l2": settled(run, "lambda") if run.config.hold else run.config.l2,
            "loss": settled(run, VALIDATION),
            "accuracy": 100 * settled(run, ACCURACY),
        }
        for run in runs
    ]
    names = ["speed", "hold", "seed", "J", "l2", "loss", "accuracy"]
    return pd.DataFrame(rows, columns=names).sort_values(names[:3], ignore_index=True)


def held_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Write `held_ends` at the slowest speed for a page, one row a place; means with their 95% intervals over seeds."""
    ends = held_ends(runs)
    ends = ends[ends["speed"] == ends["speed"].min()]
    rows = {
        _place(hold): {
            "J at the end": said(float(own["J"].mean()), ".2f"),
            "λ at the end": DASH if hold == 0 else strength_text(float(own["l2"].mean())),
            "validation loss": shown(over_seeds(own["loss"].tolist())),
            "validation accuracy, %": shown(over_seeds(own["accuracy"].tolist())),
        }
        for hold, own in ends.groupby("hold")
    }
    order = [name for name in rows if name != NOT_HELD] + [NOT_HELD] * (NOT_HELD in rows)
    return pd.DataFrame.from_dict(rows, orient="index").loc[order].rename_axis("J² held at")


def _place(hold: float) -> str:
    return NOT_HELD if hold == 0 else f"{hold:g}"


def held_numbers(runs: Sequence[Run]) -> dict[str, str]:
    """Return in text what the page says of networks that are held, at the slowest speed; dashes without runs.

    ``held_more`` is by how much the loss at the end is larger held at J^2 = 1 than at 0.5, seed by seed, and
    ``held_points`` by how many points the accuracy is larger held at 0.5 than at 1; ``free_more`` is by how much the
    loss is larger not held than held at 1, and ``free_points`` the same of accuracy.
    ``held_least`` and ``held_most`` are the least and the largest mean accuracy over the places of J^2 from 0.5 to 1,
    in percent.
    """
    ends = held_ends(runs)
    slow = ends[ends["speed"] == ends["speed"].min()]
    near = slow[slow["hold"].between(0.5, 1.0)].groupby("hold")["accuracy"].mean().tolist()
    return {
        "held_more": _less(slow, "loss", 1.0, 0.5),
        "held_points": _less(slow, "accuracy", 0.5, 1.0),
        "free_more": _less(slow, "loss", 0.0, 1.0),
        "free_points": _less(slow, "accuracy", 0.0, 1.0),
        "held_least": said(min(near, default=math.nan), ".2f"),
        "held_most": said(max(near, default=math.nan), ".2f"),
    }


def held_by_speed(runs: Sequence[Run]) -> pd.DataFrame:
    """Write for a page, one row a speed, where a network is best held: J of the least loss, and 1 against 0.5.

    The J is that of B4's estimate, made at each speed; differences are paired by seed.
    """
    ends, rows = held_ends(runs), {}
    speeds = {id(run): scale_factor(run.config.model_copy(update={"milestone": 0})) for run in runs}
    for speed, own in ends.groupby("speed"):
        held = [run for run in runs if run.config.hold and speeds[id(run)] == speed]
        rows[f"{float(str(speed)) / ends['speed'].min():.2g}"] = {
            "J of the least loss": shown(held_place_of_least_loss(held)) if held else DASH,
            "loss at J² = 1 minus 0.5": _less(own, "loss", 1.0, 0.5),
            "accuracy at J² = 1 minus 0.5, points": _less(own, "accuracy", 1.0, 0.5),
        }
    columns = ["J of the least loss", "loss at J² = 1 minus 0.5", "accuracy at J² = 1 minus 0.5, points"]
    index = pd.Index(list(rows), dtype=str, name="speed")
    return pd.DataFrame(list(rows.values()), index=index, columns=columns)


def _less(ends: pd.DataFrame, name: str, one: float, other: float) -> str:
    """How much more of a column of `held_ends` networks have that are held at one J^2 than at another, by seed."""
    places = ends.pivot_table(index="seed", columns="hold", values=name)
    if not {one, other} <= set(places.columns):
        return DASH
    return shown(over_seeds((places[one] - places[other]).dropna().tolist()))


def map_numbers(runs: Sequence[Run]) -> dict[str, str]:
    """Return in text where maps of trained first layers turn chaotic, and what is left of their random part.

    A map is chaotic from the J at which its largest Lyapunov exponent exceeds 0.005, less than which the simulations do
    not resolve. Of all runs: ``map_chaotic`` of ``map_all`` become so, from ``map_trained``, and their entries shuffled
    from ``map_shuffled``, the least J to the largest; ``map_later`` become so later than their own entries shuffled, or
    not at all; the runs end at ``map_end``. The spectral radius of trained matrices passes 1 at J ``map_unstable``,
    that of their entries shuffled at ``map_unstable_shuffled``. Of the slowest speed: ``map_unstable_slow``, as before
    (``map_unstable_fast`` of the other speeds); and, over seeds,
    ``map_outliers`` of ``map_width`` singular values of W are outlying where J^2 passes 1, and ``map_bulk`` is the
    spectral radius of W without them there. ``map_bulk_random`` is that of a random matrix with J as at the start and
    as many of its largest singular values removed, and ``map_bulk_times`` the first over the second.
    ``map_bulk_apart`` and ``map_bulk_least`` are the same where what is removed has nothing to do with the random
    matrix: ``J (1 - removed / width)``, as of a projection on both sides. Dashes without runs.
    """
    slowest = min((scale_factor(run.config) for run in runs), default=0.0)
    slow = [run for run in runs if scale_factor(run.config) == slowest]
    fast = [run for run in runs if scale_factor(run.config) > slowest]
    pairs = [(passage(run, "lyapunov", RESOLVED), passage(run, "lyapunov_shuffled", RESOLVED)) for run in runs]
    trained, shuffled = ([pair[side] for pair in pairs if not math.isnan(pair[side])] for side in (0, 1))
    radii = [
        [place for run in group if not math.isnan(place := passage(run, f"spectral_radius{kind}", 1.0))]
        for group, kind in ((runs, ""), (runs, "_shuffled"), (slow, ""), (fast, ""))
    ]
    later = [math.isnan(own) or own > other for own, other in pairs if not math.isnan(other)]
    estimates = {
        "map_outliers": [_at_edge(run, "outliers") for run in slow],
        "map_bulk": [_at_edge(run, "spectral_radius_bulk") for run in slow],
        "map_bulk_random": [_random_bulk(run) for run in slow],
    }
    estimates["map_bulk_apart"] = [
        float(run.history["J_squared"].iloc[0]) ** 0.5 * (1 - _at_edge(run, "outliers") / run.config.width)
        for run in slow
    ]
    for control, ratio in (("map_bulk_random", "map_bulk_times"), ("map_bulk_apart", "map_bulk_least")):
        estimates[ratio] = [own / other for own, other in zip(estimates["map_bulk"], estimates[control], strict=True)]
    return {
        "map_all": str(len(runs)),
        "map_chaotic": str(len(trained)),
        "map_later": str(sum(later)),
        "map_trained": spanned(trained, ".2f"),
        "map_shuffled": spanned(shuffled, ".2f"),
        "map_unstable": spanned(radii[0], ".2f"),
        "map_unstable_shuffled": spanned(radii[1], ".2f"),
        "map_unstable_slow": spanned(radii[2], ".2f"),
        "map_unstable_fast": spanned(radii[3], ".2f"),
        "map_end": spanned([float(run.history["J_squared"].iloc[-1]) ** 0.5 for run in runs], ".2f"),
        "map_width": str(slow[0].config.width) if slow else DASH,
    } | {name: shown(over_seeds(values) if values else None) for name, values in estimates.items()}


def _at_edge(run: Run, column: str) -> float:
    return float(np.interp(1.0, run.history["J_squared"], run.history[column]))


def _random_bulk(run: Run) -> float:
    """The spectral radius of a random matrix like a run's at its start, cut as the run's is where J^2 passes 1."""
    start = float(run.history["J_squared"].iloc[0]) ** 0.5
    return radius_of_cut(run.config.width, start, round(_at_edge(run, "outliers")), seed=run.config.seed)
