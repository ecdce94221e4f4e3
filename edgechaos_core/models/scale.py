"""Whether the scale of a weight changes what a model returns: followed through a pass, operation by operation.

A weight and its own bias are multiplied by c. Each tensor behind them is then multiplied by c to a power, its degree,
or is not: ReLU, pooling and products with further weights keep the degree, normalisation makes it 0, sums need terms of
one degree. The scale changes nothing where all that is not of degree 0 ends in operations that make it so.
"""

import math
from collections.abc import Collection

from torch import Tensor

from edgechaos_core.models.forward import PRODUCTS, Call, Passed

TINY = 1e-4  # constants up to this are kept from 0 in divisions, and count as nothing
_STATISTICS_OF_INPUT = {"native_layer_norm", "native_group_norm", "_fused_rms_norm", "rms_norm"}
_BATCH_NORMS = {
    *("native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm", "_native_batch_norm_legit"),
    "_native_batch_norm_legit_no_training",
}
NORMS = _STATISTICS_OF_INPUT | _BATCH_NORMS
_KEEP = {  # f(c x) = c f(x) for c > 0
    *("view", "_unsafe_view", "reshape", "_reshape_alias", "transpose", "permute", "t", "clone", "detach", "alias"),
    *("squeeze", "unsqueeze", "expand", "slice", "select", "split", "unbind", "unsafe_split", "chunk", "narrow"),
    *("split_with_sizes", "_to_copy", "contiguous", "roll", "index", "mean", "sum", "im2col", "flip", "as_strided"),
    *("max_pool2d_with_indices", "max_pool3d_with_indices", "avg_pool2d", "avg_pool3d", "_adaptive_avg_pool2d"),
    *("_adaptive_avg_pool3d", "adaptive_max_pool2d", "reflection_pad2d", "upsample_nearest2d", "pixel_shuffle"),
    *("upsample_bilinear2d", "neg", "abs", "relu", "leaky_relu", "_prelu_kernel", "linalg_vector_norm", "norm", "std"),
    *("amax", "amin", "max", "min", "repeat", "pixel_unshuffle", "unfold", "cumsum"),
}
_AND_INDICES = {"max_pool2d_with_indices", "max_pool3d_with_indices", "adaptive_max_pool2d", "max", "min"}
_POWERS = {"square": 2.0, "sqrt": 0.5, "rsqrt": -0.5, "reciprocal": -1.0, "var": 2.0}
_SUMS = {"add", "sub", "cat", "stack", "maximum", "minimum"}


def scale_is_undone(passed: Passed, uses: Collection[Call], *, in_training: bool = False) -> bool:
    """Tell whether what a pass returns stays the same if the weight of these products, and its bias, are multiplied.

    Where that is not sure, it is not said. Biases count as they are: one of zeros changes nothing. ``in_training``
    takes batch normalisation for one of the batch, whatever the pass did.
    """
    degrees: dict[int, float] = {call.writes[0]: 1.0 for call in uses}
    numbers = {id(call): number for number, call in enumerate(passed.calls)}
    done = {numbers[id(call)] for call in uses}
    waiting: set[int] = set()
    for tensor in degrees:
        if not (readers := passed.readers.get(tensor)):
            return False
        waiting.update(readers)
    if done & waiting:  # a weight behind itself: its bias would need other powers at each use
        return False
    while waiting:
        waiting.remove(number := min(waiting))
        call = passed.calls[number]
        degree = _degree(call, [degrees.get(each, 0.0) for each in call.reads], in_training)
        if math.isnan(degree):
            return False
        values = call.writes[:1] if call.name in _AND_INDICES else call.writes
        for tensor in values if degree else ():
            degrees[tensor] = degree
            readers = passed.readers.get(tensor, [])
            if done & set(readers) or (not readers and tensor == values[0]):
                return False
            waiting.update(readers)
    return True


def _degree(call: Call, given: list[float], in_training: bool) -> float:
    """The degree of what a call returns from those of what it reads, nan where it has none."""
    name = call.name.rstrip("_")
    if not any(given) or name in _STATISTICS_OF_INPUT:
        return 0.0
    if name in _BATCH_NORMS:
        return 0.0 if in_training or normalises(call) else math.nan
    if name in {"mul", "div"} | PRODUCTS:
        return _of_product(call, name, given)
    return _of_equal(call, name, given[0]) if len(set(given)) == 1 else math.nan


def _of_product(call: Call, name: str, given: list[float]) -> float:
    """The degree of a product or quotient, of tensors or with weights, whose bias is as it is."""
    if name == "div":
        return -given[0] if call.leading is not None else given[0] - sum(given[1:])
    biased = {"addmm": call.leading, "addmv": call.leading, "baddbmm": call.leading}
    bias = biased[name] if name in biased else call.arguments[1:2] if "conv" in name or name == "linear" else ()
    if bias is None or not all(map(_nothing, bias)):
        return math.nan
    return sum(given)


def _of_equal(call: Call, name: str, degree: float) -> float:
    """The degree behind an operation all of whose operands that depend on the sample have this one."""
    if name in _SUMS:
        whole = len(_terms(call)) == len(call.reads) or all(map(_nothing, _constants(call)))
        return degree if whole else math.nan
    if name == "constant_pad_nd":
        return degree if call.arguments[1:2] in ((), (0,)) else math.nan
    if name in {"clamp_min", "clamp"}:
        low, high = (*call.arguments, call.options.get("min"), None)[:2]
        return degree if high is None and isinstance(low, (int, float)) and 0 <= low <= TINY else math.nan
    if name == "pow":
        power = call.arguments[0] if call.leading is None else math.nan
        return degree * power if isinstance(power, (int, float)) else math.nan
    if name in _POWERS:
        return degree * _POWERS[name]
    return degree if name in _KEEP else math.nan


def _terms(call: Call) -> tuple[object, ...]:
    """The terms of a sum, or what is put side by side, as far as they can be told: constants among them."""
    if call.leading and isinstance(call.leading[0], (list, tuple)):
        return tuple(call.leading[0])
    return (None, *call.arguments[:1])


def _constants(call: Call) -> tuple[object, ...]:
    """What a sum of one term that depends on the sample adds to it; side by side, nothing can be told."""
    if call.leading and isinstance(call.leading[0], (list, tuple)):
        return (math.inf,)
    return call.leading or call.arguments[:1]


def _nothing(value: object) -> bool:
    """Tell whether an operand is none, or of zeros, or as small as what keeps a division from 0."""
    if isinstance(value, Tensor):
        return not bool((value.detach().abs() > (TINY if value.ndim == 0 else 0)).any())
    return value is None or (isinstance(value, (int, float)) and abs(value) <= TINY)


def normalises(call: Call) -> bool:
    """Tell whether statistics are of this pass: batch normalisation with running ones is a fixed factor."""
    if call.name not in _BATCH_NORMS:
        return True
    flags = [each for each in call.arguments if isinstance(each, bool)]
    return bool(flags and flags[0]) and not call.name.endswith("no_training")
