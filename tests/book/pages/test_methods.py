"""What was run and what was not, of made-up runs."""

import numpy as np
import pandas as pd
import pytest

from edgechaos_core.analysis.scaling import epochs_to_pass
from edgechaos_core.book.pages.methods import PLANNED_SEEDS, elsewhere, inventory, provenance_table
from edgechaos_core.experiments.protocols import PROTOCOLS, protocol
from edgechaos_core.store.runs import Outcome, Run


def made(name: str, seed: int, epochs: int | None = None, **provenance: object) -> Run:
    config = protocol(name)[0]
    config = config.model_copy(update={"seed": seed, "epochs": epochs or config.epochs})
    history = pd.DataFrame({"epoch": np.arange(config.epochs + 1)})
    made_by = {"wall_seconds": 2.0 * config.epochs, "stack_members": 2, "device": "cpu", **provenance}
    return Run(config, history, Outcome("finished", config.epochs), made_by)


def test_what_is_missing_is_counted_and_priced():
    runs = [made("fig2", 0), made("fig2", 1), made("fig2", 2, epochs=100), made("fig2", 99)]
    row = inventory(runs).loc["fig2"]
    assert (row["runs planned"], row["runs present"]) == (10, 2)
    assert row["hours of the rest"] == pytest.approx(8 * 501 * 1.0 / 3600, abs=0.05)  # a second an epoch and member
    assert row["command"] == "edgechaos sweep fig2 --seeds 0:10"


def test_what_a_verdict_on_slopes_asks_for_is_priced():
    slow, seeds = [config for config in protocol("fig3") if epochs_to_pass(config) > config.epochs], 3
    quick = [config for config in protocol("fig3") if config not in slow]
    second = [made("fig2", 0)]  # an epoch of which takes one second
    epochs = seeds * (sum(map(epochs_to_pass, slow)) + sum(config.epochs for config in quick))
    assert inventory(second).loc["fig3", "hours of the rest"] == pytest.approx(epochs / 3600, abs=0.05)
    passed = Run(
        slow[0].model_copy(update={"epochs": 5}),
        pd.DataFrame({"epoch": range(6), "J_squared": np.linspace(0.25, 1.1, 6)}),
        Outcome("finished", 5),
    )
    less = (epochs - epochs_to_pass(slow[0])) / 3600
    assert inventory([*second, passed]).loc["fig3", "hours of the rest"] == pytest.approx(less, abs=0.06)


def test_runs_outside_the_table_are_counted():
    runs = [made("fig2", 0), made("fig2", 1, epochs=7), made("calibration", protocol("calibration")[0].seed)]
    assert elsewhere(runs) == {"distinct": 1, "calibration": 1, "piloted": 0, "others": 1}
    assert (
        inventory(runs)["runs present"].sum() > 1
    )  # the same run is in the table once for each protocol that plans it


def test_a_run_that_diverged_is_present():
    lost = Run(made("fig2", 0).config, made("fig2", 0).history[:4], Outcome("diverged", 3, "NaN"), {})
    short = Run(made("fig2", 1).config, made("fig2", 1).history[:4], Outcome("interrupted", 3), {})
    assert inventory([lost, short, made("fig2", 2)]).loc["fig2", "runs present"] == 2


def test_every_protocol_without_its_own_seeds_is_planned():
    own_seeds = {"calibration", "piloted"}  # these name their seeds themselves
    assert set(PLANNED_SEEDS) == set(PROTOCOLS) - own_seeds


def test_an_unknown_commit_is_told():
    runs = [made("fig2", 0, code_version="0.1.0 (no git checkout)"), made("fig2", 1, code_version="0.1.0 (b75626)")]
    assert provenance_table(runs)["commit"].tolist() == ["known", "unknown"]
