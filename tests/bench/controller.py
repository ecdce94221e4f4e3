"""What `EdgeDecay.for_model` costs beside the optimizer: ``python -m tests.bench.controller``.

For networks of many and of large layers, with AdamW in one thread, in shares of a plain optimizer step: what torch
takes for a parameter group a layer, what counting steps adds, and what an `edge.step()` takes. The optimizers take
turns and the median of the rounds counts, as the machine's speed drifts.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn
from torch.optim import AdamW

from edgechaos_core import EdgeDecay
from edgechaos_core.models.parameter_groups import split_groups

ROUNDS, STEPS, PERIOD = 15, 10, 100
BOUND = 0.10  # of the optimizer's own time
NETWORKS = {"50 layers of 128": (50, 128), "20 layers of 512": (20, 512), "4 layers of 2048": (4, 2048)}


def network(depth: int, width: int) -> tuple[nn.Sequential, AdamW]:
    """A network with gradients, and its optimizer."""
    model = nn.Sequential(*[each for _ in range(depth) for each in (nn.Linear(width, width), nn.Tanh())])
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter) * 1e-3
    return model, AdamW(model.parameters(), lr=1e-5)


def seconds(what: Callable[[], object], times: int) -> float:
    """Of a call, the mean of several."""
    start = time.perf_counter()
    for _ in range(times):
        what()
    return (time.perf_counter() - start) / times


def measure(depth: int, width: int) -> tuple[float, ...]:
    """Return milliseconds of a plain optimizer step, and shares of it: many groups, counting, and a period's end."""
    (_, plain), (divided, split), (other, steered) = (network(depth, width) for _ in range(3))
    split_groups(split, [each.weight for each in divided[::2]])
    edge = EdgeDecay.for_model(other, steered, sample=torch.randn(8, width))
    rounds = []
    for _ in range(ROUNDS):
        alone, apart, counted = (seconds(optimizer.step, STEPS) for optimizer in (plain, split, steered))
        rounds.append((alone, apart / alone - 1, (counted - apart) / alone, seconds(edge.step, 1) / alone))
    step, *shares = (statistics.median(column) for column in zip(*rounds, strict=True))
    return (1e3 * step, *shares)


def main() -> None:
    """Measure, print, and fail beyond the bound."""
    torch.set_num_threads(1)
    slow = []
    for name, (depth, width) in NETWORKS.items():
        step, groups, count, end = measure(depth, width)
        own = count + end / PERIOD
        print(
            f"{name:18} AdamW step {step:7.2f} ms; a group a layer {groups:+.1%}; counting {count:+.1%}; edge.step() "
            f"{end:.1%} of a step; counting and edge.step() in a period of {PERIOD} steps {own:+.1%}"
        )
        if own > BOUND:
            slow.append(name)
    if slow:
        raise SystemExit(f"steering costs more than {BOUND:.0%} of the optimizer: {', '.join(slow)}")


if __name__ == "__main__":
    main()
