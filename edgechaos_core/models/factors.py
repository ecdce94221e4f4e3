"""Constants between a weight and its activation, and behind that: what factor they are, and what they add."""

import math
from collections.abc import Collection

from torch import Tensor

from edgechaos_core.models.forward import Call, Passed

_EQUAL = 1e-6  # relative: entries of a tensor that differ by less are one factor


def _constants(call: Call) -> list[float | Tensor]:
    """The operands of a sum, difference, product or quotient that do not depend on the sample."""
    given = [*(call.leading or ()), *call.arguments[: 1 if call.leading is None else 0]]
    return [each for each in given if isinstance(each, (int, float, Tensor))]


def factor_of(call: Call) -> float:
    """Return the constant that a product or quotient multiplies by, nan for a tensor of entries that differ.

    nan as well where a constant is divided by what the call reads, and where it reads two tensors of the sample.
    """
    divides = call.name.startswith("div")
    if len(call.reads) != 1 or (divides and call.leading is not None):
        return math.nan
    (constant,) = _constants(call) or [math.nan]
    if isinstance(constant, Tensor):
        if constant.is_complex():
            return math.nan
        low, high = (float(each) for each in constant.detach().double().aminmax())
        constant = high if high - low <= _EQUAL * max(abs(low), abs(high)) else math.nan
    if divides:
        return 1 / float(constant) if constant else math.inf
    return float(constant)


def shift_of(call: Call) -> float:
    """Return the mean square of the constant that a sum or difference adds."""
    scale = float(call.options.get("alpha", 1)) if call.leading is None else 1.0
    squares = [
        float(each.detach().abs().double().square().mean()) if isinstance(each, Tensor) else float(each) ** 2
        for each in _constants(call)
    ]
    return scale**2 * sum(squares)


def factor_behind(passed: Passed, call: Call, on: Collection[str]) -> tuple[float, Call]:
    """Return by how much what a call returns is multiplied next, and the last of these products, else the call.

    Operations in ``on`` leave values what they are, and are passed; what is read twice is not followed.
    """
    factor, end, now = 1.0, call, call
    while len(readers := set(passed.readers.get(now.writes[0], []))) == 1:
        now = passed.calls[readers.pop()]
        name = now.name.rstrip("_")
        if name in {"mul", "div"}:
            own = factor_of(now)
            if not math.isfinite(own) or own == 0:
                break
            factor, end = factor * own, now
        elif name not in on or len(set(now.reads)) > 1:
            break
    return factor, end


def part_of(
    passed: Passed, tensor: int, call: Call, elementwise: Collection[str], on: Collection[str], norms: Collection[str]
) -> str:
    """Return the operation that makes more of an activation's ``call`` before the next weight, or nothing.

    That is one of ``elementwise`` that reads what the call returns, and nothing that does not come from the tensor:
    a sum with that tensor, a power, another activation. Factors, ``on`` and ``norms`` make nothing else of it.
    """
    derived, later, waiting = {tensor}, set[int](), set(passed.readers.get(tensor, []))
    while waiting:
        waiting.remove(number := min(waiting))
        now = passed.calls[number]
        name = now.name.rstrip("_")
        if name not in elementwise or not set(now.reads) <= derived:
            continue
        if later & set(now.reads):
            same = name in {"cat", "stack"} or (name in {*on, "mul"} and len(now.reads) == 1)
            if not same and name not in norms:
                return name
            later.update(now.writes if same else ())
        if now is call:
            later.update(now.writes)
        derived.update(now.writes)
        waiting.update(each for written in now.writes for each in passed.readers.get(written, []))
    return ""
