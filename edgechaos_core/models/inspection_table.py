"""The table that `inspect` returns: a row for each weight, as text, HTML, dicts or a pandas DataFrame."""

import math
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, fields
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame

_NAN = float("nan")
DEFAULT = 0.1  # 3 J^2 so near 1 is PyTorch's start, as drawn


@dataclass(frozen=True)
class WeightRow:
    """A weight: where it stands in the phase diagram, and whether weight decay can steer it; nan: not defined.

    ``fan_in`` inputs are summed by a unit; ``J_squared = fan_in var(weight)``; ``ratio`` is J0/J (the modulus, of
    complex weights). ``activation`` is what follows in the sample's pass (`following`), and ``edge`` the J^2 at which
    chi is 1 with it, constant factors about it, J0 = 0 and the layer's biases; ``phase`` is order, edge (within a
    tenth), chaos or not defined. ``growth`` is by how much a small difference of the sample is multiplied, root mean
    square per unit, by this weight and the activation that follows; ``growth_from_input`` from the sample to there.
    ``scale_free``: a normalisation follows, so that the scale of the weight and of its own bias changes nothing that
    the model returns. ``group`` and ``weight_decay`` are the optimizer's.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    fan_in: float = _NAN
    J_squared: float = _NAN
    ratio: float = _NAN
    activation: str = "unknown"
    edge: float = _NAN
    phase: str = "not defined"
    growth: float = _NAN
    growth_from_input: float = _NAN
    scale_free: bool = False
    group: int | None = None
    weight_decay: float = _NAN
    steerable: bool = False
    why_not: str = ""


class Inspection(list[WeightRow]):
    """The rows of `inspect`, in the order of the model's modules; prints as a table.

    ``why_no_growth`` says why nothing was passed through the model, or is empty, and ``sample_note`` what of the
    sample was left as it is; ``uses`` counts those of weights that are applied several times in a pass;
    ``free_in_training`` names weights that are followed by batch normalisation in evaluation mode, which undoes their
    scale in training; ``below`` has the bounds of growth from the input where the difference is lost in rounding
    (growth is nan there). ``notes`` are what is printed below.
    """

    def __init__(self, rows: Iterable[WeightRow] = ()) -> None:
        super().__init__(rows)
        self.why_no_growth = ""
        self.sample_note = ""
        self.uses: dict[str, int] = {}
        self.free_in_training: list[str] = []
        self.below: dict[str, float] = {}

    @property
    def notes(self) -> list[str]:
        """Sentences: why there is no growth, masks in the sample, what the table does not show, PyTorch's default."""
        shared = [
            f"{name} is applied {uses} times in a pass: growth is that of its first use."
            for name, uses in self.uses.items()
        ]
        notes = (self.why_no_growth, self.sample_note, *shared, self._lost(), self.note_of_training(), self._defaults())
        return [note for note in notes if note]

    def _lost(self) -> str:
        """Say from where on differences are lost in rounding, if any are."""
        if not self.below:
            return ""
        return (
            f"The difference is lost in the rounding of the values from {next(iter(self.below))} on, at "
            f"{len(self.below)} of {len(self)} weights: growth is not measured there."
        )

    def note_of_training(self, names: Collection[str] | None = None) -> str:
        """Return what training makes of those of ``names`` (all, if None) whose batch normalisation is in eval mode."""
        if not (free := [name for name in self.free_in_training if names is None or name in names]):
            return ""
        return (
            f"batch normalisation follows {in_short(free)}, in evaluation mode: in training it undoes their scale, so "
            "that decay cannot steer it; call model.train() before to see and steer the model that is trained."
        )

    def _defaults(self) -> str:
        """Weights of PyTorch's own start, uniform with variance 1 / (3 fan_in), where that is far below an edge."""
        low = [row for row in self if row.phase == "order" and abs(3 * row.J_squared - 1) < DEFAULT]
        if not low:
            return ""
        told = []
        for name in dict.fromkeys(row.activation for row in low):
            edges = [row.edge for row in low if row.activation == name]
            ends = dict.fromkeys(_cell(end) for end in (min(edges), max(edges)))  # written as in the table
            told.append(f"{' to '.join(ends)} where {name} follows")
        return (
            f"{len(low)} of {len(self)} weights have PyTorch's default start, J^2 = 1/3. With the model's biases their "
            f"edge is at J^2 = {', '.join(told)}. initialise_at_edge sets these biases to 0 unless told otherwise, "
            "scales the weights to the edge that they have then, and on until a small difference of the sample keeps "
            "its size."
        )

    def to_dict(self, orient: str = "records") -> list[dict[str, Any]]:
        """Return a dict for each row; ValueError for another orient than "records"."""
        if orient != "records":
            raise ValueError(f"the orient must be 'records', got {orient!r}")
        return [asdict(row) for row in self]

    def to_frame(self) -> "DataFrame":
        """Return the rows as a pandas DataFrame; ImportError where pandas is not installed."""
        import pandas as pd

        return pd.DataFrame(self.to_dict(), columns=[each.name for each in fields(WeightRow)])

    def __str__(self) -> str:
        return "\n".join([_aligned(self._shown()), *self.notes])

    def _shown(self) -> list[list[str]]:
        """The table's cells, with bounds where growth from the input is below what rounding leaves."""
        head, *body = _cells(WeightRow, self)
        for cells, row in zip(body, self, strict=True):
            if row.name in self.below:
                power = math.ceil(math.log10(self.below[row.name]))
                cells[head.index("growth_from_input")] = f"below 1e{power}"
        return [head, *body]

    def _repr_html_(self) -> str:
        head, *body = [[escape(cell) for cell in row] for row in self._shown()]
        rows = "".join(f"<tr><td>{'</td><td>'.join(row)}</td></tr>" for row in body)
        table = f"<table><thead><tr><th>{'</th><th>'.join(head)}</th></tr></thead><tbody>{rows}</tbody></table>"
        return table + "".join(f"<p>{escape(note)}</p>" for note in self.notes)


def as_text(kind: type[Any], rows: Iterable[Any]) -> str:
    """Return rows, instances of a dataclass, as a table of aligned columns under the names of its fields."""
    return _aligned(_cells(kind, rows))


def _aligned(cells: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*cells)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)


def _cells(kind: type[Any], rows: Iterable[Any]) -> list[list[str]]:
    names = [each.name for each in fields(kind)]
    return [names, *([_cell(getattr(row, name)) for name in names] for row in rows)]


def _cell(value: object) -> str:
    if value is None or value is True or value is False:
        return {None: "-", True: "yes", False: "no"}[value]
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.4g}"
    return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)


def in_short(names: list[str]) -> str:
    """Return names in a row, the first three of more than four."""
    return ", ".join(names) if len(names) <= 4 else f"{', '.join(names[:3])} and {len(names) - 3} more"
