"""Growth of a small difference sample by sample, whose root mean square a few long samples may carry alone."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from edgechaos_core.models.following import KEPT
from edgechaos_core.models.forward import Call, two_passes
from edgechaos_core.models.named_weights import after, named_weights, uses_of


@torch.inference_mode(False)  # as `inspect`, whose passes these are
def median_growth(model: nn.Module, sample: Any, name: str, seed: int) -> float:  # noqa: ANN401
    """Return the median over samples of the growth of a difference up to a weight and the activation that follows.

    Samples lie along the first dimension of the sample's first tensor. The growth of each is the root mean square of
    its differences over that of all that was added to the sample. nan where the weight called ``name`` has no use in
    the pass, nothing was added, or what it returns is not laid out by samples. Raises ValueError as `inspect` does.
    """
    base, other = two_passes(model, sample, KEPT, seed)
    names = {id(each): own for own, each in model.named_parameters()}
    used: set[Call] = set()
    found = {weight.name: (weight, uses_of(weight, base, names, used)) for weight in named_weights(model)}
    weight, uses = found[name]
    first = next((each for each in tree_leaves(sample) if isinstance(each, Tensor) and each.ndim), None)
    if not uses or first is None or not other.perturbation:
        return math.nan
    following = after(weight, uses[0], base).call
    end = following if following is not None and uses[0].columns is None else uses[0].call
    one, two = end.returned, other.calls[base.calls.index(end)].returned
    if one is None or two is None or not len(first) or one.numel() == 0 or len(one) % len(first):
        return math.nan
    apart = (two - one).double().reshape(len(first), -1).square().mean(1).sqrt()
    return float(apart.median()) / other.perturbation
