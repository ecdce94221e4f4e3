"""How fast the phase diagram is beside the plain way, one cell at a time, and how its cost grows.

Run ``python -m tests.bench.probes``. The plain way draws a fresh W for every cell and iterates with matrix-vector
products; both sides run on all cores, in float32, for the same cells of the published grid, drawn at random. Where a
side would take too long it runs for fewer iterations and is scaled; which, is printed. Times are medians of repeats in
which the two sides take turns.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from edgechaos_core.probes.chaos import ITERATIONS, asymptotic_distance
from edgechaos_core.probes.diagram import DiagramConfig
from edgechaos_core.probes.linear_maps import draw_maps
from edgechaos_core.probes.simulation import TILE, simulate
from edgechaos_core.theory.edges import edge_of_chaos

REPEATS = 5


def main() -> None:
    """Measure and print every figure beside its target."""
    speed_up(784, cells=TILE, iterations=ITERATIONS, target=10)
    speed_up(10_000, cells=TILE, iterations=10, target=20)
    clocks = [seconds(lambda: [edge_of_chaos(ratio) for ratio in np.linspace(-1, 2, 151)]) for _ in range(REPEATS)]
    print(f"theoretical edge over 151 ratios: {np.median(clocks):.2f} s (target: under 1)")
    growth("N", [400, 800, 1_600, 3_200], lambda N: DiagramConfig(neurons=N, rows=10, columns=16))
    growth("cells", [160, 320, 640, 1_280], lambda cells: DiagramConfig(neurons=800, rows=cells // 16, columns=16))


def speed_up(N: int, *, cells: int, iterations: int, target: float) -> None:
    """Time both ways for cells of the published grid; ours without its 75 iterations of tangent vectors."""
    grid = DiagramConfig(neurons=N).cells.sample(cells, random_state=0)
    J = torch.tensor(1 / grid["inverse_J"].to_numpy())
    J0 = torch.tensor(grid["ratio"].to_numpy()) * J
    maps, start, shift = draw_maps(J, J0, neurons=N, seed=0, device="cpu", dtype=torch.float32)
    x, shift = start.expand(cells, -1), shift.expand(cells, -1)

    def ours() -> None:
        asymptotic_distance(maps, x, shift, iterations=iterations, settle=iterations == ITERATIONS)

    plain_iterations = min(iterations, 100)
    per_cell = np.empty((REPEATS, 2))
    for repeat in range(REPEATS):
        drawing, product = plain(N, float(J[repeat]), float(J0[repeat]), plain_iterations)
        per_cell[repeat] = seconds(ours) / cells * ITERATIONS / iterations, drawing + product * ITERATIONS
    ratio, (mine, theirs) = np.median(per_cell[:, 1] / per_cell[:, 0]), np.median(per_cell, axis=0)
    flops = 4 * N**2 * ITERATIONS / mine
    scaled = "" if iterations == ITERATIONS else f"; ours scaled from {iterations} iterations, no cell settling"
    print(
        f"N = {N:,}: {mine:.3g} s a cell, one cell at a time {theirs:.3g} s: {ratio:.1f} x faster (target: {target:g})"
        f"; {flops / peak():.0%} of the peak of {peak() / 1e9:.0f} GFLOP/s if no cell settled"
        f" (plain scaled from {plain_iterations} iterations{scaled})"
    )


def plain(N: int, J: float, J0: float, iterations: int) -> tuple[float, float]:
    """Seconds to draw one W, and for one iteration of two states."""
    W: Tensor
    clock = time.perf_counter()
    W = torch.randn(N, N).mul_(J / N**0.5).add_(J0 / N)
    drawing = time.perf_counter() - clock
    x = torch.randn(N)
    y = x + 1e-4 * torch.randn(N)
    distance = 0.0
    clock = time.perf_counter()
    for _ in range(iterations):
        x, y = torch.tanh(W @ x), torch.tanh(W @ y)
        distance += float((x - y).norm())
    return drawing, (time.perf_counter() - clock) / iterations


def growth(what: str, sizes: list[int], config: Callable[[int], DiagramConfig]) -> None:
    """Print how the time of a whole diagram grows, as the exponent of a fitted power."""
    times = [seconds(lambda size=size: simulate(config(size))) for size in sizes]
    exponent = np.polyfit(np.log(sizes), np.log(times), 1)[0]
    shown = ", ".join(f"{size:,}: {clock:.2f} s" for size, clock in zip(sizes, times, strict=True))
    print(f"a diagram's time grows as {what}^{exponent:.2f} ({shown})")


def peak() -> float:
    """FLOP/s of a large float32 matrix product on all cores."""
    a = torch.rand(3_000, 3_000)
    return float(2 * 3_000**3 / min(seconds(lambda: a @ a) for _ in range(4)))


def seconds(call: Callable[[], object]) -> float:
    """Wall-clock seconds of a call."""
    clock = time.perf_counter()
    call()
    return time.perf_counter() - clock


if __name__ == "__main__":
    with torch.inference_mode():
        main()
