"""Models in files, without running a pickle: programs of `torch.export` as modules, and weights of safetensors alone.

A program of `torch.export` holds operations and parameters, but no layers. Each parameter gets the layer back that its
operation stands for, so that `inspect` tells kinds and fan-ins as of the model that was exported.
"""

import io
import json
import math
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn

from edgechaos_core.models.inspection_table import Inspection, WeightRow
from edgechaos_core.models.moments import moments

Make = Callable[[Tensor, Any], nn.Module]  # a layer for a weight, from the arguments of its operation
_FIRST = frozenset({"weight", "in_proj_weight", "weight_ih_l0"})  # what a layer is known by
_RECURRENT = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu"})
_RAW = ("weight_", "tensor_")  # how torch names tensors in an archive; other constants are pickles
UNKNOWN = (
    "A file of weights has no graph: what follows a weight, its edge, its growth, and whether it is an embedding, "
    "transposed or tied, cannot be known; fan_in takes each as [out, in, ...]."
)


def load_exported(path: Path) -> tuple[nn.Module, tuple[Tensor, ...]]:
    """Return a model saved by `torch.export.save`, its layers restored, and a sample of the shapes it was exported for.

    The sample is Gaussian, whole numbers 0. Raises ValueError for another file, and for one with pickled or compiled
    parts, which loading would run.
    """
    archive = _without_pickles(path)
    try:
        program = torch.export.load(archive)
    except Exception as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path} is no program of torch.export that this torch reads: {first}") from None
    model = program.module(check_guards=False)
    for layer in _layers(program.graph_module.graph, dict(program.graph_signature.inputs_to_parameters)):
        _restore(model, *layer)
    generator = torch.Generator().manual_seed(0)
    taken = set(program.graph_signature.user_inputs)
    values = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in taken]
    return model, tuple(_drawn(each, generator) for each in values)


def _without_pickles(path: Path) -> io.BytesIO:
    """A copy of an archive whose example inputs, which torch unpickles unasked, are left out; refuses other pickles."""
    copy = io.BytesIO()
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        raise ValueError(f"{path} is no file of torch.export.save") from None
    with archive, zipfile.ZipFile(copy, "w") as written:
        names = archive.namelist()
        if any("data/aotinductor/" in name for name in names):
            raise ValueError(f"{path} holds compiled code, which loading would run: save the program alone")
        if not any(name.endswith("weights_config.json") for name in names):
            raise ValueError(f"{path} is no file of torch.export.save, or of one before torch 2.9")
        for name in names:
            held = b"" if "/data/sample_inputs/" in name else archive.read(name)
            if name.endswith(("weights_config.json", "constants_config.json")):
                _refuse_pickles(path, json.loads(held)["config"])
            written.writestr(name, held)
    copy.seek(0)
    return copy


def _refuse_pickles(path: Path, entries: dict[str, Any]) -> None:
    for held, entry in entries.items():
        if entry["use_pickle"] or not entry["path_name"].startswith(_RAW):
            raise ValueError(f"{path} holds {held} as a pickle, which loading would run: save it as a tensor")


def _layers(graph: fx.Graph, parameters: dict[str, str]) -> Iterator[tuple[str, Make, Any]]:
    """Modules whose weight a known operation takes: name, what makes the layer, and the operation's arguments.

    A weight that operations of two kinds share (an embedding tied to a readout) is left out: the program has one
    parameter for both, and does not tell which module was which.
    """
    uses: dict[str, list[tuple[Make, Any]]] = {}
    for node in graph.nodes:
        name = str(node.target).removeprefix("aten.").split(".")[0] if node.op == "call_function" else ""
        if (make := _OPERATIONS.get(name)) is None:
            continue
        args: Any = node.args
        place = 0 if name == "embedding" else 1
        for each in args[2] if name in _RECURRENT and isinstance(args[2], list) else args[place : place + 1]:
            holder, _, own = parameters.get(getattr(each, "name", ""), "").rpartition(".")
            if own in _FIRST and holder:
                uses.setdefault(holder, []).append((make, args))
    for holder, found in uses.items():
        if len({make for make, _ in found}) == 1:
            yield holder, *found[0]


def _restore(model: nn.Module, name: str, make: Make, args: Any) -> None:  # noqa: ANN401
    holder = model.get_submodule(name)
    own = dict(holder._parameters)
    layer = make(next(each for key, each in own.items() if key in _FIRST and each is not None), args)
    # the parameters of the program take the place of those on the meta device, and nothing calls the layer
    layer._parameters.clear()
    layer._parameters.update(own)
    layer._buffers.update(holder._buffers)
    layer._modules = dict(holder._modules)
    layer.train(holder.training)
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, layer)


def _linear(weight: Tensor, args: Any) -> nn.Module:  # noqa: ANN401
    height, width = weight.shape
    if args[1].name.endswith("in_proj_weight"):
        return nn.MultiheadAttention(width, 1, device="meta")
    return nn.Linear(width, height, device="meta")


def _convolution(weight: Tensor, args: Any) -> nn.Module:  # noqa: ANN401
    kind: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[weight.ndim - 3]
    groups = args[6] if len(args) > 6 else 1
    made: nn.Module = kind(weight.shape[1] * groups, len(weight), weight.shape[2:], groups=groups, device="meta")
    return made


def _transposed(weight: Tensor, args: Any) -> nn.Module:  # noqa: ANN401
    kind: Any = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[weight.ndim - 3]
    groups, stride = args[6] if len(args) > 6 else 1, args[3] if len(args) > 3 else [1]
    stride = tuple(stride) * (weight.ndim - 2 if len(stride) == 1 else 1)
    sizes = len(weight), weight.shape[1] * groups, tuple(weight.shape[2:])
    made: nn.Module = kind(*sizes, stride=stride, groups=groups, device="meta")
    return made


def _embedding(weight: Tensor, _: Any) -> nn.Module:  # noqa: ANN401
    return nn.Embedding(len(weight), weight.shape[1], device="meta")


def _recurrent(kind: Any, gates: int, **options: str) -> Make:  # noqa: ANN401
    def make(weight: Tensor, args: Any) -> nn.Module:  # noqa: ANN401
        biases, layers, _, _, both_ways = args[3:8]
        sizes = {"num_layers": layers, "bidirectional": both_ways, "bias": biases}
        made: nn.Module = kind(weight.shape[1], len(weight) // gates, **sizes, **options, device="meta")
        return made

    return make


_OPERATIONS: dict[str, Make] = {
    **{"linear": _linear, "embedding": _embedding},
    **{f"conv{n}d": _convolution for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": _transposed for n in (1, 2, 3)},
    **{"lstm": _recurrent(nn.LSTM, 4), "gru": _recurrent(nn.GRU, 3)},
    **{f"rnn_{each}": _recurrent(nn.RNN, 1, nonlinearity=each) for each in ("tanh", "relu")},
}


def _drawn(value: Any, generator: torch.Generator) -> Tensor:  # noqa: ANN401 - a tensor, as the program describes it
    shape = [int(each) for each in value.shape]  # of sizes that may change, the one it was exported with
    if not value.dtype.is_floating_point:
        return torch.zeros(shape, dtype=value.dtype)
    return torch.randn(shape, generator=generator).to(value.dtype)


def inspect_weights_file(path: Path) -> Inspection:
    """Return what a safetensors file tells of its weights: shape, fan-in if laid out as ``[out, in, ...]``, J^2, J0/J.

    Raises ValueError for another file.
    """
    from safetensors import SafetensorError, safe_open  # which the package has, and EdgeDecay alone does not need

    table = Inspection()
    table.why_no_growth = UNKNOWN
    try:
        with safe_open(path, framework="pt") as file:
            for name in sorted(file.keys(), key=_numbers_as_numbers):
                tensor = file.get_tensor(name)
                if tensor.ndim > 1 and tensor.is_floating_point() and tensor.numel():
                    table.append(_row(name, tensor))
    except SafetensorError as error:
        raise ValueError(f"{path} is no file of safetensors: {error}") from None
    return table


def _row(name: str, tensor: Tensor) -> WeightRow:
    fan_in = math.prod(tensor.shape[1:])
    variance, mean = moments(tensor)
    J, J0 = math.sqrt(fan_in * variance), fan_in * float(mean.real)
    ratio = J0 / J if J else math.nan
    why = "the file has no layers"
    return WeightRow(name, "unknown", tuple(tensor.shape), fan_in, J**2, ratio, why_not=why)


def _numbers_as_numbers(name: str) -> list[tuple[bool, int, str]]:
    """Layer 10 comes after layer 9."""
    return [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in name.split(".")]
