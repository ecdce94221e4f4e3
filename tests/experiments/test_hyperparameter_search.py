"""Search by trial and error: that it finds, replays, refuses; and early stopping."""

import math

import numpy as np
import pandas as pd
import pytest

from edgechaos_core.experiments.hyperparameter_search import best, rounded, score, search, stop_early
from edgechaos_core.store.runs import Outcome, Run, parse_config

BASE = parse_config({"validation": 10_000, "epochs": 9})
SPACE = {"l2": (1e-6, 1e-2), "learning_rate": (1e-3, 1.0)}


def run_of(config, accuracy=0.5, state="finished", losses=None):
    losses = np.ones(10) if losses is None else np.array(losses, dtype=float)
    history = pd.DataFrame({"epoch": range(len(losses)), "validation_accuracy": accuracy, "validation_loss": losses})
    return Run(config, history, Outcome(state, len(losses) - 1))


class Hill:
    """Accuracy falls with the distance from a best place; trials are counted."""

    def __init__(self, l2=3e-4, learning_rate=0.05) -> None:
        self.place, self.asked = {"l2": l2, "learning_rate": learning_rate}, []

    def __call__(self, configs):
        self.asked += configs
        off = [sum(math.log10(getattr(c, name) / to) ** 2 for name, to in self.place.items()) for c in configs]
        return [run_of(config, 0.9 - 0.1 * far) for config, far in zip(configs, off, strict=True)]


def test_a_search_finds_the_best_place():
    hill = Hill()
    found = best(search(BASE, SPACE, trials=60, get=hill)).config
    assert len(hill.asked) == 60
    for name, place in hill.place.items():
        assert abs(math.log10(getattr(found, name) / place)) < 0.3


def test_a_search_is_replayed_trial_by_trial():
    first, again, other = (search(BASE, SPACE, trials=15, seed=seed, get=Hill()) for seed in (0, 0, 1))
    assert [run.config for run in first] == [run.config for run in again]
    assert [run.config for run in first] != [run.config for run in other]
    shorter = search(BASE, SPACE, trials=12, get=Hill())  # beyond the first ten, which are drawn at random
    assert [run.config for run in shorter] == [run.config for run in first[:12]]


def test_only_what_is_searched_changes():
    runs = search(BASE, {"l2": (1e-6, 1e-2)}, trials=4, get=Hill())
    assert len(runs) == 4
    for run in runs:
        assert run.config == BASE.model_copy(update={"l2": run.config.l2})
        assert run.config.l2 == rounded(run.config.l2)
        assert 1e-6 <= run.config.l2 <= 1e-2


def test_a_search_looks_in_every_decade():
    decades = {math.floor(math.log10(run.config.l2)) for run in search(BASE, SPACE, trials=15, get=Hill())}
    assert decades == {-6, -5, -4, -3}


@pytest.mark.parametrize(("value", "trained"), [(1.23456e-4, 1.23e-4), (0.0999951, 0.1), (5e-6, 5e-6)])
def test_a_suggestion_has_three_digits(value, trained):
    assert rounded(value) == trained


def test_the_score_is_that_of_the_end():
    run = run_of(BASE, np.linspace(0, 0.9, 10))
    assert score(run) == pytest.approx(0.9)
    assert score(run_of(BASE, 0.9, state="diverged")) == 0


@pytest.mark.parametrize(
    ("base", "space", "trials", "message"),
    [
        ({}, SPACE, 3, "^a search chooses on a validation split"),
        ({"validation": 10}, SPACE, 0, "^trials must be at least 1, got 0$"),
        ({"validation": 10}, {}, 3, "^a search is over some of l2, learning_rate, got none$"),
        ({"validation": 10}, {"width": (1, 9)}, 3, "^a search is over some of l2, learning_rate, got width$"),
        ({"validation": 10}, {"l2": (0, 9)}, 3, "^l2 needs bounds 0 < low < high, got 0 and 9$"),
        ({"validation": 10}, {"l2": (9, 1)}, 3, "^l2 needs bounds 0 < low < high, got 9 and 1$"),
        ({"validation": 10}, {"l2": (1, math.nan)}, 3, "^l2 needs bounds 0 < low < high"),
        ({"validation": 10}, {"l2": (1, math.inf)}, 3, "^l2 must be a finite number, got inf$"),
    ],
)
def test_what_a_search_refuses(base, space, trials, message):
    with pytest.raises(ValueError, match=message):
        search(parse_config(base), space, trials=trials, get=Hill())


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([5, 4, 3, 4, 5, 6, 1], (2, 5)),  # what comes after is never seen
        ([5, 4, 3, 2], (3, 3)),
        ([5, 4, 4, 4, 4], (1, 4)),
        ([1, 2, 3], (0, 2)),
    ],
)
def test_early_stopping(losses, expected):
    assert stop_early(run_of(BASE, losses=losses), patience=3) == expected


def test_early_stopping_without_validation():
    run = run_of(BASE)
    with pytest.raises(ValueError, match=r"^early stopping needs a run with a validation split"):
        stop_early(Run(run.config, run.history[["epoch"]], run.outcome))
