"""How fast the trainer is beside bare matrix products, torch.optim, a DataLoader and torch.func.

Run ``python -m tests.bench.trainer [--quick]``. The network is the paper's (784 - 784 - 10, tanh), trained on all of
Fashion-MNIST, resident as float32, with one thread a process. The two sides of a ratio run in turn, in short slices, so
that whatever else slows the machine slows both; a figure is the median of the slices' ratios, with their quartiles.
Slices in one process count its own CPU time; rounds on all cores count wall-clock time.
"""

import argparse
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.utils.data import DataLoader, TensorDataset
from tqdm import tqdm

from edgechaos_core.images.datasets import load_dataset
from edgechaos_core.training.measure import Resident, gather, resident
from edgechaos_core.training.network import Stack, Workspace, forward, gradient_factors, initialise, log_likelihood
from edgechaos_core.training.optimizers import make_optimizer
from edgechaos_core.training.trainer import shuffles
from tests.reference import module_of

N, LEARNING_RATE = 784, 0.05
FLOPS_PER_SAMPLE = 4 * N**2  # of the two products; the output layer would add 2%
PEAK_SIZE = 2048
DEADLINE = 60.0  # seconds for which a process waits for the others

Side = Literal["ours", "products", "torch.optim", "DataLoader", "torch.func"]
Step = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """One side of a ratio: who trains how large a stack."""

    side: Side
    batch_size: int
    momentum: float = 0.5
    members: int = 1


@dataclass(frozen=True)
class Figure:
    """Our case against a rival: the ratio of their times (target: at most) if ``of_times``, else of their samples/s."""

    ours: Case
    rival: Case
    target: float | None = None
    of_times: bool = False


STEP = [
    Figure(Case("ours", batch_size, momentum), Case("products", batch_size), target, of_times=True)
    for momentum, at_32 in ((0.5, 1.3), (0.0, 1.15))
    for batch_size, target in ((8, None), (32, at_32), (128, None))
]
WHOLE_MACHINE = [
    Figure(Case("ours", 8), Case("torch.optim", 8), 2.6),
    Figure(Case("ours", 32), Case("torch.optim", 32), 1.6),
    Figure(Case("ours", 128), Case("torch.optim", 128), 1.15),
    Figure(Case("ours", 32), Case("DataLoader", 32), 1.8),
]
STACKS = [Figure(Case("ours", 32, members=m), Case("torch.func", 32, members=m)) for m in (1, 4, 16)]


def main() -> None:
    """Measure every figure and print it beside its target."""
    parser = argparse.ArgumentParser(description="Benchmark the trainer.")
    parser.add_argument("--quick", action="store_true", help="about a fifth of the repeats")
    repeats = (20, 3, 3) if parser.parse_args().quick else (100, 15, 15)
    torch.set_num_threads(1)
    parts = (STEP, WHOLE_MACHINE, STACKS)
    total = sum(count * len(figures) for count, figures in zip(repeats, parts, strict=True))
    with _all_cores() as on_all_cores, tqdm(total=total, smoothing=0, disable=not sys.stderr.isatty()) as bar:
        say = partial(tqdm.write, file=sys.stdout)
        alone, together = peak(), on_all_cores(peak)
        say(f"peak: {alone / 1e9:.0f} GFLOP/s in one process, {together / 1e9:.0f} in one on every core\n")
        say(f"{'figure':46}{'median (quartiles)':>19}{'target':>9} reached   samples/s (of peak), ours | theirs")
        settings: list[tuple[str, float, Callable[[Case], float]]] = [
            ("one step, in one process", alone, throughput),
            (
                "one process on every core",
                together,
                partial(on_all_cores, throughput, seconds=0.4, clock=time.perf_counter),
            ),
            ("stacks, in one process: samples of all members", alone, partial(throughput, seconds=0.15)),
        ]
        for (title, peak_flops, rate), figures, count in zip(settings, parts, repeats, strict=True):
            say(f"-- {title}")
            for figure in figures:
                say(_row(figure, measure(figure, rate, count, bar), peak_flops))


def measure(figure: Figure, rate: Callable[[Case], float], repeats: int, bar: "tqdm[Any]") -> np.ndarray:
    """Run both sides in turn and return their samples/s, ``[repeats, 2]``; ``rate`` runs one slice."""
    rates = np.empty((repeats, 2))
    for i in range(repeats):
        for side in (i % 2, 1 - i % 2):  # each goes first every other time
            rates[i, side] = rate((figure.ours, figure.rival)[side])
        bar.update()
    return rates


def _row(figure: Figure, rates: np.ndarray, peak_flops: float) -> str:
    """One line of the table: the ratio's quartiles beside its target, and both sides' median throughputs."""
    ratios = rates[:, 0] / rates[:, 1]
    low, median, high = np.quantile(1 / ratios if figure.of_times else ratios, [0.25, 0.5, 0.75])
    ours, sign = figure.ours, "<=" if figure.of_times else ">="
    of = f"{'time' if figure.of_times else 'speed'} / {figure.rival.side}"
    name = f"{of}: B {ours.batch_size}, momentum {ours.momentum}, M {ours.members}"
    verdict = f"{'':17}"
    if figure.target is not None:
        reached = median <= figure.target if figure.of_times else median >= figure.target
        verdict = f"{sign:>4} {figure.target:.2f}{'yes' if reached else 'NO':>8}"
    sides = (f"{rate:9,.0f} ({rate * FLOPS_PER_SAMPLE / peak_flops:4.0%})" for rate in np.median(rates, axis=0))
    return f"{name:46}{f'{median:.2f} ({low:.2f}-{high:.2f})':>19}{verdict}   {' | '.join(sides)}"


def throughput(case: Case, *, seconds: float = 0.04, clock: Callable[[], float] = time.process_time) -> float:
    """Train for that long and return samples/s, counting the samples of all members."""
    with torch.inference_mode(case.side in ("ours", "products")):  # as the trainer does
        step = _step(case)
        step()  # brings its weights back into the cache
        steps, start = 0, clock()
        while (elapsed := clock() - start) < seconds:
            step()
            steps += 1
    return steps * case.batch_size * case.members / elapsed


def peak() -> float:
    """Return the FLOP/s of a large float32 matrix product on one thread, the fastest of seven."""
    a, b = torch.rand(2, PEAK_SIZE, PEAK_SIZE)
    out, times = torch.mm(a, b), []
    for _ in range(7):
        start = time.process_time()
        torch.mm(a, b, out=out)
        times.append(time.process_time() - start)
    return 2 * PEAK_SIZE**3 / min(times)


@cache
def _step(case: Case) -> Step:
    makers = {"ours": _ours, "products": _products, "torch.optim": _optim, "DataLoader": _loader, "torch.func": _func}
    return makers[case.side](case, initialise(range(case.members), inputs=N, width=N), _training_set())


@cache
def _training_set() -> Resident:
    return resident(load_dataset().train, torch.device("cpu"), torch.float32)


def _batches(case: Case, samples: int) -> Iterator[Tensor]:
    """Yield the indices of one batch ``[M, B]`` after another, for ever."""
    for epoch in range(sys.maxsize):
        order = shuffles(range(case.members), epoch, samples)
        for start in range(0, samples - case.batch_size + 1, case.batch_size):
            yield order[:, start : start + case.batch_size]


def _ours(case: Case, stack: Stack, data: Resident) -> Step:
    settings = {"learning_rate": LEARNING_RATE, "momentum": case.momentum, "weight_decay": 0.0}
    optimizer = make_optimizer("sgd", stack, **{name: [value] * case.members for name, value in settings.items()})
    workspace, batches = Workspace(stack, case.batch_size), _batches(case, len(data.labels))
    log_p = torch.empty(case.members, case.batch_size)

    def step() -> None:
        gather(data, next(batches), workspace)
        forward(stack, workspace)
        log_likelihood(workspace, out=log_p)
        optimizer.step(gradient_factors(stack, workspace))

    return step


def _products(case: Case, stack: Stack, data: Resident) -> Step:
    """The two products that a step cannot do without."""
    (weight,), x = stack.hidden, data.images[: case.batch_size].unsqueeze(0)
    h, gradient = torch.bmm(x, weight), torch.empty_like(weight)

    def step() -> None:
        torch.bmm(x, weight, out=h)
        torch.bmm(x.mT, h, out=gradient)

    return step


def _optim(case: Case, stack: Stack, data: Resident) -> Step:
    batches = ((data.images[batch[0]], data.labels[batch[0]]) for batch in _batches(case, len(data.labels)))
    return _torch_step(case, stack, batches)


def _loader(case: Case, stack: Stack, data: Resident) -> Step:
    loader = DataLoader(TensorDataset(data.images, data.labels), batch_size=case.batch_size, shuffle=True)
    return _torch_step(case, stack, (batch for _ in range(sys.maxsize) for batch in loader))


def _torch_step(case: Case, stack: Stack, batches: Iterator[tuple[Tensor, Tensor]]) -> Step:
    module, criterion = module_of(stack, 0), nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(module.parameters(), lr=LEARNING_RATE, momentum=case.momentum)

    def step() -> None:
        images, labels = next(batches)
        optimizer.zero_grad()
        criterion(module(images), labels).backward()
        optimizer.step()

    return step


def _func(case: Case, stack: Stack, data: Resident) -> Step:
    modules = [module_of(stack, member) for member in range(case.members)]
    weights = {name: weight.detach() for name, weight in stack_module_state(modules)[0].items()}
    velocities = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    batches = _batches(case, len(data.labels))

    def loss(weights: dict[str, Tensor], images: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(functional_call(modules[0], weights, (images,)), labels)

    gradient = vmap(grad(loss))

    def step() -> None:
        batch = next(batches)
        for name, g in gradient(weights, data.images[batch], data.labels[batch]).items():
            velocities[name].mul_(case.momentum).add_(g)
            weights[name].sub_(velocities[name], alpha=LEARNING_RATE)

    return step


@contextmanager
def _all_cores() -> Iterator[Callable[..., float]]:
    """Yield ``total(function, ...)``: call it in one process a core at the same time and add up what they return."""
    spawn, cores = multiprocessing.get_context("spawn"), multiprocessing.cpu_count()
    with ProcessPoolExecutor(cores, spawn, _start_process, (spawn.Barrier(cores),)) as pool:

        def total(function: Callable[..., float], *args: object, **options: object) -> float:
            calls = [pool.submit(_together, function, args, options) for _ in range(cores)]
            return sum(call.result() for call in calls)

        yield total


def _start_process(barrier: Any) -> None:
    global _barrier  # noqa: PLW0603 - a barrier reaches a process only while that starts
    _barrier = barrier
    torch.set_num_threads(1)


def _together(function: Callable[..., float], args: tuple[Any, ...], options: dict[str, Any]) -> float:
    if function is throughput:
        throughput(*args)  # the first call builds it: not while others measure
    _barrier.wait(DEADLINE)  # so each of these calls has a process to itself
    return function(*args, **options)


if __name__ == "__main__":
    main()
