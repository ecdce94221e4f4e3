"""What page `deeper` tells, on made-up runs of which the right answer is known."""

import math

import numpy as np
import pytest

from edgechaos_core.analysis.intervals import DASH, over_seeds, shown
from edgechaos_core.book.pages import deeper
from edgechaos_core.store.runs import Run
from tests.claims.estimates.test_estimates import FIG2, made_up
from tests.claims.estimates.test_reason import REACHED, deep, turning_at


def test_depths_of_a_grid_beside_theory():
    table = deeper.accuracy_by_depth(deep())
    assert deeper.deepest_trained(table).tolist() == list(REACHED.values())
    assert deeper.trainable_depth(2**-0.5) == pytest.approx(6 / math.log(2))
    shown = deeper.depth_table(table)
    assert shown.loc["1"].tolist() == ["1.00", "no limit", "16", "82%", "82%", "82%"]
    assert shown.columns.tolist()[-3:] == ["1 layer", "8 layers", "16 layers"]
    told = deeper.depth_numbers(table)
    assert (told["from_default"], told["from_edge"], told["default_reach"]) == ("4", "16", "5.5")
    assert (told["best"], told["best_J"], told["best_depth"]) == ("84.0%", "2", "1")
    assert (told["reach_least"], told["reach_most"]) == ("1", "1.25")
    assert (told["shallow_least"], told["largest"], told["largest_best"]) == ("81.2%", "16", "82.5%")
    assert told["largest_edge"] == "82.0%"


def test_a_grid_with_holes_has_dashes():
    told = deeper.depth_numbers(deeper.accuracy_by_depth([]))
    assert (told["from_edge"], told["best"]) == ("–", "–")
    some = deeper.accuracy_by_depth([run for run in deep() if (run.config.depth == 1) == (run.config.initial_J == 0.8)])
    assert deeper.depth_table(some).loc["1", "1 layer"] == "–"
    assert deeper.depth_numbers(some)["from_default"] == "4"


def test_a_grid_in_which_nothing_is_learned_has_no_reach():
    table = deeper.accuracy_by_depth(deep())
    told = deeper.depth_numbers(table * 0 + 0.1)
    assert (told["reach_least"], told["reach_most"], told["best"]) == ("–", "–", "10.0%")


def test_the_limits_of_training_are_told_as_the_grid_has_them():
    told = deeper.depth_numbers(deeper.accuracy_by_depth(deep()))
    deepest = dict(zip(sorted(REACHED), (REACHED[J] for J in sorted(REACHED)), strict=True))
    far = [J for J, depth in deepest.items() if depth >= 16]
    assert told["from_16"] == f"{min(far):.3g} to {max(far):.3g}"
    assert told["from_32"] == "–"  # no such depth was tried
    assert told["after_default"] == "8"
    over = [depth / deeper.trainable_depth(J) for J, depth in deepest.items() if J < 1 and depth < 16]
    assert (told["over_least"], told["over_most"]) == (f"{min(over):.1f}", f"{max(over):.1f}")


def test_where_networks_of_several_decays_are_best_and_where_they_end():
    def run(seed: int, **settings: float) -> Run:
        loss = np.full(21, 0.5)
        loss[5] = 0.3 + seed / 100
        end = np.where(np.arange(21) < 19, 0.0, 0.8)
        columns = {"validation_loss": loss, "validation_accuracy": end}
        return made_up(np.linspace(1, 5, 21), columns=columns, seed=seed, **FIG2 | settings)

    runs = [run(seed, l2=l2, hold=hold) for l2, hold in ((0.05, 0.0), (0.0, 0.0), (0.0, 2.0)) for seed in range(3)]
    table = deeper.ways_table(runs)
    assert table.index.tolist() == ["0", "0.1", "held"]
    assert table.loc["0.1"].tolist() == [
        "1.41 (all alike)",
        "0.310 [0.285, 0.335]",
        "2.21 (all alike)",
        "0.5 (all alike)",
        "80 (all alike)",
    ]
    assert deeper.ways_numbers(table, "a")["a 0.1 least loss"] == "0.310 [0.285, 0.335]"
    assert deeper.ways_table([]).empty


def test_relu_networks_are_told_where_they_have_passed_their_edge():
    columns = {"test_loss": [2.3, 0.5, 0.4, 0.3], "test_accuracy": [0.1, 0.8, 0.85, 0.9]}
    relu = {"activation": "relu", "optimizer": "adam", "learning_rate": 0.001, "momentum": 0.9}
    near, far = ([1.0, 1.9, 2.1, 3.0], [1.0, 1.5, 2.0, 3.0])  # J^2 at the edge is not beyond it
    runs = [made_up(np.array(squares), columns=columns, seed=seed, **relu) for seed, squares in enumerate((near, far))]
    runs += [made_up(np.array([1.0, 2.5, 2.6, 2.7]), columns=columns, l2=1e-4, **relu)]
    assert deeper.relu_numbers(runs) == {
        "edge_epoch": "2 to 3", "edge_loss": "0.30 to 0.40", "edge_accuracy": "85.0 to 90.0"
    }  # fmt: skip
    assert set(deeper.relu_numbers([]).values()) == {DASH}


def test_sizes_are_told_by_width_and_then_by_images():
    sizes = [{"samples": 6_250}, {"width": 784}, {"width": 196}]
    runs = [turning_at(0.8 + seed / 10, 0.5, seed, **own) for own in sizes for seed in range(3)]
    table = deeper.sizes_table(runs)
    first, second, third = "width 196, 50,000 images", "width 784, 50,000 images", "width 784, 6,250 images"
    assert list(table.index) == [first, second, third]
    assert table.loc[first, "J at the turn"] == shown(over_seeds([0.8, 0.9, 1.0]))
    told = deeper.sizes_numbers(runs)
    assert told[f"{third} J at the turn"] == table.loc[third, "J at the turn"]
    assert (told["few_runs"], told["without_turn"]) == ("3", "0")
    assert (told["width_exponent"], told["images_exponent"]) == (DASH, DASH)  # two widths, one number of images left


def test_the_exponents_of_sizes_are_told_without_the_fewest_images():
    sizes = [(196, 50_000), (784, 50_000), (1_568, 50_000), (784, 25_000), (784, 12_500)]
    runs = [
        turning_at(0.9 * (wide / 784) ** -0.2 * (images / 50_000) ** 0.3, 0.5, seed, width=wide, samples=images)
        for wide, images in sizes
        for seed in range(3)
    ]
    rising = made_up(
        np.linspace(0.25, 0.5, 40),
        columns={"validation_loss": np.linspace(2, 1, 40), "train_loss": 1.0},
        validation=10_000,
        samples=6_250,
    )  # has not turned
    told = deeper.sizes_numbers([*runs, rising])
    assert float(told["width_exponent"].partition(" ")[0]) == pytest.approx(-0.4, abs=1e-3)
    assert float(told["images_exponent"].partition(" ")[0]) == pytest.approx(0.6, abs=1e-3)
    assert (told["few_runs"], told["without_turn"]) == ("1", "1")
