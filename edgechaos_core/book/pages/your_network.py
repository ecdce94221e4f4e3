"""Page `your_network`: usual weight decays against J^2 held at the edge, on five networks.

The controller has two rivals: the best of a grid of weight decays, which costs as many trainings as the grid has, and
AdamW's default of 0.01, which costs one, as the controller does.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch

from edgechaos_core.analysis.intervals import DASH, Estimate, over_seeds, said, shown, spanned
from edgechaos_core.book.pages.deeper import accuracy_by_depth, deepest_trained, depth_numbers
from edgechaos_core.book.pages.weight_decay import habit_less_controller
from edgechaos_core.experiments.five_networks import HELD, chosen, compare, decay_name, load
from edgechaos_core.experiments.named_grids import DEEP, DEEP_STARTS, DEPTHS
from edgechaos_core.experiments.protocols import protocol
from edgechaos_core.experiments.starts import ROUNDING, WIDTH, WITH_BIASES, network, starts
from edgechaos_core.models.initialisation import initialise_at_edge
from edgechaos_core.models.inspection import inspect
from edgechaos_core.models.inspection_table import Inspection
from edgechaos_core.store.runs import parse_config
from edgechaos_core.sweeps.sweep import available

PERCENT = 100
DEFAULT = 0.01  # AdamW's weight_decay in PyTorch
RIVALS = {"grid": "best of four decays", "default": f"decay of {DEFAULT:g}"}  # as the page calls them
DEPTH, SAMPLES = 20, 256  # of the network whose starts are drawn, and of the sample it is inspected with


def deep_starts(depth: int = DEPTH, width: int = WIDTH) -> tuple[Inspection, Inspection]:
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


def habit_points() -> str:
    """Return in words the accuracy of weight_decay 1e-4 less the controller's, in points: the committed contest's."""
    return shown(habit_less_controller(available(protocol("contest", seeds=(0, 1, 2))), "test_accuracy"), 1 / PERCENT)


def comparison(
    networks: Sequence[str], seeds: Sequence[int], *, samples: int, epochs: int, retrain: bool
) -> pd.DataFrame:
    """Return the rows of these networks and seeds: of the committed comparison, or trained here."""
    if retrain:
        return compare(networks, seeds, samples=samples, epochs=epochs)
    found = load()
    return found[found["network"].isin(list(networks)) & found["seed"].isin(list(seeds))]


def depth_limits() -> dict[str, str]:
    """Return in words what the committed runs of chapter `deeper` say of depth, all layers starting from one J.

    ``trained`` and ``untrained``: the deepest that is trained from PyTorch's J, and the next one tried; ``farthest``:
    the largest J tried, ``farthest_squared``, and ``from_farthest`` the deepest that is trained from there.
    """
    grid = [
        {"depth": depth, "initial_J": J, "seed": seed} for depth in DEPTHS for J in DEEP_STARTS for seed in range(3)
    ]
    accuracies = accuracy_by_depth(available([parse_config(DEEP | entry) for entry in grid]))
    told, reached = depth_numbers(accuracies), deepest_trained(accuracies)
    return {
        "trained": told["from_default"],
        "untrained": told["after_default"],
        "farthest": f"{max(reached.index):.3g}",
        "farthest_squared": f"{max(reached.index) ** 2:.3g}",
        "from_farthest": f"{reached.iloc[-1]:.0f}",
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


def best_without_biases(activation: str, depth: int) -> str:
    """Return the best accuracy, in percent, that any start without drawn biases reaches at a depth."""
    rows = starts()
    own = rows[(rows["activation"] == activation) & (rows["depth"] == depth) & (rows["start"] != WITH_BIASES)]
    return said(PERCENT * float(own["accuracy"].max()), ".0f")


def best_of_grid(found: pd.DataFrame) -> pd.DataFrame:
    """Return each network's and seed's row of least validation loss over the strengths of decay and the epochs.

    Indexed by network and seed, as `held` is; of rows as `five_networks.compare` returns them.
    """
    rows = chosen(found[found["way"] != HELD])
    return _by_seed(rows.loc[rows.groupby(["network", "seed"], sort=False)["validation_loss"].idxmin()])


def held(found: pd.DataFrame) -> pd.DataFrame:
    """Return each network's and seed's row of least validation loss when held at the edge."""
    return _by_seed(chosen(found[found["way"] == HELD]))


def _by_seed(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.set_index(["network", "seed"])


def of_default(found: pd.DataFrame) -> pd.DataFrame:
    """Return each network's and seed's row of least validation loss with AdamW's default weight_decay."""
    return _by_seed(chosen(found[found["way"] == decay_name(DEFAULT)]))


@dataclass(frozen=True)
class Difference:
    """The controller's result minus a rival's on one network, paired by seed: points of accuracy, and test loss."""

    accuracy: Estimate
    loss: Estimate


def differences(found: pd.DataFrame, rival: str) -> dict[str, Difference]:
    """Return by network what holding at the edge changes against a rival, "grid" or "default" (`RIVALS`)."""
    steered, other = held(found), {"grid": best_of_grid, "default": of_default}[rival](found)
    points = PERCENT * (steered["test_accuracy"] - other["test_accuracy"])
    loss = steered["test_loss"] - other["test_loss"]
    return {
        name: Difference(over_seeds(points.loc[name].tolist()), over_seeds(loss.loc[name].tolist()))
        for name in dict.fromkeys(found["network"])
    }


def accuracy_table(found: pd.DataFrame) -> pd.DataFrame:
    """Return the controller's test accuracy in percent, a row a network, and its points minus each rival's, in text."""
    steered = held(found)["test_accuracy"].groupby("network").mean() * PERCENT
    return _table(found, "accuracy", "controller, %", {name: said(value, ".1f") for name, value in steered.items()})


def loss_table(found: pd.DataFrame) -> pd.DataFrame:
    """Return the controller's test loss, a row a network, and that minus each rival's, in text."""
    steered = held(found)["test_loss"].groupby("network").mean()
    return _table(found, "loss", "controller", {name: said(value, ".3f") for name, value in steered.items()})


def _table(found: pd.DataFrame, column: str, own: str, values: Mapping[Hashable, str]) -> pd.DataFrame:
    columns: dict[str, dict[str, str]] = {own: {name: values[name] for name in dict.fromkeys(found["network"])}}
    for rival, called in RIVALS.items():
        paired = differences(found, rival)
        columns[f"minus {called}"] = {name: shown(getattr(each, column)) for name, each in paired.items()}
    return pd.DataFrame(columns).rename_axis("network")


def ends_table(found: pd.DataFrame) -> pd.DataFrame:
    """Return where J^2 ends, over that of the edge: the mean over layers and seeds of each way, a row a network."""
    ways = {RIVALS["grid"]: best_of_grid(found), RIVALS["default"]: of_default(found), "controller": held(found)}
    means = {way: rows["over_edge"].groupby("network", sort=False).mean() for way, rows in ways.items()}
    return pd.DataFrame(means).loc[list(dict.fromkeys(found["network"]))].map(lambda value: said(value, ".2f"))


def numbers(found: pd.DataFrame) -> Mapping[str, str]:
    """Return what the page says of them in words: which networks' results holding surely raises or lowers.

    Names of networks for each rival, for accuracy and loss, as in ``default_lowered_loss``; how many are neither raised
    nor lowered, as in ``grid_alike_accuracy``; and the largest gain in points, ``grid_most`` and ``default_most``.
    """
    over_edge = held(found)["over_edge"].groupby("network").mean()
    told = {"held_over_edge": spanned(over_edge.tolist(), ".2f"), "seeds": str(found["seed"].nunique())}
    for rival in RIVALS:
        paired = differences(found, rival)
        told["networks"] = str(len(paired))
        told[f"{rival}_most"] = shown(max((each.accuracy for each in paired.values()), key=lambda each: each.value))
        for what in ("accuracy", "loss"):
            own: dict[str, Estimate] = {name: getattr(each, what) for name, each in paired.items()}
            raised = [name for name, each in own.items() if each.low is not None and each.low > 0]
            lowered = [name for name, each in own.items() if each.high is not None and each.high < 0]
            told |= {
                f"{rival}_raised_{what}": _named(raised),
                f"{rival}_lowered_{what}": _named(lowered),
                f"{rival}_alike_{what}": str(len(own) - len(raised) - len(lowered)),
            }
    return told


def _named(networks: list[str]) -> str:
    return f"{len(networks)} ({', '.join(networks)})" if networks else "none"
