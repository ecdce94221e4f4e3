"""Figures draw the numbers they are given, in real coordinates."""

import base64
import json
import re
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import colors
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from edgechaos_core.analysis.intervals import Estimate
from edgechaos_core.book import style
from edgechaos_core.book.figures import along_path, deeper, maps, reason
from edgechaos_core.book.figures.collapse import (
    draw_collapse,
    draw_others,
    draw_price,
    draw_trends,
    plot_distances,
    plot_estimates,
    plot_price,
    plot_residual,
    plot_settings,
)
from edgechaos_core.book.figures.contest import plot_contest, plot_search, plot_searches, plot_standings
from edgechaos_core.book.figures.decay import (
    plot_constants,
    plot_decays,
    plot_ends,
    plot_landing_places,
    plot_paths,
    plot_steered,
    plot_strengths,
)
from edgechaos_core.book.figures.interactive_map import interactive_diagram
from edgechaos_core.book.figures.laws import (
    draw_balance,
    draw_laws,
    draw_window,
    plot_constant,
    plot_fit,
    plot_rescaled,
    plot_slopes,
)
from edgechaos_core.book.figures.line_labels import label_ends
from edgechaos_core.book.figures.noise import SMOOTHED, plot_noise
from edgechaos_core.book.figures.path import plot_by_epoch, plot_optimum, plot_phase_path
from edgechaos_core.book.pages import ordered_scaling
from edgechaos_core.experiments.comparison import ON, Entry, Standing
from edgechaos_core.probes.diagram import Diagram, DiagramConfig
from edgechaos_core.store.runs import Outcome, Run, parse_config
from edgechaos_core.store.tables import TableError
from edgechaos_core.theory.meanfield import asymptotic_distance, fixed_point
from tests.claims.estimates.test_estimates import of_decay


@pytest.fixture
def runs() -> list[Run]:
    def run(seed: int) -> Run:
        epoch = np.arange(101)
        columns = {"epoch": epoch, "J_squared": 0.25 + 0.01 * epoch, "J0": 0.1 + 0.001 * epoch + 0.01 * seed}
        columns |= {"test_loss": (epoch - 60 - seed) ** 2 / 1e4 + 0.3, "test_accuracy": 0.8 + epoch / 1e3}
        return Run(parse_config({"epochs": 100, "seed": seed}), pd.DataFrame(columns), Outcome("finished", 100))

    return [run(0), run(4)]


def test_path_runs_from_order_to_chaos_and_is_starred_at_the_least_loss(runs):
    ax = plot_phase_path(runs[:1], Figure().subplots())
    path, star, start, edge = ax.get_lines()
    assert path.get_ydata()[0] == pytest.approx(2)
    assert path.get_xdata()[0] == pytest.approx(0.1 / 0.5)
    assert path.get_ydata()[-1] == pytest.approx(1 / 1.25**0.5)
    assert star.get_ydata()[0] == pytest.approx(1 / 0.85**0.5, rel=0.02)  # J^2 = 0.25 + 0.01 x 60
    assert start.get_ydata()[0] == pytest.approx(2)
    assert (edge.get_ydata() == 1).all()
    assert (edge.get_xdata().min(), edge.get_xdata().max()) == (-1, 1)


def test_path_is_labelled_in_words_and_drawn_for_every_seed(runs):
    ax = plot_phase_path(runs, Figure().subplots())
    assert [text.get_text() for text in ax.texts] == ["order", "chaos", "edge, $J = 1$", "start", "least test loss"]
    assert len(ax.get_lines()) == 3 * len(runs) + 1


def test_a_path_too_short_for_a_least_loss_has_no_star(runs):
    ax = plot_phase_path([Run(run.config, run.history[:2], run.outcome) for run in runs], Figure().subplots())
    assert [text.get_text() for text in ax.texts] == ["order", "chaos", "edge, $J = 1$", "start"]
    assert len(ax.get_lines()) == 2 * len(runs) + 1


def test_epoch_panel_shows_every_seed(runs):
    ax = plot_by_epoch(runs, "J0", Figure().subplots())
    lines = [line.get_ydata() for line in ax.get_lines() if len(line.get_ydata())]
    assert ax.get_legend_handles_labels()[1] == ["$J_0$"]
    np.testing.assert_allclose(lines, [0.1 + 0.01 * seed + 0.001 * np.arange(101) for seed in (0, 4)])


def test_measures_along_the_path_are_drawn_against_the_spread_with_their_places(runs):
    figure = along_path.path_and_measures(runs, {"least loss": 0.9, "best accuracy": np.nan})
    path, loss, accuracy = figure.axes
    assert [text.get_text() for text in path.texts] == ["start", "least loss", "order", "chaos", "edge, $J = 1$"]
    raw, _, mean, edge, place = loss.get_lines()
    assert len(raw.get_xdata()) == 100  # without the untrained network
    assert raw.get_xdata()[-1] == pytest.approx(1.25**0.5)
    mean_loss = np.mean([run.history["test_loss"].iloc[60] for run in runs])
    assert mean.get_ydata()[59] == pytest.approx(mean_loss + (25**2 - 1) / 12 / 1e4)  # smoothed: a parabola's mean
    assert (edge.get_xdata()[0], place.get_xdata()[0]) == (1, 0.9)
    assert len(accuracy.get_lines()) == len(runs) + 2


def test_measures_by_epoch_name_both_losses():
    history = pd.DataFrame({"epoch": np.arange(5), "J_squared": 0.25, "J0": 0.1, "test_loss": 0.5, "train_loss": 0.4})
    run = Run(parse_config({"epochs": 4}), history.assign(test_accuracy=0.8), Outcome("finished", 4))
    losses = along_path.measures_by_epoch([run]).axes[0]
    assert [text.get_text() for text in losses.texts] == ["train loss", "test loss"]


def test_own_edges_are_drawn_with_their_prediction():
    edges = pd.DataFrame({"predicted": [0.5, 0.7], "simulated": [0.6, 0.8]})
    dots, equal, theory = maps.plot_own_edges(edges, 1.1, Figure().subplots()).get_lines()
    np.testing.assert_allclose(dots.get_xydata(), [(0.5, 0.6), (0.7, 0.8)])
    assert (equal.get_xdata() == equal.get_ydata()).all()
    assert theory.get_xdata()[0] == pytest.approx(0.654, abs=1e-3)


def test_optimum_is_the_mean_epoch_of_least_test_loss(runs):
    ax = plot_optimum(runs, Figure().subplots())
    assert ax.get_lines()[0].get_xdata()[0] == pytest.approx(62)


def faster(run: Run, seed: int = 0) -> Run:
    """The same J^2 at four times the speed: the run's every fourth epoch."""
    history = run.history[::4].assign(epoch=range(26))
    return Run(parse_config({"epochs": 25, "momentum": 0.75, "seed": seed}), history, Outcome("finished", 25))


def test_settings_are_labelled_slow_to_fast_in_rescaled_time(runs):
    ax = plot_settings([faster(runs[0]), *runs], "J_squared", Figure().subplots())
    slow_line, again, fast_line, edge = ax.get_lines()
    assert slow_line.get_label() == r"$\eta$ = 0.01, $\alpha$ = 0, $B$ = 32"
    assert again.get_color() == slow_line.get_color() != fast_line.get_color()
    assert again.get_label().startswith("_")
    assert slow_line.get_xdata()[-1] == fast_line.get_xdata()[-1] == pytest.approx(100 * 0.01 / 32)
    assert edge.get_ydata()[0] == 1


def test_residuals_are_drawn_in_percent_with_what_two_seeds_differ_by(runs):
    off = faster(runs[0])
    off.history["J_squared"] *= 1.02
    apart = [
        Run(run.config, run.history.assign(J_squared=run.history["J_squared"] * by), run.outcome)
        for run, by in zip(runs, (1.0, 1.01), strict=True)
    ]
    ax = plot_residual(apart, [off], Figure().subplots())
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), 2.0)
    deviation = 0.01 / 2**0.5 / 1.005
    extent = ax.collections[0].get_paths()[0].get_extents()
    assert extent.y1 == pytest.approx(100 * 12.7062 * 2**0.5 * deviation, rel=1e-4)  # t(0.975; 1) = 12.7062
    assert ax.get_lines()[1].get_xdata()[0] == pytest.approx(76 * 0.01 / 32)  # the first epoch with J^2 > 1


def test_a_collapse_has_a_column_a_group(runs):
    groups = {"one": [faster(runs[0])], "other": [faster(runs[1], seed=4)]}
    axes = draw_collapse(runs, groups).axes
    assert [ax.get_title() for ax in axes] == ["one", "other", "", ""]
    assert len(draw_others(groups).axes) == 6


def test_estimates_have_bars_where_they_have_intervals():
    estimates = [Estimate(0.02, 0.01, 0.04, 3), Estimate(0.03, None, None, 1)]
    bars = plot_estimates([1, 2], estimates, Figure().subplots(), "o", "red", "label", scale=100).collections[0]
    low, none = [segment[:, 1] for segment in bars.get_segments()]
    assert low == pytest.approx([1, 4])
    assert none == pytest.approx([3, 3])


def test_distances_are_drawn_against_speed():
    index = pd.MultiIndex.from_tuples([(0.01, 0.0, 32), (0.02, 0.0, 32)], names=["η", "α", "B"])
    near, far = Estimate(0.01, None, None, 1), Estimate(0.06, None, None, 1)
    others = pd.DataFrame({"speed": [0.25, 0.5], "up to the edge": [far, near], "beyond the edge": [far, far]}, index)
    ax = plot_distances(others, Figure().subplots())
    assert ax.get_xscale() == "log"
    np.testing.assert_allclose(ax.get_lines()[0].get_xydata(), [(0.25, 6), (0.5, 1)])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1/4", "1/2"]
    ratios = {name: [near, near] for name in ("J² where the reference's is 1", "J² at the end / the reference's")}
    trends = draw_trends(pd.DataFrame({"speed": 1.0} | ratios, index), others).axes
    assert [ax.get_xscale() for ax in trends] == ["log", "log"]


@pytest.fixture
def decayed(runs) -> list[Run]:
    """Two strengths of decay, the stronger from two seeds, one of them with J^2 larger by 0.1."""
    shifted = runs[0].history.assign(J_squared=runs[0].history["J_squared"] + 0.1, train_loss=0.5, **{"lambda": 1e-5})
    histories = {0: shifted.assign(J_squared=runs[0].history["J_squared"]), 1: shifted}
    settings = [(1e-4, 0), (0.0, 0), (1e-4, 1)]
    return [
        Run(parse_config({"epochs": 100, "l2": l2, "seed": seed}), histories[seed], Outcome("finished", 100))
        for l2, seed in settings
    ]


def test_decays_are_means_of_seeds_in_a_band_and_named_at_their_ends(decayed):
    ax = plot_decays(decayed, "J_squared", Figure().subplots())
    none, strong, edge = ax.get_lines()
    assert none.get_color() != strong.get_color()
    assert [text.get_text() for text in ax.texts] == ["0", "1e-4"]
    assert (strong.get_ydata()[0], none.get_ydata()[0]) == pytest.approx((0.30, 0.25))
    assert ax.collections[1].get_paths()[0].get_extents().y1 == pytest.approx(1.35)
    assert edge.get_ydata()[0] == 1
    smooth = plot_decays(decayed, "test_loss", Figure().subplots(), (0.2, 0.7))
    assert (ax.get_yscale(), smooth.get_yscale(), smooth.get_ylim()) == ("log", "linear", (0.2, 0.7))
    assert smooth.get_lines()[0].get_xdata()[0] == 1  # the untrained network is no part of a smoothed path


def test_paths_with_decay_end_at_their_means(decayed):
    ax = plot_paths(decayed, Figure().subplots())
    assert ax.get_yscale() == "log"
    ends = [line.get_ydata()[-1] for line in ax.get_lines()[:4:2]]
    assert ends == pytest.approx([1.25**-0.5, (1.25**-0.5 + 1.35**-0.5) / 2])
    path = ax.get_lines()[0]
    J = np.sqrt(decayed[1].history["J_squared"])
    assert path.get_ydata() == pytest.approx((1 / J)[::10])  # every tenth epoch, the last among them
    assert path.get_xdata() == pytest.approx((decayed[1].history["J0"] / J)[::10])
    assert [text.get_text() for text in ax.texts] == ["0", "1e-4"]


def test_ends_are_seeds_and_means_with_the_optimum(decayed):
    best = Estimate(1.1, 1.05, 1.2, 3)
    ax = plot_ends(decayed, "test_accuracy", best, Figure().subplots())
    assert ax.get_xscale() == "log"
    seeds, mean = ax.get_lines()[2:4]  # of the stronger
    ends = [(0.25 + 0.01 * 95.5 + more) ** 0.5 for more in (0, 0.1)]  # the mean of epochs 91 to 100
    assert seeds.get_xdata() == pytest.approx(ends)
    assert mean.get_xdata()[0] == pytest.approx(np.mean(ends))
    assert mean.get_ydata()[0] == pytest.approx(0.8955)
    assert [line.get_xdata()[0] for line in ax.get_lines()[-2:]] == [1.1, 1]
    assert len(plot_ends(decayed, "test_loss", None, Figure().subplots()).get_lines()) == 6


@pytest.mark.parametrize("column", ["test_accuracy", "test_loss"])
def test_the_parabola_of_the_ends_is_that_of_the_optimum(column):
    decayed = of_decay(top=0.97)
    for run in decayed:
        run.history["test_accuracy"] -= 0.3 * (run.config.l2 == 1e-5)  # the farthest from the top, not of the four
        run.history["test_loss"] = 1 - run.history["test_accuracy"]
    ax = plot_ends(decayed, column, Estimate(0.97, 0.96, 0.98, 3), Figure().subplots())
    (line,) = [line for line in ax.get_lines() if line.get_linestyle() == "--" and len(line.get_xdata()) == 50]
    J, height = line.get_xdata(), line.get_ydata()
    best = 0.88 + 0.01 - 0.1 * (J - 0.97) ** 2  # of the middle seed
    np.testing.assert_allclose(height, best if column == "test_accuracy" else 1 - best, atol=1e-6)
    assert J.min() < 0.97 < J.max()


def test_strengths_against_the_horizon_are_in_units_of_1e_5():
    found = pd.DataFrame({"epochs": [100, 250], "strength": [5e-5, np.nan], "low": 4e-5, "high": 6e-5})
    ax = plot_strengths(found, {"edge": 9e-5}, Figure().subplots())
    assert ax.get_lines()[0].get_ydata()[0] == pytest.approx(5)
    assert ax.get_lines()[1].get_ydata()[0] == pytest.approx(9)


def test_steered_runs_are_drawn_against_rescaled_steps(decayed):
    line = plot_steered(decayed[:1], "lambda", Figure().subplots()).get_lines()[0]
    assert line.get_ydata()[0] == pytest.approx(1)
    assert line.get_xdata()[-1] == pytest.approx(100 * 60_000 * 0.01 / 32)
    J_squared, edge = plot_steered(decayed[:1], "J_squared", Figure().subplots()).get_lines()
    assert list(J_squared.get_ydata()) == decayed[0].history["J_squared"].tolist()
    assert edge.get_ydata()[0] == 1


def test_a_price_has_a_colour_a_batch_size_and_is_hollow_beyond_the_papers_steps():
    places = [(0.1, 0.0, 64), (0.1, 0.0, 8), (0.2, 0.0, 8)]
    speed = dict(zip(places, (0.5, 1.0, 2.0), strict=True))
    ax = plot_price(speed, {place: Estimate(1.0, None, None, 1) for place in places}, Figure().subplots())
    assert ax.get_xscale() == "log"
    small, large_step, big = [bars.lines[0] for bars in ax.containers]
    assert (small.get_xdata()[0], large_step.get_xdata()[0], big.get_xdata()[0]) == (1.0, 2.0, 0.5)
    assert small.get_color() == large_step.get_color() != big.get_color()
    assert (small.get_markerfacecolor(), large_step.get_markerfacecolor()) == (small.get_color(), "none")
    assert ax.get_legend_handles_labels()[1] == ["$B$ = 8", "$B$ = 64"]


def test_settings_that_never_improve_have_no_price():
    index = pd.MultiIndex.from_tuples([(0.02, 0.5, 32), (0.64, 0.5, 32)], names=["η", "α", "B"])
    same = [Estimate(1.0, None, None, 1)] * 2
    table = pd.DataFrame({"speed": [1.0, 32.0], "epochs": [40.0, 0.0]}, index)
    against = pd.DataFrame({"loss / the reference's": same, "points of accuracy": same}, index)
    fig = draw_price(table, against)
    assert [len(ax.containers) for ax in fig.axes] == [1, 1, 1]
    assert [ax.get_yscale() for ax in fig.axes] == ["log", "linear", "linear"]
    assert draw_price(pd.DataFrame(), pd.DataFrame()).axes == []


def test_style_is_transparent():
    with mpl.rc_context():
        style.use_style()
        assert mpl.rcParams["figure.facecolor"] == mpl.rcParams["axes.facecolor"] == "none"


def test_roles_of_one_figure_have_colours_of_their_own():
    on_map = {"edge on map", "path on map"}
    for roles in (on_map, style.COLORS.keys() - on_map):
        assert len({style.COLORS[role] for role in roles}) == len(roles)


@pytest.fixture
def diagram() -> Diagram:
    config = DiagramConfig(neurons=100, rows=4, columns=3, draws=2)
    cells = config.cells
    return Diagram(
        config, cells.assign(distance=10 * cells["draw"] + cells["ratio"], lyapunov_exponent=-cells["ratio"])
    )


def test_map_shows_the_mean_over_draws_in_real_coordinates(diagram):
    ax = maps.plot_diagram(diagram, "distance", Figure().subplots())
    mesh = ax.collections[0]
    expected = np.tile((5 + np.array([-1, 0.5, 2])) / 10, (4, 1))  # per square root of N
    np.testing.assert_allclose(mesh.get_array(), expected)
    assert ax.get_ylim() == pytest.approx((0.25, 2.25))


def test_small_distances_are_told_apart_and_settled_cells_are_the_darkest(diagram):
    cells = diagram.cells.assign(distance=np.resize([0.0, 1e-4, 10.0], len(diagram.cells)))
    mesh = maps.plot_diagram(Diagram(diagram.config, cells), "distance", Figure().subplots()).collections[0]
    np.testing.assert_allclose(np.unique(mesh.get_array()), [1e-6, 1e-5, 1.0])  # per square root of N
    assert (mesh.norm(1e-6), mesh.norm(1.0)) == pytest.approx((0, 1))
    assert mesh.norm(1e-5) == pytest.approx(1 / 6)


def test_exponents_are_coloured_about_zero(diagram):
    mesh = maps.plot_diagram(diagram, "lyapunov_exponent", Figure().subplots()).collections[0]
    assert mesh.norm.vmin == -mesh.norm.vmax


def test_edge_is_drawn_where_theory_has_it():
    line = maps.plot_edge(Figure().subplots()).get_lines()[0]
    assert dict(zip(line.get_xdata().round(6), line.get_ydata()))[1.5] == pytest.approx(0.27503, abs=1e-5)
    whole = maps.plot_edge(Figure().subplots(), ratios=(-2, 2)).get_lines()[0].get_ydata()
    assert whole == pytest.approx(whole[::-1])
    assert whole[0] < 0.1
    dashed, dotted = maps.plot_edge(Figure().subplots(), "relu").get_lines()
    assert np.isnan(dashed.get_ydata()[-1])
    assert dotted.get_ydata()[50] == pytest.approx(0.5**0.5)


def test_cut_shows_mean_interval_and_theory():
    config = DiagramConfig(neurons=100, rows=5, columns=1, ratio_from=1.5, ratio_to=1.5, draws=5)
    cells = config.cells
    cut = Diagram(config, cells.assign(distance=10 + 10 * cells["draw"], lyapunov_exponent=0.0))
    ax = maps.plot_cut(cut, "distance", Figure().subplots())
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), 3)
    low, high = ax.collections[0].get_paths()[0].get_extents().intervaly
    assert (low + high) / 2 == pytest.approx(3)
    assert high - 3 == pytest.approx(2.776445 * 2.5**0.5 / 5**0.5, rel=1e-6)  # Student's t of 4 degrees of freedom
    exponents = maps.plot_cut(replace(cut, cells=cut.cells.assign(lyapunov_exponent=0.3)), "lyapunov_exponent", ax)
    np.testing.assert_allclose(exponents.get_lines()[-1].get_ydata(), 0.3)  # not by the root of N
    maps.plot_theory(1.5, "lyapunov_exponent", (0, 2), ax := Figure().subplots())
    curve = ax.get_lines()[0]
    assert curve.get_ydata()[0] > 0 > curve.get_ydata()[-1]
    for inverse_J in (0.02, 2.0):
        expected = fixed_point(1 / inverse_J, 1.5 / inverse_J).largest_exponent
        assert np.interp(inverse_J, *curve.get_data()) == pytest.approx(expected, rel=1e-9)
    distances = maps.plot_theory(1.5, "distance", (0.5, 2), Figure().subplots()).get_lines()[0]
    assert distances.get_data()[1][0] == pytest.approx(asymptotic_distance(2.0, 3.0), rel=1e-9)


@pytest.mark.parametrize("draws", [1, 3])
def test_a_cut_of_few_draws_has_lines_of_its_draws_and_no_band(draws):
    config = DiagramConfig(neurons=100, rows=5, columns=1, ratio_from=1.5, ratio_to=1.5, draws=draws)
    cells = config.cells
    cut = Diagram(config, cells.assign(distance=10 + 10 * cells["draw"], lyapunov_exponent=0.0))
    ax = maps.plot_cut(cut, "distance", Figure().subplots())
    assert list(ax.collections) == []
    heights = [line.get_ydata()[0] for line in ax.get_lines()]
    assert heights == pytest.approx([1] if draws == 1 else [2, 1, 2, 3])  # the mean, and each draw


def test_distances_of_a_map_in_order_keep_their_scale(diagram):
    calm = replace(diagram, cells=diagram.cells.assign(distance=0.0))
    norm = maps.plot_diagram(calm, "distance", Figure().subplots()).collections[0].norm
    assert (norm.vmin, norm.vmax) == (1e-6, 1)


def test_networks_of_one_size_turn_chaotic_in_a_band_across_the_map():
    ax = maps.plot_edge_of_size(0.84, 0.02, "784 units", Figure().subplots())
    assert ax.get_lines()[0].get_xydata().tolist() == [[-1, 0.84], [1, 0.84]]
    assert ax.collections[0].get_paths()[0].get_extents().get_points() == pytest.approx(
        np.array([[-1, 0.82], [1, 0.86]])
    )
    assert ax.texts[0].get_text() == "784 units"


def test_outer_axes_of_all_cuts_are_named():
    def cut(ratio: float, neurons: int) -> Diagram:
        config = DiagramConfig(neurons=neurons, rows=3, columns=1, ratio_from=ratio, ratio_to=ratio, draws=3)
        return Diagram(config, config.cells.assign(distance=neurons**0.5, lyapunov_exponent=0.2))

    ratios, sizes = (0, 1.5), (100, 400)
    figure = maps.plot_cuts({(ratio, N): cut(ratio, N) for ratio in ratios for N in sizes}, ratios, sizes, spans=400)
    assert [ax.get_ylabel() for ax in figure.axes] == [
        style.LABELS["distance"],
        "",
        style.LABELS["lyapunov_exponent"],
        "",
    ]
    assert [ax.get_xlabel() for ax in figure.axes] == ["", "", "$1 / J$", "$1 / J$"]
    assert [ax.get_title() for ax in figure.axes] == ["$J_0/J$ = 0", "$J_0/J$ = 1.5", "", ""]
    named = [line.get_label() for line in figure.axes[0].get_lines() if not line.get_label().startswith("_")]
    assert named == ["$N$ = 100", "$N$ = 400", "theory"]  # and no entry for the lines of single draws
    both = maps.plot_sizes([cut(1.5, N) for N in sizes])
    assert [ax.get_ylabel() for ax in both.axes] == ["$1/J$ at the edge", ""]
    assert [ax.get_xlabel() for ax in both.axes] == ["neurons, $N$"] * 2


def test_edges_against_size_are_joined_by_ratio():
    cuts = []
    for N in (1000, 100):
        config = DiagramConfig(neurons=N, rows=10, columns=1, ratio_from=1.1, ratio_to=1.1, draws=2, inverse_j_to=1.0)
        chaotic = config.cells["inverse_J"] < (0.35 if N == 100 else 0.65)
        cuts.append(Diagram(config, config.cells.assign(distance=100.0 * chaotic, lyapunov_exponent=chaotic - 0.5)))
    ax = maps.plot_edge_against_size(cuts, "lyapunov_exponent", Figure().subplots())
    assert ax.get_xscale() == "log"
    line = ax.get_lines()[0].get_xydata()  # linear between two rows 0.1 apart, down to an exponent of 0.005
    np.testing.assert_allclose(line, [(100, 0.3495), (1000, 0.6495)])
    assert ax.texts[0].get_text() == "$J_0/J$ = 1.1"
    by_distance = maps.plot_edge_against_size(cuts, "distance", Figure().subplots()).get_lines()[0]
    np.testing.assert_allclose(by_distance.get_xydata(), [(100, 0.35), (1000, 0.65)])


def test_interactive_map_is_self_contained(diagram):
    html = interactive_diagram(diagram)
    assert "plotly-graph-div" in html
    assert "data-theme" in html  # it follows the page's dark mode
    assert "http" not in html.replace("http://www.w3.org", "")


def test_interactive_map_draws_both_measures_over_the_plane_and_theory(diagram):
    html = interactive_diagram(diagram)
    traces = json.loads(re.search(r"Plotly\.newPlot\(\s*\"[^\"]+\",\s*(\[.*?\]),\s*\{\"template\"", html, re.DOTALL)[1])
    assert [trace["type"] for trace in traces] == ["heatmap", "scatter", "scatter"] * 2
    distance, _, theory, exponent, _, below = traces
    expected = maps.grid(diagram, "distance")
    np.testing.assert_allclose(decoded(distance["x"]), expected.columns, atol=1e-4)
    np.testing.assert_allclose(decoded(distance["y"]), expected.index, atol=1e-4)
    np.testing.assert_allclose(decoded(distance["z"]), np.log10(expected), atol=6e-4)
    np.testing.assert_allclose(decoded(exponent["z"]), -np.tile(expected.columns, (4, 1)), atol=6e-4)
    x, y = decoded(theory["x"]), decoded(theory["y"])
    assert (x[0], x[-1]) == (diagram.config.ratio_from, diagram.config.ratio_to)
    assert y[np.abs(x) <= 1] == pytest.approx(1)
    assert (below["x"], below["y"]) == (theory["x"], theory["y"])
    assert theory["line"]["color"] == style.COLORS["edge on map"]
    for drawn, column in ((distance, "distance"), (exponent, "lyapunov_exponent")):
        mesh = maps.plot_diagram(diagram, column, Figure().subplots()).collections[0]  # the printed map
        ends = np.log10(mesh.get_clim()) if column == "distance" else mesh.get_clim()
        assert (drawn["zmin"], drawn["zmax"]) == pytest.approx(tuple(ends))
        for end, color in (drawn["colorscale"][0], drawn["colorscale"][-1]):
            assert color == colors.to_hex(mesh.cmap(float(end)))
    assert (theory["xaxis"], below["xaxis"], distance["yaxis"], exponent["yaxis"]) == ("x", "x2", "y", "y2")


def decoded(values: dict[str, str] | list[float]) -> np.ndarray:
    """Numbers as plotly writes them: a list, or bytes in base 64 with their type and shape."""
    if isinstance(values, list):
        return np.array(values)
    flat = np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])
    return flat.reshape([int(n) for n in values["shape"].split(",")]) if "shape" in values else flat


def test_picture_is_whole_or_absent(tmp_path, monkeypatch):
    config = DiagramConfig(neurons=100, rows=4, columns=3, ratio_to=0.0)  # where the edge is 1 and costs no time
    diagram = Diagram(config, config.cells.assign(distance=1.0, lyapunov_exponent=-1.0))
    maps.save_diagram_picture(diagram, tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes()[:4] == b"\x89PNG"

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(TableError, match=r"other\.png cannot be written: No space left"):
        maps.save_diagram_picture(diagram, tmp_path / "other.png")
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]


def test_scaling_figures(runs):
    ax = plot_rescaled(runs, 11.0, Figure().subplots())
    time, J_squared = ax.get_lines()[0].get_data()
    assert time[1] == pytest.approx(0.01 / 32)
    assert J_squared.max() <= 1.5
    np.testing.assert_allclose(ax.get_lines()[2].get_xydata(), [(0, 0.25), (1 / 11, 1.25)])  # the law's own line
    ax = plot_constant(pd.Series([0.3, 1.0]), pd.Series([9.0, 11.0]), 10.8, Figure().subplots())
    assert ax.get_lines()[0].get_ydata().tolist() == [9.0, 11.0]
    assert ax.get_xscale() == "log"


@pytest.mark.parametrize(("against", "first"), [("scaled", 0.5 * 4 * 60_000 * 0.01 / 32), ("train_loss", 0.5)])
def test_constants_of_growth_are_means_over_seeds_and_faint_seeds(decayed, against, first):
    ax = plot_constants(decayed, 11.0, against, Figure().subplots())
    lines = ax.get_lines()
    assert len(lines) == 3 + 2 + 1
    assert lines[1].get_xdata()[0] == pytest.approx(first)
    np.testing.assert_allclose(lines[1].get_ydata(), 0.01 * 32 / 0.01)  # without decay: the growth over the speed
    assert lines[-1].get_ydata() == [11.0, 11.0]


def unequal() -> list[Run]:
    """Two seeds of one setting, J from 0.5 by 0.01 over 10 epochs and by 0.03 over 20."""

    def run(seed: int, epochs: int, step: float) -> Run:
        J = 0.5 + step * np.arange(epochs + 1)
        columns = {"epoch": np.arange(epochs + 1), "J_squared": J**2, "J0": 0.0, "lambda": 0.0, "train_loss": J}
        columns |= dict.fromkeys(("test_loss", "validation_loss", "lyapunov"), J)
        return Run(parse_config({"epochs": 20, "seed": seed}), pd.DataFrame(columns), Outcome("finished", epochs))

    return [run(0, 10, 0.01), run(1, 20, 0.03)]


def mean_line(draw: str, runs: list[Run], ax: Axes) -> Line2D:
    if draw == "constants":
        return plot_constants(runs, 11.0, "scaled", ax).get_lines()[2]
    if draw == "decays":
        return plot_decays(runs, "J_squared", ax).get_lines()[0]
    if draw == "paths":
        return plot_paths(runs, ax).get_lines()[0]
    if draw == "exponents":
        return reason.plot_exponents(runs, ax, [""]).get_lines()[2]
    return deeper.plot_path(runs, "test_loss", ax).get_lines()[2]


@pytest.mark.parametrize(
    ("draw", "last"),
    [
        ("constants", ((0.6**2 - 0.59**2) + (0.8**2 - 0.77**2)) / 2 * 32 / 0.01),
        ("decays", (0.6**2 + 0.8**2) / 2),
        ("paths", (1 / 0.6 + 1 / 0.8) / 2),
        ("exponents", 0.7),
        ("deeper", 0.7),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_seeds_of_unequal_length_are_averaged_as_far_as_all_last(draw, last, order):
    line = mean_line(draw, unequal()[::order], Figure().subplots())
    points = {"constants": 10, "paths": 2}.get(draw, 11)  # growth between epochs; every tenth epoch
    assert len(line.get_ydata()) == points
    assert line.get_ydata()[-1] == pytest.approx(last)
    if draw in ("exponents", "deeper"):
        assert line.get_xdata() == pytest.approx(0.5 + 0.02 * np.arange(11))


def test_the_laws_are_drawn_with_the_published_slopes():
    def growing(epochs: int) -> Run:
        epoch = np.arange(epochs + 1)
        history = pd.DataFrame({"epoch": epoch, "J_squared": 0.25 + 0.004 * epoch})
        return Run(parse_config({"samples": 60_000, "epochs": epochs}), history, Outcome("finished", epochs))

    table = ordered_scaling.slope_table([growing(50)], [growing(300)])
    fit = plot_fit(growing(300), Figure().subplots())
    assert fit.get_lines()[0].get_ydata().max() <= 1.3
    assert np.diff(fit.get_lines()[1].get_ydata())[0] == pytest.approx(0.004 * fit.get_lines()[1].get_xdata()[1])
    assert [text.get_text() for text in fit.texts] == [
        "$J^2$ from 0.3 to 1: $A$ = 0.004",
        "epochs 0 to 48: $A$ = 0.004",
    ]
    ax = plot_slopes(table, "B", Figure().subplots())
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    published, ordered, window = ax.get_lines()
    assert published.get_xydata().tolist() == [[1 / 32, 0.00342]]
    assert (ordered.get_ydata()[0], window.get_ydata()[0]) == pytest.approx((0.004, 0.004))
    assert len(draw_laws(growing(50), table).axes) == 4
    assert len(draw_window([growing(50)], table).axes) == 2


def test_a_balance_is_stacked_from_nought():
    index = pd.MultiIndex.from_tuples([(0.02, 0.0, 32), (0.1, 0.0, 32)], names=["η", "α", "B"])
    ax = draw_balance(pd.DataFrame({"drift": [7.0, -1.0], "noise": [4.0, 9.0], "measured": [11.0, 11.0]}, index)).axes[
        0
    ]
    assert [(bar.get_x(), bar.get_width()) for bar in ax.patches] == [(0, 7), (0, -1), (7, 4), (0, 9)]
    assert next(label.get_text() for label in ax.get_yticklabels()) == r"$\eta$ = 0.02, $\alpha$ = 0, $B$ = 32"


def test_landing_places_have_a_row_a_setting_and_a_band_a_way():
    ends = pd.DataFrame({"setting": ["a", "a", "b"], "way": ["formula", "controller", "formula"], "J²": [0.9, 1, 1.2]})
    ax = plot_landing_places(ends, Figure().subplots(), {"formula": 0.1, "controller": 0.03})
    formula, controller = ax.get_lines()[:2]
    assert formula.get_xdata().tolist() == [0.9, 1.2]
    assert controller.get_xdata().tolist() == [1.0]
    assert formula.get_ydata()[0] > controller.get_ydata()[0] > formula.get_ydata()[1]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]


def test_a_search_rings_its_best_trial():
    ax = plot_search([1e-5, 1e-3, 1e-4], [0.1, 0.3, 0.2], Figure().subplots())
    assert ax.get_xscale() == "log"
    assert ax.get_lines()[0].get_xdata() == [1e-3]
    assert len(ax.collections[0].get_offsets()) == 3
    assert ax.collections[0].get_array().tolist() == [1, 2, 3]  # the number of the trial, for a scale beside it


def test_trials_that_are_all_as_good_keep_an_axis():
    ax = plot_search([1e-5], [0.3], Figure().subplots())
    assert ax.get_ylim() == pytest.approx((0.29, 0.302))
    ax = plot_search([1e-5, 1e-3, 1e-4], [0.1, 0.3, 0.2], Figure().subplots())
    assert ax.get_ylim() == pytest.approx((0.3 - 0.4, 0.3 + 0.04))


def test_noise_is_smoothed_about_each_epoch(runs):
    (run, _) = runs
    step = Run(run.config, run.history.assign(shuffled_accuracy=run.history["epoch"] / 100), run.outcome)
    seed, mean = plot_noise({"none": [step]}, "shuffled_accuracy", Figure().subplots()).get_lines()
    window = len(seed.get_xdata()) // SMOOTHED
    inner = slice(window, -window)  # a line is left where it is, to half an epoch where the window is even
    np.testing.assert_allclose(mean.get_ydata()[inner], seed.get_ydata()[inner], atol=0.0051)
    assert window > 2


def test_noise_of_runs_shorter_than_its_smoothing_is_drawn_as_it_is(runs):
    (run, _) = runs
    short = Run(run.config, run.history[:3].assign(shuffled_accuracy=[0.1, 0.2, 0.4]), run.outcome)
    ax = plot_noise({"none": [short]}, "shuffled_accuracy", Figure().subplots())
    assert list(ax.get_lines()[-1].get_ydata()) == [0.1, 0.2, 0.4]


def test_noise_is_a_mean_over_seeds_with_its_name_at_its_end(runs):
    shares = {0: 0.2, 4: 0.4}
    noisy = [
        Run(run.config, run.history.assign(shuffled_accuracy=shares[run.config.seed]), run.outcome) for run in runs
    ]
    ax = plot_noise({"none": noisy, "unmeasured": runs, "not run": []}, "shuffled_accuracy", Figure().subplots())
    assert [line.get_ydata()[-1] for line in ax.get_lines()] == pytest.approx([0.2, 0.4, 0.3])
    assert [text.get_text() for text in ax.texts] == ["none"]
    assert plot_noise({"none": noisy}, "shuffled_accuracy", Figure().subplots(), bottom=0).get_ylim()[0] == 0


def test_names_at_the_ends_of_lines_do_not_overlap():
    ax = Figure().subplots()
    ax.set_ylim(0, 10)
    label_ends(ax, {"upper": (5.1, "red"), "lower": (5.0, "blue"), "far": (9.0, "green")}, gap=0.1)
    heights = {text.get_text(): text.get_position()[1] for text in ax.texts}
    assert heights == pytest.approx({"lower": 0.5, "upper": 0.6, "far": 0.9})


def test_standings_keep_a_way_on_its_line():
    ax = plot_standings({"before": {"a": [1, 1, 2.5], "b": [3]}, "after": {"b": [5]}}, Figure().subplots())
    bars = {line.get_label(): line for line in ax.get_lines() if not line.get_label().startswith("_")}
    assert bars["before"].get_xdata().tolist() == [1.5, 3]
    assert bars["before"].get_ydata() == pytest.approx([2.15, 1.15])
    assert bars["after"].get_ydata() == pytest.approx([0.85])
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]


def test_what_is_not_slowed_has_the_colour_of_the_full_rate():
    ax = plot_standings({"full": {"a": [1, 2]}, "slowed": {"a": [3], ON: [5]}}, Figure().subplots())
    colors = {float(np.mean(line.get_xdata())): line.get_color() for line in ax.get_lines()}
    assert colors[5.0] == colors[1.5] != colors[3.0]


def test_a_contest_has_accuracy_and_loss_of_each_way_in_a_row():
    entry = Entry("a", "0", {0: 0.88, 1: 0.9}, {0: 0.3, 1: 0.5}, {0: 1.0, 1: 1.0}, 48)
    left, right = plot_contest({"constant": Standing({"a": entry}, entry)}, Figure()).axes
    assert left.get_lines()[0].get_xdata() == pytest.approx([89])
    assert right.get_lines()[0].get_xdata() == pytest.approx([0.4])


def test_figures_without_a_contest_are_empty():
    left, right = plot_contest({"constant": None}, Figure()).axes
    assert [line.get_xdata().size for ax in (left, right) for line in ax.get_lines()] == [0, 0]
    assert plot_searches(None, Figure()).axes == []
