"""Is the map ``x <- tanh(W x)`` of a trained first layer chaotic where J says so? Measured, with two controls.

The mean-field edge J = 1 is that of a *random* matrix. Training writes structure into W, so the claim that training
walks into chaos is tested on W itself, and against two matrices that share its J:

* *shuffled*: the same entries in another order, which keeps J and J0 and destroys all structure;
* *bulk*: W without its outliers, the singular values beyond the edge ``2 J`` of a random square matrix
  (Marchenko and Pastur 1967), which keeps what is left of the random start.

For each: the largest Lyapunov exponent and the asymptotic distance of chaos.py's probes, and the spectral radius.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from edgechaos_core.probes.chaos import asymptotic_distance, lyapunov_exponents
from edgechaos_core.probes.linear_maps import MatrixMap, draw_starts
from edgechaos_core.training.network import Stack

STARTS = 4  # trajectories that each measure is averaged over
ALIGN, MEASURE = 50, 200  # iterations of the tangent vectors: a single matrix needs more than the cells of a diagram
OUTLIER = 1.05  # of the bulk's edge: the largest singular value of a random 784 x 784 matrix scatters by 0.4%
OUTSIDE = 1.1  # of J: eigenvalues farther out are counted; those of a random 784 x 784 matrix end at 1.04 J


def map_columns(stack: Stack, seeds: Sequence[int], epoch: int) -> dict[str, Tensor]:
    """Measure the maps of a stack's square first layers ``[M, N, N]`` after an epoch; float64 ``[M]`` each.

    ``lyapunov``, ``distance`` and ``spectral_radius`` of W, the same with the suffixes ``_shuffled`` and ``_bulk``;
    ``outliers`` is the number of singular values that *bulk* lacks, ``eigenvalues_outside`` that of eigenvalues of W
    beyond 1.1 J. Starts and shuffles depend on the seed and the epoch alone. nan where W is not finite.
    """
    rows = [
        _measure(weight.T.contiguous(), np.random.default_rng([seed, 5, epoch]), seed)
        for seed, weight in zip(seeds, stack.hidden[0], strict=True)
    ]
    like = stack.bias
    return {
        name: torch.tensor([row[name] for row in rows], dtype=torch.float64, device=like.device) for name in rows[0]
    }


def without_outliers(W: Tensor) -> tuple[Tensor, int]:
    """Return W ``[N, N]`` without its outlying singular values, and their number.

    An outlier is beyond 1.05 times ``2 J``, J being that of what remains: found from the largest on, until none is.
    """
    u, s, vh = torch.linalg.svd(W.double())
    squares, N = s.square(), len(W)
    removed = 0
    # With the `removed` largest gone, the rest has the mean square J^2 / N an entry (its mean entry is nearly zero).
    while removed < N and s[removed] > 2 * OUTLIER * (squares[removed:].sum() / N).sqrt():
        removed += 1
    rest = W.double() - (u[:, :removed] * s[:removed]) @ vh[:removed]
    return rest.to(W.dtype), removed


def _measure(W: Tensor, generator: np.random.Generator, seed: int) -> dict[str, float]:
    names = ("lyapunov", "distance", "spectral_radius")
    if not W.isfinite().all():
        columns = [name + kind for kind in ("", "_shuffled", "_bulk") for name in names]
        return dict.fromkeys([*columns, "outliers", "eigenvalues_outside"], float("nan"))
    order = torch.from_numpy(generator.permutation(W.numel())).to(W.device)
    bulk, removed = without_outliers(W)
    row: dict[str, float] = {}
    for kind, matrix in (("", W), ("_shuffled", W.flatten()[order].view_as(W)), ("_bulk", bulk)):
        moduli = torch.linalg.eigvals(matrix.double()).abs()
        starts, perturbations = draw_starts(STARTS, len(W), seed=seed, device=W.device, dtype=W.dtype)
        distance, state = asymptotic_distance(MatrixMap(matrix), starts, perturbations)
        exponents = lyapunov_exponents(MatrixMap(matrix), state, align=ALIGN, measure=MEASURE, seed=seed)
        values = (float(exponents.mean()), float(distance.mean()), float(moduli.max()))
        row |= {name + kind: value for name, value in zip(names, values, strict=True)}
        if not kind:
            outside = OUTSIDE * float(W.double().std(correction=0)) * len(W) ** 0.5
            row["eigenvalues_outside"] = float((moduli > outside).sum())
    return row | {"outliers": float(removed)}
