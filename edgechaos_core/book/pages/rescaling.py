"""Page `rescaling`: paths of settings in rescaled time, and what speed costs at the epoch of least validation loss."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from edgechaos_core.analysis.by_setting import by_setting, of_one_setting, of_settings, place
from edgechaos_core.analysis.intervals import estimates_of, over_seeds
from edgechaos_core.analysis.rescaling import (
    best_epoch,
    best_loss_ratio,
    best_points_more,
    farthest_beyond,
    farthest_in_order,
    parts_at,
    square_at_edge,
    square_at_end,
)
from edgechaos_core.analysis.scaling import scale_factor
from edgechaos_core.claims.estimates.paths import over_base_setting
from edgechaos_core.store.runs import Run, RunConfig
from edgechaos_core.system.places import EPOCH_SECONDS

# What the page shows of a run beside the base's of the same seed; the claims are judged on the worst setting.
COMPARISONS: dict[str, Callable[[Run, Run], float]] = {
    "J² where the reference's is 1": square_at_edge,
    "J² at the end / the reference's": square_at_end,
    "up to the edge": farthest_in_order,
    "beyond the edge": farthest_beyond,
    "loss / the reference's": best_loss_ratio,
    "points of accuracy": best_points_more,
}
PATHS = list(COMPARISONS)[:4]  # of C8 and C9
BESTS = list(COMPARISONS)[4:]  # of C10
PARTS = "leaves the seeds' range at J²"
SHOWN_PATHS = {"speed": ".4g", **dict.fromkeys(PATHS, ".3f"), PARTS: ".2f"}  # formats of a page's table
SPARED = 0.02  # of the base's test loss: what still counts as no price, two seeds differing by as much


def epoch_seconds() -> dict[int, float]:
    """Return the measured CPU seconds of an epoch of the pay-off's runs by batch size (tests/bench/payoff.py)."""
    table = pd.read_csv(EPOCH_SECONDS, comment="#")
    return dict(zip(table["batch_size"], table["seconds"], strict=True))


def payoff(runs: Sequence[Run], base: RunConfig, seconds: Mapping[int, float]) -> pd.DataFrame:
    """Set side by side what settings reach, and at what cost, at their epoch of least validation loss.

    One row a setting, seeds averaged, by speed: ``speed`` is the scale factor over that of ``base``; epochs, mini-batch
    ``steps`` and ``seconds`` (by those of an epoch of each batch size; nan for a size that is not among them) up to the
    best epoch; J^2 there, and estimates over seeds of test loss and test accuracy (in percent) there. Raises ValueError
    for no runs, and for runs without validation.
    """
    if not runs:
        raise ValueError("a pay-off needs at least one run")
    rows = []
    for own in by_setting(runs).values():
        config, best = own[0].config, [best_epoch(run) for run in own]
        epochs = float(np.mean([row["epoch"] for row in best]))
        rows.append(
            {
                "η": config.learning_rate,
                "α": config.momentum,
                "B": config.batch_size,
                "speed": scale_factor(config) / scale_factor(base),
                "epochs": epochs,
                "steps": epochs * math.ceil(config.samples / config.batch_size),
                "seconds": epochs * seconds.get(config.batch_size, math.nan),
                "J²": float(np.mean([row["J_squared"] for row in best])),
                "test loss": over_seeds([float(row["test_loss"]) for row in best]),
                "test accuracy, %": over_seeds([100 * float(row["test_accuracy"]) for row in best]),
                "seeds": len(own),
            }
        )
    return pd.DataFrame(rows).sort_values(["speed", "B", "α"]).set_index(["η", "α", "B"])


def price_numbers(table: pd.DataFrame, base: RunConfig, against: pd.DataFrame) -> dict[str, float]:
    """Return what a page tells of `payoff`'s table; nothing without the base's row.

    ``against`` is the same settings' table of `settings_over_base`, which compares them seed by seed.

    Of the settings whose test loss is at most 2% above the base's: ``free_speed``, the largest, with its ``free_alpha``
    and ``free_epochs``, and ``few_steps``, the fewest, with their ``few_B``, ``few_eta`` and ``few_alpha``; the
    interval of how many percent the loss of the fastest is above the base's of the same seed, ``free_low`` to
    ``free_high``; the base's ``base_epochs`` and ``base_steps``. ``price``: percent of the loss that the cheapest
    faster setting costs, and its speed, ``fast``. ``lost`` settings never improve on the untrained network: their best
    epoch is 0. Of the others ``power``, the exponent of the epochs to the best in speed, and these epochs of the
    slowest and of the fastest, ``slow_epochs`` and ``fast_epochs``. ``lost_step`` is the least step eta / (1 - alpha)
    of the lost ones, nan for none.
    """
    own = (base.learning_rate, base.momentum, base.batch_size)
    losses = {place: estimate.value for place, estimate in estimates_of(table, "test loss").items()}
    if own not in losses:
        return {}
    learned = table.assign(price=[loss / losses[own] - 1 for loss in losses.values()])[table["epochs"] > 0]
    good = learned[learned["price"] <= SPARED].sort_values(["speed", "price"], ascending=[False, True])
    free_place, fewest_place = good.index.to_list()[0], good.sort_values("steps").index.to_list()[0]
    free, fewest, base_row = (_row(table, place) for place in (free_place, fewest_place, own))
    faster = learned[learned["speed"] > free["speed"]].sort_values("price")
    by_speed = learned.sort_values("speed", kind="stable")[["speed", "epochs"]].astype(float)
    paired = estimates_of(against, BESTS[0])[free_place]
    low, high = (math.nan if end is None else 100 * (end - 1) for end in (paired.low, paired.high))
    return {
        "free_speed": free["speed"],
        "free_alpha": free_place[1],
        "free_epochs": free["epochs"],
        "free_low": low,
        "free_high": high,
        "few_steps": fewest["steps"],
        "few_B": fewest_place[2],
        "few_eta": fewest_place[0],
        "few_alpha": fewest_place[1],
        "base_epochs": base_row["epochs"],
        "base_steps": base_row["steps"],
        "price": 100 * float(faster["price"].iloc[0]) if len(faster) else math.nan,
        "fast": float(faster["speed"].iloc[0]) if len(faster) else math.nan,
        "lost": len(table) - len(learned),
        "lost_step": min((eta / (1 - alpha) for eta, alpha, _ in table.index[table["epochs"] == 0]), default=math.nan),
        "power": np.polyfit(np.log(by_speed["speed"]), np.log(by_speed["epochs"]), 1)[0]
        if len(learned) > 1
        else math.nan,
        "slow_epochs": by_speed["epochs"].iloc[0],
        "fast_epochs": by_speed["epochs"].iloc[-1],
    }


def apart_numbers(table: pd.DataFrame) -> dict[str, float]:
    """Return the two settings of one speed whose test losses differ most, as a ratio, of those that learn at all.

    Of `payoff`'s table; nothing where no two settings have one speed. Of the one with the larger loss ``apart_eta``,
    ``apart_B``, ``apart_step`` (eta / (1 - alpha)), ``apart_loss`` and ``apart_J2``, of the other the same names with
    ``beside``; their ``pair_speed``.
    """
    learned = table[table["epochs"] > 0].reset_index()
    learned["loss"] = [estimate.value for estimate in learned["test loss"]]
    learned["step"] = learned["η"] / (1 - learned["α"])
    groups = learned.sort_values("loss").groupby(learned["speed"].round(9))
    pairs = [(own.iloc[-1], own.iloc[0]) for _, own in groups if len(own) > 1]
    if not pairs:
        return {}
    apart, beside = max(pairs, key=lambda pair: float(pair[0]["loss"] / pair[1]["loss"]))
    names = {"eta": "η", "B": "B", "step": "step", "loss": "loss", "J2": "J²"}
    rows = {"apart": apart, "beside": beside}
    return {"pair_speed": float(apart["speed"])} | {
        f"{word}_{name}": float(row[column]) for word, row in rows.items() for name, column in names.items()
    }


def _row(table: pd.DataFrame, place: tuple[float, float, int]) -> dict[str, float]:
    names = ("speed", "epochs", "steps")
    number = table.index.to_list().index(place)
    return {name: float(table[name].iloc[number]) for name in names}


def settings_over_base(base: Sequence[Run], runs: Sequence[Run], comparisons: Sequence[str]) -> pd.DataFrame:
    """Compare settings with a base setting, seed by seed; one row a setting, slow ones first.

    The index is η, α and B; ``speed`` is the scale factor over the base's, and each of the ``comparisons`` (names in
    `COMPARISONS`) a column of estimates over seeds, nan without a seed in common. Raises ValueError for other names.
    """
    if unknown := [name for name in comparisons if name not in COMPARISONS]:
        raise ValueError(f"unknown comparison {unknown[0]!r}: choose from {', '.join(COMPARISONS)}")
    own_base, rows = of_one_setting(base), {}
    unit = scale_factor(base[0].config)
    for seeds in of_settings(runs) if runs else []:
        config = next(iter(seeds.values())).config
        found = {name: over_base_setting(own_base, seeds, COMPARISONS[name]) for name in comparisons}
        rows[place(config)] = {"speed": scale_factor(config) / unit} | found
    index = pd.MultiIndex.from_tuples(rows, names=["η", "α", "B"]) if rows else None
    table = pd.DataFrame(list(rows.values()), index=index, columns=["speed", *comparisons])
    return table.sort_values("speed", kind="stable")


def path_table(reference: Sequence[Run], runs: Sequence[Run]) -> pd.DataFrame:
    """Compare the paths of settings with the reference's, as C8 and C9 do, a row a setting (`settings_over_base`).

    Besides, in `PARTS`, the reference's J^2 from which on they differ by more than two seeds of the reference do.
    """
    table = settings_over_base(reference, runs, PATHS)
    parts = {
        place(own[0].config): over_seeds([parts_at(reference, run) for run in own]) for own in by_setting(runs).values()
    }
    table[PARTS] = pd.Series(parts, dtype=object)
    return table


def path_numbers(equal: pd.DataFrame, others: pd.DataFrame) -> dict[str, float]:
    """Return what a page tells of two tables of `path_table`, settings of equal and of other scale factors; percent.

    ``equal_edge`` and ``equal_end``: by how much J^2 of the worst setting is off where the reference's is 1, and at
    the end. ``ordered`` and ``beyond``: largest distance up to the edge and beyond it, from ``_low`` to ``_high``;
    ``slowest``: how much slower than the reference the slowest is; ``parts``: J^2 from which on that differs;
    ``more_slowest`` and ``more_nearest``: distance beyond the edge less that up to it, of the slowest and the fastest.
    """

    def values(table: pd.DataFrame, name: str) -> "pd.Series[float]":
        return pd.Series([estimate.value for estimate in estimates_of(table, name).values()], dtype=float)

    edge, end = (100 * (values(equal, name) - 1).abs() for name in PATHS[:2])
    ordered, beyond = (100 * values(others, name) for name in PATHS[2:])
    return {
        "equal_edge": edge.max(),
        "equal_end": end.max(),
        "ordered_low": ordered.min(),
        "ordered_high": ordered.max(),
        "beyond_low": beyond.min(),
        "beyond_high": beyond.max(),
        "slowest": 1 / others["speed"].min(),
        "parts": values(others, PARTS).iloc[0],
        "more_slowest": (beyond - ordered).iloc[0],
        "more_nearest": (beyond - ordered).iloc[-1],
        "parted_equal": float(values(equal, PARTS).notna().sum()),
    }
