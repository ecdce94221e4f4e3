"""What a section of a page shows of a test: its figure from the runs that are stored, or what would train them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from edgechaos_core.book.told import Table, flat
from edgechaos_core.store.runs import Run

ENOUGH = 0.25  # of the planned runs, for a table
WIDTH = 6.9  # inches of a figure over the whole page


@dataclass(frozen=True)
class Sentence:
    """Text that a notebook displays as Markdown."""

    text: str

    def _repr_markdown_(self) -> str:
        return self.text


def counted(runs: int, planned: int, command: str = "") -> str:
    """Say how many of the planned runs are shown, and, where a ``command`` is given, that it trains the others."""
    if runs >= planned:
        return f"All {planned} planned runs are shown."
    return f"{runs} of {planned} planned runs are shown{f'; `{command}` trains the others' if command else ''}."


def drawn(draw: Callable[[Sequence[Run]], Figure], runs: Sequence[Run]) -> Figure:
    """Return the figure of the runs, to be glued; without runs it is a small one that says so."""
    if runs:
        return draw(runs)
    fig = Figure(figsize=(WIDTH, 0.5))
    fig.text(0.5, 0.5, "none of these runs is stored", ha="center", va="center", size=9)
    return fig


def stored_table(
    tabled: Callable[[Sequence[Run]], pd.DataFrame], runs: Sequence[Run], planned: int, command: str
) -> list[Table | Sentence]:
    """Return what a section displays of a table: the table, and how many of the planned runs it is of.

    With fewer than `ENOUGH` of the runs it is one sentence with the command that trains them.
    """
    if len(runs) < ENOUGH * planned:
        return [_too_few(len(runs), planned, command)]
    return [flat(tabled(runs)), Sentence(counted(len(runs), planned, command))]


def _too_few(runs: int, planned: int, command: str) -> Sentence:
    there = (
        f"{runs} of {planned} planned runs are stored, too few to show"
        if runs
        else f"None of the {planned} planned runs of this test is stored yet"
    )
    return Sentence(f"{there}; `{command}` trains them.")


def panels(columns: int, height: float = 3.2, width: float = WIDTH) -> Figure:
    """Return a figure of so many panels in a row, which no notebook shows by itself."""
    fig = Figure(figsize=(width, height), layout="constrained")
    fig.subplots(1, columns)
    return fig
