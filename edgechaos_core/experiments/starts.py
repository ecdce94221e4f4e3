"""Ways to start a deep network, side by side: what a small difference and gradients become, and what it then learns.

PyTorch's default; `torch.nn.init` with its recommended gains (Xavier's normal with 5/3 for tanh, Kaiming's for ReLU,
and Kaiming's for GELU, for which it has no gain); the package anyinit, from theory and from a batch; the J of the edge
of infinitely deep networks in every layer (1 for tanh); and `initialise_at_edge`, which measures, for GELU also with
biases that give signals a stable length. Run by
``python -m edgechaos_core.experiments.starts``, which needs anyinit (``pip install anyinit``), and committed.
"""

from collections.abc import Callable
from itertools import pairwise, product
from math import exp, log

import pandas as pd
import torch
from torch import Tensor, nn

from edgechaos_core import EdgechaosError
from edgechaos_core.images.datasets import load_dataset
from edgechaos_core.models.initialisation import initialise_at_edge
from edgechaos_core.models.inspection import inspect
from edgechaos_core.store.tables import write_whole
from edgechaos_core.system.places import STARTS

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"tanh": nn.Tanh, "ReLU": nn.ReLU, "GELU": nn.GELU}
DEPTHS, SEEDS, RATES = (20, 50), (0, 1, 2), (0.001, 0.01)
WIDTH, TRAINED_WIDTH = 256, 128  # of networks whose differences are measured, and of those that are trained
SAMPLES, TESTED, BATCH, STEPS, MOMENTUM = 6_000, 2_000, 64, 200, 0.9
GELU_BIASES = 0.173  # variance of biases, as in `initialise_at_edge`
WITH_BIASES = "at the edge, biases"  # the start that draws them
DIFFERENCE = 1e-6  # of the inputs' size, in float64
ROUNDING = 1e-10  # a difference that is multiplied by less is lost in rounding

Start = Callable[[nn.Sequential, Tensor, str, int], object]


def _gains(model: nn.Sequential, _: Tensor, activation: str, seed: int) -> None:
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif activation == "tanh":
            nn.init.xavier_normal_(parameter, nn.init.calculate_gain("tanh"))
        else:
            nn.init.kaiming_normal_(parameter, nonlinearity="relu")


def _infinite_edge(model: nn.Sequential, batch: Tensor, _: str, seed: int) -> None:
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
    for row in inspect(model, batch):
        nn.init.normal_(model.get_parameter(row.name), std=(row.edge / row.fan_in) ** 0.5)


def _anyinit(mode: str) -> Start:
    def start(model: nn.Sequential, batch: Tensor, _: str, seed: int) -> None:
        try:
            import anyinit
        except ModuleNotFoundError:
            raise EdgechaosError("the comparison of starts needs anyinit: pip install anyinit") from None
        anyinit.initialize(model, mode, batch, seed=seed)

    return start


STARTS_OF: dict[str, Start] = {
    "PyTorch's default": lambda *_: None,
    "nn.init with gains": _gains,
    "anyinit, theory": _anyinit("analytic"),
    "anyinit, batch": _anyinit("empirical"),
    "J of the edge in every layer": _infinite_edge,
    "at the edge": lambda model, batch, _, seed: initialise_at_edge(model, batch, seed=seed),
    WITH_BIASES: lambda model, batch, _, seed: initialise_at_edge(model, batch, seed=seed, bias_variance=GELU_BIASES),
}


def network(activation: str, depth: int, inputs: int, width: int, seed: int) -> nn.Sequential:
    """Hidden layers of one width with an activation after each, as PyTorch starts them."""
    torch.manual_seed(seed)
    sizes = pairwise([inputs, *[width] * depth])
    return nn.Sequential(
        *[each for before, after in sizes for each in (nn.Linear(before, after), ACTIVATIONS[activation]())]
    )


def growth(model: nn.Sequential, seed: int) -> dict[str, float]:
    """Return by how much a difference is multiplied (median and root mean square of 256 samples), and a gradient.

    ``gradient`` is the norm of a random gradient that arrives at the first layer's output, over that at the last's.
    Differences below `ROUNDING` are rounding alone.
    """
    generator = torch.Generator().manual_seed(1_000 + seed)
    model = model.double()
    x = torch.randn(256, WIDTH, generator=generator, dtype=torch.float64)
    apart = DIFFERENCE * torch.randn(x.shape, generator=generator, dtype=torch.float64)
    first = model[0](x)
    last = model[1:](first)
    (at_first,) = torch.autograd.grad(last, first, torch.randn(last.shape, generator=generator, dtype=torch.float64))
    with torch.no_grad():
        times = (model(x + apart) - last).norm(dim=1) / apart.norm(dim=1)
    gradient = float(at_first.norm()) / last.numel() ** 0.5
    return {
        "difference": float(times.median()),
        "difference_rms": float(times.square().mean().sqrt()),
        "gradient": gradient,
    }


def accuracies(models: list[nn.Sequential], activation: str) -> Tensor:
    """Train networks of one shape as a stack, each with each of RATES; return test accuracies, ``[models, rates]``."""
    data = load_dataset("fashion-mnist", samples=SAMPLES)
    images, test = (_standardised(part.images) for part in (data.train, data.test))
    copies = [model for model in models for _ in RATES]
    stacks = [
        torch.stack([model.get_parameter(f"{i}.{name}").detach().t() for model in copies]).reshape(
            len(copies), -1, TRAINED_WIDTH
        )
        for name in ("weight", "bias")
        for i in range(0, len(models[0]), 2)
    ]
    readout = torch.randn(TRAINED_WIDTH, 10, generator=torch.Generator().manual_seed(0)) / TRAINED_WIDTH**0.5
    parameters = [each.clone().requires_grad_() for each in (*stacks, readout.repeat(len(copies), 1, 1))]
    moments = [torch.zeros_like(each) for each in parameters]
    rates = torch.tensor([*RATES] * len(models))[:, None, None]
    phi, order = ACTIVATIONS[activation](), torch.Generator().manual_seed(0)

    def forward(x: Tensor) -> Tensor:
        h, depth = x.expand(len(copies), *x.shape), len(stacks) // 2
        for weight, bias in zip(parameters[:depth], parameters[depth : 2 * depth], strict=True):
            h = phi(torch.baddbmm(bias, h, weight))
        return torch.bmm(h, parameters[-1])

    for _ in range(STEPS):
        rows = torch.randint(len(images), (BATCH,), generator=order)
        logits, labels = forward(images[rows]), data.train.labels[rows].long()
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), labels.repeat(len(copies)), reduction="sum") / BATCH
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for parameter, moment, gradient in zip(parameters, moments, gradients, strict=True):
                parameter.sub_(rates * moment.mul_(MOMENTUM).add_(gradient))
    with torch.no_grad():
        hits = (forward(test[:TESTED]).argmax(-1) == data.test.labels[:TESTED]).double().mean(1)
    return hits.reshape(len(models), len(RATES))


def measure() -> pd.DataFrame:
    """Return a row for each start, activation, depth and seed."""
    sample = _standardised(load_dataset("fashion-mnist", samples=256).train.images)
    rows = []
    for activation, depth in product(ACTIVATIONS, DEPTHS):
        found, trained = [], []
        for (name, start), seed in product(STARTS_OF.items(), SEEDS):
            if name == WITH_BIASES and activation != "GELU":
                continue
            model = network(activation, depth, WIDTH, WIDTH, seed)
            start(model, torch.randn(256, WIDTH, generator=torch.Generator().manual_seed(seed)), activation, seed)
            found.append({"start": name, "activation": activation, "depth": depth, "seed": seed} | growth(model, seed))
            trained.append(network(activation, depth, sample.shape[1], TRAINED_WIDTH, seed))
            start(trained[-1], sample, activation, seed)
        for row, accuracy in zip(found, accuracies(trained, activation).tolist(), strict=True):
            rows.append(row | {f"accuracy_{rate:g}": value for rate, value in zip(RATES, accuracy, strict=True)})
        print(f"{activation}, {depth} layers: done", flush=True)
    return pd.DataFrame(rows)


def read() -> pd.DataFrame:
    """Return the committed rows, one for each start, activation, depth and seed."""
    return pd.read_csv(STARTS, comment="#")


def starts() -> pd.DataFrame:
    """Return the committed table, a row for each start, activation and depth: means over seeds, of logarithms first.

    ``accuracy`` is that of the learning rate which is best for the row, on the test images.
    """
    table = read()
    ways = list(dict.fromkeys(table["start"]))
    table["start"] = pd.Categorical(table["start"], ways)
    factors = ["difference", "difference_rms", "gradient"]
    table[factors] = table[factors].map(lambda value: log(max(value, 1e-300)))
    means = table.groupby(["activation", "depth", "start"], observed=True, sort=True).mean(numeric_only=True)
    means[factors] = means[factors].map(exp)
    means["accuracy"] = means[[f"accuracy_{rate:g}" for rate in RATES]].max(axis=1)
    return means[[*factors, "accuracy"]].reset_index()


def _standardised(images: Tensor) -> Tensor:
    """Of all pixels together, mean 0 and variance 1."""
    x = images.reshape(len(images), -1).float() / 255
    return (x - 0.286) / 0.353


def main() -> None:
    """Measure, keep and print."""
    from importlib.metadata import version

    note = f"# {STEPS} steps of batches of {BATCH}, SGD with momentum {MOMENTUM}, {SAMPLES} images of Fashion-MNIST,\n"
    note += f"# {TESTED} of its test images; made by python -m edgechaos_core.experiments.starts, "
    note += f"anyinit {version('anyinit')}\n"
    write_whole(STARTS, (note + measure().to_csv(index=False, float_format="%.6g")).encode())
    print(starts().to_string(index=False))


if __name__ == "__main__":
    main()
