"""The numbers of the page `your_network`."""

import pandas as pd
import pytest

from edgechaos_core.book.pages import your_network as page
from edgechaos_core.experiments.five_networks import HELD, decay_name
from edgechaos_core.system.places import REPOSITORY


def made_up(**accuracies: tuple[float, float, float]) -> pd.DataFrame:
    """Of each network the test accuracies of three seeds held; under decay .1 they are 0.8, with the same losses."""
    rows = []
    for network, values in accuracies.items():
        for seed, value in enumerate(values):
            of_run = {"network": network, "seed": seed, "epoch": 1}
            for way, loss, accuracy in ((decay_name(0.1), 0.5, 0.8), (decay_name(1.0), 0.6, 0.99), (HELD, 0.7, value)):
                row = {"way": way, "validation_loss": loss, "validation_accuracy": 0.5, "test_accuracy": accuracy}
                rows.append(of_run | row | {"test_loss": 1 - accuracy, "over_edge": loss})
    return pd.DataFrame(rows)


FOUND = made_up(CNN=(0.81, 0.82, 0.83), LSTM=(0.79, 0.8, 0.81), transformer=(0.7, 0.71, 0.72))


def test_the_decay_is_chosen_on_validation_images():
    assert set(page.best_of_grid(FOUND)["way"]) == {decay_name(0.1)}  # not 1.0, which does better on test images


def test_gains_are_paired_by_seed():
    points, lower = page.gains(FOUND)["CNN"]
    assert (points.value, points.n) == (pytest.approx(2.0), 3)
    assert points.sample == pytest.approx((1.0, 2.0, 3.0))
    assert lower.value == pytest.approx(0.02)


def test_networks_are_named_where_the_interval_leaves_out_zero():
    surely = made_up(CNN=(0.81, 0.811, 0.812), LSTM=(0.79, 0.8, 0.81), transformer=(0.7, 0.701, 0.702))
    told = page.numbers(surely)
    assert told["better_accuracy"] == told["better_loss"] == "1 (CNN)"
    assert told["worse_accuracy"] == "1 (transformer)"
    assert told["most_gained"].startswith("1.10 [")
    assert (told["neither_accuracy"], told["networks"], told["seeds"]) == ("1", "3", "3")
    assert page.numbers(made_up(LSTM=(0.79, 0.8, 0.81)))["better_accuracy"] == "none"


def test_the_table_has_a_row_a_network():
    table = page.table(FOUND)
    assert list(table.index) == ["CNN", "LSTM", "transformer"]
    assert table.loc["CNN", "chosen decay, %"].startswith("80")
    assert table.loc["CNN"].tolist()[-2:] == ["0.50", "0.70"]


def test_the_committed_comparison_is_filtered():
    found = page.comparison(["LSTM"], [0, 2], samples=5_000, epochs=12, retrain=False)
    assert set(found["network"]) == {"LSTM"}
    assert set(found["seed"]) == {0, 2}


def test_starts_have_a_row_each_and_a_column_a_network():
    table = page.starts_table()
    assert list(table.columns[:2]) == ["GELU, 20 layers", "GELU, 50 layers"]
    assert "at the edge" in table.index
    assert table.loc["at the edge", "tanh, 50 layers"] == "0.8, 73%"
    assert table.loc["at the edge, biases", "tanh, 50 layers"] == "–"  # of GELU alone


def test_a_deep_network_loses_a_difference_by_default_and_keeps_it_at_the_edge():
    default, at_edge = page.deep_starts(depth=6, width=64)
    assert len(default) == len(at_edge) == 6
    assert {row.phase for row in default} == {"order"}
    told = page.start_numbers(default, at_edge)
    assert told["default_growth"] == f"{default[-1].growth_from_input:.5f}"
    assert default[-1].growth_from_input < 0.1
    assert 0.5 < float(told["edge_growth"]) < 2
    assert 1 < float(told["edge_low"]) < float(told["edge_high"])


def test_the_habit_of_weight_decay_is_as_accurate_as_the_controller():
    value, interval = page.habit_points().split(" ", 1)
    low, high = (float(end) for end in interval.strip("[]").split(","))
    assert abs(float(value)) < 0.2  # points: 20 test images of 10,000, the margin of claim C12
    assert low < float(value) < high
    told = (REPOSITORY / "chapters" / "your_network.md").read_text(encoding="utf-8")
    assert "`weight_decay=1e-4` is as accurate: it differs from the controller by {glue:text}`habit_points`" in told
