"""The fan-in N and the order parameters of the weights of a layer, whatever its kind.

``J = sqrt(N) std(W)`` and ``J0 = N mean(W)`` need N, the number of weighted inputs that a unit sums. It depends on how
a layer lays its weight out, which the tensor alone does not tell; a layer that is not known here is refused by name.
"""

import gc
import math
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Real

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from edgechaos_core.models.moments import moments

LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)  # whose weight is [out, in / groups, ...]
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)  # [in, out / groups, ...]
GATES = {nn.LSTM: "ifgo", nn.LSTMCell: "ifgo", nn.GRU: "rzn", nn.GRUCell: "rzn"}  # the order of their rows
NO_SUM = {
    nn.Embedding: "looks rows up instead of summing inputs: it has no fan-in",
    nn.EmbeddingBag: "adds rows up as its input says: it has no fan-in of its own",
    nn.Bilinear: "multiplies two inputs: it has no fan-in",
}


@dataclass(frozen=True, eq=False)
class LayerWeight:
    """A weight matrix of a layer: its ``name`` there, the ``tensor`` that holds it, and its ``fan_in``.

    ``rows`` of the tensor are this matrix, None for all of them: the gates of a recurrent layer, and the projections of
    attention, are parts of one tensor. ``computed``: the tensor is no parameter, but made of others by a
    parametrization.
    """

    name: str
    tensor: Tensor
    fan_in: float
    rows: range | None = None
    computed: bool = False

    def order_parameters(self) -> tuple[float, complex]:
        """Return (J, J0) of the weight as it is now, J0 a float unless the weight is complex.

        A weight that is spread over processes (DTensor) is gathered: call it in all of them. Raises ValueError for a
        tensor that has no numbers to measure, such as one that is quantised or on the meta device.
        """
        _refuse_unmeasurable(self.name, self.tensor)
        values = whole(self.tensor)
        if self.rows is not None:
            values = values[self.rows.start : self.rows.stop]
        variance, mean = moments(values)
        return math.sqrt(self.fan_in * variance), self.fan_in * mean


def whole(tensor: Tensor) -> Tensor:
    """Return the values of a tensor, detached; a DTensor's from all processes, as its own sums are but local ones."""
    gather = getattr(tensor.detach(), "full_tensor", None)
    return tensor.detach() if gather is None else gather()


def weights_of(module: nn.Module) -> list[LayerWeight]:
    """Return the weight matrices of a layer, its children's left out, each with its fan-in.

    That is ``in_features`` of a linear layer, ``in / groups x kernel`` of a convolution, divided by the stride for a
    transposed one (the mean over its outputs), a gate's own columns in recurrent layers. A weight under
    `torch.nn.utils.parametrizations` is the one that the layer computes with. Raises ValueError, naming the layer, for
    one that has no fan-in, is not known here, or whose weight cannot be measured.
    """
    kind = type(module).__name__
    for refused, why in NO_SUM.items():
        if isinstance(module, refused):
            raise ValueError(f"{kind} {why}")
    found = list(_known(module))
    if not found:
        raise ValueError(
            f"the fan-in of {type(module).__module__}.{kind} is not known: pass its weight, if that is [out, in, ...], "
            "or the weight and fan_in=, the number of inputs that a unit sums"
        )
    for weight in found:
        _refuse_unmeasurable(weight.name, weight.tensor)
    return found


def weight_to_hold(layer: nn.Module | Tensor, fan_in: float | None = None) -> LayerWeight:
    """Return the one weight of a layer, or the weight given, with its fan-in, where weight decay can scale it.

    A bare weight is looked for in the layers that hold it; where none of them is known it is taken as ``[out, in,
    ...]``. ``fan_in``, if given, is taken as it is. Raises ValueError for a layer with several weights or none, a
    parameter that holds several matrices, and one from which a parametrization computes the weight.
    """
    if not isinstance(layer, (Tensor, nn.Module)):
        raise ValueError(f"the layer must be a torch.nn.Module or its weight, got {type(layer).__name__}")
    if fan_in is not None:
        return _as_told(layer, fan_in)
    name = "weight" if isinstance(layer, Tensor) else type(layer).__name__
    found = weights_of(layer) if isinstance(layer, nn.Module) else _found(layer)
    if len(found) > 1:
        names = ", ".join(own.name for own in found)
        if len({id(own.tensor) for own in found}) > 1:
            raise ValueError(f"{name} has several weights, {names}: pass one of its parameters")
        raise ValueError(
            f"one decay cannot steer {names}, which are one parameter: with fan_in={found[0].fan_in:g} J^2 is that of "
            "all of it"
        )
    if found[0].computed:
        raise ValueError(
            f"{found[0].name} of {name} is computed from other parameters, which decay need not scale: remove the "
            "parametrization (torch.nn.utils.parametrize.remove_parametrizations)"
        )
    return found[0]


def _as_told(layer: nn.Module | Tensor, fan_in: float) -> LayerWeight:
    if isinstance(fan_in, bool) or not isinstance(fan_in, Real) or not 0 < fan_in < math.inf:
        raise ValueError(f"fan_in must be a positive number, got {fan_in!r}")
    weight = layer._parameters.get("weight") if isinstance(layer, nn.Module) else layer
    if weight is None:
        raise ValueError(f"{type(layer).__name__} has no parameter named weight: pass the parameter itself")
    _refuse_unmeasurable("weight", weight)
    return LayerWeight("weight", weight, float(fan_in))


def _found(weight: Tensor) -> list[LayerWeight]:
    """A bare weight's matrices, as the layers know them that hold it; of tied ones, the first that has a fan-in."""
    _refuse_unmeasurable("weight", weight)
    if weight.ndim < 2:
        raise ValueError(f"the weight must be [out, in, ...], got shape {tuple(weight.shape)}")
    refusal: ValueError | None = None
    for owner, name in _owners(weight):
        kind = type(owner).__name__
        if isinstance(owner, parametrize.ParametrizationList) or name in _sources(owner, name.rpartition("_")[0]):
            raise ValueError(f"{name} of {kind} is not the weight, but what the weight is computed from")
        try:
            found = [own for own in weights_of(owner) if own.tensor is weight]
        except ValueError as error:
            refusal = error if isinstance(owner, tuple(NO_SUM)) else refusal
            continue
        if found:
            return found
    if refusal is not None:
        raise refusal
    return [LayerWeight("weight", weight, math.prod(weight.shape[1:]))]


def _owners(weight: Tensor) -> list[tuple[nn.Module, str]]:
    """The modules that hold a parameter: it does not know them, so that all objects are looked through, once."""
    everything = gc.get_objects()
    # by type: isinstance would call __class__ of whatever lies about
    kinds = {kind for kind in set(map(type, everything)) if issubclass(kind, nn.Module)}
    modules = [each for each in everything if type(each) in kinds]
    held = [(each, each.__dict__.get("_parameters", {})) for each in modules]
    return [(each, name) for each, parameters in held for name, own in parameters.items() if own is weight]


def _known(module: nn.Module) -> Iterator[LayerWeight]:
    if isinstance(module, LINEAR):
        yield _matrix(module, "weight")
    elif isinstance(module, TRANSPOSED):
        summed = module.in_channels // module.groups * math.prod(module.kernel_size) / math.prod(module.stride)
        yield _matrix(module, "weight", fan_in=summed)
    elif isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        named = module._flat_weights_names if isinstance(module, nn.RNNBase) else ["weight_ih", "weight_hh"]
        gates = next((gates for kind, gates in GATES.items() if isinstance(module, kind)), "")
        for name in named:
            if name.startswith("weight"):
                yield from _rows(
                    module, name, () if name.startswith("weight_hr") else tuple(f"gate {g}" for g in gates)
                )
    elif isinstance(module, nn.MultiheadAttention):
        if module._qkv_same_embed_dim:
            yield from _rows(module, "in_proj_weight", ("q", "k", "v"))
        else:
            yield from (_matrix(module, f"{each}_proj_weight") for each in "qkv")
    elif type(module).__name__ == "Conv1D" and hasattr(module, "nf"):
        yield _matrix(module, "weight", fan_in=len(module.weight))  # type: ignore[arg-type]  # Hugging Face's: [in, out]


def _matrix(module: nn.Module, name: str, *, fan_in: float | None = None) -> LayerWeight:
    kind = type(module).__name__
    if sources := _sources(module, name):  # its value is that of the last forward pass
        raise ValueError(
            f"{name} of {kind} is computed from {' and '.join(sources)} before each forward pass: use "
            "torch.nn.utils.parametrizations, or remove it"
        )
    computed = parametrize.is_parametrized(module, name)
    tensor = _computed(module, name) if computed else getattr(module, name)
    if not isinstance(tensor, Tensor):
        raise ValueError(f"{name} of {kind} is quantised or packed: measure it before that")
    _refuse_unmeasurable(f"{name} of {kind}", tensor)
    return LayerWeight(name, tensor, math.prod(tensor.shape[1:]) if fan_in is None else fan_in, computed=computed)


def _rows(module: nn.Module, name: str, parts: tuple[str, ...]) -> Iterator[LayerWeight]:
    own = _matrix(module, name)
    height = len(own.tensor) // max(len(parts), 1)
    if not parts:
        yield own
    for i, part in enumerate(parts):
        rows = range(i * height, (i + 1) * height)
        yield LayerWeight(f"{name} ({part})", own.tensor, own.fan_in, rows, own.computed)


def _sources(module: nn.Module, name: str) -> list[str]:
    """The parameters that hooks of torch.nn.utils (weight_norm, spectral_norm, prune) compute a weight from."""
    if not isinstance(module.__dict__.get(name), Tensor):  # where the hooks leave the weight, then no parameter
        return []
    return [own for own in module._parameters if own in (f"{name}_g", f"{name}_v", f"{name}_orig")]


@torch.no_grad()
def _computed(module: nn.Module, name: str) -> Tensor:
    """A parametrized weight, in evaluation mode: in training every look at it would move spectral_norm's vectors."""
    parts = list(module.parametrizations[name].modules())  # type: ignore[index, union-attr]
    modes = [part.training for part in parts]
    try:
        for part in parts:
            part.training = False
        return getattr(module, name).detach()  # type: ignore[no-any-return]
    finally:
        for part, mode in zip(parts, modes, strict=True):
            part.training = mode


def _refuse_unmeasurable(name: str, tensor: Tensor) -> None:
    if isinstance(tensor, nn.parameter.UninitializedParameter):
        raise ValueError(f"{name} has no shape yet: run a batch through the lazy layer first")
    if tensor.is_quantized or not (tensor.is_floating_point() or tensor.is_complex()):
        raise ValueError(f"{name} must be floating-point or complex, got {tensor.dtype}")
    if tensor.layout != torch.strided:
        raise ValueError(f"{name} must be dense, got {tensor.layout}")
    if tensor.is_meta:
        raise ValueError(f"{name} is on the meta device and has no numbers: materialise the layer first")
    if tensor.numel() == 0:
        raise ValueError(f"{name} is empty, of shape {tuple(tensor.shape)}")
