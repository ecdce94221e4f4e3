"""What a page tells of numbers: in prose, glued as text, and in tables; a dash stands for what a run does not have."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from myst_nb import glue

from edgechaos_core.analysis.intervals import DASH, Estimate, said, shown

POWER = re.compile(r"\b\d[\d.]*e-\d+\b")  # such as 1.8e-6, which a browser would break at its hyphen


@dataclass(frozen=True)
class Table:
    """A table as a page shows it: one row of heads, the names of the index first among them, and no blank cell."""

    columns: pd.DataFrame

    def __repr__(self) -> str:
        return self.columns.to_string(index=False)

    def _repr_html_(self) -> str:
        return POWER.sub(r'<span style="white-space: nowrap">\g<0></span>', self.columns.to_html(index=False, border=0))


def flat(table: pd.DataFrame) -> Table:
    """Return a table whose index is its first columns: pandas would give their names a second row of heads."""
    return Table(table.reset_index())


def tell(numbers: Mapping[str, float], **formats: str) -> None:
    """Glue each named number, written by its format, for ``{glue:text}``; all are dashes where there are no numbers.

    Raises ValueError for a name that is not among them.
    """
    if numbers and (unknown := [name for name in formats if name not in numbers]):
        raise ValueError(f"unknown number {unknown[0]!r}: choose from {', '.join(numbers)}")
    for name, form in formats.items():
        glue(name, said(numbers[name], form) if numbers else DASH, display=False)


def plain(table: pd.DataFrame, formats: Mapping[str, str]) -> pd.DataFrame:
    """Write the columns that have a format, in that order, as text; an estimate with its interval where it has one."""

    def written(value: float | Estimate, form: str) -> str:
        if isinstance(value, Estimate):
            return said(value.value, form) if value.low is None else shown(value)
        return said(value, form)

    columns = {name: [written(value, form) for value in table[name]] for name, form in formats.items()}
    return pd.DataFrame(columns, index=table.index)
