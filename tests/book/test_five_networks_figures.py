"""The pictures of the page `your_network` draw the numbers they are given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from edgechaos_core.book.figures.five_networks import plot_five, plot_growth
from edgechaos_core.book.figures.which_tool import OTHERWISE, STEPS, flow_chart
from edgechaos_core.experiments.five_networks import HELD
from tests.book.pages.test_your_network import made_up

FOUND = made_up(CNN=(0.81, 0.82, 0.83), LSTM=(0.79, 0.8, 0.81))


def test_a_network_has_its_axes_with_dots_mean_and_interval_over_the_ways():
    axes = Figure().subplots(1, 2)
    plot_five(FOUND, axes)
    assert [ax.get_title() for ax in axes] == ["CNN", "LSTM"]
    assert [tick.get_text() for tick in axes[0].get_xticklabels()] == ["0.1", "0.01", "1", "held"]
    dots, interval, mean = axes[0].get_lines()[-3:]
    assert list(dots.get_xdata()) == [3, 3, 3]
    assert dots.get_ydata() == pytest.approx([81, 82, 83])
    assert mean.get_ydata() == pytest.approx([82])
    assert np.mean(interval.get_ydata()) == pytest.approx(82)
    assert np.ptp(interval.get_ydata()) == pytest.approx(2 * 4.3027 / 3**0.5, rel=1e-4)


def test_growth_has_a_pair_of_lines_a_network_and_its_name_at_the_end():
    ax = plot_growth(FOUND, Figure().subplots())
    assert ax.get_yscale() == "log"
    free, held = ax.get_lines()[:2]
    assert (free.get_linestyle(), held.get_linestyle()) == ("-", "--")
    assert free.get_color() == held.get_color()
    assert list(free.get_ydata()) == pytest.approx([0.5])  # that of the first way, no decay
    assert list(held.get_ydata()) == pytest.approx([0.7])
    assert [text.get_text() for text in ax.texts] == ["CNN", "LSTM"]
    ax.figure.draw_without_rendering()
    ticks = [tick.get_text() for tick in [*ax.get_yticklabels(), *ax.get_yticklabels(minor=True)]]
    assert "0.6" in ticks
    assert not any("times" in tick or "^" in tick for tick in ticks)
    assert HELD in set(FOUND["way"])


def test_the_flow_chart_holds_its_words_and_fits_a_phone():
    figure = flow_chart()
    plt.close(figure)
    (ax,) = figure.axes
    told = [text.get_text().replace("\n", " ") for text in ax.texts]
    for step in STEPS:
        assert step.question in told
        assert step.answer in told
    assert told[-1] == OTHERWISE
    assert told.count("yes") == told.count("no") == len(STEPS)
    assert (figure.get_figwidth() + 0.2) * 96 <= 342  # pixels: with the margin that a page gives it
    assert min(text.get_fontsize() for text in ax.texts if text.get_text()) * 96 / 72 >= 9
    boxes = [patch.get_bbox() for patch in ax.patches if isinstance(patch, Rectangle)]
    assert len(boxes) == 2 * len(STEPS) + 1
    figure.draw_without_rendering()
    words = [text for text in ax.texts if len(text.get_text()) > 10]
    for text, box in zip(words, boxes, strict=True):
        inside = text.get_window_extent().transformed(ax.transData.inverted())
        assert box.x0 < inside.x0 < inside.x1 < box.x1
        assert box.y0 < inside.y0 < inside.y1 < box.y1
