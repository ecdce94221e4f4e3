"""`EdgeDecay.for_model`: hold every layer of anybody's network at its edge of chaos, and tell how each stands."""

import math
import warnings
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from edgechaos_core.models.attached import groups_by_weight, steerable_optimizer
from edgechaos_core.models.controller import EdgeDecay
from edgechaos_core.models.inspection import inspect, inspect_weights
from edgechaos_core.models.inspection_table import Inspection, WeightRow, as_text, in_short
from edgechaos_core.models.named_weights import kept_as, named_weights, refuse_unknown
from edgechaos_core.models.parameter_groups import split_groups
from edgechaos_core.theory.decay_law import DecayLaw

NOT_STEERED, SCALE_FREE = "not steered", "scale-free"


@dataclass(frozen=True)
class LayerReport:
    """How a weight stands: J^2 and its target, the decay in force, and its status in a word, and why.

    Weights that are not steered have the status ``scale-free`` where a normalisation follows, which undoes what decay
    does to their scale, else ``not steered``; their target is nan.
    """

    name: str
    status: str
    J_squared: float
    target: float
    weight_decay: float
    detail: str


class Report(list[LayerReport]):
    """The rows of `ModelEdgeDecay.report`, in the order of the model's modules; prints as a table."""

    def to_dict(self) -> list[dict[str, Any]]:
        """Return a dict for each row."""
        return [asdict(row) for row in self]

    def __str__(self) -> str:
        return as_text(LayerReport, self)


class ModelEdgeDecay:
    """Set the weight decay of every layer that can be steered so that its J^2 settles at its target.

    Each steered weight gets a parameter group of its own, with all options of the group that it was in; the optimizer's
    state stays. Each has an `EdgeDecay`, in ``layers`` by name, with ``rate`` and ``smoothing`` as there; what is said
    there of periods, optimizers, GradScaler, copies and several processes holds here. Call `step` once an epoch.

    ``target`` is ``"edge"``: for each layer the J^2 at the edge of the activation that follows it, 1 where none
    follows; or a number for all layers; or a dict of numbers by the names of the weights to steer, all others being
    left alone. The first two pass ``sample`` through the model, as `inspect` does, to see what follows each weight;
    the last one needs none, and is the one for weights that are spread over processes (``fully_shard``): take the
    edges from `inspect` before. ``keep`` names modules or parameters to leave alone, say the readout. Learning-rate
    ``schedulers`` that were made before are passed here, or made afterwards.

    Raises ValueError where no layer can be steered, for a layer named in ``target`` that cannot, an optimizer or a
    model that is wrapped (it says what to pass instead), names that the model does not have, and as `inspect` and
    `EdgeDecay` do.

    >>> import torch
    >>> from torch import nn
    >>> from edgechaos_core import EdgeDecay
    >>> _ = torch.manual_seed(0)
    >>> normalised = nn.Linear(20, 20), nn.LayerNorm(20), nn.ReLU()
    >>> last = nn.Linear(20, 20, bias=False), nn.Tanh()
    >>> model = nn.Sequential(*normalised, *last)
    >>> optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    >>> edge = EdgeDecay.for_model(model, optimizer, sample=torch.randn(16, 20))
    >>> for row in edge.report():
    ...     print(row.name, row.status, round(row.target, 1))
    0.weight scale-free nan
    3.weight no steps seen 1.0
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        target: str | float | Mapping[str, float] = "edge",
        *,
        sample: Any = None,  # noqa: ANN401 - whatever the model takes
        keep: Collection[str] = (),
        schedulers: Iterable[LRScheduler] = (),
        rate: float = 0.3,
        smoothing: float = 0.5,
    ) -> None:
        self.optimizer = steerable_optimizer(optimizer)
        _refuse_target(target, sample)
        refuse_unknown(model, keep)
        table = inspect_weights(model, optimizer) if isinstance(target, Mapping) else inspect(model, sample, optimizer)
        self._left = {row.name: _left(row, why) for row in table if (why := _why_left(row, target, keep))}
        _refuse_left(table, self._left, target)
        targets = {row.name: _target(row, target) for row in table if row.name not in self._left}
        weights = {each.name: each.tensor for each in named_weights(model) if each.tensor is not None}
        for each in targets.values():
            DecayLaw(each, rate, smoothing)  # refuses bad numbers before any group is split
        taken = split_groups(self.optimizer, [weights[name] for name in targets], schedulers)
        self._origins = {name: number for name in targets if (number := taken.get(id(weights[name]))) is not None}
        options = {"rate": rate, "smoothing": smoothing}
        self.layers: dict[str, EdgeDecay] = {}
        try:
            for row in table:
                if (aim := targets.get(row.name)) is not None:
                    self.layers[row.name] = EdgeDecay(
                        self.optimizer, weights[row.name], target=aim, fan_in=row.fan_in, **options
                    )
                    self.layers[row.name]._name = row.name
        except ValueError:
            self.close()
            raise
        if note := table.note_of_training(targets):
            warnings.warn(f"EdgeDecay: {note}", stacklevel=3)
        self._order = [row.name for row in table]
        self._seen = self._rates(groups_by_weight(self.optimizer))

    def step(self) -> dict[str, float]:
        """End a period in all layers, and return the decay that each gets for the next.

        Warnings are those of `EdgeDecay`, once each with the names of the layers that they are about.
        """
        groups = groups_by_weight(self.optimizer)
        decays = {
            name: layer._end_period(groups.get(id(layer.weight)) or layer.group) for name, layer in self.layers.items()
        }
        self._note_left_behind(groups)
        news: dict[str, list[str]] = {}
        for name, layer in self.layers.items():
            for message in layer._take_news():
                news.setdefault(message, []).append(name)
        for message, names in news.items():
            warnings.warn(f"EdgeDecay of {in_short(names)}: {message}", stacklevel=2)
        return decays

    def _rates(self, groups: Mapping[int, Mapping[str, Any]]) -> dict[str, tuple[float, float]]:
        """The learning rates of each layer's group and of the group that it was taken from, as far as that is there."""
        own = {name: groups[id(self.layers[name].weight)] for name in self._origins}
        origins = {name: self.optimizer.param_groups[number:][:1] for name, number in self._origins.items()}
        return {name: (float(own[name]["lr"]), float(each["lr"])) for name, found in origins.items() for each in found}

    def _note_left_behind(self, groups: Mapping[int, Mapping[str, Any]]) -> None:
        """Note layers whose learning rate stayed while that of the group that they were taken from changed."""
        before, self._seen = self._seen, self._rates(groups)
        for name, (own, origin) in self._seen.items():
            own_before, origin_before = before.get(name, (own, origin))
            if own == own_before and origin != origin_before:
                self.layers[name]._note("left behind", own, origin_before, origin)

    def metrics(self, prefix: str = "edge/") -> dict[str, float]:
        """Return numbers for a logger, flat: ``edge/NAME/J_squared``, ``.../target`` and ``.../weight_decay``."""
        return {
            f"{prefix}{row.name}/{quantity}": getattr(row, quantity)
            for row in self.report()
            if row.name in self.layers
            for quantity in ("J_squared", "target", "weight_decay")
        }

    def report(self) -> Report:
        """Return a table of all weights of the model, each with its status since the last period."""
        return Report(self._left[name] if name in self._left else self._row(name) for name in self._order)

    def _row(self, name: str) -> LayerReport:
        layer = self.layers[name]
        word, detail = layer.status
        return LayerReport(name, word, layer.J_squared, layer.law.target, layer.weight_decay, detail)

    def state_dict(self) -> dict[str, Any]:
        """Return what the controllers know by the layers' names, numbers alone; decays are in the optimizer's."""
        return {name: layer.state_dict() for name, layer in self.layers.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`, targets included; load the optimizer's as well.

        Raises ValueError, with nothing loaded, for a state of other layers.
        """
        if not isinstance(state, Mapping):
            raise ValueError(f"the state must be a dict as state_dict returns, got {type(state).__name__}")
        if set(state) != set(self.layers):
            raise ValueError(f"the state is of {in_short(list(state))}, steered are {in_short(list(self.layers))}")
        before = self.state_dict()
        try:
            for name, layer in self.layers.items():
                layer.load_state_dict(state[name])
        except ValueError:
            for name, layer in self.layers.items():
                layer.load_state_dict(before[name])
            raise

    def close(self) -> None:
        """Let go of the optimizer: groups and decays stay as they are."""
        for layer in self.layers.values():
            layer.close()


def _refuse_target(target: object, sample: object) -> None:
    number = isinstance(target, Real) and not isinstance(target, bool)
    shown = repr(target) if isinstance(target, (str, Real)) else f"{type(target).__name__} (a batch is sample=)"
    if not number and not isinstance(target, Mapping) and not (isinstance(target, str) and target == "edge"):
        raise ValueError(f"target must be 'edge', a J^2, or a dict of J^2 by names of weights, got {shown}")
    if sample is None and not isinstance(target, Mapping):
        raise ValueError(
            f"target={target!r} needs sample=, a batch that the model takes, to see what follows each layer; without "
            "one, name the layers: target={'fc.weight': 1.0}"
        )


def _why_left(row: WeightRow, target: str | float | Mapping[str, float], keep: Collection[str]) -> str:
    if isinstance(target, Mapping) and row.name not in target:
        return "target does not name it"
    if kept := kept_as(row.name, keep):
        return f"kept as {kept}"
    if row.why_not:
        return row.why_not
    if target == "edge" and not row.edge > 0:
        return f"{row.activation} follows, for which theory has no edge: name its J^2 in target= to steer it"
    return ""


def _left(row: WeightRow, why: str) -> LayerReport:
    return LayerReport(
        row.name, SCALE_FREE if row.scale_free else NOT_STEERED, row.J_squared, math.nan, row.weight_decay, why
    )


def _refuse_left(table: Inspection, left: dict[str, LayerReport], target: str | float | Mapping[str, float]) -> None:
    named = list(target) if isinstance(target, Mapping) else []
    for name in named:
        if name not in {row.name for row in table}:
            raise ValueError(f"target names {name!r}, which is no weight of the model")
        if name in left:
            raise ValueError(f"{name} cannot be steered: {left[name].detail}")
    if len(left) == len(table):
        reasons = "; ".join(f"{each.name}: {each.detail}" for each in list(left.values())[:3])
        raise ValueError(f"no layer of the model can be steered: {reasons or 'it has no weights'}")


def _target(row: WeightRow, target: str | float | Mapping[str, float]) -> float:
    if isinstance(target, Mapping):
        return target[row.name]
    return row.edge if isinstance(target, str) else target
