"""The numbers of the page `your_network`."""

import pandas as pd
import pytest
import torch

from edgechaos_core.book.pages import your_network as page
from edgechaos_core.experiments.five_networks import HELD, decay_name
from edgechaos_core.system.places import REPOSITORY


def made_up(**accuracies: tuple[float, float, float]) -> pd.DataFrame:
    """Of each network the test accuracies of three seeds held; loss and accuracy of a decay are the same in all seeds.

    AdamW's default has an accuracy of 0.78, a decay of 0.1 one of 0.8 and the least validation loss, and a decay of 1
    the best accuracy. The test loss is 1 less the accuracy.
    """
    rows = []
    for network, values in accuracies.items():
        for seed, value in enumerate(values):
            of_run = {"network": network, "seed": seed, "epoch": 1}
            ways = [(decay_name(0.1), 0.5, 0.8), (decay_name(0.01), 0.55, 0.78), (decay_name(1.0), 0.6, 0.99)]
            for way, loss, accuracy in [*ways, (HELD, 0.7, value)]:
                row = {"way": way, "validation_loss": loss, "validation_accuracy": 0.5, "test_accuracy": accuracy}
                rows.append(of_run | row | {"test_loss": 1 - accuracy, "over_edge": loss})
    return pd.DataFrame(rows)


FOUND = made_up(CNN=(0.81, 0.82, 0.83), LSTM=(0.79, 0.8, 0.81), transformer=(0.7, 0.71, 0.72))
HALF = 2.484  # of the interval of three seeds 0.01 apart, in points: Student's t of 4.3027, over the root of 3


def test_the_decay_is_chosen_on_validation_images():
    assert set(page.best_of_grid(FOUND)["way"]) == {decay_name(0.1)}  # not 1.0, which does better on test images


def test_the_default_is_that_of_adamw():
    assert torch.optim.AdamW([torch.zeros(1)]).defaults["weight_decay"] == page.DEFAULT
    assert set(page.of_default(FOUND)["way"]) == {"weight_decay 0.01"}


@pytest.mark.parametrize(("rival", "points"), [("grid", 2.0), ("default", 4.0)])
def test_differences_are_paired_by_seed(rival, points):
    change = page.differences(FOUND, rival)["CNN"]
    assert change.accuracy.sample == pytest.approx((points - 1, points, points + 1))
    assert change.loss.sample == pytest.approx([-each / 100 for each in change.accuracy.sample])
    assert (change.accuracy.value, change.accuracy.n) == (pytest.approx(points), 3)
    assert (change.accuracy.low, change.accuracy.high) == pytest.approx((points - HALF, points + HALF), abs=1e-3)


def test_a_seed_is_compared_with_itself():
    mixed = FOUND.sample(frac=1, random_state=0)
    assert page.differences(mixed, "default")["LSTM"].accuracy.value == pytest.approx(2.0)
    worse = FOUND.assign(test_accuracy=FOUND["test_accuracy"] - 0.1 * FOUND["seed"])  # in all ways alike
    assert page.differences(worse, "default")["LSTM"].accuracy.sample == pytest.approx((1.0, 2.0, 3.0))


def test_networks_are_named_where_the_interval_leaves_out_zero():
    surely = made_up(CNN=(0.81, 0.811, 0.812), LSTM=(0.79, 0.8, 0.81), transformer=(0.7, 0.701, 0.702))
    told = page.numbers(surely)
    assert told["grid_raised_accuracy"] == told["grid_lowered_loss"] == "1 (CNN)"
    assert told["grid_lowered_accuracy"] == told["grid_raised_loss"] == "1 (transformer)"
    assert told["default_raised_accuracy"] == told["default_lowered_loss"] == "1 (CNN)"  # not the LSTM: 2 [-0.5, 4.5]
    assert told["default_lowered_accuracy"] == "1 (transformer)"
    assert told["grid_most"].startswith("1.10 [")
    assert told["default_most"].startswith("3.10 [")
    assert (told["grid_alike_accuracy"], told["networks"], told["seeds"]) == ("1", "3", "3")
    two = made_up(CNN=(0.81, 0.811, 0.812), LSTM=(0.81, 0.811, 0.812))
    assert page.numbers(two)["grid_raised_accuracy"] == "2 (CNN, LSTM)"
    assert page.numbers(made_up(LSTM=(0.79, 0.8, 0.81)))["grid_raised_accuracy"] == "none"


def test_the_tables_have_a_row_a_network_and_a_column_a_rival():
    accuracy, loss, ends = page.accuracy_table(FOUND), page.loss_table(FOUND), page.ends_table(FOUND)
    assert list(accuracy.index) == list(loss.index) == list(ends.index) == ["CNN", "LSTM", "transformer"]
    assert list(accuracy.columns) == ["controller, %", "minus best of four decays", "minus decay of 0.01"]
    assert accuracy.loc["CNN"].tolist() == ["82.0", "2.0 [-0.5, 4.5]", "4.0 [1.5, 6.5]"]
    assert loss.loc["CNN"].tolist() == ["0.180", "-0.020 [-0.045, 0.005]", "-0.040 [-0.065, -0.015]"]
    assert ends.loc["CNN"].to_dict() == {"best of four decays": "0.50", "decay of 0.01": "0.55", "controller": "0.70"}


def test_decays_are_compared_with_the_default_seed_by_seed():
    found = pd.concat([FOUND, FOUND[FOUND["way"] == decay_name(1.0)].assign(way=decay_name(0.0), test_accuracy=0.7)])
    decays = page.decays_table(found)
    assert list(decays.columns) == ["decay of 0.01, %", "0 minus 0.01", "0.1 minus 0.01", "1 minus 0.01"]
    assert decays.loc["CNN"].tolist() == ["78.0", "-8 (all alike)", "2 (all alike)", "21 (all alike)"]


def test_the_strongest_decay_is_told_with_what_it_costs():
    part, falls = FOUND["way"] == decay_name(1.0), {"CNN": 0.75, "LSTM": 0.78, "transformer": 0.80}
    accuracy = FOUND["network"].map(falls) + 0.001 * FOUND["seed"]
    told = page.strongest_decay(FOUND.assign(test_accuracy=accuracy.where(part, FOUND["test_accuracy"])))
    assert told["strongest"] == "1"
    assert (told["strongest_lowered"], told["strongest_raised"]) == ("1 (CNN)", "1 (transformer)")
    assert told["strongest_cost"] == "2.90 [2.65, 3.15]"


def test_a_comparison_is_trained_where_that_is_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(page, "compare", lambda *places, **named: asked.append((places, named)) or FOUND)
    assert page.comparison(["LSTM"], [0, 2], samples=500, epochs=3, retrain=True) is FOUND
    assert asked == [((["LSTM"], [0, 2]), {"samples": 500, "epochs": 3})]


def test_the_committed_comparison_is_filtered():
    found = page.comparison(["LSTM"], [0, 2], samples=5_000, epochs=12, retrain=False)
    assert set(found["network"]) == {"LSTM"}
    assert set(found["seed"]) == {0, 2}


def test_the_habit_of_weight_decay_is_as_accurate_as_the_controller():
    value, interval = page.habit_points().split(" ", 1)
    low, high = (float(end) for end in interval.strip("[]").split(","))
    assert abs(float(value)) < 0.2  # points: 20 test images of 10,000, the margin of claim C12
    assert low < float(value) < high
    told = (REPOSITORY / "chapters" / "your_network.md").read_text(encoding="utf-8")
    assert (
        "the common `weight_decay=1e-4` is as accurate: it differs from the controller by {glue:text}`habit_points`"
        in told
    )
