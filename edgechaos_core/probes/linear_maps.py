"""The maps whose order and chaos is looked at: the linear part W of ``x <- phi(W x)``, and starts to follow.

Gaussian W of a whole phase diagram at once: ``W = J0/N + (J/sqrt N) Z`` with one Z for all cells, so the cells are rows
of one matrix product ``X Z^T`` and the mean adds a rank-one term. Or one given matrix, such as a trained W.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, eigs
from torch import Tensor

PERTURBATION = 1e-4


class Maps(Protocol):
    """Linear parts of many maps of N components, one a row."""

    def check(self, x: Tensor) -> None:
        """Raise ValueError unless x ``[cells, N]`` fits these maps in shape and dtype."""

    def __call__(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """Apply map c to ``x[..., c, :]``: ``[..., cells, N]`` to the same shape."""

    def take(self, keep: Tensor) -> "Maps":
        """Return the maps of these cells, indices int64."""


@dataclass(frozen=True)
class GaussianMaps:
    """``W = J0/N + (J/sqrt N) Z``: ``Z`` ``[N, N]`` standard normal, ``J`` and ``J0`` ``[cells]``."""

    Z: Tensor
    J: Tensor
    J0: Tensor

    def check(self, x: Tensor) -> None:
        """Raise ValueError unless x is ``[cells, N]`` of Z's dtype."""
        _check_square(self.Z, x)
        if not len(self.J) == len(self.J0) == len(x):
            raise ValueError(f"J, J0 and x must have one row a cell, got {len(self.J)}, {len(self.J0)} and {len(x)}")

    def __call__(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """Apply W of cell c to ``x[..., c, :]``."""
        N = len(self.Z)
        mean = (self.J0 / N * x.sum(-1)).unsqueeze(-1)
        product = torch.mm(x.view(-1, N), self.Z.T, out=None if out is None else out.view(-1, N)).view(x.shape)
        return product.mul_((self.J / N**0.5).unsqueeze(-1)).add_(mean)

    def take(self, keep: Tensor) -> "GaussianMaps":
        """Return the maps of these cells."""
        return GaussianMaps(self.Z, self.J[keep], self.J0[keep])


@dataclass(frozen=True)
class MatrixMap:
    """One matrix ``[N, N]`` for all rows, as in ``torch.nn.Linear.weight``: ``x <- phi(W x)``."""

    W: Tensor

    def check(self, x: Tensor) -> None:
        """Raise ValueError unless x is ``[cells, N]`` of W's dtype."""
        _check_square(self.W, x)

    def __call__(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """Apply W to every row of x."""
        N = len(self.W)
        return torch.mm(x.view(-1, N), self.W.T, out=None if out is None else out.view(-1, N)).view(x.shape)

    def take(self, keep: Tensor) -> "MatrixMap":
        """Return itself: its cells differ in their starts alone."""
        return self


def draw_maps(
    J: Tensor, J0: Tensor, *, neurons: int, seed: int, draw: int = 0, device: torch.device | str, dtype: torch.dtype
) -> tuple[GaussianMaps, Tensor, Tensor]:
    """Draw the common Z, start and perturbation of a diagram: maps, ``[N]`` and ``[N]``.

    They depend on (seed, draw, neurons) alone; the perturbation has components ``N(0, PERTURBATION^2)``.
    """
    generator = np.random.default_rng([seed, 2, draw])
    start, perturbation = generator.standard_normal((2, neurons))
    # in float32 whatever dtype: half the memory, 400 MB at N = 10,000, and one draw for both precisions
    Z = torch.from_numpy(generator.standard_normal((neurons, neurons), dtype=np.float32))
    maps = GaussianMaps(Z.to(device, dtype), J.to(device, dtype), J0.to(device, dtype))
    return (
        maps,
        torch.from_numpy(start).to(device, dtype),
        torch.from_numpy(PERTURBATION * perturbation).to(device, dtype),
    )


def draw_starts(
    starts: int, neurons: int, *, seed: int, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Draw starts and perturbations for one given matrix, ``[starts, N]`` each, from the seed alone.

    >>> from edgechaos_core import draw_starts
    >>> x, perturbation = draw_starts(3, 784, seed=0)
    >>> x.shape, float(perturbation.std()) < 2e-4
    (torch.Size([3, 784]), True)
    """
    x, perturbation = np.random.default_rng([seed, 3]).standard_normal((2, starts, neurons))
    return torch.from_numpy(x).to(device, dtype), torch.from_numpy(PERTURBATION * perturbation).to(device, dtype)


def leading_eigenvalue(W: Tensor) -> float:
    """Return the real part of the eigenvalue of W ``[N, N]`` with the largest real part.

    >>> round(leading_eigenvalue(torch.diag(torch.tensor([0.5, 1.5, -2.0, 1.0]))), 6)
    1.5
    """
    matrix = W.double().numpy(force=True)
    product = LinearOperator(matrix.shape, matvec=matrix.dot, dtype=float)
    found = eigs(product, k=1, which="LR", v0=np.ones(len(matrix)), return_eigenvectors=False)
    return float(found[0].real)


def radius_of_cut(width: int, J: float, removed: int, *, seed: int) -> float:
    """Return the spectral radius of a random matrix without its ``removed`` largest singular values.

    The matrix is Gaussian, ``[width, width]``; ``J`` is that of the whole of it, the standard deviation of an entry
    times the root of the width.
    """
    W = np.random.default_rng(seed).normal(0, J / width**0.5, (width, width))
    u, s, vh = np.linalg.svd(W)
    return float(np.abs(np.linalg.eigvals((u[:, removed:] * s[removed:]) @ vh[removed:])).max())


def _check_square(W: Tensor, x: Tensor) -> None:
    if W.ndim != 2 or W.shape[0] != W.shape[1] or x.ndim != 2 or x.shape[1] != len(W):
        raise ValueError(f"a matrix [N, N] and states [cells, N] are needed, got {list(W.shape)} and {list(x.shape)}")
    if W.dtype != x.dtype or W.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"matrix and states must both be float32 or float64, got {W.dtype} and {x.dtype}")
