"""A flow chart of the page `your_network`: which tool of this package to use, if any, narrow enough for a phone."""

import textwrap
from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from edgechaos_core.book.style import COLORS

WIDTH = 3.3  # inches: with the margin of a figure in a page, a phone of 390 px shows it whole
INDENT, GAP, PAD = 0.45, 0.26, 0.07  # of answers, of arrows, and of text in its box
LETTERS, LINE = 8.5, 0.155  # points; inches
A_CHARACTER = 0.064  # inches, a little more than the mean


@dataclass(frozen=True)
class Step:
    """A question, what to do if the answer is yes, and with what one goes on from there, if one does."""

    question: str
    answer: str
    then: str = ""


STEPS = (
    Step(
        "1. Does a normalisation follow a weight? (inspect: scale_free)",
        "Do not scale or steer it, and keep its usual weight decay. (From theory; not tested here by training.)",
        "the others",
    ),
    Step(
        "2. Are there eight or more layers, without normalisation and skip connections?",
        "Start with initialise_at_edge (GELU: bias_variance=0.173). For ReLU, the gains of nn.init do as well.",
        "train",
    ),
    Step(
        "3. Does the validation loss rise while you train?",
        "Stop early, or try some weight decays (AdamW: 0.01, 0.1, 1; SGD: 1e-4, 3e-4) and choose by validation loss: "
        "too much decay costs accuracy. EdgeDecay.for_model sets the decay of layers that come to their edge without a "
        "search; do not use it after initialise_at_edge.",
    ),
)
OTHERWISE = "4. Nothing more of the edge is of use here."


def flow_chart() -> Figure:
    """Return the chart: questions from the top, each with what to do below it at the right, and the next one below."""
    height = _height(OTHERWISE, indented=False)
    for step in STEPS:
        height += _height(step.question, indented=False) + _height(step.answer, indented=True) + 2 * GAP
    figure = plt.figure(figsize=(WIDTH, height + 0.1))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set(xlim=(0, WIDTH), ylim=(-height - 0.05, 0.05))
    ax.set_axis_off()
    top = 0.0
    for step in STEPS:
        below = _box(ax, step.question, top, indented=False)
        end = _box(ax, step.answer, below - GAP, indented=True)
        _arrow(ax, INDENT + 0.4, below, below - GAP, "yes")
        _arrow(ax, INDENT / 2, below, end - GAP, "no")
        if step.then:
            _arrow(ax, INDENT + 0.4, end, end - GAP, step.then)
        top = end - GAP
    _box(ax, OTHERWISE, top, indented=False)
    return figure


def _lines(text: str, *, indented: bool) -> list[str]:
    width = WIDTH - 2 * PAD - 0.1 - (INDENT if indented else 0)
    return textwrap.wrap(text, int(width / A_CHARACTER))


def _height(text: str, *, indented: bool) -> float:
    return LINE * len(_lines(text, indented=indented)) + 2 * PAD


def _box(ax: Axes, text: str, top: float, *, indented: bool) -> float:
    """Draw a text in a box that begins at ``top``; return where it ends."""
    left = 0.05 + (INDENT if indented else 0)
    height = _height(text, indented=indented)
    color = COLORS["optimum"] if indented else COLORS["edge"]
    look = {"facecolor": "none", "edgecolor": color, "lw": 1.5 if indented else 1}
    ax.add_patch(Rectangle((left, top - height), WIDTH - 0.05 - left, height, **look))
    lines = "\n".join(_lines(text, indented=indented))
    ax.text(left + PAD, top - height / 2, lines, fontsize=LETTERS, va="center", linespacing=1.2)
    return top - height


def _arrow(ax: Axes, across: float, start: float, end: float, label: str) -> None:
    look = {"arrowstyle": "->", "color": COLORS["edge"], "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", (across, end), (across, start), arrowprops=look)
    ax.text(across + 0.06, start - GAP / 2, label, fontsize=LETTERS, va="center", style="italic")
