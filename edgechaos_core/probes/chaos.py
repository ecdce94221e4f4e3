"""What the map ``x <- phi(W x)`` does with small differences: asymptotic distance and Lyapunov exponents.

Gaussian W of a whole phase diagram at once: ``W = J0/N + (J/sqrt N) Z`` with one Z for all cells, so the cells are rows
of one matrix product ``X Z^T`` and the mean adds a rank-one term. The same functions serve one given matrix, such as a
trained W. The published protocol (Zhang et al., arXiv 2107.09437, Fig. 1b) is the default: a start ``x ~ N(0, 1)``, a
perturbation of ``N(0, 1e-4^2)`` a component, 500 iterations, the mean norm of the difference over the last fifth.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from edgechaos_core.conventions import ACTIVATIONS, Activation

ITERATIONS = 500
PERTURBATION = 1e-4
SETTLED = 1e-6  # root mean square difference, a hundredth of the perturbation, below which a cell has settled
ALIGN, MEASURE = 25, 50  # iterations of the tangent vectors: to turn to the fastest directions, then to measure
UNBOUNDED = 1e3  # root mean square state, of a start of 1, beyond which a cell is taken to grow for ever
_LOOK = 5  # iterations from one look for settled cells to the next
_TINY = 1e-25  # states and differences below are zero: denormal numbers would slow a product down a hundredfold

OnProgress = Callable[[int], object]


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

    >>> x, perturbation = draw_starts(3, 784, seed=0)
    >>> x.shape, float(perturbation.std()) < 2e-4
    (torch.Size([3, 784]), True)
    """
    x, perturbation = np.random.default_rng([seed, 3]).standard_normal((2, starts, neurons))
    return torch.from_numpy(x).to(device, dtype), torch.from_numpy(PERTURBATION * perturbation).to(device, dtype)


@torch.no_grad()
def asymptotic_distance(
    maps: Maps,
    x: Tensor,
    perturbation: Tensor,
    *,
    activation: Activation = "tanh",
    iterations: int = ITERATIONS,
    settle: bool = True,
    on_progress: OnProgress | None = None,
) -> tuple[Tensor, Tensor]:
    """Follow each cell from ``x`` and from ``x + perturbation``, ``[cells, N]`` each.

    Returns the Euclidean norm of the difference averaged over the last fifth of the iterations, float64 ``[cells]``,
    and the final state ``[cells, N]``. With ``settle`` a cell whose difference has fallen below ``SETTLED`` (root mean
    square) leaves the batch: its distance is 0, its state that of then. A cell that grows beyond ``UNBOUNDED`` (ReLU)
    has ``nan`` for both.
    ``on_progress`` is called with cells x iterations just done or no longer needed. Raises ValueError for an unknown
    activation, fewer than 5 iterations or shapes that do not agree.
    """
    _check(maps, x, activation)
    if x.shape != perturbation.shape:
        raise ValueError(f"x and perturbation must agree in shape, got {list(x.shape)} and {list(perturbation.shape)}")
    if iterations < 5:
        raise ValueError(f"iterations must be at least 5, got {iterations}")
    cells, N = x.shape
    distance = torch.zeros(cells, dtype=torch.float64, device=x.device)
    final = torch.empty_like(x)
    total = torch.zeros_like(distance)
    left = torch.arange(cells, device=x.device)
    pair = torch.stack([x, x + perturbation])
    other = torch.empty_like(pair)
    window = iterations // 5
    for t in range(1, iterations + 1):
        _activate_(maps(pair, out=other), activation)
        pair, other = other, pair
        measured = t > iterations - window
        if not measured and t % _LOOK:
            continue
        norm = (pair[0] - pair[1]).norm(dim=-1).double()
        if measured:
            total += norm
            continue
        if on_progress is not None:
            on_progress(_LOOK * len(left))
        pair.masked_fill_(pair.abs() < _TINY, 0)
        grown = ~(pair[0].norm(dim=-1) < UNBOUNDED * N**0.5)
        gone = grown | ((norm < SETTLED * N**0.5) & settle)
        if gone.any():
            leave, stay = gone.nonzero().squeeze(1), (~gone).nonzero().squeeze(1)
            final[left[leave]] = pair[0, leave].masked_fill(grown[leave, None], torch.nan)
            distance[left[leave]] = torch.zeros_like(norm[leave]).masked_fill(grown[leave], torch.nan)
            if on_progress is not None:
                on_progress((iterations - t) * len(leave))
            left, total, maps = left[stay], total[stay], maps.take(stay)
            pair = pair[:, stay].contiguous()
            other = torch.empty_like(pair)
            if not len(left):
                break
    if len(left):
        grown = ~(pair[0].norm(dim=-1) < UNBOUNDED * N**0.5)
        distance[left] = (total / window).masked_fill(grown, torch.nan)
        final[left] = pair[0].masked_fill(grown[:, None], torch.nan)
        if on_progress is not None:
            on_progress(len(left) * (window + (iterations - window) % _LOOK))
    return distance, final


@torch.no_grad()
def lyapunov_exponents(
    maps: Maps,
    x: Tensor,
    *,
    activation: Activation = "tanh",
    leading: int = 1,
    align: int = ALIGN,
    measure: int = MEASURE,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> Tensor:
    """Return the leading Lyapunov exponents of each cell, largest first, float64 ``[cells, leading]``.

    From the state ``x`` ``[cells, N]``, which should be on the attractor (see `asymptotic_distance`), ``leading``
    random tangent vectors follow ``d <- phi'(W x) * W d`` and are made orthonormal again after each iteration, one by
    its norm, more by QR (Benettin et al. 1980); an exponent is the mean logarithm of the growth over ``measure``
    iterations, after ``align`` more. ``-inf`` where a tangent vector dies out, ``nan`` where the state is not finite.
    Raises ValueError for an unknown activation or bad counts.

    >>> W = 2 * torch.from_numpy(np.random.default_rng(0).standard_normal((400, 400))) / 20  # J = 2
    >>> x, _ = draw_starts(1, 400, seed=0, dtype=torch.float64)
    >>> for _ in range(100):
    ...     x = torch.tanh(x @ W.T)
    >>> bool(lyapunov_exponents(MatrixMap(W), x) > 0)  # chaos
    True
    """
    _check(maps, x, activation)
    cells, N = x.shape
    if not 1 <= leading <= N:
        raise ValueError(f"leading must be between 1 and the {N} components, got {leading}")
    if align < 0 or measure < 1:
        raise ValueError(f"align must be at least 0 and measure at least 1, got {align} and {measure}")
    tangents = np.random.default_rng([seed, 4]).standard_normal((leading, N))
    frame = torch.linalg.qr(torch.from_numpy(tangents).T.to(x.device, x.dtype))[0].T
    state = torch.cat([x.unsqueeze(0), frame.unsqueeze(1).expand(-1, cells, -1)])
    other, total = torch.empty_like(state), torch.zeros(cells, leading, dtype=torch.float64, device=x.device)
    for t in range(align + measure):
        maps(state, out=other)
        state, other = other, state
        _activate_(state[0], activation)
        state[1:] *= 1 - state[0] ** 2 if activation == "tanh" else state[0] > 0
        if activation == "relu":  # homogeneous: any scale of the state has the same tangent map
            state[0] /= state[0].norm(dim=-1, keepdim=True).clamp_min(_TINY)
        else:
            state[0].masked_fill_(state[0].abs() < _TINY, 0)
        if leading == 1:
            growth = state[1:].norm(dim=-1)
            state[1:] /= growth.unsqueeze(-1).clamp_min(_TINY)
            growth = growth.T
        else:
            q, r = torch.linalg.qr(state[1:].permute(1, 2, 0))
            state[1:] = q.permute(2, 0, 1)
            growth = r.diagonal(dim1=-2, dim2=-1).abs()
        if t >= align:
            total += growth.double().log()
        if on_progress is not None:
            on_progress(cells)
    exponents = total / measure
    exponents.masked_fill_(~state[0].isfinite().all(-1, keepdim=True), torch.nan)
    return exponents.sort(dim=-1, descending=True).values


def _check(maps: Maps, x: Tensor, activation: str) -> None:
    if activation not in ACTIVATIONS:
        raise ValueError(f"unknown activation {activation!r}: choose from {', '.join(ACTIVATIONS)}")
    maps.check(x)


def _check_square(W: Tensor, x: Tensor) -> None:
    if W.ndim != 2 or W.shape[0] != W.shape[1] or x.ndim != 2 or x.shape[1] != len(W):
        raise ValueError(f"a matrix [N, N] and states [cells, N] are needed, got {list(W.shape)} and {list(x.shape)}")
    if W.dtype != x.dtype or W.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"matrix and states must both be float32 or float64, got {W.dtype} and {x.dtype}")


def _activate_(a: Tensor, activation: Activation) -> Tensor:
    """``a <- phi(a)``; not the trainer's sigmoid form, whose absolute error would drown small differences."""
    return a.tanh_() if activation == "tanh" else a.relu_()
