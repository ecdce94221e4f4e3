"""Ways to choose a decay set side by side, on made-up runs."""

import math

import numpy as np
import pandas as pd
import pytest

from edgechaos_core.analysis.scaling import settled
from edgechaos_core.experiments.comparison import (
    AGAIN,
    ON,
    check_slow_epochs,
    hold_contest,
    if_stored,
    stopped_early,
    trained,
)
from edgechaos_core.experiments.hyperparameter_search import best
from edgechaos_core.experiments.named_grids import RIVALS
from edgechaos_core.experiments.protocols import protocol
from edgechaos_core.store.runs import Outcome, Run, parse_config

EPOCHS = 20


def run_of(seed=0, *, columns=None, **settings) -> Run:
    """Columns are constant but for the validation loss, which is least at epoch 7."""
    config = parse_config({"epochs": EPOCHS, "seed": seed} | settings)
    epoch = np.arange(EPOCHS + 1)
    own = {"J_squared": 1.0, "test_accuracy": 0.89, "test_loss": 0.4} | (columns or {})
    own |= {"validation_loss": np.abs(epoch - 7)} if config.validation else {}
    return Run(config, pd.DataFrame({"epoch": epoch} | own), Outcome("finished", EPOCHS))


def test_an_entry_is_the_end_of_training_and_its_price():
    rising = np.linspace(0.5, 0.9, EPOCHS + 1)
    runs = [run_of(seed, l2=8e-5, columns={"test_accuracy": rising}) for seed in (0, 1)]
    found = trained("search", runs, before=100)
    assert found.accuracies == {0: pytest.approx(0.89), 1: pytest.approx(0.89)}  # the last two of 21 epochs
    assert (found.decay, found.epochs) == ("8e-05", 100 + EPOCHS)
    held = trained("controller", [run_of(hold=1.0, columns={"lambda": rising})])
    assert held.decay == "0.89"
    with pytest.raises(ValueError, match=r"^an entry needs runs that differ in seed alone$"):
        trained("both", [run_of(l2=1e-5), run_of(l2=2e-5)])
    with pytest.raises(ValueError, match=r"^an entry needs runs that differ in seed alone$"):
        trained("none", [])


def made_up(config) -> Run:
    """Accuracy rises by a point an epoch at a tenth of the learning rate; validation loss is least at epoch 7."""
    epoch = np.arange(config.epochs + 1)
    slow = np.maximum(epoch - config.milestone, 0) if config.milestone else 0 * epoch
    columns = {"J_squared": 1.0, "lambda": 7e-5, "test_loss": 0.4, "validation_accuracy": 0.8, "epoch": epoch}
    columns |= {"test_accuracy": 0.5 + 0.01 * slow + 0.001 * config.seed, "validation_loss": np.abs(epoch - 7)}
    return Run(config, pd.DataFrame(columns), Outcome("finished", config.epochs), {"wall_seconds": 1.0})


def test_a_contest_asks_for_what_its_protocol_trains_and_slows_all():
    asked: list = []

    def get(configs):
        asked.extend(configs)
        return [made_up(config) for config in configs]

    held = hold_contest(get, trials=2)
    parts, searches = (held.constant, held.slowed), ["search over λ", "search over λ and η"]
    early = "no decay, stopped early"
    assert [*held.constant.entries] == [*searches, *RIVALS, early, AGAIN]
    assert [*held.slowed.entries] == [*searches, *RIVALS, ON, AGAIN]
    assert all(entry.accuracy() == pytest.approx(0.501) for entry in held.constant.entries.values())
    assert held.slowed.entries[ON].accuracy() == pytest.approx(0.501)
    slowed = [entry for name, entry in held.slowed.entries.items() if name not in (ON, AGAIN)]
    assert all(entry.accuracy() == pytest.approx(0.501 + 0.075) for entry in slowed)  # the last 6 of 59 epochs
    assert held.slowed.entries[AGAIN].accuracy() == pytest.approx(0.501 + 0.095)  # the last 2 of 18
    price = {name: tuple(part.entries[name].epochs for part in parts) for name in (*searches, AGAIN)}
    tried, until_stopped = 2 * 48 * 5 / 6, 17 * 5 / 6  # epochs of 50,000 images, as epochs of all 60,000
    assert price == {
        **dict.fromkeys(searches, pytest.approx((tried + 48, tried + 58))),
        AGAIN: pytest.approx((until_stopped + 7, until_stopped + 7 + 10)),
    }
    searched = {run.config for runs in held.searches.values() for run in runs}
    assert len(searched) == 4
    assert all((config.validation, config.milestone, config.epochs) == (10_000, 0, 48) for config in searched)
    assert set(protocol("contest", seeds=range(3))) < set(asked)
    with pytest.raises(ValueError, match=r"^slow_epochs must be at least a tenth of all epochs, got 4 of 52$"):
        hold_contest(get, slow_epochs=4)


@pytest.mark.parametrize("slow", [1, 2, 3, 4])
def test_as_many_slow_epochs_are_needed_as_results_are_averaged_over(slow):
    """Accuracy is 1 in the last so many epochs, and 0 before."""

    def end(epochs: int) -> float:
        config = parse_config({"epochs": epochs + slow})
        epoch = np.arange(config.epochs + 1)
        columns = {"epoch": epoch, "test_accuracy": epoch > epochs}
        return settled(Run(config, pd.DataFrame(columns), Outcome("finished", config.epochs)), "test_accuracy")

    longest = max(epochs for epochs in range(1, 60) if end(epochs) == 1)
    check_slow_epochs(longest, slow)
    with pytest.raises(ValueError, match=rf"^slow_epochs must be .* all epochs, got {slow} of {longest + slow + 1}$"):
        check_slow_epochs(longest + 1, slow)


def test_what_early_stopping_would_never_train_is_trained_for_an_epoch():
    asked: list = []

    def get(configs):
        asked.extend(configs)
        runs = [made_up(config) for config in configs]
        for run in runs:
            run.history["validation_loss"] = run.history["epoch"] + 1.0  # least before training
        return runs

    hold_contest(get, trials=1)
    again = [(config.milestone, config.epochs) for config in asked if config.milestone not in (0, 48)]
    assert again == [(1, 1 + 10)] * 3


def test_the_search_to_match_is_the_better_on_test_images():
    def get(configs):
        runs = [made_up(config) for config in configs]
        for run in runs:
            run.history["test_accuracy"] += run.config.learning_rate
        return runs

    held = hold_contest(get, trials=5)
    rates = {name: best(runs).config.learning_rate for name, runs in held.searches.items()}
    assert held.constant.best_found.name == held.slowed.best_found.name == max(rates, key=lambda name: rates[name])


def test_the_end_of_a_run_that_diverged_is_not_a_number():
    run = run_of(l2=8e-5)
    broken = Run(run.config, run.history, Outcome("diverged", EPOCHS))
    assert math.isnan(trained("broken", [broken]).accuracies[0])


def test_early_stopping_pays_for_its_patience_and_for_training_again():
    falling = np.linspace(0.9, 0.5, EPOCHS + 1)
    runs = [run_of(seed, validation=10_000, columns={"test_accuracy": falling}) for seed in (0, 1)]
    once = stopped_early("once", runs)
    assert once.accuracies == {0: pytest.approx(falling[7]), 1: pytest.approx(falling[7])}
    assert once.epochs == pytest.approx(17 * 5 / 6)  # of 50,000 images, as epochs of all 60,000
    again = stopped_early("twice", runs, [run_of(seed, columns={"test_accuracy": falling / 2}) for seed in (0, 1)])
    assert again.accuracies[1] == pytest.approx(falling[7] / 2)
    assert again.epochs == pytest.approx(17 * 5 / 6 + 7)


def test_there_is_no_contest_where_a_run_is_not_stored():
    def hold(get):
        return hold_contest(get, epochs=30, slow_epochs=7)  # of which no run is stored

    assert if_stored(hold) is None
    assert if_stored(lambda get: "held") == "held"
