"""One forward pass of anybody's model, seen operation by operation, that leaves no trace in the model.

The pass runs on copies of the model's tensors in float64 (untouched.py), so that a difference of a millionth is told
from rounding even where it dies out. Operations are seen below modules and functions alike, as ATen calls them: a
weight is found where it is used, whoever uses it, and so is the activation that follows.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from edgechaos_core.models.sources import sources_after
from edgechaos_core.models.untouched import untouched

PRODUCTS = {  # operations that sum inputs weighted by a parameter
    *("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot", "linear", "matmul", "convolution", "_convolution"),
    *("embedding", "embedding_bag", "_embedding_bag", "_embedding_bag_forward_only", "_trilinear"),
}
LOOKUPS = {name for name in PRODUCTS if "embedding" in name}
DOUBLE_UP_TO = 20_000_000  # parameters: larger models are passed through in their own precision, for time and memory
# of the input's own size: large against rounding, small against the bends of activations
_RELATIVE = {torch.float64: 1e-6, torch.float32: 1e-3, torch.float16: 3e-2, torch.bfloat16: 3e-2}

UNCHANGED = (
    "No growth is measured: nothing of the sample can be changed a little, as it has no floating-point numbers but "
    "masks and no embedding looks its whole numbers up. Pass what the model makes of them, as floating-point numbers."
)
_FAR = -1e4  # what is added to products of attention that must not count, where it is not -inf
MASKS = (
    "{} floating-point tensor(s) of the sample are taken as masks and not changed: they hold infinities, or 0 and "
    "numbers below -10,000 alone, or 0 and 1 alone beside whole numbers."
)

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
    """A forward pass: its calls in order, which of them read a tensor, and the precision it ran in.

    ``why_no_growth`` says why nothing of the sample was changed, or is empty; ``note`` what was left as it is.
    """

    calls: list[Call] = field(default_factory=list)
    readers: dict[int, list[int]] = field(default_factory=dict)
    dtype: torch.dtype = torch.float64
    perturbation: float = 0.0  # root mean square of what was added to the sample
    why_no_growth: str = ""
    note: str = ""


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
        drawn = torch.randn(x.shape, generator=generator, dtype=torch.float64, device="cpu")  # whatever the default is
        return x + (size * drawn).to(x)

    return noise


def _refuse(sample: Any, seed: Any) -> None:  # noqa: ANN401
    if not isinstance(sample, (Tensor, tuple, list, Mapping)):
        raise ValueError(
            "the sample must be a tensor, a tuple of arguments or a dict of keyword arguments, got "
            f"{type(sample).__name__}"
        )
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError(f"the seed must be a whole number, got {seed!r}")
    tensors = [each for each in tree_leaves(sample) if isinstance(each, Tensor)]
    floats = [each for each in tensors if _floating(each)]
    if any(each.is_meta for each in tensors):
        raise ValueError("the sample must have numbers: a tensor of it is on the meta device")
    if any(bool(each.isnan().any()) for each in floats):
        raise ValueError("the sample must be finite: it holds nan")
    if floats and not _to_change(sample) and not any(_whole(each) for each in tensors):
        raise ValueError("the sample must be finite, but for masks: all its floating-point tensors look like masks")


def _whole(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, Tensor) and value.dtype != torch.bool and not (_floating(value) or value.is_complex())


def _to_change(sample: Any) -> list[Tensor]:  # noqa: ANN401
    """The floating-point tensors of a sample but for masks."""
    leaves = tree_leaves(sample)
    tokens = any(_whole(each) for each in leaves)
    return [each for each in leaves if _floating(each) and not _masks(each, tokens)]


def _masks(x: Tensor, tokens: bool) -> bool:
    """Tell whether a tensor holds infinities, or 0 and what stands for -infinity, or beside tokens 0 and 1 alone."""
    far, zero = x <= _FAR, x == 0
    added = bool(far.any()) and bool((far | zero).all())
    return added or not bool(x.isfinite().all()) or (tokens and bool((zero | (x == 1)).all()))


def two_passes(model: nn.Module, sample: Any, keep: frozenset[str], seed: int) -> tuple[Passed, Passed]:  # noqa: ANN401
    """Pass a sample, and the sample with a small Gaussian difference, through a model: what happened in either.

    ``sample`` is a tensor, a tuple or list of positional arguments, or a mapping of keyword arguments; the difference
    is added to its floating-point tensors but for masks (`_to_change`), or if there are none to what embeddings look
    up. ``keep`` names elementwise operations whose results are kept. Raises ValueError where the model does not take
    the sample, or passes the two through other operations.
    """
    _refuse(sample, seed)
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
        if not isinstance(value, Tensor) or is_lazy(value):
            return value
        return value.detach().to(dtype, copy=True) if dtype and _floating(value) else value.detach().clone()

    given = tree_map(copy, dict(sample) if isinstance(sample, Mapping) else sample)
    plain = _to_change(given)
    changed = {id(each): noise(each) for each in plain} if noise is not None else {}
    masks = sum(_floating(each) for each in tree_leaves(given)) - len(plain)
    given = tree_map(lambda each: changed.get(id(each), each), given)
    leaves = [each for each in tree_leaves(given) if isinstance(each, Tensor)]
    arguments, options = ((), given) if isinstance(given, dict) else (given, {})
    held = [*model.named_parameters(), *model.named_buffers()]  # with one name each
    with untouched(model, copy) as copies:
        names = {id(copies.of(value)): frozenset({name}) for name, value in held}
        with _Watch(names, leaves, keep, None if plain else noise) as watch:
            watch.double = dtype == torch.float64
            model(*((arguments,) if isinstance(arguments, Tensor) else arguments), **options)
    passed: Passed = watch.passed
    if noise is not None:
        passed.perturbation = passed.perturbation or distance(plain, [changed[id(each)] for each in plain])
        passed.why_no_growth = "" if passed.perturbation else UNCHANGED
        passed.note = MASKS.format(masks) if masks else ""
    return passed


def distance(one: Any, other: Any) -> float:  # noqa: ANN401 - tensors in any structure
    """Return the root mean square of the difference of all floating-point tensors of two structures."""
    pairs = [(a, b) for a, b in zip(tree_leaves(one), tree_leaves(other), strict=True) if _floating(a)]
    count = sum(a.numel() for a, _ in pairs)
    return float(sum((a - b).double().square().sum() for a, b in pairs) / count) ** 0.5 if count else 0.0
