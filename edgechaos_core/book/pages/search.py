"""Page `search`: the table of the contest's ways, and its numbers."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from edgechaos_core.analysis.by_setting import strength_text
from edgechaos_core.analysis.intervals import DASH, Estimate, over_seeds, said, shown
from edgechaos_core.analysis.scaling import settled
from edgechaos_core.experiments.comparison import AGAIN, ON, Contest, Entry, Standing
from edgechaos_core.experiments.hyperparameter_search import best, score
from edgechaos_core.experiments.named_grids import GUIDED_L2
from edgechaos_core.guideline.decay_formula import Formula
from edgechaos_core.store.runs import Run

COLUMNS = ("λ", "test accuracy, %", "points behind the search", "test loss", "J²", "cost, epochs")
FEWER, WIDTH = 20_000, 784  # the network of fewer images, of the width of the contest, that the formula is fitted to
IMAGES = 60_000  # of the contest, those for validation among them
# The ways that the chapter names, by the short name that its numbers have.
TOLD = {
    "formula": "formula",
    "controller": "controller",
    "free": "no decay",
    "habit": "usual weight_decay 1e-4",
    "strong": "usual weight_decay 5e-4",
    "both": "search over λ and η",
    "again": AGAIN,
    "on": ON,
}


def parts(contest: Contest | None) -> tuple[Standing | None, Standing | None]:
    """Return how ways stand at a constant learning rate, and slowed at the end; None for both without a contest."""
    return (None, None) if contest is None else (contest.constant, contest.slowed)


def table(standing: Standing | None) -> pd.DataFrame:
    """Set the ways side by side: means over seeds with their intervals; None: no rows.

    Points behind are those of accuracy on test images, seed by seed.
    """
    rows = {} if standing is None else {name: _row(entry, standing) for name, entry in standing.entries.items()}
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(COLUMNS)).rename_axis("method")


def _row(entry: Entry, standing: Standing) -> tuple[object, ...]:
    off = DASH if entry is standing.best_found else points(behind(entry, standing.best_found))
    measured = (_accuracy(entry), off, _over_seeds(entry.losses), _over_seeds(entry.J_squared))
    return (_decay(entry), *measured, round(entry.epochs))


def _accuracy(entry: Entry) -> str:
    return _over_seeds({seed: 100 * value for seed, value in entry.accuracies.items()})


def _over_seeds(values: dict[int, float]) -> str:
    return shown(over_seeds(list(values.values())))


def _decay(entry: Entry) -> str:
    value = float(entry.decay)
    return strength_text(value) if math.isfinite(value) else DASH


def _mean(values: dict[int, float], digits: int) -> str:
    return said(float(np.mean(list(values.values()))), f".{digits}f")


def behind(entry: Entry, reference: Entry) -> Estimate:
    """Return by how many points of test accuracy an entry is behind another, over the seeds that both have.

    Raises ValueError where they have none in common.
    """
    seeds = _common(entry, reference)
    return over_seeds([100 * (reference.accuracies[seed] - entry.accuracies[seed]) for seed in seeds])


def points(estimate: Estimate) -> str:
    """Write points of accuracy, to a hundredth at most: a test image is one.

    >>> points(Estimate(0.0061, 0.0002, 0.0121, 3)), points(Estimate(0.31, 0.02, 0.58, 3))
    ('0.01 [0.00, 0.01]', '0.31 [0.02, 0.58]')
    """
    if estimate.low is None or estimate.high is None or not 0 < estimate.high - estimate.low < 0.06:  # `shown` has two
        return shown(estimate)
    value, low, high = (f"{round(end, 2) + 0.0:.2f}" for end in (estimate.value, estimate.low, estimate.high))
    return f"{value} [{low}, {high}]"


def spared(entry: Entry, reference: Entry) -> Estimate:
    """Return how much less test loss an entry ends with than another, over the seeds that both have.

    Raises ValueError where they have none in common.
    """
    return over_seeds([reference.losses[seed] - entry.losses[seed] for seed in _common(entry, reference)])


def _common(entry: Entry, reference: Entry) -> list[int]:
    both = sorted(entry.accuracies.keys() & reference.accuracies.keys())
    if not both:
        raise ValueError(f"{entry.name} and {reference.name} have no seed in common")
    return both


def numbers(contest: Contest | None) -> dict[str, str]:
    """Return the numbers of chapter `search` by name, as text; a dash for each where there is no contest.

    Names are ``constant_formula_loss`` and the like: a part of the contest, a way of `TOLD` and what is measured.
    """
    found: dict[str, str] = {}
    for part, standing in zip(("constant", "slowed"), parts(contest), strict=True):
        for short, way in TOLD.items():
            own = _measures(standing, way)
            found |= {f"{part}_{short}_{name}": text for name, text in own.items()}
    return found | _habit(contest) | _choices(contest)


def _measures(standing: Standing | None, way: str) -> dict[str, str]:
    """What is told of one way; a dash each where the standing is missing or has no such way."""
    entry = None if standing is None else standing.entries.get(way)
    if standing is None or entry is None:
        return dict.fromkeys(("accuracy", "behind", "loss", "spared", "J", "decay", "price"), DASH)
    return {
        "accuracy": _accuracy(entry).partition(" ")[0],
        "behind": points(behind(entry, standing.best_found)),
        "loss": _over_seeds(entry.losses).partition(" ")[0],
        "spared": shown(spared(entry, standing.entries["no decay"])),
        "J": _mean(entry.J_squared, 2),
        "decay": _decay(entry),
        "price": f"{standing.best_found.epochs / entry.epochs:.0f}",
    }


def _habit(contest: Contest | None) -> dict[str, str]:
    """How the weaker habit stands against controller and formula, slowed: points behind, and how much more loss."""
    if contest is None:
        return dict.fromkeys(("habit_points", "habit_more_loss", "habit_behind_formula", "habit_over_formula"), DASH)
    habit, controller, formula = (contest.slowed.entries[TOLD[name]] for name in ("habit", "controller", "formula"))
    return {
        "habit_points": points(behind(habit, controller)),
        "habit_more_loss": shown(spared(controller, habit)),
        "habit_behind_formula": points(behind(habit, formula)),
        "habit_over_formula": shown(spared(formula, habit)),
    }


def _choices(contest: Contest | None) -> dict[str, str]:
    """What the searches chose, and how well they could tell: all by accuracy on validation images."""
    names = ("first_l2", "first_J", "second_l2", "second_J", "second_eta", "error", "near", "spread")
    if contest is None:
        return dict.fromkeys(names, DASH)
    over_l2, over_both = contest.searches.values()
    first, second = best(over_l2), best(over_both)
    error = (score(second) * (1 - score(second)) / second.config.validation) ** 0.5  # binomial, of one accuracy
    near = [settled(run) for run in over_both if score(run) >= score(second) - error]
    texts = (
        strength_text(first.config.l2),
        f"{settled(first):.2f}",
        strength_text(second.config.l2),
        f"{settled(second):.2f}",
    )
    more = (f"{second.config.learning_rate:.2g}", f"{100 * error:.2f}", f"{min(near):.2f} to {max(near):.2f}")
    return dict(zip(names, (*texts, *more, _spread(over_l2)), strict=True))


def _spread(over_l2: Sequence[Run]) -> str:
    """Points of accuracy between the best and the worst trial with at most twice the formula's decay."""
    weak = [100 * score(run) for run in over_l2 if run.config.l2 <= 2 * GUIDED_L2]
    return f"{np.ptp(weak):.2f}" if weak else DASH


def cost_of_formula(formula: Formula, fitted_to: Sequence[Run]) -> dict[str, str]:
    """Return how many runs the formula was fitted to, what they cost, and its interval of lambda for these networks.

    The cost is in epochs of all `IMAGES`, as that of the contest's ways; the interval is at 95%.
    """
    _, low, high = formula.l2(IMAGES, WIDTH, 1.0)
    return {
        "fitting_runs": str(len(fitted_to)),
        "fitting_epochs": f"{sum(run.config.epochs * run.config.samples for run in fitted_to) / IMAGES:,.0f}",
        "l2_interval": f"{strength_text(low)} to {strength_text(high)}",
    }


def same_decay_on_fewer(formula: Formula, fitted_to: Sequence[Run]) -> dict[str, str]:
    """Return where a run of the fit on `FEWER` images ended, and where the formula has its lambda end with all."""
    run = next((run for run in fitted_to if run.config.samples == FEWER and run.config.width == WIDTH), None)
    if run is None:
        return dict.fromkeys(("same_l2", "same_samples", "same_few", "same_all"), DASH)
    ends = np.linspace(*formula.within["J_squared"], 1_000)
    decays = [formula.l2(IMAGES, WIDTH, end)[0] for end in ends]
    place = ends[np.argmin(np.abs(np.log(np.array(decays) / run.config.l2)))]
    return {
        "same_l2": strength_text(run.config.l2),
        "same_samples": f"{FEWER:,}",
        "same_few": f"{settled(run):.2f}",
        "same_all": f"{place:.1f}",
    }
