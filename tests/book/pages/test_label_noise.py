"""Which runs with shuffled labels are shown, and what is told of them."""

import numpy as np
import pandas as pd
import pytest

from edgechaos_core.book.pages.label_noise import find_runs, numbers, table
from edgechaos_core.experiments.protocols import protocol
from edgechaos_core.store.runs import Outcome, Run

ASKED = {"samples": 60_000, "seeds": range(3)}


def made_up(config) -> Run:
    """Test accuracy peaks at epoch 5 and ends at 80% plus a point a seed; decay gains a point."""
    epoch = np.arange(config.epochs + 1)
    accuracy = np.where(epoch == 5, 0.9, 0.8 + 0.01 * config.seed + 0.01 * (config.l2 > 0))
    columns = {"epoch": epoch, "J_squared": 2.0, "test_accuracy": accuracy, "lambda": 7e-5}
    if config.label_noise:
        columns |= {"shuffled_accuracy": 0.1, "restored_accuracy": 0.7, "kept_accuracy": 0.9}
    return Run(config, pd.DataFrame(columns), Outcome("finished", config.epochs))


def get(configs) -> list[Run]:
    return [made_up(config) for config in configs]


def test_the_runs_are_those_of_the_protocols():
    runs = find_runs(get, [0.0, 0.2, 0.4], epochs=48, milestone=48, **ASKED)
    assert {run.config for own in runs.values() for run in own} == set(protocol("noisy", seeds=range(3)))
    longer = find_runs(get, [0.4], epochs=240, **ASKED)
    assert {run.config for own in longer.values() for run in own} == set(protocol("noisy-long", seeds=range(3)))
    assert [*longer] == [(0.4, "no decay"), (0.4, "formula"), (0.4, "controller")]


def test_the_table_is_in_percent_with_dashes_for_what_is_not_measured():
    found = table(find_runs(get, [0.0, 0.4], epochs=48, **ASKED))
    row = found.loc[("40%", "controller")]
    assert row[["λ", "J²", "wrong labels fitted, %", "seeds"]].tolist() == ["7e-5", "2.00", "10.0", "3"]
    assert row["test accuracy, %"].startswith("81.0 [")
    assert found.loc[("0%", "formula"), "wrong labels fitted, %"] == "–"


def test_a_share_that_a_seed_has_not_measured_is_a_dash():
    unlike = {key: list(own) for key, own in find_runs(get, [0.4], epochs=48, **ASKED).items()}
    first = unlike[0.4, "controller"][0]
    unlike[0.4, "controller"][0] = Run(first.config, first.history.drop(columns="kept_accuracy"), first.outcome)
    assert numbers(unlike)["controller_kept"] == "–"  # one of the seeds has no such column


def test_numbers_are_of_the_largest_share():
    runs = find_runs(get, [0.0, 0.4], epochs=48, **ASKED)
    assert numbers({**runs, (0.4, "formula"): runs[0.4, "formula"][:1]})["n_told"] == "1 to 3 seeds"
    told = numbers(runs)
    assert told["n_told"] == "3 seeds"
    assert told["formula_less"].startswith("1 (all alike)")
    assert told["controller_less"].partition(" ")[0] == "0"
    assert (told["neither"], told["mistaken"]) == ("20", "2.5")  # 1 - 0.1 - 0.7, over eight classes
    assert told["no_decay_fitted"].startswith("10 (all alike)")
    for run in runs[0.4, "controller"]:
        run.history["restored_accuracy"] = 0.06
    told = numbers(runs)
    assert (told["neither"], told["mistaken"]) == ("84", "10.5")


@pytest.mark.parametrize("there", [[], ["controller"]])
def test_what_was_not_run_has_dashes(there):
    def some(configs):
        return [made_up(config) for config in configs if bool(config.hold) and there]

    runs = find_runs(some, [0.4], epochs=48, **ASKED)
    told = numbers(runs)
    assert {told[f"no_decay_{name}"] for name in ("end", "fitted", "kept", "J", "less")} == {"–"}
    assert told["controller_less"] == "–"
    assert told["n_told"] == "no seed"
    assert table(runs).loc[("40%", "no decay")].tolist() == ["–"] * 6 + ["0"]
