"""Order parameters of a weight matrix: ``J = sqrt(N) std(W)`` and ``J0 = N mean(W)``, N its fan-in.

They place a layer on the phase diagram of the random map ``x <- phi(W x)``, whose axes are J0/J and 1/J (Zhang et al.,
arXiv 2107.09437, Section 2). ``J^2`` is the weight variance sigma_w^2 of the mean-field literature when J0 = 0.
"""

import torch
from torch import Tensor


def order_parameters(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return (J, J0) of weights ``[..., in, out]``, each ``[...]`` and float64; std is the population's (divisor n).

    Of complex weights, ``J^2 = N <|W - <W>|^2>``, real and imaginary parts together, and J0 is complex128.
    Raises ValueError for a tensor with fewer than two dimensions.

    >>> import torch
    >>> from edgechaos_core import order_parameters
    >>> layer = torch.nn.Linear(784, 784)  # PyTorch's start: J^2 = 1/3
    >>> J, J0 = order_parameters(layer.weight.detach().T)
    >>> round(float(J**2), 2)
    0.33
    """
    if weight.ndim < 2:
        raise ValueError(f"order parameters need a matrix [..., in, out], got shape {tuple(weight.shape)}")
    wide = torch.complex128 if weight.is_complex() else torch.float64
    fan_in = weight.shape[-2]
    std, mean = torch.std_mean(weight.to(wide), dim=(-2, -1), correction=0)
    return std * fan_in**0.5, mean * fan_in
