"""What was run and what was not, of made-up runs."""

import math

import numpy as np
import pandas as pd
import pytest

from edgechaos_core.book.pages.methods import (
    OWN_SEEDS,
    PLANNED_SEEDS,
    elsewhere,
    idle_seconds,
    inventory,
    other_files,
    provenance_table,
    without_minimum,
)
from edgechaos_core.experiments.protocols import PROTOCOLS, protocol
from edgechaos_core.store.runs import Outcome, Run, parse_config


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


def test_a_protocol_that_is_whole_has_nothing_to_train():
    row = inventory([made("fig2", seed) for seed in range(10)]).loc["fig2"]
    assert (row["runs present"], row["hours of the rest"], row["command"]) == (10, 0, "–")


def test_runs_outside_the_table_are_counted():
    runs = [made("fig2", 0), made("fig2", 1, epochs=7), made("calibration", protocol("calibration")[0].seed)]
    assert elsewhere(runs) == {"distinct": 2, "others": 1}
    assert (
        inventory(runs)["runs present"].sum() > 1
    )  # the same run is in the table once for each protocol that plans it


def test_a_run_that_diverged_is_present():
    lost = Run(made("fig2", 0).config, made("fig2", 0).history[:4], Outcome("diverged", 3, "NaN"), {})
    short = Run(made("fig2", 1).config, made("fig2", 1).history[:4], Outcome("interrupted", 3), {})
    assert inventory([lost, short, made("fig2", 2)]).loc["fig2", "runs present"] == 2


def test_every_protocol_without_its_own_seeds_is_planned():
    assert set(PLANNED_SEEDS) | set(OWN_SEEDS) == set(PROTOCOLS)
    assert not set(PLANNED_SEEDS) & set(OWN_SEEDS)


@pytest.mark.parametrize("name", OWN_SEEDS)
def test_protocols_that_name_their_seeds_are_in_the_inventory(name):
    first = protocol(name)[0]
    row = inventory([made(name, first.seed), made(name, first.seed + 5)]).loc[name]
    assert (row["runs planned"], row["runs present"]) == (len(protocol(name)), 1)
    assert row["command"] == f"edgechaos sweep {name}"


def test_the_fastest_epoch_of_the_papers_network_counts():
    def of(seconds: float, **settings: object) -> Run:
        config = parse_config({"epochs": 20, **settings})
        history = pd.DataFrame({"epoch": range(21)})
        return Run(config, history, Outcome("finished", 20), {"wall_seconds": 20 * seconds})

    runs = [of(3.0), of(2.0, learning_rate=0.02), of(0.5, width=100), of(1.0, batch_size=64), of(0.7, samples=5_000)]
    assert idle_seconds(runs) == 2
    assert idle_seconds(runs, 64) == 1
    assert math.isnan(idle_seconds(runs, 8))


def test_runs_without_a_minimum_are_named():
    def of(seed: int, bend: float) -> Run:
        config = protocol("speed")[0].model_copy(update={"seed": seed})
        J = np.linspace(0.5, 1.5, config.epochs + 1)
        columns = {"epoch": range(len(J)), "J_squared": J**2, "validation_loss": 0.3 + bend * (J - 1) ** 2}
        return Run(config, pd.DataFrame(columns), Outcome("finished", config.epochs))

    found = without_minimum([of(0, 0.1), of(1, -0.01)])
    assert (found["without"], found["of"]) == ("1", "2")
    assert found["which"].endswith("seed 1")
    assert without_minimum([of(0, 0.1)])["which"] == "–"


def test_files_beside_the_runs_are_counted():
    table = other_files()
    assert table.loc["five-networks.parquet", "trainings"] == 75  # five networks, five ways, three seeds
    assert table["trainings"].gt(0).all()


def test_an_unknown_commit_is_told():
    runs = [made("fig2", 0, code_version="0.1.0 (no git checkout)"), made("fig2", 1, code_version="0.1.0 (b75626)")]
    assert provenance_table(runs)["commit"].tolist() == ["known", "unknown"]
