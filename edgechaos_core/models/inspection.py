"""`inspect`: where each weight of anybody's model stands between order and chaos, and whether `EdgeDecay` can steer it.

The order parameters are those of fan_in.py; the edge is that of the activation that follows (activation_edges.py); what
a small difference really does, through norms, residuals and attention, is measured in two passes (forward.py)
"""

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import SGD, Adam, AdamW, Optimizer

from edgechaos_core.models.following import KEPT, Following, edge_of
from edgechaos_core.models.forward import Call, Passed, distance, two_passes
from edgechaos_core.models.inspection_table import Inspection, WeightRow
from edgechaos_core.models.named_weights import (
    NamedWeight,
    Use,
    after,
    bias_variance,
    gated,
    named_weights,
    numberless,
    uses_of,
)
from edgechaos_core.models.rounding import rounding
from edgechaos_core.models.scale import scale_is_undone
from edgechaos_core.models.sources import COMPUTED

UNUSED = "the sample's pass does not use it"
COMPUTED_FIRST = (
    "the layer computes its weight from it by an operation of its own: J^2 of the parameter is not what acts"
)
CONSTANT = "it is constant, or not finite: decay cannot set its variance"
WRAPPERS = {  # by name: none of them is imported for it
    "DistributedDataParallel": "pass the model inside, model.module",
    "DataParallel": "pass the model inside, model.module",
    "OptimizedModule": "pass the model inside, model._orig_mod, which has the same weights",
    "FullyShardedDataParallel": "it flattens weights; use torch.distributed.fsdp.fully_shard, which keeps them apart",
}
EDGE = 0.1  # J^2 within this of its edge, relative, is called the edge


@torch.inference_mode(False)  # also where the caller is in it: slopes of activations need gradients
def inspect(model: nn.Module, sample: Any, optimizer: Optimizer | None = None, *, seed: int = 0) -> Inspection:  # noqa: ANN401
    """Return a table of all weights of a model: J^2, that of the edge, measured growth, and whether decay can steer it.

    ``sample`` is what the model is called with: a tensor, a tuple or list of arguments, or a dict of keyword arguments,
    with values like the data's and best 16 samples or more.

    Two passes are made on copies: the sample's, and that
    of the sample plus a Gaussian difference (of ``seed``) of a millionth of its size, in float64; a thousandth in the
    model's own precision if it has over 20 million parameters or does not work in float64. Dropout is off, batch
    normalisation as the model's mode says. The model, its modes, buffers, gradients and hooks, what its modules keep
    (not in objects of your own classes but dataclasses), and the states of random numbers stay as they are.

    With an ``optimizer`` a weight must be in one of its groups to be steerable. Raises ValueError for arguments of
    other types and a sample that the model does not take; a weight that cannot be measured says why in ``why_not``.

    >>> import torch
    >>> from torch import nn
    >>> from edgechaos_core import inspect
    >>> _ = torch.manual_seed(0)
    >>> layers = nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
    >>> for row in inspect(nn.Sequential(*layers), torch.randn(32, 256)):
    ...     print(row.name, round(row.J_squared, 1), round(row.edge, 2), row.phase)
    0.weight 0.3 2.0 order
    2.weight 0.3 1.0 order
    """
    _refuse_others(model, optimizer)
    if without_numbers := [name for name, each in model.named_parameters() if numberless(each)]:
        return _table(model, optimizer, None, f"No growth is measured: {without_numbers[0]} has no numbers yet.")
    passes = two_passes(model, sample, KEPT, seed)
    table = _table(model, optimizer, passes, passes[1].why_no_growth)
    table.sample_note = passes[1].note
    return table


def inspect_weights(model: nn.Module, optimizer: Optimizer | None = None) -> Inspection:
    """Return what `inspect` tells of the weights alone, without a sample: no activation, no edge, no growth."""
    _refuse_others(model, optimizer)
    return _table(model, optimizer, None, "No growth is measured: there is no sample.")


def _refuse_others(model: nn.Module, optimizer: Optimizer | None) -> None:
    if not isinstance(model, nn.Module):
        raise ValueError(f"the model must be a torch.nn.Module, got {type(model).__name__}")
    for kind in type(model).__mro__:
        if (inner := WRAPPERS.get(kind.__name__)) is not None:
            raise ValueError(f"the model is wrapped in {kind.__name__}: {inner}")
    if optimizer is not None and not isinstance(optimizer, Optimizer):
        raise ValueError(f"the optimizer must be a torch.optim.Optimizer or None, got {type(optimizer).__name__}")


def _table(
    model: nn.Module, optimizer: Optimizer | None, passes: tuple[Passed, Passed] | None, why_no_growth: str = ""
) -> Inspection:
    table = Inspection()
    table.why_no_growth = why_no_growth
    names = {id(each): name for name, each in model.named_parameters()}
    used: set[Call] = set()
    weights = list(named_weights(model))
    holders: dict[int, list[NamedWeight]] = {}
    for weight in weights:
        holders.setdefault(id(weight.tensor), []).append(weight)
    for weight in weights:
        others = [each.name for each in holders[id(weight.tensor)] if each.module is not weight.module]
        tied = " and ".join(others) if weight.tensor is not None else ""
        row = _measured(weight, _group(weight, optimizer))
        if passes is not None and (uses := uses_of(weight, passes[0], names, used)):
            found = after(weight, uses[0], passes[0])
            row, bound = _grown(_passed(row, weight, uses, passes[0], found), found, uses[0], passes)
            if bound > 0:
                table.below[row.name] = bound
            if len(uses) > 1 and not isinstance(weight.module, (nn.RNNBase, nn.RNNCellBase)):
                table.uses[row.name] = len(uses)
            if not row.scale_free and _scale_free(weight, uses, passes[0], in_training=True):
                table.free_in_training.append(row.name)
        elif passes is not None:
            row = replace(row, why_not=UNUSED)
        table.append(replace(row, why_not=(why := _why_not(row, weight, optimizer, tied)), steerable=not why))
    return table


def _group(weight: NamedWeight, optimizer: Optimizer | None) -> tuple[int | None, float]:
    for number, group in enumerate(optimizer.param_groups if optimizer else []):
        if any(each is weight.tensor for each in group["params"]):
            return number, float(group.get("weight_decay", 0.0))
    return None, float("nan")


def _measured(weight: NamedWeight, group: tuple[int | None, float]) -> WeightRow:
    """What the weight alone says."""
    shape: tuple[int, ...] = ()
    if weight.tensor is not None and not is_lazy(weight.tensor):
        shape = tuple(weight.tensor.shape)
    row = WeightRow(weight.name, type(weight.module).__name__, shape, group=group[0], weight_decay=group[1])
    if weight.found is None:
        return row
    if weight.found.rows is not None:
        row = replace(row, shape=(len(weight.found.rows), *shape[1:]))
    J, J0 = weight.found.order_parameters()
    return replace(row, fan_in=weight.found.fan_in, J_squared=J**2, ratio=_ratio(J, J0))


def _ratio(J: float, J0: complex) -> float:
    if J == 0:
        return float("nan")
    return abs(J0) / J if isinstance(J0, complex) else J0 / J


def _passed(row: WeightRow, weight: NamedWeight, uses: list[Use], passed: Passed, found: Following) -> WeightRow:
    """Add what a pass says, at the first use of a weight that is used several times."""
    refusal = COMPUTED_FIRST if _is_computed(weight, uses[0]) else found.refusal
    scale_free = _scale_free(weight, uses, passed)
    whole = weight.found and not gated(weight) and not refusal
    edge = edge_of(found, bias_variance(weight)) if whole else float("nan")
    defined = not scale_free and not math.isnan(edge) and row.J_squared > 0
    apart = row.J_squared / edge - 1 if defined else 0.0
    phase = ("edge" if abs(apart) <= EDGE else "chaos" if apart > 0 else "order") if defined else "not defined"
    return replace(row, activation=found.activation, edge=edge, phase=phase, scale_free=scale_free, why_not=refusal)


def _grown(row: WeightRow, found: Following, use: Use, passes: tuple[Passed, Passed]) -> tuple[WeightRow, float]:
    """Add growth to a row; return it with the bound that growth from the input is below, nan where it is measured.

    A difference that is small against the rounding of the values it is of is no measurement, but one of exactly 0 is.
    """
    calls = {id(call): other for call, other in zip(passes[0].calls, passes[1].calls, strict=True)}
    end = (found.end or found.call or use.call) if use.columns is None else use.call
    received, returned = use.call.received, _part(end.returned, use.columns)
    before = distance(received, calls[id(use.call)].received)
    here, start = distance(returned, _part(calls[id(end)].returned, use.columns)), passes[1].perturbation
    unsure = 0 < here < rounding(returned)
    growth = here / before if before and not unsure and before >= rounding(received) else float("nan")
    from_input = here / start if start and not unsure else float("nan")
    bound = rounding(returned) / start if start and unsure else float("nan")
    return replace(row, growth=growth, growth_from_input=from_input), bound


def _scale_free(weight: NamedWeight, uses: list[Use], passed: Passed, *, in_training: bool = False) -> bool:
    """Tell whether a weight's scale, and its bias's, changes nothing; of a part of a tensor it is not said."""
    if gated(weight) or any(use.columns is not None for use in uses):
        return False
    return scale_is_undone(passed, [use.call for use in uses], in_training=in_training)


def _is_computed(weight: NamedWeight, use: Use) -> bool:
    """Tell whether an operation of the model makes of the parameter what the product sums with."""
    return weight.found is not None and f"{COMPUTED}{weight.prefix}{weight.base}" in use.call.weights


def _part(values: Tensor | None, columns: slice | None) -> Tensor | None:
    return values if columns is None or values is None else values[..., columns]


def _why_not(row: WeightRow, weight: NamedWeight, optimizer: Optimizer | None, tied: str) -> str:
    """Why `EdgeDecay` cannot steer a weight, or to no purpose; empty where it can."""
    found, tensor = weight.found, weight.tensor
    if found is None or tensor is None:
        return weight.refusal
    several = f"one decay cannot steer it alone: {weight.base} holds several matrices"
    reasons = {
        "it is computed from other parameters, which decay need not scale": found.computed,
        several: found.rows is not None,
        f"it is the same parameter as {tied}": bool(tied),
        "it is frozen (requires_grad is False)": not found.computed and not tensor.requires_grad,
        CONSTANT: not 0 < row.J_squared < math.inf,
        "EdgeDecay works with SGD, Adam and AdamW of torch.optim": not isinstance(optimizer, (SGD, Adam, AdamW))
        and optimizer is not None,
        "it is in no group of the optimizer": optimizer is not None and row.group is None,
        "a normalisation follows, which undoes its scale": row.scale_free,
        row.why_not: bool(row.why_not),
    }
    return next((why for why, holds in reasons.items() if holds), "")
