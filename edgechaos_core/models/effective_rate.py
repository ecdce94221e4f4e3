"""How strongly an optimizer's weight decay acts on a weight: SGD, Adam and AdamW of torch.optim.

A step with decay wd takes the part ``effective_rate x relative_decay x wd`` off the weight.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from edgechaos_core.models.fan_in import whole

LEAST_SCALE = 0.01  # of Adam's sqrt(v), relative to its median


def effective_rate(group: Mapping[str, Any]) -> float:
    """Return the effective rate of a step of a parameter group, up to `relative_decay`."""
    momentum = group.get("momentum", 0.0)
    damping = 1 - group.get("dampening", 0.0) if momentum else 1.0
    return float(group["lr"]) * float(damping) / (1 - float(momentum))


def relative_decay(weight: Tensor, group: Mapping[str, Any], state: Mapping[str, Any]) -> float:
    """Return how much more strongly decay acts than its rate says: 1, but for Adam's penalty, divided by sqrt(v)."""
    if "betas" not in group or group.get("decoupled_weight_decay") or "exp_avg_sq" not in state:
        return 1.0
    second = state["max_exp_avg_sq"] if group.get("amsgrad") else state["exp_avg_sq"]
    correction = 1 - group["betas"][1] ** float(state["step"])
    squares = _entries(weight).double().square()
    scale = (_entries(second).double() / correction).sqrt() + group["eps"]
    scale.clamp_(min=LEAST_SCALE * float(scale.median()))  # weights of dead inputs: Adam bounds their step
    return float((squares / scale).sum() / squares.sum())


def is_lost(weight: Tensor, shrink: float) -> bool:
    """Tell whether rounding undoes most of what decay takes off a weight of low precision in a step."""
    if not shrink > 0 or torch.finfo(weight.dtype).eps <= torch.finfo(torch.float32).eps:
        return False
    weight = _entries(weight)
    before, after = (float(each.double().square().sum()) for each in (weight, weight * (1 - shrink)))
    return before - after < shrink * before  # half of what it should be


def _entries(tensor: Tensor) -> Tensor:
    """All numbers of a weight or of the optimizer's state, as real ones."""
    values = whole(tensor)
    return torch.view_as_real(values) if values.is_complex() else values
