"""Page `weight_decay`, what it finds beside its claims: lambda* against the horizon, the optimum of the loss, habits.

Numbers for sentences are given in words, as a page shows them: a dash where the runs do not tell them.
"""

import math
from collections.abc import Callable, Sequence

import pandas as pd

from edgechaos_core.analysis import published
from edgechaos_core.analysis.by_setting import common_seeds, strength_text
from edgechaos_core.analysis.intervals import DASH, FEWEST, Estimate, over_seeds, shown
from edgechaos_core.analysis.scaling import (
    at_end,
    growth_at_loss,
    growth_constant,
    in_order,
    near_value,
    predicted_constant,
    settled,
)
from edgechaos_core.book.pages.methods import inventory
from edgechaos_core.claims.estimates.decay import (
    of_strengths,
    place_of_best_accuracy,
    place_of_least_final_loss,
    strength_for_the_edge,
)
from edgechaos_core.claims.estimates.noisy_growth import EQUAL_LOSS, at_equal_loss
from edgechaos_core.claims.estimates.optima import NEAR_THE_TOP
from edgechaos_core.experiments.named_grids import RIVALS
from edgechaos_core.store.runs import Run, cut_run

EDGE_STRENGTH, FORMULA_STRENGTH = 9e-5, 5e-5  # the paper's run at the edge; the strength that stands for its formula
ORDER_STRENGTH = 1.5e-4  # ends in order, as accurate as those beyond the edge
LEVEL = 0.2  # points of accuracy that are no difference: the margin of claim C12
HABIT = "usual weight_decay 1e-4"
EQUAL_J_SQUARED = 0.5  # at which drift and noise are compared; 3e-4 does not come so far
ORDER, END = "the ordered phase", "the end"  # places of runs without and with decay, which B11 compares
LOSSES = (0.25, 0.15, 0.10)  # of the training images, at which the growth is compared


def strengths_by_horizon(runs: Sequence[Run]) -> pd.DataFrame:
    """Return lambda* (`strength_for_the_edge`) if the same runs had ended earlier, a row a horizon.

    Columns ``epochs``, from two fifths of the runs' to all of them, ``strength``, ``low`` and ``high``; nan where J^2
    does not pass 1 between two strengths, or an interval is unknown.
    """
    longest = min(run.config.epochs for run in runs)
    rows = []
    for epochs in range(longest, round(0.4 * longest) - 1, -max(longest // 10, 1)):
        cut = [cut_run(run, run.config.model_copy(update={"epochs": epochs})) for run in runs]
        found = strength_for_the_edge(cut)
        rows.append({"epochs": epochs, "strength": found.value, "low": found.low, "high": found.high})
    return pd.DataFrame(rows[::-1]).astype(float).astype({"epochs": int})


def ends(runs: Sequence[Run]) -> pd.DataFrame:
    """Return by strength of decay, in words, where runs end: J² with its interval, test loss and accuracy, seeds."""
    rows = {}
    for l2 in sorted({run.config.l2 for run in runs}):
        own = [run for run in runs if run.config.l2 == l2]
        rows[strength_text(l2)] = {
            "J² at the end": shown(over_seeds([settled(run) for run in own])),
            "test loss": shown(over_seeds([settled(run, "test_loss") for run in own])),
            "test accuracy, %": shown(over_seeds([100 * settled(run, "test_accuracy") for run in own])),
            "seeds": len(own),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("λ")


def at_strength(runs: Sequence[Run], l2: float, measure: Callable[[Run], float]) -> Estimate | None:
    """Return a measure of the runs with that lambda, over seeds; None where there are none."""
    values = [measure(run) for run in runs if run.config.l2 == l2]
    return over_seeds(values) if values else None


def less(runs: Sequence[Run], one: float, other: float, column: str) -> Estimate | None:
    """Return a column at the end with lambda ``one`` less that with ``other``, seed by seed; None without a pair."""
    ends = {(run.config.l2, run.config.seed): settled(run, column) for run in runs}
    differences = [
        value - ends[other, seed] for (l2, seed), value in sorted(ends.items()) if l2 == one and (other, seed) in ends
    ]
    return over_seeds(differences) if differences else None


def constants(runs: Sequence[Run], losses: Sequence[float] = LOSSES) -> pd.DataFrame:
    """Return the growth coefficient by strength of decay (index λ), in words: at equal training losses, and at the end.

    Means over seeds with their interval; a dash where not every seed comes to that loss.
    """
    rows: dict[str, dict[str, str]] = {}
    for l2 in sorted({run.config.l2 for run in runs}):
        own = [run for run in runs if run.config.l2 == l2]
        at = {f"at training loss {loss:.2f}": [growth_at_loss(run, loss) for run in own] for loss in losses}
        at |= {
            "at the end": [growth_constant(run) for run in own],
            "training loss at the end": [settled(run, "train_loss") for run in own],
        }
        rows[strength_text(l2)] = {name: shown(over_seeds(values)) for name, values in at.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("λ")


def growth_causes(measured: Sequence[Run]) -> pd.DataFrame:
    """Return, in words, what makes J² grow with and without decay: growth coefficient, drift and noise at equal places.

    One row a place and strength that has at least three epochs there with every seed; means over seeds with their
    interval. Of runs whose gradients were measured.
    """
    places: dict[str, Callable[[Run], pd.Series[bool]]] = {
        f"training loss {EQUAL_LOSS}": at_equal_loss,
        f"J² = {EQUAL_J_SQUARED}": lambda run: near_value(run, "J_squared", EQUAL_J_SQUARED),
        ORDER: in_order,
        END: at_end,
    }
    columns = {"growth coefficient": "measured", "drift": "drift", "noise": "noise"}
    rows = {}
    for place, marked in places.items():
        for l2 in sorted({run.config.l2 for run in measured}):
            found = [predicted_constant(run, marked(run)) for run in measured if run.config.l2 == l2]
            if place != (ORDER if l2 else END) and all(terms["epochs"] >= FEWEST for terms in found):
                rows[place, strength_text(l2)] = {
                    name: shown(over_seeds([terms[column] for terms in found])) for name, column in columns.items()
                }
    index = pd.MultiIndex.from_tuples(rows, names=["at", "λ"]) if rows else None
    return pd.DataFrame(list(rows.values()), index=index, columns=list(columns))


def habit_less_controller(contest: Sequence[Run], column: str) -> Estimate | None:
    """Return a column at the end with the common weight_decay = 1e-4 less that with the controller, seed by seed.

    Of the contest of chapter `search`, slowed at the end, in which the habit is lambda = 5e-5. None without a pair.
    """
    slowed, habits = _slowed(contest), habits_of(contest)
    held = {run.config.seed: run for run in slowed if run.config.hold == RIVALS["controller"]["hold"]}
    seeds = common_seeds([habits, held])
    apart = [settled(habits[seed], column) - settled(held[seed], column) for seed in seeds]
    return over_seeds(apart) if apart else None


def habits_of(contest: Sequence[Run]) -> dict[int, Run]:
    """Return the runs of the contest with the common weight_decay = 1e-4, slowed at the end, by seed."""
    own = [run for run in _slowed(contest) if run.config.l2 == RIVALS[HABIT]["l2"] and not run.config.hold]
    return {run.config.seed: run for run in own}


def _slowed(contest: Sequence[Run]) -> list[Run]:
    return [run for run in contest if run.config.milestone > 0 and not run.config.validation]


def optima(runs: Sequence[Run]) -> dict[str, Estimate | None]:
    """Return J at the best accuracy and at the least test loss, both at the end; None for fewer than four strengths."""
    enough = len({run.config.l2 for run in runs}) >= NEAR_THE_TOP
    return {
        "test_accuracy": place_of_best_accuracy(runs) if enough else None,
        "test_loss": place_of_least_final_loss(runs) if enough else None,
    }


def flat_accuracy(runs: Sequence[Run]) -> dict[str, str]:
    """Return in words how flat the accuracy is: over the strengths within 0.2 points of the best, least J and largest.

    ``flat_low`` and ``flat_high``; ``flat_points``, the points between the best of them and the worst.
    """
    places = {l2: [run for run in runs if run.config.l2 == l2] for l2 in {run.config.l2 for run in runs}}
    means = {l2: 100 * over_seeds([settled(run, "test_accuracy") for run in own]).value for l2, own in places.items()}
    level = [l2 for l2, mean in means.items() if mean >= max(means.values()) - LEVEL]
    J = [over_seeds([settled(run) ** 0.5 for run in places[l2]]).value for l2 in level]
    if not level:
        return dict.fromkeys(("flat_low", "flat_high", "flat_points"), DASH)
    spread = max(means.values()) - min(means[l2] for l2 in level)
    return {"flat_low": f"{min(J):.2f}", "flat_high": f"{max(J):.2f}", "flat_points": f"{spread:.2f}"}


def protocol_told(evidence: Sequence[Run]) -> dict[str, str]:
    """Return what the inventory says of the paper's whole Fig. 6: runs ``whole_planned``, ``whole_present``, hours."""
    row = inventory(evidence).to_dict("index")["fig6"]
    names = {"whole_planned": "runs planned", "whole_present": "runs present", "whole_hours": "hours of the rest"}
    return {name: f"{row[column]:.0f}" for name, column in names.items()}


def least_loss_strength(runs: Sequence[Run]) -> float:
    """Return the lambda whose mean test loss at the end is least, over the seeds that all strengths have."""
    strengths = of_strengths(runs)
    seeds = common_seeds(list(strengths.values()))
    return min(strengths, key=lambda l2: sum(settled(strengths[l2][seed], "test_loss") for seed in seeds))


def _at_equal_loss(runs: Sequence[Run], strongest: float) -> dict[str, str]:
    """The growth coefficient at a training loss of 0.25, without decay and with the strongest, and their ratio.

    And without decay at 0.10, where runs with the paper's strength end.
    """
    free, decayed = (at_strength(runs, l2, lambda run: growth_at_loss(run, 0.25)) for l2 in (0.0, strongest))
    return {
        "c_at_free": shown(free),
        "c_at_decayed": shown(decayed),
        "c_at_ratio": DASH if free is None or decayed is None else f"{decayed.value / free.value:.2f}",
        "c_at_low": shown(at_strength(runs, 0.0, lambda run: growth_at_loss(run, 0.10))),
    }


def _hull(estimates: Sequence[Estimate | None]) -> dict[str, str]:
    """The least and the largest end of several intervals, ``loss_low`` and ``loss_high``; dashes without intervals."""
    lows = [each.low for each in estimates if each is not None and each.low is not None]
    highs = [each.high for each in estimates if each is not None and each.high is not None]
    return {
        "loss_low": f"{min(lows):.2f}" if lows else DASH,
        "loss_high": f"{max(highs):.2f}" if highs else DASH,
    }


def numbers(runs: Sequence[Run], contest: Sequence[Run]) -> dict[str, str]:
    """Return the numbers of the chapter's sentences, in words, from runs of Fig. 6 and those of the contest."""
    c, best, count = published.constant(), optima(runs), len({run.config.l2 for run in runs})
    least = least_loss_strength(runs) if count > 1 else runs[0].config.l2
    strongest = max((run.config.l2 for run in runs if math.isfinite(growth_at_loss(run, 0.25))), default=math.nan)
    losses = [best["test_loss"]]
    losses += [place_of_least_final_loss(runs, number) for number in (3, 5) if best["test_loss"] and count >= number]
    held, habits = at_strength(runs, EDGE_STRENGTH, growth_constant), habits_of(contest)
    return {
        "c_free": f"{c:.1f}",
        "formula": f"{c / (4 * published.SAMPLES) / 1e-5:.1f}",
        "J2_edge": shown(at_strength(runs, EDGE_STRENGTH, settled)),
        "J2_free": shown(at_strength(runs, 0.0, settled)),
        "J2_order": shown(at_strength(runs, ORDER_STRENGTH, settled)),
        "J2_formula": shown(at_strength(runs, FORMULA_STRENGTH, settled)),
        "strength": shown(strength_for_the_edge(runs) if count > 1 else None, 1e-5),
        "c_held": shown(held),
        "c_ratio": DASH if held is None else f"{held.value / c:.2f}",
        "J_accuracy": shown(best["test_accuracy"]),
        "J_accuracy_three": shown(place_of_best_accuracy(runs, 3) if best["test_accuracy"] else None),
        "J_accuracy_five": shown(place_of_best_accuracy(runs, 5) if count > NEAR_THE_TOP else None),
        "J_loss": shown(losses[0]),
        "J_loss_three": shown(losses[1] if len(losses) > 1 else None),
        "J_loss_five": shown(losses[2] if len(losses) > 2 else None),
        **_hull(losses),
        "gain": shown(less(runs, EDGE_STRENGTH, 0.0, "test_accuracy"), 0.01),
        "loss_edge": shown(at_strength(runs, EDGE_STRENGTH, lambda run: settled(run, "test_loss"))),
        "loss_free": shown(at_strength(runs, 0.0, lambda run: settled(run, "test_loss"))),
        "least_strength": strength_text(least),
        "least_J2": shown(at_strength(runs, least, settled)),
        "spared": shown(less(runs, EDGE_STRENGTH, least, "test_loss")),
        **_at_equal_loss(runs, strongest),
        "strongest": DASH if math.isnan(strongest) else strength_text(strongest),
        "habit_J2": shown(over_seeds([settled(run) for run in habits.values()]) if habits else None),
        "habit_accuracy": shown(habit_less_controller(contest, "test_accuracy"), 0.01),
        "habit_loss": shown(habit_less_controller(contest, "test_loss")),
    }
