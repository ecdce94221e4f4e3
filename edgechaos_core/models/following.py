"""What follows a weight in a forward pass: its activation, the constants about it, and the edge of both."""

import math
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from edgechaos_core.models.activation_edges import Array, Curves, curves, edge_J_squared
from edgechaos_core.models.factors import factor_behind, factor_of, part_of, shift_of
from edgechaos_core.models.forward import PRODUCTS, Call, Passed
from edgechaos_core.models.scale import NORMS, normalises

# ATen's names, without the underscore of those that work in place; sums over units (softmax, GLU) are not among them
ACTIVATIONS = {
    **{
        "relu": "ReLU",
        "clamp_min": "clamp",
        "clamp": "clamp",
        "tanh": "tanh",
        "gelu": "GELU",
        "silu": "SiLU",
        "erf": "erf",
    },
    **{"leaky_relu": "LeakyReLU", "elu": "ELU", "sigmoid": "sigmoid", "hardtanh": "hardtanh", "mish": "Mish"},
    **{"hardswish": "hardswish", "hardsigmoid": "hardsigmoid", "softplus": "softplus", "_prelu_kernel": "PReLU"},
    **{"sin": "sin", "cos": "cos", "log_sigmoid_forward": "logsigmoid"},
}
KEPT = frozenset(ACTIVATIONS) | {"mul", "div"}  # the latter for x sigmoid(x), written out, and constant factors
_WRITTEN_OUT = {"SiLU", "GELU (tanh)"}  # known as made of other operations
_ON = {  # what leaves units what they are, or sums them with weights that are not learnt
    *("view", "_unsafe_view", "reshape", "_reshape_alias", "transpose", "permute", "t", "clone", "detach", "alias"),
    *("squeeze", "unsqueeze", "expand", "slice", "select", "split", "unbind", "unsafe_split", "chunk", "narrow"),
    *("split_with_sizes", "_to_copy", "contiguous", "native_dropout", "dropout", "bernoulli", "roll", "index"),
    *("max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool2d", "avg_pool3d", "_adaptive_avg_pool2d"),
    *("_adaptive_avg_pool3d", "adaptive_max_pool2d", "mean", "constant_pad_nd", "reflection_pad2d", "im2col", "cat"),
    *("upsample_nearest2d", "upsample_bilinear2d", "pixel_shuffle", "div", "neg", "stack", "copy", "where"),
}
_ELEMENTWISE = {
    *(*ACTIVATIONS, *_ON, *NORMS, "add", "sub", "rsub", "mul", "pow", "square", "sqrt", "rsqrt", "reciprocal", "abs"),
    *("exp", "expm1", "log", "log1p", "sign", "maximum", "minimum"),
}
_OTHERS = ("attention", "bmm", "mm", "baddbmm")


@dataclass(frozen=True, eq=False)
class Following:
    """What follows a weight: ``activation`` by name, and its ``call`` if it is one.

    The activation receives the product times ``factor``, plus constants of mean square ``shift``, and what it returns
    is multiplied by ``behind``. ``end`` is the operation behind which all of that is done, None where that is the
    product. ``refusal`` says why the weight's own J^2 is not what acts, or has no edge; it is empty otherwise.
    """

    activation: str
    call: Call | None = None
    factor: float = 1.0
    shift: float = 0.0
    behind: float = 1.0
    end: Call | None = None
    refusal: str = ""


def following(passed: Passed, tensor: int) -> Following:
    """Return what is met first on the way on from a tensor, through normalisation, dropout, pooling and reshaping.

    ``none`` before the next weight and at the end, ``residual sum`` where another branch is added before an activation,
    ``attention`` in products of activations, ``softmax``, ``gate`` where branches multiply, and ``unknown`` for what is
    not known, an activation that is but a part of a function (x - tanh(x), the square of ReLU) among it.
    Of several ways on an activation is preferred, but not to what is unknown.
    """
    found = _on(passed, tensor)
    if found.call is None or found.activation in _WRITTEN_OUT:
        return found
    if more := part_of(passed, tensor, found.call, _ELEMENTWISE, _ON, NORMS):
        names = f"{found.activation} and {more}"
        return Following("unknown", refusal=f"a function made of {names} follows, for which no edge is known")
    return found


def _on(passed: Passed, tensor: int) -> Following:
    if (scaled := _root_mean_square(passed, tensor)) is not None:
        return _normalised(_on(passed, scaled.writes[0]))
    if (gelu := _gelu(passed, tensor)) is not None:
        return _activation(passed, "GELU (tanh)", gelu)
    ways = [_step(passed, passed.calls[number], tensor) for number in dict.fromkeys(passed.readers.get(tensor, []))]
    if not ways:
        return Following("none")
    if {way.activation for way in ways} == {"sigmoid", "gate"} and (swish := _swish(passed, tensor)) is not None:
        return _activation(passed, "SiLU", swish)
    order = ("unknown", "gate", *sorted({way.activation for way in ways if way.call}))
    return next((way for kind in order for way in ways if way.activation == kind), ways[0])


def _step(passed: Passed, call: Call, tensor: int) -> Following:
    name = call.name.rstrip("_")
    if name in ACTIVATIONS:
        return _activation(passed, _named(name, call), call)
    if (end := _end(call, name)) is not None:
        return Following(end)
    if name not in _ON | NORMS | {"add", "sub", "mul"}:
        return Following("unknown")
    ends = [_on(passed, number) for number in call.writes[: 1 if name in NORMS else None]]
    found = next((end for end in ends if end.call), ends[0]) if ends else Following("none")
    if name in NORMS and normalises(call):
        return _normalised(found)
    if name in {"mul", "div"}:
        return _multiplied(found, call)
    return replace(found, shift=found.shift + found.factor**2 * shift_of(call)) if name in {"add", "sub"} else found


def _normalised(found: Following) -> Following:
    """What comes between a weight and a normalisation, or behind one, has no part in the scale of the weight."""
    return replace(found, factor=1.0, shift=0.0, refusal="" if found.call else found.refusal)


def _multiplied(found: Following, call: Call) -> Following:
    """What follows a weight whose product is multiplied by a constant first."""
    factor = factor_of(call)
    if found.call is None and found.activation != "none":  # no edge anyway
        return found
    if not math.isfinite(factor) or factor == 0:
        where = f"before {found.activation}" if found.call else "behind it"
        how = "a tensor, unit by unit," if math.isnan(factor) else f"{factor:g}"
        why = f"its output is multiplied by {how} {where}: J^2 of the parameter is not what acts"
        return replace(found, refusal=found.refusal or why)
    return replace(found, factor=factor * found.factor, end=found.end or call)


def _activation(passed: Passed, name: str, call: Call) -> Following:
    behind, end = factor_behind(passed, call, _ON)
    return Following(name, call, behind=behind, end=end)


def _named(name: str, call: Call) -> str:
    """An activation's name: ATen computes SELU and ReLU6 by operations of other names, and people ReLU by a clamp."""
    if name == "elu" and call.arguments[1:2] not in ((), (1,)):
        return "SELU"
    if name in {"clamp", "clamp_min"}:
        ends = (*call.arguments, None, None)[:2]
        return {(0, None): "ReLU", (0, 6): "ReLU6"}.get(ends, "clamp")
    return "ReLU6" if name == "hardtanh" and call.arguments[:2] == (0, 6) else ACTIVATIONS[name]


def _end(call: Call, name: str) -> str | None:
    """What ends the way on from a weight, other than an activation."""
    if name in PRODUCTS and call.weights:
        return "none"
    if name.endswith("softmax"):
        return "softmax"
    if any(other in name for other in _OTHERS):
        return "attention"
    if name in {"add", "sub"} and len(set(call.reads)) > 1:
        return "residual sum"
    return "gate" if name == "mul" and len(call.reads) > 1 else None


def _swish(passed: Passed, tensor: int) -> Call | None:
    """The product of x sigmoid(x), written out; None where something else is multiplied."""
    calls = [passed.calls[number] for number in passed.readers[tensor]]
    made = {number for call in calls if call.name.startswith("sigmoid") for number in call.writes}
    return next((call for call in calls if call.name.startswith("mul") and made & set(call.reads)), None)


def _root_mean_square(passed: Passed, tensor: int) -> Call | None:
    """The product that ends ``x rsqrt(mean(x^2) + eps)``, written out; None where that is not what follows."""
    call = _after_square(passed, tensor, ("mean", "add", "rsqrt", "mul"))
    return call if call and tensor in call.reads else None


def _gelu(passed: Passed, tensor: int) -> Call | None:
    """The product that ends ``x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))``, written out as in GPT-2."""
    call = _after_square(passed, tensor, ("mul", "add", "mul", "tanh", "add", "mul"))
    halves = [passed.calls[number] for number in passed.readers[tensor]] if call else []
    return call if any(half.name == "mul" and half.writes[0] in call.reads for half in halves if call) else None


def _after_square(passed: Passed, tensor: int, wanted: tuple[str, ...]) -> Call | None:
    """The last of operations of these names, one after the other, behind a power of a tensor; None where others are."""
    calls = [passed.calls[number] for number in passed.readers.get(tensor, [])]
    call = next((call for call in calls if call.name in {"pow", "square"}), None)
    for name in wanted:
        following_calls = passed.readers.get(call.writes[0], []) if call else []
        call = passed.calls[following_calls[0]] if len(following_calls) == 1 else None
        if call is None or call.name.rstrip("_") != name:
            return None
    return call


def edge_of(found: Following, bias_variance: float) -> float:
    """Return J^2 at the edge for a weight that this follows, nan where the theory of chains of layers has none."""
    if found.refusal:
        return float("nan")
    acting = (found.factor * found.behind) ** 2  # times J^2 of the parameter is what acts
    if found.activation == "none":
        return 1 / acting
    biases = found.factor**2 * bias_variance + found.shift
    if found.call is None or not (acting > 0 and math.isfinite(acting + biases)):
        return float("nan")
    arguments = tuple(
        float(each.double().mean()) if isinstance(each, Tensor) else each for each in found.call.arguments
    )
    try:
        options = tuple(sorted(found.call.options.items()))
        averages = _curves(found.activation, found.call.operation, arguments, options)
    except TypeError:  # arguments that are not hashable: a generator, a list
        return float("nan")
    return edge_J_squared(averages, biases) / acting


@cache
def _curves(name: str, operation: Any, arguments: tuple[Any, ...], options: tuple[Any, ...]) -> Curves:  # noqa: ANN401
    """The averages of an activation as it was called; its derivative is torch's own."""

    def phi(x: Array) -> tuple[Array, Array]:
        with torch.enable_grad(), torch.autocast("cpu", enabled=False):
            at = torch.from_numpy(x).requires_grad_()
            if name == "SiLU":
                value = torch.nn.functional.silu(at)
            elif name == "GELU (tanh)":
                value = torch.nn.functional.gelu(at, approximate="tanh")
            elif name == "PReLU":
                value = torch.nn.functional.leaky_relu(at, arguments[0])
            elif name == "logsigmoid":
                value = torch.nn.functional.logsigmoid(at)
            else:
                value = operation(at.clone(), *arguments, **dict(options))
            (slope,) = torch.autograd.grad(value.sum(), at)
        return value.detach().numpy(), slope.numpy()

    return curves(phi)
