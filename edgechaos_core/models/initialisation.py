"""`initialise_at_edge`: scale the weights of a model so that a small difference neither grows nor dies on its way.

First each weight gets the J^2 at which chi is 1 with the activation that follows it. That is an edge of infinite depth
and width: at J^2 = 1 lengths in a tanh network still die out, as 1 / depth, and with them goes the first-order growth
of differences. So the growth of a difference is then measured layer by layer on the sample, and each weight divided by
it, until all are 1.
"""

import math
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn

from edgechaos_core.models.inspection import CONSTANT, inspect
from edgechaos_core.models.inspection_table import Inspection, WeightRow
from edgechaos_core.models.named_weights import NamedWeight, kept_as, named_weights, numberless, refuse_unknown
from edgechaos_core.models.per_sample import median_growth

GAIN = 0.1  # how far the measured growth through all layers together may be from 1, in the logarithm
TYPICAL = (0.5, 2.0)  # growth of the median sample beyond which the report says so
APART = (
    "single samples are not at the edge, whatever the mean. If biases are 0, GELU and SiLU have no stable length of "
    "signals: pass bias_variance=0.173 for GELU, 0.555 for SiLU then"
)
_SWEEPS = 60


@dataclass(frozen=True)
class Initialised:
    """What became of a weight: J^2 before and after, growth measured after; ``left`` says why it was left alone."""

    name: str
    activation: str
    J_squared_before: float
    J_squared: float
    growth: float
    left: str = ""


@dataclass(frozen=True)
class Initialisation:
    """The report of `initialise_at_edge`: a row for each weight, the sweeps made, and growth from the sample on.

    ``growth_from_input`` is that up to the last weight that was set, a root mean square over samples, and ``median``
    that of the median sample (`median_growth`), nan if none was set; ``table`` is `inspect`'s, after.
    """

    rows: list[Initialised]
    sweeps: int
    growth_from_input: float
    table: Inspection = field(repr=False)
    median: float = math.nan

    def __str__(self) -> str:
        first = f"growth from the sample to the last weight set: {self.growth_from_input:.3g}, {self.sweeps} sweeps"
        low, high = TYPICAL
        if not math.isnan(self.median) and not low <= self.median <= high:
            first += f"; but {self.median:.3g} in the median sample: {APART}"
        lines = [first]
        for row in self.rows:
            change = row.left or f"J^2 {row.J_squared_before:.4g} -> {row.J_squared:.4g}, growth {row.growth:.3g}"
            lines.append(f"{row.name} ({row.activation}): {change}")
        return "\n".join(lines)


def initialise_at_edge(
    model: nn.Module,
    sample: Any,  # noqa: ANN401 - whatever the model takes
    *,
    keep: Collection[str] = (),
    bias_variance: float | None = 0.0,
    measured: bool = True,
    seed: int = 0,
) -> Initialisation:
    """Set the J of each weight to the edge of what follows it, then to a measured growth of 1, and report.

    Weights are rescaled with their mean removed, so that what is orthogonal stays nearly so; constant ones are drawn
    anew, Gaussian, from ``seed``. ``measured=False`` leaves weights at the edge of infinite width and depth.
    ``sample`` is as for `inspect`, best 64 samples or more; growth is a root mean square over them.

    Biases of the layers set are drawn with ``bias_variance``, 0 if not given; None leaves them as they are. Without
    biases GELU and SiLU have no stable length of signals: beyond about 20 layers the lengths of single samples run
    apart, some to nothing, whatever the mean. With ``bias_variance`` 0.173 for GELU and 0.555 for SiLU there is one. At
    the length q = 3.56 (GELU) and 14.3 (SiLU) small changes of length and small differences are then both multiplied by
    1: ``J^2 E phi'^2 = 1 = J^2 d/dq E phi^2`` and ``q = J^2 E phi^2 + bias_variance``. Signals of standardised data are
    far shorter than SiLU's.

    Left alone, with the reason in the report, are layers named in ``keep`` (modules or parameters; say there what is
    pretrained, which cannot be seen), frozen and tied weights, those computed from others, those whose scale a
    normalisation undoes, those whose activation has no edge (attention, gates, residual sums, unknown functions), and
    those that the sample's pass does not use. Random numbers of the process stay as they are; gradients too.

    Raises ValueError for a name in ``keep`` that the model does not have, and as `inspect` does; the model is then as
    it was, also where growth cannot be brought to 1.

    >>> import torch
    >>> from edgechaos_core import initialise_at_edge
    >>> pairs = [(torch.nn.Linear(256, 256), torch.nn.Tanh()) for _ in range(20)]
    >>> model = torch.nn.Sequential(*[layer for pair in pairs for layer in pair])
    >>> report = initialise_at_edge(model, torch.randn(64, 256))
    >>> 0.5 < report.growth_from_input < 2
    True
    """
    number = isinstance(bias_variance, Real) and not isinstance(bias_variance, bool)
    if bias_variance is not None and not (number and 0 <= bias_variance < math.inf):
        raise ValueError(f"bias_variance must be a number of at least 0, or None, got {bias_variance!r}")
    refuse_unknown(model, keep)
    before = inspect(model, sample, seed=seed)
    generator = torch.Generator().manual_seed(seed)

    def look() -> Inspection:
        return inspect(model, sample, seed=seed)

    with torch.no_grad(), _whole_or_not_at_all(model):
        named = {weight.name: weight for weight in named_weights(model)}
        left = _start(before, named, look, keep, bias_variance, generator)
        sweeps, table = _to_growth_one(named, look, left) if measured else (0, look())
    rows = [
        Initialised(now.name, now.activation, old.J_squared, now.J_squared, now.growth, left[now.name])
        for old, now in zip(before, table, strict=True)
    ]
    last = next((row for row in reversed(table) if not left[row.name]), None)
    if last is None:
        return Initialisation(rows, sweeps, math.nan, table)
    return Initialisation(rows, sweeps, last.growth_from_input, table, median_growth(model, sample, last.name, seed))


@contextmanager
def _whole_or_not_at_all(model: nn.Module) -> Iterator[None]:
    """Put a model's parameters back as they were if what is done within fails."""
    state = {name: value.detach().clone() for name, value in model.named_parameters() if not numberless(value)}
    try:
        yield
    except BaseException:
        for name, value in model.named_parameters():
            if name in state:
                value.copy_(state[name])
        raise


def _start(
    table: Inspection,
    named: dict[str, NamedWeight],
    look: Callable[[], Inspection],
    keep: Collection[str],
    bias_variance: float | None,
    generator: torch.Generator,
) -> dict[str, str]:
    """Put each weight at the edge of theory; return for each why it was left alone, empty where it was not."""
    constant = [row for row in table if row.why_not == CONSTANT and row.edge > 0 and not kept_as(row.name, keep)]
    for row in constant:  # first, as no difference gets beyond them
        weight = _matrix(named[row.name])
        weight.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float64, device="cpu").to(weight))
    table = look() if constant else table
    left = {row.name: _why_left(row, keep, table) for row in table}
    for row in table:
        if not left[row.name]:
            if bias_variance is not None:
                _draw_bias(named[row.name], bias_variance, generator)
            weight = _matrix(named[row.name])
            weight.sub_(weight.mean())
    for row in look():  # the edge depends on the biases
        if not left[row.name]:
            _matrix(named[row.name]).mul_(math.sqrt(row.edge / row.J_squared))
    return left


def _to_growth_one(
    named: dict[str, NamedWeight], look: Callable[[], Inspection], left: dict[str, str]
) -> tuple[int, Inspection]:
    """Divide weights by the growth measured through them until it is 1; return the sweeps that took, and the table."""
    for sweep in range(_SWEEPS + 1):
        table = look()
        if not (off := _off(table, left)):
            return sweep, table
        for row in off:
            _matrix(named[row.name]).div_(row.growth)
    raise ValueError(f"growth through {off[0].name} stays at {off[0].growth:.3g}, and not 1, on the sample")


def _off(table: Inspection, left: dict[str, str]) -> list[WeightRow]:
    """The rows whose growth is not 1; ValueError where a difference is lost altogether."""
    free = [row for row in table if not left[row.name]]
    lost = next((row for row in free if not 0 < row.growth < math.inf), None)
    if lost is not None:
        raise ValueError(
            f"a small difference of the sample is lost on the way to {lost.name}: its growth is not defined"
        )
    return [row for row in free if abs(math.log(row.growth)) > GAIN / len(free)]


def _why_left(row: WeightRow, keep: Collection[str], table: Inspection) -> str:
    if kept := kept_as(row.name, keep):
        return f"left alone: kept as {kept}"
    if row.why_not:
        return f"left alone: {row.why_not}"
    if table.why_no_growth:
        return f"left alone: {table.why_no_growth}"
    if math.isnan(row.growth) and not table.below:  # beyond rounding nothing is known, until weights are larger
        return "left alone: the sample's pass does not use it, or no difference reaches it"
    return "" if row.edge > 0 else f"left alone: {row.activation} follows, for which theory has no edge"


def _draw_bias(weight: NamedWeight, variance: float, generator: torch.Generator) -> None:
    bias = weight.module._parameters.get(weight.base.replace("weight", "bias"))
    if isinstance(bias, Tensor) and bias.requires_grad:
        drawn = torch.randn(bias.shape, generator=generator, dtype=torch.float64, device="cpu")
        bias.copy_((math.sqrt(variance) * drawn).to(bias))


def _matrix(weight: NamedWeight) -> Tensor:
    assert weight.found is not None  # of the weights that are not left alone
    return weight.found.tensor
