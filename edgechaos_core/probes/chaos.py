"""What the map ``x <- phi(W x)`` does with small differences: asymptotic distance and Lyapunov exponents.

The same functions serve all cells of a phase diagram and one given matrix (linear_maps.py). The published protocol
(Zhang et al., arXiv 2107.09437, Fig. 1b) is the default: a start ``x ~ N(0, 1)``, a perturbation of ``N(0, 1e-4^2)`` a
component, 500 iterations, the mean norm of the difference over the last fifth.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from edgechaos_core.conventions import ACTIVATIONS, Activation
from edgechaos_core.probes.linear_maps import Maps

ITERATIONS = 500
SETTLED = 1e-6  # root mean square difference, a hundredth of the perturbation, below which a cell has settled
ALIGN, MEASURE = 25, 50  # iterations of the tangent vectors: to turn to the fastest directions, then to measure
UNBOUNDED = 1e3  # root mean square state, of a start of 1, beyond which a cell is taken to grow for ever
_LOOK = 5  # iterations from one look for settled cells to the next
_TINY = 1e-25  # states and differences below are zero: denormal numbers would slow a product down a hundredfold

OnProgress = Callable[[int], object]


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
    _check_pair(x, perturbation, iterations)
    cells, N = x.shape
    distance, final = torch.zeros(cells, dtype=torch.float64, device=x.device), torch.empty_like(x)

    def leave(cells: Tensor, distances: Tensor, states: Tensor, grown: Tensor) -> None:
        distance[cells] = distances.masked_fill(grown, torch.nan)
        final[cells] = states.masked_fill(grown[:, None], torch.nan)

    total, left = torch.zeros_like(distance), torch.arange(cells, device=x.device)
    pair = torch.stack([x, x + perturbation])  # both are rows of one product, which reads Z once for all
    other = torch.empty_like(pair)
    window = iterations // 5
    report = on_progress or (lambda _: None)
    for t in range(1, iterations + 1):
        _activate_(maps(pair, out=other), activation)
        pair, other = other, pair
        measured = t > iterations - window
        if not measured and t % _LOOK:
            continue
        norm = (pair[0] - pair[1]).norm(dim=-1).double()
        if measured:  # no cell leaves within the last fifth, which is averaged whole
            total += norm
            continue
        report(_LOOK * len(left))
        pair.masked_fill_(pair.abs() < _TINY, 0)
        grown = _grown(pair[0])
        gone = grown | ((norm < SETTLED * N**0.5) & settle)
        if gone.any():
            out, stay = gone.nonzero().squeeze(1), (~gone).nonzero().squeeze(1)
            leave(left[out], torch.zeros_like(norm[out]), pair[0, out], grown[out])
            report((iterations - t) * len(out))
            left, total, maps = left[stay], total[stay], maps.take(stay)
            pair = pair[:, stay].contiguous()
            other = torch.empty_like(pair)
            if not len(left):
                break
    if len(left):
        leave(left, total / window, pair[0], _grown(pair[0]))
        report(len(left) * (window + (iterations - window) % _LOOK))
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

    >>> import torch
    >>> from edgechaos_core import MatrixMap, lyapunov_exponents
    >>> W, x = 0.1 * torch.randn(400, 400), torch.randn(1, 400)  # J = 2
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
            state[1:] /= growth.unsqueeze(-1).clamp_min(_TINY)  # a vector that has died out stays 0, and is not 0 / 0
            growth = growth.T
        else:
            q, r = torch.linalg.qr(state[1:].permute(1, 2, 0))
            state[1:] = q.permute(2, 0, 1)
            growth = r.diagonal(dim1=-2, dim2=-1).abs()
        if t >= align:
            total += growth.double().log()
        if on_progress is not None:
            on_progress(cells)
    exponents = (total / measure).masked_fill(~state[0].isfinite().all(-1, keepdim=True), torch.nan)
    return exponents.sort(dim=-1, descending=True).values


def _check(maps: Maps, x: Tensor, activation: str) -> None:
    if activation not in ACTIVATIONS:
        raise ValueError(f"unknown activation {activation!r}: choose from {', '.join(ACTIVATIONS)}")
    maps.check(x)


def _check_pair(x: Tensor, perturbation: Tensor, iterations: int) -> None:
    if x.shape != perturbation.shape:
        raise ValueError(f"x and perturbation must agree in shape, got {list(x.shape)} and {list(perturbation.shape)}")
    if iterations < 5:
        raise ValueError(f"iterations must be at least 5, got {iterations}")


def _grown(states: Tensor) -> Tensor:
    within: Tensor = states.norm(dim=-1) < UNBOUNDED * states.shape[-1] ** 0.5
    return ~within  # and not >=, so that nan counts as grown


def _activate_(a: Tensor, activation: Activation) -> Tensor:
    """``a <- phi(a)``; not the trainer's sigmoid form, whose absolute error would drown small differences."""
    return a.tanh_() if activation == "tanh" else a.relu_()
