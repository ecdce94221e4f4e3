"""Figures draw the numbers they are given, in real coordinates."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from edgechaos_core import figures
from edgechaos_core.runs import Outcome, Run, parse_config
from edgechaos_core.scaling import PUBLISHED_WINDOW, growth


@pytest.fixture
def runs() -> list[Run]:
    def run(seed: int) -> Run:
        epoch = np.arange(101)
        columns = {"epoch": epoch, "J_squared": 0.25 + 0.01 * epoch, "J0": 0.1 + 0.001 * epoch + 0.01 * seed}
        columns |= {"test_loss": (epoch - 60 - seed) ** 2 / 1e4 + 0.3, "test_accuracy": 0.8 + epoch / 1e3}
        return Run(parse_config({"epochs": 100, "seed": seed}), pd.DataFrame(columns), Outcome("finished", 100))

    return [run(0), run(4)]


def test_path_runs_from_order_to_chaos_and_is_starred_at_the_least_loss(runs):
    ax = figures.plot_phase_path(runs[:1], Figure().subplots())
    path, star, start, edge = ax.get_lines()
    assert path.get_ydata()[0] == pytest.approx(2)
    assert path.get_xdata()[0] == pytest.approx(0.1 / 0.5)
    assert path.get_ydata()[-1] == pytest.approx(1 / 1.25**0.5)
    assert star.get_ydata()[0] == pytest.approx(1 / 0.85**0.5)  # J^2 = 0.25 + 0.01 x 60
    assert start.get_ydata()[0] == pytest.approx(2)
    assert list(edge.get_ydata()) == [1, 1]


def test_path_is_labelled_in_words_and_drawn_for_every_seed(runs):
    ax = figures.plot_phase_path(runs, Figure().subplots())
    assert [text.get_text() for text in ax.texts] == ["order", "chaos", "edge, $J = 1$", "start", "least test loss"]
    assert len(ax.get_lines()) == 3 * len(runs) + 1


def test_epoch_panel_shows_every_seed(runs):
    ax = figures.plot_by_epoch(runs, "J0", Figure().subplots())
    lines = [line.get_ydata() for line in ax.get_lines() if len(line.get_ydata())]
    assert ax.get_legend_handles_labels()[1] == ["$J_0$"]
    np.testing.assert_allclose(lines, [0.1 + 0.01 * seed + 0.001 * np.arange(101) for seed in (0, 4)])


def test_optimum_is_the_mean_epoch_of_least_test_loss(runs):
    ax = figures.plot_optimum(runs, Figure().subplots())
    assert ax.get_lines()[0].get_xdata()[0] == pytest.approx(62)


def test_growth_panel_shows_the_window_and_its_line(runs):
    line = growth(runs[0].history)
    ax = figures.plot_growth(runs[:1], line, PUBLISHED_WINDOW, Figure().subplots())
    marks, fitted = ax.get_lines()
    assert marks.get_xdata().max() == 48
    assert np.diff(fitted.get_ydata())[0] == pytest.approx(0.01 * 48)


def test_style_is_transparent():
    with mpl.rc_context():
        figures.use_style()
        assert mpl.rcParams["figure.facecolor"] == mpl.rcParams["axes.facecolor"] == "none"
