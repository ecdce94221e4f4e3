"""How small a difference of values can be and still be told from their rounding."""

import torch
from torch import Tensor

# Times the spacing of numbers. Rounding adds a few spacings, and the differences that are used in shorter formats are
# nearer to it.
_CLEAR, _CLEAR_DOUBLE = 2, 10


def rounding(values: Tensor | None) -> float:
    """Return the least root mean square of a difference of values that is a measurement, 0 of no floating-point ones.

    That is ten times the spacing of numbers in double precision, and twice in shorter formats.
    """
    if values is None or not values.is_floating_point() or not values.numel():
        return 0.0
    clear = _CLEAR_DOUBLE if values.dtype == torch.float64 else _CLEAR
    return clear * torch.finfo(values.dtype).eps * float(values.detach().double().square().mean().sqrt())
