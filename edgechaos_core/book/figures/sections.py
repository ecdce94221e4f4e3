"""What a section of a page shows of a test: its figure from the runs that are stored, or what would train them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from edgechaos_core.store.runs import Run

WIDTH = 6.9  # inches of a figure over the whole page


@dataclass(frozen=True)
class Sentence:
    """Text that a notebook displays as Markdown."""

    text: str

    def _repr_markdown_(self) -> str:
        return self.text


def stored_section(
    draw: Callable[[Sequence[Run]], Figure], runs: Sequence[Run], planned: int, command: str, seen: str
) -> list[Figure | Sentence]:
    """Return what a section displays: the figure with ``seen``, what it shows, and how many of the planned runs.

    Without runs it is one sentence with the command that trains them.
    """
    if not runs:
        return [Sentence(f"None of the {planned} planned runs of this test is stored yet; `{command}` trains them.")]
    there = f"All {planned} planned runs are shown."
    if len(runs) < planned:
        there = f"{len(runs)} of {planned} planned runs are shown; `{command}` trains the others."
    return [draw(runs), Sentence(f"{seen} {there}")]


def panels(columns: int, height: float = 3.2, width: float = WIDTH) -> Figure:
    """Return a figure of so many panels in a row, which no notebook shows by itself."""
    fig = Figure(figsize=(width, height), layout="constrained")
    fig.subplots(1, columns)
    return fig
