"""The pictures of an inspection draw the table's numbers, a row a weight, and refuse what is no table in one line."""

import itertools
import math
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from edgechaos_core import edge_of_chaos, inspect, plot_inspection, plot_layers_on_map
from edgechaos_core.book.figures.inspection import PHASES
from edgechaos_core.models.inspection_table import Inspection, WeightRow

STEERED = WeightRow("0.weight", "Linear", (8, 8), 8, activation="tanh", edge=1.0, steerable=True)
TABLE = Inspection(
    [
        replace(STEERED, J_squared=0.5, ratio=0.1, phase="order", growth_from_input=0.7),
        replace(STEERED, name="1.weight", J_squared=2.0, edge=2.0, phase="edge", growth_from_input=0.6,
                activation="ReLU"),
        replace(STEERED, name="2.weight", J_squared=4.0, ratio=-0.2, phase="chaos", growth_from_input=3.0),
        replace(STEERED, name="3.weight", J_squared=2.5, ratio=0.3, phase="chaos", growth_from_input=8.0,
                steerable=False, why_not="frozen"),
        replace(STEERED, name="4.weight", J_squared=0.3, scale_free=True, steerable=False, growth_from_input=2.0),
        replace(STEERED, name="5.weight", J_squared=0.3, edge=math.nan, activation="residual sum",
                growth_from_input=0.0),
        replace(STEERED, name="6.weight", J_squared=0.3, edge=math.nan, activation="residual sum",
                growth_from_input=0.01),
    ]
)  # fmt: skip


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def dots(ax):
    """Every dot: across, up, colour, and whether it is filled."""
    lines = [line for line in ax.get_lines() if line.get_marker() == "o"]
    return {
        (float(x), float(y)): (line.get_markeredgecolor(), line.get_markerfacecolor() != "none")
        for line in lines
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    }


def test_dots_are_the_tables_numbers_in_the_colours_of_their_phases():
    left, right = plot_inspection(TABLE).axes
    order, edge, chaos, none = (PHASES[name] for name in ("order", "edge", "chaos", "not defined"))
    assert len({order, edge, chaos, none}) == 4
    assert dots(left) == {
        (0.5, 0): (order, True),
        (1.0, 1): (edge, True),
        (4.0, 2): (chaos, True),
        (2.5, 3): (chaos, False),
        (0.3, 4): (none, False),
    }
    assert {at: filled for at, (_, filled) in dots(right).items()} == {
        (0.7, 0): True,
        (0.6, 1): True,
        (3.0, 2): True,
        (8.0, 3): False,
        (2.0, 4): False,
        (0.01, 6): True,
    }
    assert (left.get_xscale(), right.get_xscale()) == ("log", "log")
    assert [float(line.get_xdata()[0]) for line in left.get_lines() if line.get_ls() == "--"] == [1.0]


def test_rows_are_named_from_the_top_and_muted_ones_say_why():
    left, right = plot_inspection(TABLE).axes
    assert [text.get_text() for text in left.get_yticklabels()] == [row.name for row in TABLE]
    assert left.get_ylim() == right.get_ylim() == (6.5, -0.5)
    assert {text.get_position()[1]: text.get_text() for text in right.texts} == {
        3: "not steerable",
        4: "scale-free",
        5: "difference lost",
        6: "no edge: residual sum",
    }
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["order", "edge", "chaos"]


def test_a_frame_is_drawn_as_the_table_is_whatever_its_index():
    frame = TABLE.to_frame().set_index("name", drop=False)
    before = frame.copy()
    assert dots(plot_inspection(frame).axes[0]) == dots(plot_inspection(TABLE).axes[0])
    assert frame.equals(before)


def test_another_table_is_drawn_beside_on_the_same_axes():
    figure = Figure(figsize=(6.9, 3))
    axes = figure.subplots(1, 2)
    assert plot_inspection(TABLE, axes) is figure
    plot_inspection(Inspection(replace(row, J_squared=10 * row.J_squared) for row in TABLE), axes)
    assert {x for x, y in dots(axes[0]) if y == 0} == {0.5, 5.0}
    assert [text.get_text() for text in axes[0].get_legend().get_texts()] == ["order", "edge", "chaos"]


@pytest.mark.parametrize("count", [1, 40, 120, 400])
def test_names_do_not_overlap_however_many_rows_there_are(count):
    table = Inspection(
        replace(TABLE[0], name=f"encoder.layers.block_{i}.attention.output.weight") for i in range(count)
    )
    figure = plot_inspection(table)
    figure.draw_without_rendering()
    left = figure.axes[0]
    boxes = [label.get_window_extent() for label in left.get_yticklabels()]
    assert len(dots(left)) == count
    assert len(boxes) == count or count > 120
    assert min(boxes[0].x0, 0) == 0
    assert all(upper.y0 >= lower.y1 for upper, lower in itertools.pairwise(boxes))
    assert figure.get_figheight() <= 20
    assert left.get_yticklabels()[0].get_text() == "e.l.b0.attention.output.weight"


def test_a_real_network_of_one_weight_and_of_none():
    figure = plot_inspection(inspect(nn.Sequential(nn.Linear(30, 30), nn.ReLU()), torch.randn(8, 30)))
    assert len(dots(figure.axes[0])) == 1
    with pytest.raises(ValueError, match=r"^the table is empty: the model that was inspected has no weights$"):
        plot_inspection(inspect(nn.Sequential(nn.ReLU()), torch.randn(8, 3)))


@pytest.mark.parametrize("draw", [plot_inspection, plot_layers_on_map])
@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([1, 2], r"^the table must be what inspect returns, or its to_frame\(\), got list$"),
        (
            TABLE.to_frame().drop(columns=["edge", "phase"]),
            r"^the table must have the columns .* it lacks edge, phase$",
        ),
        (TABLE.to_frame().head(0), "^the table is empty: "),
        (Inspection([WeightRow("w", "unknown", (3, 2), J_squared=1.0)]), "^no weight of the table has "),
    ],
    ids=["list", "columns", "empty", "weights alone"],
)
def test_bad_input_meets_one_line(draw, table, message):
    with pytest.raises(ValueError, match=message) as raised:
        draw(table)
    assert "\n" not in str(raised.value)
    assert plt.get_fignums() == []  # refused before anything is drawn


def test_layers_of_tanh_stand_on_the_map_with_its_border():
    ax = plot_layers_on_map(TABLE)
    order, chaos = PHASES["order"], PHASES["chaos"]
    assert dots(ax) == {
        (0.1, 0.5**-0.5): (order, True),
        (-0.2, 0.5): (chaos, True),
        (0.3, 2.5**-0.5): (chaos, False),
    }
    (border,) = [line for line in ax.get_lines() if line.get_ls() == "--"]
    x, y = border.get_xdata(), border.get_ydata()
    assert y == pytest.approx([edge_of_chaos(ratio) for ratio in x])
    assert x.min() <= -1
    assert np.interp(0.0, x, y) == pytest.approx(1)


def test_the_map_holds_layers_far_out():
    ax = plot_layers_on_map(Inspection([replace(TABLE[0], J_squared=0.01, ratio=7.0)]))
    (((across, up), _),) = dots(ax).items()
    assert ax.get_xlim()[0] < across < ax.get_xlim()[1]
    assert ax.get_ylim()[0] < up < ax.get_ylim()[1]


@pytest.mark.parametrize("count", [1, 3])
def test_other_than_two_axes_are_refused_in_one_line(count):
    axes = plt.subplots(1, count)[1]
    with pytest.raises(ValueError, match="axes must be two axes"):
        plot_inspection(TABLE, axes)
