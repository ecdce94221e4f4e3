"""Figures of chapters `reason` and `deeper` draw the runs that there are, and sections without runs say so."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from edgechaos_core.book.figures import deeper, reason
from edgechaos_core.book.figures.sections import Sentence, counted, drawn, panels, stored_table
from edgechaos_core.book.pages import deeper as page
from edgechaos_core.book.pages.reason import turns
from tests.claims.estimates.test_estimates import FIG2, made_up
from tests.claims.estimates.test_reason import by_time, deep, held, turning_at


def test_a_table_is_shown_where_enough_runs_are_stored():
    table, text = stored_table(lambda runs: pd.DataFrame({"runs": [len(runs)]}), [turning_at(1.0)], 2, "edgechaos x")
    assert table.columns["runs"].tolist() == [1]
    assert text.text == "1 of 2 planned runs are shown; `edgechaos x` trains the others."
    (text,) = stored_table(lambda runs: pytest.fail("nothing to tell"), [], 2, "edgechaos x")
    assert text.text.startswith("None of the 2 planned runs")


def test_starts_are_drawn_between_both_hypotheses():
    ax = reason.plot_starts(turns(by_time()), Figure().subplots())
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("J at the start", "J at the least validation loss")
    edge, gain, seeds = ax.get_lines()[:3]
    assert [*edge.get_xdata(), *edge.get_ydata()] == [0, 1, 1, 1]  # from beyond it the edge predicts no place
    across = gain.get_xdata()
    np.testing.assert_allclose(gain.get_ydata(), np.sqrt(across**2 + 0.54 * 1.01), atol=1e-6)
    assert len(seeds.get_xdata()) == len(by_time())


def test_starts_in_order_alone_are_drawn_up_to_the_edge():
    ax = reason.plot_starts(turns([turning_at(1.0, 0.25), turning_at(1.0, 0.5)]), Figure().subplots())
    assert ax.get_xlim() == pytest.approx((0, 1.05))


@pytest.mark.parametrize(("low", "high", "sides"), [(0.4, 2.1, 2), (0.4, 0.9, 1), (1.1, 2.0, 1)])
def test_theorys_depth_is_drawn_on_either_side_of_the_edge(low, high, sides):
    drawn_at = deeper._sides(low, high)
    assert len(drawn_at) == sides
    for side in drawn_at:
        assert low <= side[0] < side[-1] <= high
        assert side[-1] < 1 or side[0] > 1  # at the edge the depth is infinite


def test_losses_have_a_line_a_start_and_its_label():
    figure = reason.draw_starts(by_time())
    ax = figure.axes[1]
    assert [text.get_text() for text in ax.texts] == ["0.1", "0.25", "0.5", "0.75", "1.25", "1.5"]
    assert len(ax.get_lines()) == 6 + 1
    assert ax.get_lines()[-1].get_xdata()[0] == 1


def test_means_have_their_interval_and_leave_out_what_has_not_turned():
    turned = turns([turning_at(1.0 + seed / 10, seed=seed) for seed in range(3)])
    turned.loc[3] = turned.loc[0]
    turned.loc[3, ["start", "J"]] = [0.9, np.nan]
    seeds, bar, mean = reason.plot_means(turned, "start", "J", Figure().subplots()).get_lines()
    assert seeds.get_ydata() == pytest.approx([1.0, 1.1, 1.2], abs=1e-6)
    assert bar.get_ydata()[1] == pytest.approx(1.1 + 4.302653 * 0.1 / 3**0.5, abs=1e-5)
    assert mean.get_ydata() == pytest.approx([1.1], abs=1e-6)


def test_candidates_are_drawn_against_the_start():
    figure = reason.draw_candidates(by_time())
    labels = [ax.get_ylabel() for ax in figure.axes]
    assert labels == ["epoch of the turn", "J² gained by then", "training loss there"]
    assert figure.axes[2].get_lines()[0].get_ydata() == pytest.approx([0.2] * len(by_time()), abs=1e-6)


def test_candidates_fit_their_axes():
    runs = by_time()
    for run in runs:
        run.history["epoch"] *= 3 if run.config.initial_J == 0.1 else 1
    figure = reason.draw_candidates(runs)
    assert figure.axes[0].get_ylim() == pytest.approx((0, 1.25 * 3 * 40))
    assert [ax.get_xlabel() for ax in figure.axes] == ["J at the start"] * 3


def test_candidates_that_are_nothing_keep_an_axis():
    figure = reason.draw_candidates(
        [turning_at(0.4, start=0.5)]
    )  # J^2 falls: none is gained, which is a warning's ylim
    assert figure.axes[1].get_ylim() == (0, 1)
    assert figure.axes[2].get_ylim() == pytest.approx((0, 1.25 * 0.2), abs=1e-6)


def test_speeds_have_a_line_through_the_rate_and_one_through_the_batch():
    settings = [{"learning_rate": 0.02}, {"learning_rate": 0.08}, {"batch_size": 128}]
    figure = reason.draw_speeds([turning_at(1.0, **own) for own in settings])
    lines = {line.get_label(): list(line.get_xdata()) for line in figure.axes[0].get_lines()}
    assert lines["through η"] == pytest.approx([1, 4])
    assert lines["through B"] == pytest.approx([1 / 4, 1])
    assert [ax.get_ylabel() for ax in figure.axes] == ["J at the least validation loss", "training loss there"]
    assert [ax.get_xscale() for ax in figure.axes] == ["log", "log"]


def test_what_is_held_is_joined_and_what_is_not_stands_alone():
    columns = {"validation_loss": 0.5, "validation_accuracy": 0.8, "test_accuracy": 0.7}
    free = made_up(np.full(101, 1.96), columns=columns, **FIG2)
    figure = reason.draw_held([*held(), free])
    seeds, means, alone, edge = figure.axes[0].get_lines()
    assert len(seeds.get_xdata()) == len(held())
    assert means.get_xdata() == pytest.approx(np.sqrt((0.3, 0.5, 0.7, 1.0, 1.4, 2.0)))
    assert alone.get_xdata() == pytest.approx([1.4])
    assert edge.get_xdata()[0] == 1
    assert [ax.get_ylabel() for ax in figure.axes] == [
        "validation loss at the end",
        "validation accuracy at the end, %",
    ]


def test_the_trained_map_has_a_panel_a_speed():
    J = np.linspace(0.5, 1.5, 11)
    columns = {f"lyapunov{kind}": J - 1 for kind in reason.MAPS} | {"outliers": np.where(J < 1.25, 100, 500)}
    runs = [
        made_up(J**2, columns=columns, seed=seed, **(FIG2 | {"momentum": momentum}))
        for momentum, seed in product((0.8, 0.5), range(2))
    ]
    figure = reason.draw_trained_map(runs)
    assert [ax.get_title() for ax in figure.axes] == ["the paper's speed", "2.5 times the speed"]
    assert figure.axes[0].get_legend_handles_labels()[1] == ["trained", "entries shuffled", "without outliers"]
    lines = figure.axes[0].get_lines()
    assert len(lines) == 3 * (2 + 1) + 2
    bulk = next(line for line in lines if line.get_label() == "without outliers")
    assert np.isfinite(bulk.get_ydata()).tolist() == (J < 1.25).tolist()  # 500 of 784 are no outliers


def test_depths_are_a_map_with_theory_on_top():
    figure = deeper.draw_depths(deep())
    ax = figure.axes[0]
    assert ax.collections[0].get_array().shape == (4, 5)
    assert ax.collections[0].get_array()[0, 0] == pytest.approx(0.8 + 3**-0.5 / 50)
    below = ax.get_lines()[1]
    assert below.get_ydata()[0] == pytest.approx(page.trainable_depth(below.get_xdata()[0]))
    assert ax.get_yscale() == "log"
    assert len(deeper.draw_depths([run for run in deep() if run.config.depth == 1]).axes[0].collections) == 1


def test_other_optimizers_are_drawn_in_units_of_their_edge():
    J = np.linspace(0.7, 2.4, 202)
    relu = {"activation": "relu", "optimizer": "adam", "learning_rate": 0.001, "momentum": 0.9}
    columns = {"test_loss": 0.33 + (J - 1.5) ** 2, "test_accuracy": 0.8}
    runs = [made_up(J**2, columns=columns, seed=seed, l2=l2, **relu) for l2, seed in product((0.0, 1e-4), range(2))]
    path, ends = deeper.draw_relu(runs).axes
    assert len(path.get_lines()) == 2 + 1 + 1  # seeds without decay, their mean, the edge
    assert path.get_lines()[0].get_xdata()[-1] == pytest.approx(2.4 / 2**0.5)
    assert len(ends.get_lines()) == (2 + 1 + 1) + 2 + 1  # the paths again, and the ends of two strengths
    assert (path.get_ylabel(), ends.get_ylabel()) == ("test loss", "test accuracy")


def test_turns_are_drawn_against_width_and_images():
    sizes = [{"width": 196}, {"width": 784}, {"samples": 6_250}]
    runs = [turning_at(0.8 + seed / 10, 0.5, seed, **own) for own in sizes for seed in range(3)]
    width, images = deeper.draw_sizes(runs).axes
    assert [label.get_text() for label in width.get_xticklabels()] == ["196", "784"]
    assert [label.get_text() for label in images.get_xticklabels()] == ["6,250", "50,000"]
    assert sorted(width.get_lines()[1].get_ydata()) == pytest.approx([0.8, 0.8, 0.9, 0.9, 1.0, 1.0], abs=1e-6)


@pytest.mark.parametrize(("draw", "steered"), [(deeper.draw_adamw, "l2"), (deeper.draw_mnist, "hold")])
def test_paths_are_of_what_is_not_steered(draw, steered):
    columns = {"validation_loss": 0.4, "validation_accuracy": 0.9}
    runs = [made_up(np.linspace(0.3, 1.2, 9), columns=columns, **{steered: value}) for value in (0.0, 0.5)]
    path, ends = draw(runs).axes
    assert len(path.get_lines()) == 1 + 1 + 1
    assert len(ends.get_lines()) == 2 + 1


def test_a_few_runs_of_many_are_no_table():
    (text,) = stored_table(lambda runs: pytest.fail("too few"), [turning_at(1.0)], 5, "edgechaos sweep x")
    assert text == Sentence("1 of 5 planned runs are stored, too few to show; `edgechaos sweep x` trains them.")
    assert text._repr_markdown_() == text.text


def test_a_glued_figure_without_runs_says_so():
    assert [text.get_text() for text in drawn(lambda runs: pytest.fail("nothing"), []).texts] == [
        "none of these runs is stored"
    ]
    assert drawn(lambda runs: panels(2), [turning_at(1.0)]).axes
    assert counted(3, 3, "x") == "All 3 planned runs are shown."
    assert counted(1, 3) == "1 of 3 planned runs are shown."
    assert counted(1, 3, "x") == "1 of 3 planned runs are shown; `x` trains the others."
