"""What chapter weight_decay finds beside its claims, on runs made up."""

import numpy as np
import pandas as pd
import pytest

from edgechaos_core.book.pages import weight_decay
from edgechaos_core.claims.estimates import decay
from edgechaos_core.experiments.named_grids import CONTEST
from edgechaos_core.store.runs import Outcome, Run, cut_run, parse_config
from tests.analysis.test_scaling import falling
from tests.claims.estimates.test_estimates import of_decay
from tests.claims.estimates.test_noisy_growth import run_of


def rising(l2: float, seed: int) -> Run:
    """J^2 of 100 epochs that rises to 1.2 times 9e-5 / l2 by epoch, in proportion to it."""
    epoch = np.arange(101)
    columns = {"J_squared": 1.2 * (9e-5 / l2) * epoch / 100, "test_loss": 0.3 + 100 * abs(l2 - 7e-5) + seed / 1000}
    columns |= {"test_accuracy": 0.89, "train_loss": 1 - epoch / 100, "lambda": l2}
    history = pd.DataFrame({"epoch": epoch} | columns)
    config = parse_config({"epochs": 100, "l2": l2, "seed": seed})
    return Run(config, history, Outcome("finished", 100), {"wall_seconds": 1.0})


L2S = (0.0, 1e-4)
RUNS = [rising(l2, seed) for l2 in (3e-5, 5e-5, 9e-5, 1.5e-4, 3e-4) for seed in range(3)]


def test_the_strength_for_the_edge_rises_with_the_horizon():
    found = weight_decay.strengths_by_horizon(RUNS)
    assert found["epochs"].tolist() == [40, 50, 60, 70, 80, 90, 100]
    assert found["strength"].is_monotonic_increasing
    last = np.arange(91, 101).mean() / 100  # the last tenth
    assert found["strength"].iloc[-1] == pytest.approx(9e-5 * 1.2 * last, rel=1e-6)
    assert found["low"].iloc[-1] == pytest.approx(found["high"].iloc[-1])  # all seeds alike


def test_horizons_of_short_runs_without_a_passage_are_not_known():
    short = [cut_run(run, run.config.model_copy(update={"epochs": 4})) for run in RUNS]
    found = weight_decay.strengths_by_horizon(short)
    assert found["epochs"].tolist() == [2, 3, 4]
    assert found["strength"].isna().all()


def test_the_least_final_loss_has_an_optimum_of_its_own():
    runs = of_decay(top=0.97)
    for run in runs:
        J = run.history["J_squared"].iloc[-1] ** 0.5
        run.history["test_loss"] = 0.3 + run.config.seed / 100 + 0.2 * (J - 0.8) ** 2
    found = decay.place_of_least_final_loss(runs)
    assert (found.value, found.low, found.high) == pytest.approx((0.8, 0.8, 0.8), abs=1e-6)
    assert decay.place_of_best_accuracy(runs).value == pytest.approx(0.97, abs=1e-6)
    assert decay.place_of_best_accuracy(runs, near=3).value == pytest.approx(0.97, abs=1e-6)
    with pytest.raises(ValueError, match="an optimum is fitted to 6 strengths of decay, got 5"):
        decay.place_of_best_accuracy(runs, near=6)


def test_a_habit_is_held_against_the_controller_seed_by_seed():
    def entry(accuracy: float, seed: int, **own) -> Run:
        history = pd.DataFrame({"epoch": range(59), "test_accuracy": accuracy + seed / 100})
        return Run(parse_config(CONTEST | {"epochs": 58, "seed": seed} | own), history, Outcome("finished", 58))

    runs = [entry(0.90, seed, hold=1.0) for seed in range(3)] + [entry(0.91, seed, l2=5e-5) for seed in range(1, 4)]
    runs += [entry(0.5, seed, l2=8e-5) for seed in range(3)]
    found = weight_decay.habit_less_controller(runs, "test_accuracy")
    assert (found.value, found.n) == (pytest.approx(0.01), 2)
    assert weight_decay.habit_less_controller(runs[:3], "test_accuracy") is None
    assert sorted(weight_decay.habits_of(runs)) == [1, 2, 3]


def test_numbers_are_of_the_runs_that_there_are():
    found = weight_decay.numbers(RUNS, [])
    assert found["J2_edge"].startswith("1.15 ")
    assert found["least_strength"] == "5e-5"
    assert abs(float(found["spared"].split(" ")[0])) < 1e-9  # as far from 7e-5
    assert (found["gain"], found["habit_loss"], found["J2_free"]) == ("–", "–", "–")
    few = weight_decay.numbers(RUNS[:3], [])
    assert few["strength"] == few["J_loss"] == few["J_accuracy_five"] == "–"
    table = weight_decay.ends(RUNS)
    assert table["seeds"].tolist() == [3] * 5
    assert (table.filter(like="accuracy, %").map(lambda text: float(text.split()[0])) > 1).all(axis=None)


def test_named_strengths_are_those_of_the_sentences():
    last = 1.2 * np.arange(91, 101).mean() / 100 * 9e-5  # J^2 at the end is that over lambda
    found = weight_decay.numbers(RUNS, [])
    for name, l2 in {"J2_edge": 9e-5, "J2_formula": 5e-5, "J2_order": 1.5e-4}.items():
        assert float(found[name].split()[0]) == pytest.approx(last / l2, abs=0.01)


def test_constants_have_a_row_a_strength_and_dashes():
    usual = weight_decay.constants([falling(1e-4, 0.0, 0)])
    assert [name.rpartition(" ")[2] for name in usual][:3] == ["0.25", "0.15", "0.10"]
    table = weight_decay.constants(
        [falling(1e-4, l2, seed) for l2 in (9e-5, 0.0) for seed in range(2)], losses=(0.25, 0.001)
    )
    assert table.index.tolist() == ["0", "9e-5"]
    assert table["at training loss 0.25"]["0"] == "48"
    assert table["at training loss 0.00"].tolist() == ["–", "–"]
    assert float(table["at the end"]["9e-5"]) > float(table["at the end"]["0"])  # decay is added back


def test_how_flat_the_accuracy_is():
    runs = [rising(l2, 0) for l2 in (3e-5, 9e-5, 3e-4)]
    for run, accuracy in zip(runs, (0.888_06, 0.890, 0.88), strict=True):
        run.history["test_accuracy"] = accuracy
    J = [weight_decay.settled(run) ** 0.5 for run in runs]
    assert weight_decay.flat_accuracy(runs) == {
        "flat_low": f"{J[1]:.2f}", "flat_high": f"{J[0]:.2f}", "flat_points": "0.19"
    }  # fmt: skip


def test_accuracies_that_are_not_known_are_not_flat():
    lost = [Run(run.config, run.history, Outcome("diverged", 100)) for run in RUNS]
    assert set(weight_decay.flat_accuracy(lost).values()) == {"–"}


def test_growth_is_told_of_the_strongest_decay_that_comes_to_the_loss():
    runs = [rising(l2, seed) for l2 in (3e-5, 9e-5, 3e-4) for seed in range(3)]
    for run in runs:
        run.history["train_loss"] += run.config.l2 > 1e-4  # never at 0.25
    assert weight_decay.numbers(runs, [])["strongest"] == "9e-5"
    for run in runs:
        run.history["train_loss"] = 1.0
    told = weight_decay.numbers(runs, [])
    assert (told["strongest"], told["c_at_decayed"]) == ("–", "–")


def test_the_whole_figure_is_told_as_the_inventory_has_it():
    told = weight_decay.protocol_told([])
    assert (told["whole_planned"], told["whole_present"]) == ("80", "0")


def test_the_causes_of_growth_have_a_row_where_a_strength_comes():
    runs = [
        run_of(l2, (6, 1), (5 + strong, 2 + strong), seed=seed) for seed in range(3) for strong, l2 in enumerate(L2S)
    ]
    found = weight_decay.growth_causes(runs)
    places = ["training loss 0.25"] * 2 + ["J² = 0.5"] * 2 + ["the ordered phase", "the end"]
    assert list(found.index) == list(zip(places, ["0", "1e-4", "0", "1e-4", "0", "1e-4"], strict=True))
    at_loss, at_end = found.loc[("training loss 0.25", "1e-4")], found.loc[("the end", "1e-4")]
    assert at_loss["drift"] == "6 (all alike)"
    assert at_loss["noise"] == "6 (all alike)"
    assert at_end["noise"] == "3 (all alike)"
    assert at_end["growth coefficient"] == "4 (all alike)"
    never = [run_of(2e-3, (6, 1), (5, 2), seed=seed) for seed in range(3)]  # J² is never 0.5
    assert [place for place, _ in weight_decay.growth_causes(never).index] == ["training loss 0.25", "the end"]
    assert weight_decay.growth_causes([]).columns.tolist() == found.columns.tolist()


def test_a_place_that_a_seed_does_not_come_to_has_no_causes_of_growth():
    runs = [run_of(1e-4, (6, 1), (6, 3), seed=seed) for seed in range(3)]
    runs[2].history["train_loss"] += 1  # never 0.25
    places = [place for place, _ in weight_decay.growth_causes(runs).index]
    assert places == ["J² = 0.5", "the end"]
