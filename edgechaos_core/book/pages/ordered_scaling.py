"""Page `ordered_scaling`: slopes A by setting: published, ours over epochs 0-48 and over the ordered phase."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from edgechaos_core.analysis import published
from edgechaos_core.analysis.by_setting import place
from edgechaos_core.analysis.intervals import DASH
from edgechaos_core.analysis.scaling import (
    ORDERED,
    epochs_to_pass,
    growth,
    in_order,
    late_over_early,
    ordered_growth,
    predicted_constant,
    scale_factor,
)
from edgechaos_core.book.told import Table, flat, plain
from edgechaos_core.claims.verdicts import read_claims
from edgechaos_core.store.runs import Run, RunConfig, parse_config

SETTING = ["η", "α", "B"]
FEWEST_SETTINGS = 3  # of an exponent
_ENDS = {"low": "min", "high": "max"}  # of a span, as a page names them


def varied_around_base(base: dict[str, Any], **values: Sequence[float]) -> list[RunConfig]:
    """Return the configs of Fig. 3's kind: ``base`` with one setting varied at a time; each config once."""
    configs = [parse_config(base | {name: value}) for name, own in values.items() for value in own]
    return list(dict.fromkeys(configs))


def up_to_edge(configs: Sequence[RunConfig]) -> list[RunConfig]:
    """Return configs with as many epochs as the law says that it takes to pass J^2 = 1, and some more."""
    return [config.model_copy(update={"epochs": epochs_to_pass(config)}) for config in configs]


def slope_table(runs: Sequence[Run], passed: Sequence[Run]) -> pd.DataFrame:
    """Set the slopes of J^2 (an epoch) of each setting side by side; one row a setting, in the order of ``runs``.

    ``published``; ``window``, ours over epochs 0-48 of ``runs``; ``ordered``, ours from J^2 = 0.3 to 1 of those of the
    runs ``passed`` that pass it; ``scale``, the scale factor, which turns a slope into c; ``last``, J^2 at the end of
    the window; ``passed``, the first epoch with J^2 > 1; ``bend``, `late_over_early`. nan where there is none. The
    index is η, α and B.
    """
    beyond = {place(run.config): run.history for run in passed}
    rows = {}
    for run in runs:
        own = place(run.config)
        rows[own] = {
            "published": published.slope(run, missing=math.nan),
            "window": growth(run.history).slope,
            "ordered": ordered_growth(beyond[own]).slope if own in beyond else math.nan,
            "scale": scale_factor(run.config),
            "last": float(run.history["J_squared"].iloc[-1]),
            "passed": _first_beyond(beyond[own]) if own in beyond else math.nan,
            "bend": late_over_early(beyond[own]) if own in beyond else math.nan,
        }
    return pd.DataFrame(list(rows.values()), index=pd.MultiIndex.from_tuples(rows, names=SETTING))


def shown_slopes(table: pd.DataFrame) -> Table:
    """Return `slope_table` as a page shows it: each slope with its ratio to the published one, and c."""
    ratios = {f"{name} ratio": table[name] / table["published"] for name in ("ordered", "window")}
    formats = {"published": ".3g", "ordered": ".3g", "ordered ratio": ".3f", "window": ".3g", "window ratio": ".2f"}
    names = {"published": "A, published", "ordered": "A, ordered phase", "ordered ratio": "ordered phase / published"}
    names |= {"window": "A, epochs 0-48", "window ratio": "epochs 0-48 / published", "c": "c, ordered phase"}
    own = table.assign(**ratios, c=table["ordered"] / table["scale"])
    return flat(plain(own, formats | {"c": ".2f"}).rename(columns=names))


def rates_left(table: pd.DataFrame) -> str:
    """Return the learning rates of the settings of `slope_table` without a slope over the ordered phase, as text."""
    left = table.index[table["ordered"].isna()].get_level_values("η")
    return ", ".join(f"{rate:g}" for rate in sorted(set(left))) or DASH


def _first_beyond(history: pd.DataFrame) -> float:
    beyond = history.loc[history["J_squared"] > ORDERED[1], "epoch"]
    return float(beyond.iloc[0]) if len(beyond) else math.nan


def slope_numbers(table: pd.DataFrame) -> dict[str, float]:
    """Return what a page tells of `slope_table`.

    ``settings``, those with a slope over the ordered phase, of ``planned``, and those ``left``; their mean ``c``;
    ``off``, percent by which the farthest is from the published slope; c of the largest scale factor, ``fastest_c``;
    ``bend`` of the base setting, ``base_bend``, and the settings whose bend is within the bounds of C3, ``straight``;
    largest over smallest c, ``spread``, and by how much it is larger, ``spread_percent``;
    the published c without momentum, ``published_c``, and at its largest, ``published_bent``; ``four_ordered`` and
    ``four_window``, A at B = 8 over A at B = 32; ``momentum_window``, the exponent of A in 1/(1 - α) over epochs
    0-48, of settings with a slope over the ordered phase. With the endings ``_low`` and ``_high``, over settings:
    ``c``, ``bend`` and ``passed`` of the ordered phase; ``window``, slopes over epochs 0-48 over the published ones,
    and ``window_c``, of those with a slope over the ordered phase ``same_c``; ``published``, the published c without
    momentum.
    """
    calm = table.index.get_level_values("α") == 0
    c, window = table["ordered"] / table["scale"], table["window"] / table["published"]
    paper_c = table["published"] / table["scale"]
    numbers = {
        "settings": int(c.notna().sum()),
        "planned": len(table),
        "left": int(c.isna().sum()),
        "c": c.mean(),
        "off": 100 * (table["ordered"] / table["published"] - 1).abs().max(),
        "spread": c.max() / c.min(),
        "spread_percent": 100 * (c.max() / c.min() - 1),
        "fastest_c": c.iloc[int(table["scale"].argmax())],
        "base_bend": float(table["bend"].get(tuple(published.BASE_SETTING.values()), math.nan)),
        "published_c": paper_c[calm].mean(),
        "published_bent": paper_c.max(),
        "straight": int(table["bend"].between(*read_claims()["C3"].parts[0].bounds).sum()),
        "four_ordered": _small_batch_over_base(table["ordered"]),
        "four_window": _small_batch_over_base(table["window"]),
        "momentum_window": _exponents(table)["1/(1 - α)"]["epochs 0-48, same settings"][0],
    }
    spans = {"c": c, "bend": table["bend"], "passed": table["passed"], "window": window}
    window_c = table["window"] / table["scale"]
    spans |= {"window_c": window_c, "same_c": window_c[c.notna()], "published": paper_c[calm]}
    return numbers | {f"{name}_{end}": getattr(own, of)() for name, own in spans.items() for end, of in _ENDS.items()}


def _small_batch_over_base(slopes: "pd.Series[float]") -> float:
    """A at B = 8 over A at B = 32, else as in the base setting; nan where one of them is not there."""
    rate, momentum, _ = published.BASE_SETTING.values()
    small, base = (slopes.get((rate, momentum, size), math.nan) for size in (8, 32))
    return small / base


def exponent_table(table: pd.DataFrame) -> pd.DataFrame:
    """Return the exponents of A in eta, 1/(1 - alpha) and 1/B, by lines through ln A of `slope_table`.

    One row a factor: over the ``ordered`` phase, over epochs 0-48 of the ``same settings``, and of ``all settings``,
    each with its number of settings; a dash for fewer than three.
    """
    rows = {
        name: {column: _with_settings(*found) for column, found in row.items()}
        for name, row in _exponents(table).items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("exponent of A in")


def _with_settings(exponent: float, settings: int) -> str:
    return DASH if math.isnan(exponent) else f"{exponent:.2f} ({settings} settings)"


def _exponents(table: pd.DataFrame) -> dict[str, dict[str, tuple[float, int]]]:
    """The exponents of `exponent_table`, nan for too few settings, each with the number of its settings."""
    base, own = dict(zip(SETTING, published.BASE_SETTING.values(), strict=True)), table.reset_index()
    factors = {"η": own["η"], "1/(1 - α)": 1 / (1 - own["α"]), "1/B": 1 / own["B"]}
    rows = {}
    for varied, (name, x) in zip(SETTING, factors.items(), strict=True):
        line = np.logical_and.reduce([own[other] == base[other] for other in SETTING if other != varied])
        known = line & own["ordered"].notna()
        rows[name] = {
            "ordered phase": _exponent(x[known], own["ordered"][known]),
            "epochs 0-48, same settings": _exponent(x[known], own["window"][known]),
            "epochs 0-48, all settings": _exponent(x[line], own["window"][line]),
        }
    return rows


def _exponent(x: "pd.Series[float]", A: "pd.Series[float]") -> tuple[float, int]:
    enough = len(x) >= FEWEST_SETTINGS
    return float(np.polyfit(np.log(x), np.log(A), 1)[0]) if enough else math.nan, len(x)


def balance_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Return `predicted_constant` of each run, slow ones first; ``whole`` is the share of |G|^2 in the noise term."""
    ordered = sorted(runs, key=lambda run: scale_factor(run.config))
    rows = {place(run.config): predicted_constant(run) | {"whole": _whole_share(run)} for run in ordered}
    index = pd.MultiIndex.from_tuples(rows, names=SETTING) if rows else None
    columns = ["measured", "predicted", "drift", "noise", "share", "jumps", "error", "epochs", "whole"]
    return pd.DataFrame(list(rows.values()), index=index, columns=columns)


def _whole_share(run: Run) -> float:
    """The share of the squared gradient over all images in that of a mini-batch, over the ordered phase."""
    own = run.history[in_order(run)]
    whole = own["gradient"].mean()
    return float(whole / (whole + own["noise"].mean() / run.config.batch_size))


def balance_numbers(table: pd.DataFrame) -> dict[str, float]:
    """Return what a page tells of `balance_table`.

    ``share_low`` to ``share_high``: percent of the noise in the prediction; ``error_low`` to ``error_high``: percent by
    which the prediction is off the growth that followed; ``jumps_low`` to ``jumps_high``: of the drift from epoch to
    epoch; ``whole_low`` to ``whole_high``: percent of the noise term that is the gradient over all images;
    ``deviates``: the largest difference of prediction and growth, in its standard error.
    """
    share, error = 100 * table["share"], 100 * (table["predicted"] / table["measured"] - 1)
    spans = {"share": share, "error": error, "jumps": table["jumps"], "whole": 100 * table["whole"]}
    deviates = ((table["predicted"] - table["measured"]).abs() / table["error"]).max()
    return {"deviates": deviates} | {
        f"{name}_{end}": getattr(own, of)() for name, own in spans.items() for end, of in _ENDS.items()
    }


def fitted(runs: Sequence[Run], passed: Sequence[Run]) -> Run:
    """Return the run whose growth a page shows: Fig. 3's base setting up to the edge if it is there, else the first."""
    base = tuple(published.BASE_SETTING.values())
    own = [run for run in passed if place(run.config) == base and run.history["J_squared"].max() > ORDERED[1]]
    return [*own, *passed, *runs][0]
