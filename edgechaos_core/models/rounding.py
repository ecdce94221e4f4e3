"""How small a difference of values can be and still be told from their rounding."""

import torch
from torch import Tensor

_CLEAR = 10  # times the spacing of numbers: rounding adds a few spacings, at most a tenth to the difference


def rounding(values: Tensor | None) -> float:
    """Return the least root mean square of a difference of values that is a measurement, 0 of no floating-point ones.

    Half precision has too few digits for more than twice the spacing, as the differences used there are near it.
    """
    if values is None or not values.is_floating_point() or not values.numel():
        return 0.0
    clear = _CLEAR if values.dtype.itemsize > 2 else 2
    return clear * torch.finfo(values.dtype).eps * float(values.detach().double().square().mean().sqrt())
