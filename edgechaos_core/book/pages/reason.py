"""Page `reason`: what a network has reached when its validation loss turns, and what is the same from every start.

A turn is the least validation loss of a run, found as the claims do: of a parabola through the loss near it.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from edgechaos_core.analysis.intervals import DASH, Estimate, over_seeds, said, shown, spanned
from edgechaos_core.analysis.scaling import scale_factor
from edgechaos_core.claims.estimates.optima import epoch_of_least, least_on_path
from edgechaos_core.claims.estimates.reason import (
    VALIDATION,
    line_over_seeds,
    slope_of_place_on_start,
    started_at,
)
from edgechaos_core.claims.judging import Evidence, committed_evidence, judged
from edgechaos_core.conventions import INITIAL_J
from edgechaos_core.store.runs import Run

# What could decide when the loss turns, by its column. At one speed the epoch stands for rescaled time too.
CANDIDATES = {
    "epoch": "epoch",
    "J": "J",
    "gained": "J² gained since the start",
    "train_loss": "training loss",
}
_COLUMNS = ["start", "speed", "through", "width", "samples", "seed", *CANDIDATES, "least_loss"]


def turns(runs: Sequence[Run]) -> pd.DataFrame:
    """Return where the validation loss of each run turns, one row a run, by start, speed and seed.

    ``start`` is J before training, ``speed`` eta / ((1 - alpha) B), ``through`` the learning rate and B that make it;
    ``width`` and ``samples`` are the run's; ``epoch``, ``J``, ``gained`` (J^2 since the start) and ``train_loss`` are
    those of the turn, nan where the loss has not turned yet; ``least_loss`` is the least validation loss.
    """
    rows = [_turn(run) for run in runs]
    measured = dict.fromkeys(["start", "speed", *CANDIDATES, "least_loss"], float)  # also where there are no rows
    table = pd.DataFrame(rows, columns=_COLUMNS).astype(measured)
    return table.sort_values(["start", "speed", "seed"], ignore_index=True)


def _turn(run: Run) -> dict[str, object]:
    config, history = run.config, run.history
    epoch, J = epoch_of_least(history, VALIDATION), least_on_path(history, VALIDATION)
    return {
        "start": started_at(config),
        "speed": scale_factor(config),
        "through": (config.learning_rate, config.batch_size),
        "width": config.width,
        "samples": config.samples,
        "seed": config.seed,
        "epoch": epoch,
        "J": J,
        "gained": J**2 - float(history["J_squared"].iloc[0]),
        "train_loss": float(np.interp(epoch, history["epoch"], history["train_loss"])),
        "least_loss": float(history[VALIDATION].min()),
    }


def constancy(turned: pd.DataFrame) -> pd.DataFrame:
    """Return how constant each candidate is at the turn, one row a candidate of `turns`.

    ``mean``, ``least`` and ``most`` are of the means over seeds of each start; ``starts`` is their coefficient of
    variation, and ``seeds`` what it would be if starts were alike and seeds alone made means differ: their relative
    standard error, root mean square over starts. nan where there is one of a kind.
    """
    groups = turned.groupby("start")[list(CANDIDATES)]
    means, errors = groups.mean(), groups.sem()
    table = pd.DataFrame({"mean": means.mean(), "least": means.min(), "most": means.max()})
    table["starts"] = means.std() / means.mean()
    table["seeds"] = np.sqrt(((errors / means) ** 2).mean())
    return table


def constancy_table(turned: pd.DataFrame) -> pd.DataFrame:
    """Write `constancy` for a page, in words."""
    table = constancy(turned).rename(index=CANDIDATES)
    digits = {"mean": ".3g", "least": ".3g", "most": ".3g", "starts": ".1%", "seeds": ".1%"}
    written = {name: table[name].map(lambda value, form=form: said(value, form)) for name, form in digits.items()}
    names = {"starts": "variation over starts", "seeds": "by seeds alone"}
    return pd.DataFrame(written).rename(columns=names).rename_axis("at the turn")


def slope_of_training_loss(turned: pd.DataFrame) -> Estimate:
    """Return the slope of the training loss at the turn on J^2 at the start; bootstrap over seeds common to all starts.

    0 where the loss turns at the same training loss from every start.
    """
    table = turned.pivot_table(index="seed", columns="start", values="train_loss").dropna()
    if table.shape[1] < 2 or table.empty:
        return over_seeds([math.nan])
    return line_over_seeds(np.square(table.columns.to_numpy(dtype=float)), table.to_numpy(dtype=float))


def gained_below_the_edge(turned: pd.DataFrame) -> float:
    """Return A t*: J^2 that is gained up to the turn, on average over the starts below J = 1; nan for none."""
    return float(turned[turned["start"] < 1].groupby("start")["gained"].mean().mean())


def numbers(runs: Sequence[Run]) -> dict[str, str]:
    """Return what the page says of runs from several starts, in text; a dash for what they do not tell."""
    turned = turns(runs)
    means, losses = (turned.groupby("start")[name].mean() for name in ("J", "least_loss"))
    usual = turned.loc[turned["start"] == INITIAL_J, "J"].tolist()
    below = [run for run in runs if started_at(run.config) < 1]
    gained, table = gained_below_the_edge(turned), constancy(turned)
    reaching = math.sqrt(1 - gained) if 0 <= gained <= 1 else math.nan
    plain = {
        "least_start": (means.index.min(), "g"),
        "most_start": (means.index.max(), "g"),
        "least_J": (means.min(), ".2f"),
        "most_J": (means.max(), ".2f"),
        "gained": (gained, ".3f"),
        "reaching": (reaching, ".2f"),
        "from_03": (math.sqrt(0.3**2 + gained) if gained >= 0 else math.nan, ".2f"),
        "from_12": (math.sqrt(1.2**2 + gained) if gained >= 0 else math.nan, ".2f"),
        "least_loss": (losses.min(), ".3f"),
        "most_loss": (losses.max(), ".3f"),
        "train_loss": (table.loc["train_loss", "mean"], ".3f"),
        "train_loss_starts": (table.loc["train_loss", "starts"], ".1%"),
        "train_loss_seeds": (table.loc["train_loss", "seeds"], ".1%"),
        "least_epoch": (table.loc["epoch", "least"], ".0f"),
        "most_epoch": (table.loc["epoch", "most"], ".0f"),
        "epoch_starts": (table.loc["epoch", "starts"], ".0%"),
        "epoch_seeds": (table.loc["epoch", "seeds"], ".1%"),
        "gained_seeds": (table.loc["gained", "seeds"], ".1%"),
        "gained_starts": (table.loc["gained", "starts"], ".1%"),
        "J_starts": (table.loc["J", "starts"], ".0%"),
    }
    nothing = over_seeds([math.nan])
    estimates = {
        "from_half": over_seeds(usual) if usual else nothing,
        "slope": slope_of_place_on_start(below) if below else nothing,
        "slope_all": slope_of_place_on_start(runs) if runs else nothing,
        "train_loss_slope": slope_of_training_loss(turned),
    }
    texts = {name: said(float(value), form) for name, (value, form) in plain.items()}
    return texts | {name: shown(estimate) for name, estimate in estimates.items()}


def speed_numbers(runs: Sequence[Run]) -> dict[str, str]:
    """Return in text how the turns differ between the slowest and the fastest of several speeds; dashes without runs.

    ``slow_J`` and ``fast_J`` are means over seeds, the least and the largest where two settings have that speed.
    ``times`` is the fastest speed over the slowest, and ``_times`` after the name of a candidate the factor by which it
    changes between the two, the larger over the smaller, through the learning rate alone and through B alone.
    """
    turned = turns(runs)
    means = turned.groupby(["speed", "through"])[list(CANDIDATES)].mean()
    speeds = means.index.get_level_values("speed")
    slow, fast = (means[speeds == end].droplevel("speed") for end in (speeds.min(), speeds.max()))
    pairs = [
        (slow.loc[[one]].iloc[0], fast.loc[[other]].iloc[0])
        for one in slow.index
        for other in fast.index
        if one[0] == other[0] or one[1] == other[1]
    ]
    told = {"times": said(speeds.max() / speeds.min(), ".0f")}
    told |= {f"{end}_J": spanned(own["J"].tolist(), ".2f") for end, own in (("slow", slow), ("fast", fast))}
    for name, form in {"epoch": ".1f", "J": ".2f", "gained": ".1f", "train_loss": ".2f"}.items():
        ratios = [one[name] / other[name] for one, other in pairs]
        told[f"{name}_times"] = spanned([max(ratio, 1 / ratio) for ratio in ratios], form)
    return told


def edge_as_cause(evidence: Evidence | None = None) -> dict[str, str]:
    """Tell whether J = 1 is the reason: what came out of B1 to B5 and C14, on the committed runs if none are given.

    As ``value [interval]``, a dash for what has not been run: ``slope`` of J^2 at the least validation loss on J^2 at
    the start (the edge as the cause predicts 0, a fixed gain of J^2 predicts 1) and the ``seeds`` behind it
    (``speed_seeds`` behind ``rate``), ``epochs`` from J = 0.1 over those from 0.75, ``beyond``, the least validation
    loss from J = 1.5 minus that from 0.5, ``rate`` and ``batch``, the exponents of J^2 there in speed, and ``map``, J
    where the trained map's exponent passes 0 over that where its shuffled entries' does. Of networks that are held,
    ``held`` (rounded: ``about_held``) and ``held_accuracy``, J of the least loss and of the best accuracy at the end,
    and ``lost``, points of accuracy lost by holding J^2 at 0.5 and not at 1. ``relu`` is J at the least test loss of
    ReLU with Adam, over that of its edge.
    """
    found = judged(evidence or committed_evidence(), ["B1", "B2", "B3", "B4", "B5", "C14"])
    (slope, epochs), (beyond,), (rate, batch), (own,) = found["B1"], found["B2"], found["B3"], found["B5"]
    told = {
        "slope": slope,
        "epochs": epochs,
        "beyond": beyond,
        "rate": rate,
        "batch": batch,
        "map": own,
    }
    told |= dict(zip(("held", "held_accuracy", "lost"), found["B4"], strict=True)) | {"relu": found["C14"][0]}
    behind = {"seeds": slope.estimate, "speed_seeds": rate.estimate}
    counts = {name: DASH if each is None else str(each.n) for name, each in behind.items()}
    held = told["held"].estimate
    counts["about_held"] = DASH if held is None else said(held.value, ".1f")
    return counts | {name: shown(part.estimate) for name, part in told.items()}
