"""The starts of deep networks on the page `your_network`."""

import pytest
import torch
from torch import nn

from edgechaos_core.book.pages import deep_starts as page
from edgechaos_core.models.inspection import inspect


def test_the_edge_of_gelu_keeps_no_size_of_signals_but_with_biases():
    told = page.gelu_edges()
    start = inspect(nn.Sequential(nn.Linear(8, 8, bias=False), nn.GELU()), torch.randn(16, 8))
    assert told["gelu_edge"] == f"{start[0].edge:.3f}"
    assert float(told["gelu_short"]) == pytest.approx(0.5 * start[0].edge ** 0.5, abs=0.006)  # GELU's slope at 0
    assert float(told["gelu_long"]) == pytest.approx((start[0].edge / 2) ** 0.5, abs=0.006)  # half the units pass
    assert float(told["gelu_edge_biases"]) == pytest.approx(1.983, abs=0.006)  # 1 / E phi'^2 at q = 3.56


def test_starts_have_a_row_each_and_a_column_a_network():
    differences, accuracies = page.differences_table(), page.accuracies_table()
    for table in (differences, accuracies):
        assert list(table.columns[:2]) == ["GELU, 20 layers", "GELU, 50 layers"]
        assert table.loc["at the edge, biases", "tanh, 50 layers"] == "–"  # of GELU alone
    place = ("at the edge", "tanh, 50 layers")
    assert (differences.loc[place], accuracies.loc[place]) == ("0.8", "73")
    assert differences.loc["PyTorch's default", "tanh, 50 layers"] == "below 1e-10"
    assert differences.loc["nn.init with gains", "tanh, 50 layers"] == "70"  # no power of ten


def test_the_best_start_without_biases_is_the_best_of_the_table_but_for_them():
    told = page.accuracies_table()["GELU, 50 layers"]
    assert page.best_without_biases("GELU", 50) == max(told.drop("at the edge, biases"), key=int)
    assert int(told["at the edge, biases"]) > int(page.best_without_biases("GELU", 50))


def test_tanh_at_one_in_every_layer_is_told_beside_the_measured_start():
    told, table = page.tanh_at_edge(), page.accuracies_table()
    for depth in (20, 50):
        column = table[f"tanh, {depth} layers"]
        assert told[f"plain_{depth}"] == column["J of the edge in every layer"]
        assert told[f"gains_{depth}"] == column["nn.init with gains"]
        assert told[f"measured_{depth}"] == column["at the edge"]


def test_the_depths_that_are_trained_are_those_of_chapter_deeper():
    told = page.depth_limits()
    assert (told["trained"], told["untrained"]) == ("8", "16")
    assert (told["farthest"], told["farthest_squared"], told["from_farthest"]) == ("2", "4", "16")
    assert (told["deepest"], told["from_chaos"], told["deepest_farthest"]) == (
        "50",
        "35",
        "10",
    )  # of chapter 10's table


def test_a_deep_network_loses_a_difference_by_default_and_keeps_it_at_the_edge():
    default, at_edge = page.two_starts(depth=6, width=64)
    assert len(default) == len(at_edge) == 6
    assert {row.phase for row in default} == {"order"}
    told = page.start_numbers(default, at_edge)
    assert told["default_growth"] == f"{default[-1].growth_from_input:.5f}"
    assert default[-1].growth_from_input < 0.1
    assert 0.5 < float(told["edge_growth"]) < 2
    first, second = (float(told[name]) for name in ("edge_first", "edge_second"))
    assert 1 < float(told["edge_low"]) < second < first == pytest.approx(at_edge[0].J_squared, abs=0.06)
