"""The pictures of the landing page and the scorecard draw the numbers they are given."""

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from edgechaos_core.analysis.intervals import Estimate
from edgechaos_core.book.figures.journey import FRAMES, interactive_journey
from edgechaos_core.book.figures.scorecard import plot_scorecard
from edgechaos_core.claims.judging import Judged
from edgechaos_core.claims.verdicts import Part
from edgechaos_core.probes.diagram import Diagram, DiagramConfig
from edgechaos_core.store.runs import Outcome, Run, parse_config


def journey(epochs: int) -> Run:
    epoch = np.arange(epochs + 1)
    columns = {"epoch": epoch, "J_squared": 0.25 + 0.01 * epoch, "J0": 0.1, "test_loss": 0.5 - 0.001 * epoch}
    return Run(parse_config({"epochs": epochs}), pd.DataFrame(columns), Outcome("finished", epochs))


def diagram() -> Diagram:
    config = DiagramConfig(neurons=100, rows=4, columns=3)
    return Diagram(config, config.cells.assign(distance=1.0, lyapunov_exponent=-1.0))


def test_the_slider_moves_one_mark_on_each_panel():
    html = interactive_journey([journey(100), journey(100)], diagram(), last_epoch=3)
    assert '"prefix":"epoch "' in html
    assert html.count('"traces":[3,4]') == 4  # epochs 0 to 3
    assert '"label":"3 (J = 0.53)"' in html
    assert '"text":"J = 1"' not in html  # three epochs do not come to the edge
    assert '"text":"J = 1"' in interactive_journey([journey(100)], diagram(), last_epoch=90)
    with pytest.raises(ValueError, match=r"^a journey needs at least one run$"):
        interactive_journey([], diagram())


def test_the_mark_starts_where_the_parabola_has_its_least_loss_and_not_at_the_lowest_epoch():
    epoch = np.arange(101)
    J = 0.5 + 0.01 * epoch
    loss = 0.3 + 0.5 * (J - 0.95) ** 2
    loss[60] = 0.29  # one lucky epoch
    columns = {"epoch": epoch, "J_squared": J**2, "J0": 0.1, "test_loss": loss}
    run = Run(parse_config({"epochs": 100}), pd.DataFrame(columns), Outcome("finished", 100))
    html = interactive_journey([run], diagram())
    (mark,) = re.findall(r'"mode":"markers","x":\[(\d+)\]', html)
    assert abs(int(mark) - 45) <= 1  # the epoch at J = 0.95


def test_half_of_the_slider_is_where_the_network_moves():
    epoch = np.arange(1001)
    J = 1 - 0.5 * np.exp(-epoch / 5)  # within 30 epochs it has moved all its way but a 400th
    moved = Run(
        parse_config({"epochs": 1000}),
        pd.DataFrame({"epoch": epoch, "J_squared": J**2, "J0": 0.1, "test_loss": 0.5}),
        Outcome("finished", 1000),
    )
    html = interactive_journey([moved], diagram(), last_epoch=1000)
    shown = [int(label) for label in re.findall(r'"label":"(\d+) \(J', html)]
    early = [label for label in shown if label <= 30]
    assert (shown[0], shown[-1]) == (0, 1000)
    assert early[:10] == list(range(10))  # a frame each, as far as there are no more epochs
    assert np.diff([label for label in shown if label >= 100]).max() <= 2.2 * 1000 / FRAMES  # half the speed in time


def part(low: float | None, high: float | None, *ends: float) -> Judged:
    own = Part(short="q", quantity="a quantity", published=None, inside=(low, high), why="a test", setting="none")
    return Judged(own, Estimate(*ends, 3), "inconclusive", "") if ends else Judged(own, None, "no verdict", "")


def test_the_scorecard_draws_estimates_in_units_of_their_bounds():
    parts = {"C1": [part(0.9, 1.1, 1.05, 1.0, 1.1), part(0, None, 2.0, 1.0, 3.0)], "C2": [part(0, 1)]}
    ax = plot_scorecard(parts, Figure().subplots())
    bars, dots = ax.get_lines()[0::2], ax.get_lines()[1::2]
    assert bars[0].get_xdata() == pytest.approx([0, 1])
    assert dots[0].get_xdata() == pytest.approx([0.5])
    assert bars[1].get_xdata() == pytest.approx([-0.5, 0.5])  # a unit is the estimate where the bound, at -1, is 0
    assert dots[1].get_xdata() == pytest.approx([0])
    bands = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in ax.patches]
    assert np.array(bands) == pytest.approx(np.array([(-1, 1), (-1, 3.2), (-1, 1)]))  # open where there is no bound
    assert [text.get_text() for text in ax.texts].count("not run") == 1
    (below,) = plot_scorecard({"C1": [part(None, 1)]}, Figure().subplots()).patches
    assert (below.get_x(), below.get_x() + below.get_width()) == pytest.approx((-3.2, 1))


def test_on_a_phone_the_name_of_a_part_stands_in_its_row_above_the_estimate():
    parts = {"C1": [part(0.9, 1.1, 1.05, 1.0, 1.1)], "C2": [part(0, 1)]}
    wide, narrow = (plot_scorecard(parts, Figure().subplots(), narrow=narrow) for narrow in (False, True))
    names = [label.get_text() for label in wide.get_yticklabels()]
    assert names == ["C1  q", "C2  q"]
    assert [label.get_text() for label in narrow.get_yticklabels()] == []
    written = {text.get_text(): text.get_position()[1] for text in narrow.texts}
    assert set(written) == {"not run", *names}
    assert written[names[0]] < narrow.get_lines()[0].get_ydata()[0] < written[names[1]]  # rows go down the page
    assert wide.get_lines()[0].get_xdata() == pytest.approx(narrow.get_lines()[0].get_xdata())


def test_what_lies_far_out_is_a_triangle_at_the_rim():
    ax = plot_scorecard({"C1": [part(0.9, 1.1, 7.0, 6.0, 8.0)]}, Figure().subplots())
    assert {(line.get_marker(), *line.get_xdata()) for line in ax.get_lines()[1:]} == {(">", 3.0)}
    ax = plot_scorecard({"C1": [part(0.9, 1.1, 1.0, 0.2, 1.05)]}, Figure().subplots())  # its interval alone
    assert [(line.get_marker(), *line.get_xdata()) for line in ax.get_lines()[1:]] == [("<", -3.0), ("o", 0.0)]
