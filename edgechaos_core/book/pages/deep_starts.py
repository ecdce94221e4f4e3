"""Page `your_network`: what the start of a deep network does to small differences, and what it then learns."""

from collections.abc import Callable

import pandas as pd
import torch

from edgechaos_core.analysis.intervals import DASH, said
from edgechaos_core.book.pages.deeper import accuracy_by_depth, deepest_trained, depth_numbers
from edgechaos_core.experiments.named_grids import DEEP, DEEP_STARTS, DEPTHS
from edgechaos_core.experiments.starts import GELU_BIASES, ROUNDING, WIDTH, WITH_BIASES, network, starts
from edgechaos_core.models.activation_edges import Array, curves, edge_J_squared
from edgechaos_core.models.initialisation import initialise_at_edge
from edgechaos_core.models.inspection import inspect
from edgechaos_core.models.inspection_table import Inspection
from edgechaos_core.store.runs import parse_config
from edgechaos_core.sweeps.sweep import available

PERCENT = 100
IN_CHAOS = 1.5  # one of the J of chapter `deeper` from which its deepest networks are not trained
DEPTH, SAMPLES = 20, 256  # of the network whose starts are drawn, and of the sample it is inspected with


def two_starts(depth: int = DEPTH, width: int = WIDTH) -> tuple[Inspection, Inspection]:
    """Return what `inspect` tells of layers with tanh as PyTorch starts them, and then started at the edge."""
    model = network("tanh", depth, width, width, seed=0)
    sample = torch.randn(SAMPLES, width, generator=torch.Generator().manual_seed(0))
    return inspect(model, sample), initialise_at_edge(model, sample).table


def start_numbers(default: Inspection, at_edge: Inspection) -> dict[str, str]:
    """Return in words what both starts do to a difference in all layers, and J^2 when started at the edge.

    That of the first and the second layer, and the least.
    """
    J_squared = [row.J_squared for row in at_edge]
    return {
        "edge_first": said(J_squared[0], ".1f"),
        "edge_second": said(J_squared[1], ".1f"),
        "default_growth": said(default[-1].growth_from_input, ".5f"),
        "edge_growth": said(at_edge[-1].growth_from_input, ".2f"),
        "edge_low": said(min(J_squared), ".1f"),
    }


def depth_limits() -> dict[str, str]:
    """Return in words what the committed runs of chapter `deeper` say of depth, all layers starting from one J.

    ``trained`` and ``untrained``: the deepest that is trained from PyTorch's J, and the next one tried; ``farthest``:
    the largest J tried, ``farthest_squared``, and ``from_farthest`` the deepest that is trained from there.
    ``deepest``: the largest depth tried, and what is reached there, in percent, ``from_chaos``, J = 1.5, and
    ``deepest_farthest``, from the largest J.
    """
    grid = [
        {"depth": depth, "initial_J": J, "seed": seed} for depth in DEPTHS for J in DEEP_STARTS for seed in range(3)
    ]
    accuracies = accuracy_by_depth(available([parse_config(DEEP | entry) for entry in grid]))
    from_J = dict(zip(accuracies.index.tolist(), accuracies[max(accuracies.columns)].tolist(), strict=True))
    told, reached = depth_numbers(accuracies), deepest_trained(accuracies)
    return {
        "trained": told["from_default"],
        "untrained": told["after_default"],
        "farthest": f"{max(reached.index):.3g}",
        "farthest_squared": f"{max(reached.index) ** 2:.3g}",
        "from_farthest": f"{reached.iloc[-1]:.0f}",
        "deepest": f"{max(accuracies.columns):.0f}",
        "from_chaos": said(PERCENT * from_J[IN_CHAOS], ".0f"),
        "deepest_farthest": said(PERCENT * from_J[max(reached.index)], ".0f"),
    }


def differences_table() -> pd.DataFrame:
    """Return by how much starts of deep networks multiply a difference, as far as rounding lets it be seen, in text.

    A row a start, a column an activation and depth.
    """
    return _by_start(
        "difference", lambda value: f"{float(f'{value:.1g}'):g}" if value >= ROUNDING else f"below {ROUNDING:g}"
    )


def accuracies_table() -> pd.DataFrame:
    """Return the test accuracies of deep networks from these starts, in percent; rows and columns as before."""
    return _by_start("accuracy", lambda value: f"{PERCENT * value:.0f}")


def _by_start(column: str, written: Callable[[float], str]) -> pd.DataFrame:
    cells: dict[str, dict[str, str]] = {}
    for row in starts().to_dict("records"):
        own = cells.setdefault(f"{row['activation']}, {row['depth']} layers", {})
        own[str(row["start"])] = written(row[column])
    return pd.DataFrame(cells).fillna(DASH).rename_axis("start")


def tanh_at_edge() -> dict[str, str]:
    """Return the accuracies, in percent, of tanh networks of 20 and 50 layers: all at J = 1, by growth, with gains."""
    table = starts().set_index(["activation", "depth", "start"])["accuracy"]
    ways = {"plain": "J of the edge in every layer", "measured": "at the edge", "gains": "nn.init with gains"}
    return {
        f"{name}_{depth}": said(PERCENT * float(table["tanh", depth, way]), ".0f")
        for name, way in ways.items()
        for depth in (20, 50)
    }


def relu_without_difference() -> dict[str, str]:
    """Return the accuracies, in percent, of ReLU networks of 50 layers from two starts that differ in the last alone.

    Without biases the hidden weights of both are the same, number for number. And by how many points tanh networks of
    50 layers are more accurate started at the edge than with all layers at J = 1, ``measured_more_50``.
    """
    table = PERCENT * starts().set_index(["activation", "depth", "start"])["accuracy"]
    of_tanh = table["tanh", 50]
    return {
        "relu_plain_50": said(float(table["ReLU", 50, "J of the edge in every layer"]), ".0f"),
        "relu_gains_50": said(float(table["ReLU", 50, "nn.init with gains"]), ".0f"),
        "measured_more_50": said(float(of_tanh["at the edge"] - of_tanh["J of the edge in every layer"]), ".0f"),
    }


def best_without_biases(activation: str, depth: int) -> str:
    """Return the best accuracy, in percent, that any start without drawn biases reaches at a depth."""
    rows = starts()
    own = rows[(rows["activation"] == activation) & (rows["depth"] == depth) & (rows["start"] != WITH_BIASES)]
    return said(PERCENT * float(own["accuracy"].max()), ".0f")


def gelu_edges() -> dict[str, str]:
    """Return in words the J^2 of GELU's edge, and what a layer without biases does there to short and to long signals.

    ``gelu_edge`` without biases, where lengths of 1 neither die out nor run away, and ``gelu_edge_biases`` with them;
    ``gelu_short`` and ``gelu_long`` are the factors of a small difference, and of the signal itself, a layer.
    """
    averages = curves(_gelu)
    edge = edge_J_squared(averages)
    short, long = ((edge * float(averages.slopes[end])) ** 0.5 for end in (0, -1))
    return {
        "gelu_edge": said(edge, ".3f"),
        "gelu_edge_biases": said(edge_J_squared(averages, GELU_BIASES), ".2f"),
        "gelu_short": said(short, ".2f"),
        "gelu_long": said(long, ".2f"),
    }


def _gelu(x: Array) -> tuple[Array, Array]:
    at = torch.from_numpy(x).requires_grad_()
    value = torch.nn.functional.gelu(at)
    (slope,) = torch.autograd.grad(value.sum(), at)
    return value.detach().numpy(), slope.numpy()
