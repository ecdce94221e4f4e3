"""Page `your_network`: what the networks of the experiment are made of, read off the modules that it builds."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import pandas as pd
import torch
from torch import nn

from edgechaos_core.experiments.five_networks import NETWORKS, SIDE
from edgechaos_core.models.controller import EdgeDecay

NORMS = (nn.LayerNorm, nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm)
ACTIVATIONS = {nn.Tanh: "tanh", nn.ReLU: "ReLU"}
INSIDE = {"relu": "ReLU", "gelu": "GELU"}  # of an encoder layer, by the function's name
NONE = "none"


def shapes_table(networks: Sequence[str]) -> pd.DataFrame:
    """Return a row a network: its input, layers in order, normalisation, skip connections and size, in text.

    The last column counts the weights that `EdgeDecay.for_model` holds.
    """
    rows = {name: _row(NETWORKS[name]()) for name in networks}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("network")


def _row(model: nn.Module) -> dict[str, str]:
    optimizer = torch.optim.AdamW(model.parameters())
    held = EdgeDecay.for_model(model, optimizer, sample=torch.rand(16, 1, SIDE, SIDE)).layers
    norms = {type(each).__name__ for each in model.modules() if isinstance(each, NORMS)}
    skips = any(isinstance(each, nn.TransformerEncoderLayer) for each in model.modules())
    return {
        "input": _input(next(_parts(model))),
        "layers, in order": "; ".join(_in_order(model)),
        "normalisation": ", ".join(sorted(norms)) or NONE,
        "skip connections": "around attention, and around the two linear layers behind it" if skips else NONE,
        "parameters": f"{sum(each.numel() for each in model.parameters()):,}",
        "weights held": str(len(held)),
    }


def _parts(model: nn.Module) -> Iterator[nn.Module]:
    """Yield the modules that are told of, in the order in which they are applied: that of their making."""
    for each in model.children():
        if isinstance(each, nn.TransformerEncoder):
            yield from each.layers
        else:
            yield each


def _input(first: nn.Module) -> str:
    """Return how an image enters a network that begins with this module."""
    if isinstance(first, nn.Flatten):
        return f"{SIDE**2} pixels in a row"
    if isinstance(first, nn.LSTM):
        return f"{SIDE} rows of pixels, one after the other"
    assert isinstance(first, nn.Conv2d)  # no other network is there
    side = first.stride[0]
    patches = f"{(SIDE // side) ** 2} patches of {side} × {side} pixels"
    return patches if side > 1 else f"image of {SIDE} × {SIDE} pixels"


def _in_order(model: nn.Module) -> list[str]:
    """Return the layers in words, each with the activation that follows it, and equal ones that follow each other once.

    >>> _in_order(nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2)))
    ['2 × linear 4 → 4 with tanh', 'linear 4 → 2']
    """
    told: list[str] = []
    for each in _parts(model):
        if name := ACTIVATIONS.get(type(each)):
            told[-1] += f" with {name}"
        elif not isinstance(each, nn.Flatten):
            told.append(_in_words(each))
    counted = [(layer, len(list(own))) for layer, own in groupby(told)]
    return [layer if times == 1 else f"{times} × {layer}" for layer, times in counted]


def _in_words(layer: nn.Module) -> str:
    match layer:
        case nn.Linear(in_features=before, out_features=after):
            return f"linear {before} → {after}"
        case nn.Conv2d(in_channels=before, out_channels=after, kernel_size=(side, _)):
            return f"convolution {side} × {side}, {before} → {after} channels"
        case nn.MaxPool2d(kernel_size=side):
            return f"max-pooling {side} × {side}"
        case nn.LSTM(input_size=before, hidden_size=after):
            return f"LSTM {before} → {after}, with tanh and sigmoid gates"
        case nn.TransformerEncoderLayer(self_attn=attention, linear1=first, linear2=second, activation=phi):
            return (
                f"encoder layer (attention with {attention.num_heads} heads; {_in_words(first)} with "
                f"{INSIDE[phi.__name__]}, {_in_words(second)})"
            )
    raise ValueError(f"no words for a {type(layer).__name__}")
