"""One forward pass of anybody's model, seen operation by operation, that leaves no trace in the model.

The pass runs on copies of parameters and buffers in float64 (`torch.func.functional_call`), so that a difference of a
millionth is told from rounding even where it dies out. Operations are seen below modules and functions alike, as ATen
calls them: a weight is found where it is used, whoever uses it, and so is the activation that follows.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from edgechaos_core.models.sources import sources_after

PRODUCTS = {  # operations that sum inputs weighted by a parameter
    *("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot", "linear", "matmul", "convolution", "_convolution"),
    *("embedding", "embedding_bag", "_embedding_bag", "_embedding_bag_forward_only", "_trilinear"),
}
LOOKUPS = {name for name in PRODUCTS if "embedding" in name}
DOUBLE_UP_TO = 20_000_000  # parameters: larger models are passed through in their own precision, for time and memory
# of the input's own size: large against rounding, small against the bends of activations
_RELATIVE = {torch.float64: 1e-6, torch.float32: 1e-3, torch.float16: 3e-2, torch.bfloat16: 3e-2}


Noise = Callable[[Tensor], Tensor]


@dataclass(eq=False)
class Call:
    """An operation: what it read and wrote, as serial numbers of tensors; ``weights`` are parameters behind it."""

    name: str
    operation: Callable[..., Any]
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    reads: list[int]  # tensors that depend on the sample
    writes: list[int]
    weights: frozenset[str]
    received: Tensor | None = None  # values kept for the probe
    returned: Tensor | None = None
    leading: tuple[Any, ...] | None = None  # the first argument, where that is no tensor of the sample


@dataclass(eq=False)
class Passed:
    """A forward pass: its calls in order, which of them read a tensor, and the precision it ran in."""

    calls: list[Call] = field(default_factory=list)
    readers: dict[int, list[int]] = field(default_factory=dict)
    dtype: torch.dtype = torch.float64
    perturbation: float = 0.0  # root mean square of what was added to the sample


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(
        self, names: dict[int, frozenset[str]], sample: list[Tensor], keep: frozenset[str], noise: Noise | None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.passed, self.keep, self.noise = Passed(), keep, noise
        self.alive: dict[int, Tensor] = {id(x): x for x in sample}  # kept, so that no id is used twice
        self.serial = {id(x): i for i, x in enumerate(sample)}
        self.double = False
        self.sources, self.count = dict(names), len(sample)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        kwargs = kwargs or {}
        given = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        read = [each for each in given if id(each) in self.serial]
        weights = frozenset[str]().union(*(self.sources.get(id(each), ()) for each in given))
        name = func.overloadpacket.__name__
        product = bool(weights) and name in PRODUCTS and bool(read)
        received = read[0].clone() if product else None
        reads = [self.serial[id(each)] for each in read]
        out = func(*args, **kwargs)
        if product and name in LOOKUPS and (noise := self.noise) is not None:
            plain, out = out, tree_map(lambda each: noise(each) if _floating(each) else each, out)
            self.passed.perturbation = self.passed.perturbation or distance(plain, out)
        written = [each for each in tree_leaves(out) if isinstance(each, Tensor)]
        if self.double and name == "_to_copy" and read and any(_floating(x) and x.dtype.itemsize < 8 for x in written):
            raise RuntimeError("the model rounds to a precision of its own")  # in which the difference would be lost
        if not read:
            for each in written:
                self._hold(each)
                self.sources[id(each)] = sources_after(name, weights)
            return out
        for each in written:
            self._hold(each)
            self.serial[id(each)], self.count = self.count, self.count + 1  # in place: a new number, the same tensor
            self.sources.pop(id(each), None)
        kept = written[0].clone() if written and (product or name.rstrip("_") in self.keep) else None
        writes = [self.serial[id(each)] for each in written]
        leading = None if args and any(args[0] is each for each in read) else args[:1]
        call = Call(name, func, args[1:], kwargs, reads, writes, weights, received, kept, leading)
        for number in reads:
            self.passed.readers.setdefault(number, []).append(len(self.passed.calls))
        self.passed.calls.append(call)
        return out

    def _hold(self, tensor: Tensor) -> None:
        self.alive[id(tensor)] = tensor


def on_device(device: torch.device) -> Callable[[Any], Any]:
    """Return what moves a leaf of a sample to a device: tensors, and nothing else."""
    return lambda value: value.to(device) if isinstance(value, Tensor) else value


def _floating(value: Any) -> bool:  # noqa: ANN401 - a leaf of any structure
    return isinstance(value, Tensor) and value.is_floating_point()


def _noise(relative: float, seed: int) -> Noise:
    generator = torch.Generator().manual_seed(seed)

    def noise(x: Tensor) -> Tensor:
        size = relative * float(x.double().square().mean().sqrt() or 1.0)
        return x + (size * torch.randn(x.shape, generator=generator, dtype=torch.float64)).to(x)

    return noise


def _use_libraries(mkldnn: bool, cudnn: bool) -> None:
    """Set both without the contexts of torch.backends, which write other settings too, and warn of some."""
    torch._C._set_mkldnn_enabled(mkldnn)
    torch._C._set_cudnn_enabled(cudnn)


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Evaluate within, but for batch normalisation, which does as the model's mode says; leave all as it was before.

    That is the modes of all modules, tensors that hooks compute (of the older torch.nn.utils), and the states of the
    random numbers of Python, NumPy and torch, CPU and CUDA.
    """
    modules = list(model.modules())
    modes = [module.training for module in modules]
    computed = [(module, dict(module.__dict__)) for module in modules]
    states, fast = (random.getstate(), np.random.get_state()), torch.backends.mha.get_fastpath_enabled()
    cuda = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    libraries = torch._C._get_mkldnn_enabled(), torch._C._get_cudnn_enabled()
    try:
        with torch.random.fork_rng(devices=cuda), torch.no_grad():
            # the libraries' own recurrent layers would hide the weights in one operation
            if any(isinstance(module, nn.RNNBase) for module in modules):
                _use_libraries(False, False)
            for module in modules:
                batch = isinstance(module, nn.modules.batchnorm._BatchNorm)
                module.training = module.training and batch
            torch.backends.mha.set_fastpath_enabled(False)  # it would hide the weights in one operation
            yield
    finally:
        _use_libraries(*libraries)
        torch.backends.mha.set_fastpath_enabled(fast)
        random.setstate(states[0])
        np.random.set_state(states[1])
        for module, before in computed:
            for name, value in before.items():
                if isinstance(value, Tensor):
                    module.__dict__[name] = value
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode


def two_passes(model: nn.Module, sample: Any, keep: frozenset[str], seed: int) -> tuple[Passed, Passed]:  # noqa: ANN401
    """Pass a sample, and the sample with a small Gaussian difference, through a model: what happened in either.

    ``sample`` is a tensor, a tuple or list of positional arguments, or a mapping of keyword arguments; the difference
    is added to its floating-point tensors, or if it has none to what embeddings look up. ``keep`` names elementwise
    operations whose results are kept. Raises ValueError where the model does not take the sample, or passes the two
    through other operations.
    """
    if not isinstance(sample, (Tensor, tuple, list, Mapping)):
        raise ValueError(
            "the sample must be a tensor, a tuple of arguments or a dict of keyword arguments, got "
            f"{type(sample).__name__}"
        )
    if not all(bool(each.isfinite().all()) for each in tree_leaves(sample) if _floating(each)):
        raise ValueError("the sample must be finite: it holds nan or inf")
    floats = [each.dtype for each in model.parameters() if each.is_floating_point()]
    own = floats[0] if floats else torch.float32
    size = sum(each.numel() for each in model.parameters())
    attempts = [torch.float64, None] if size <= DOUBLE_UP_TO else [None]
    for dtype in attempts:  # a model may cast to a precision of its own, which then meets another
        try:
            noise = _noise(_RELATIVE[dtype or own], seed)
            base = _one_pass(model, sample, keep, dtype, None)
            other = _one_pass(model, sample, keep, dtype, noise)
        except Exception as error:
            if dtype is attempts[-1]:
                first = (str(error).splitlines() or [type(error).__name__])[0]
                raise ValueError(f"the model does not take the sample: {first}") from error
        else:
            if [call.name for call in base.calls] != [call.name for call in other.calls]:
                raise ValueError(
                    "the model computes otherwise for a sample that differs a little: nothing can be compared"
                )
            base.dtype = other.dtype = dtype or own
            return base, other
    raise AssertionError("unreachable")


def _one_pass(
    model: nn.Module,
    sample: Any,  # noqa: ANN401
    keep: frozenset[str],
    dtype: torch.dtype | None,
    noise: Noise | None,
) -> Passed:
    def copy(value: Any) -> Any:  # noqa: ANN401
        if not isinstance(value, Tensor):
            return value
        return value.detach().to(dtype, copy=True) if dtype and _floating(value) else value.detach().clone()

    held = dict(model.named_parameters()) | dict(model.named_buffers())
    copies: dict[str, Tensor] = {name: copy(value) for name, value in held.items()}
    given = tree_map(copy, dict(sample) if isinstance(sample, Mapping) else sample)
    floating = any(_floating(each) for each in tree_leaves(given))
    plain = given
    if noise is not None and floating:
        given = tree_map(lambda each: noise(each) if _floating(each) else each, given)
    leaves = [each for each in tree_leaves(given) if isinstance(each, Tensor)]
    names = {id(value): frozenset({name}) for name, value in copies.items()}
    arguments, options = ((), given) if isinstance(given, dict) else (given, {})
    with untouched(model), _Watch(names, leaves, keep, None if floating else noise) as watch:
        watch.double = dtype == torch.float64
        torch.func.functional_call(
            model, copies, (arguments,) if isinstance(arguments, Tensor) else tuple(arguments), options
        )
    watch.passed.perturbation = watch.passed.perturbation or distance(plain, given)
    passed: Passed = watch.passed
    return passed


def distance(one: Any, other: Any) -> float:  # noqa: ANN401 - tensors in any structure
    """Return the root mean square of the difference of all floating-point tensors of two structures."""
    pairs = [(a, b) for a, b in zip(tree_leaves(one), tree_leaves(other), strict=True) if _floating(a)]
    count = sum(a.numel() for a, _ in pairs)
    return float(sum((a - b).double().square().sum() for a, b in pairs) / count) ** 0.5 if count else 0.0
