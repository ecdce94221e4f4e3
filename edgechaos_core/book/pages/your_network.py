"""Page `your_network`: usual weight decays against J^2 held at the edge, on five networks."""

from collections.abc import Mapping, Sequence

import pandas as pd
import torch

from edgechaos_core.analysis.intervals import DASH, Estimate, over_seeds, said, shown, spanned
from edgechaos_core.book.pages.weight_decay import habit_less_controller
from edgechaos_core.experiments.five_networks import HELD, chosen, compare, load
from edgechaos_core.experiments.protocols import protocol
from edgechaos_core.experiments.starts import ROUNDING, WIDTH, network, starts
from edgechaos_core.models.initialisation import initialise_at_edge
from edgechaos_core.models.inspection import inspect
from edgechaos_core.models.inspection_table import Inspection
from edgechaos_core.sweeps.sweep import available

PERCENT = 100
DEPTH, SAMPLES = 20, 256  # of the network whose starts are drawn, and of the sample it is inspected with


def deep_starts(depth: int = DEPTH, width: int = WIDTH) -> tuple[Inspection, Inspection]:
    """Return what `inspect` tells of layers with tanh as PyTorch starts them, and then started at the edge."""
    model = network("tanh", depth, width, width, seed=0)
    sample = torch.randn(SAMPLES, width, generator=torch.Generator().manual_seed(0))
    return inspect(model, sample), initialise_at_edge(model, sample).table


def start_numbers(default: Inspection, at_edge: Inspection) -> dict[str, str]:
    """Return in words what both starts do to a difference in all layers, and the least and largest J^2 at the edge."""
    J_squared = [row.J_squared for row in at_edge]
    return {
        "default_growth": said(default[-1].growth_from_input, ".5f"),
        "edge_growth": said(at_edge[-1].growth_from_input, ".2f"),
        "edge_low": said(min(J_squared), ".1f"),
        "edge_high": said(max(J_squared), ".1f"),
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


def starts_table() -> pd.DataFrame:
    """Return how starts of deep networks compare: a row a start, a column an activation and depth.

    Each cell is by how much a difference is multiplied, as far as rounding lets it be seen, and the test accuracy in
    percent.
    """
    cells: dict[str, dict[str, str]] = {}
    for row in starts().to_dict("records"):
        difference = f"{row['difference']:.1g}" if row["difference"] >= ROUNDING else f"below {ROUNDING:g}"
        text = f"{difference}, {PERCENT * row['accuracy']:.0f}%"
        cells.setdefault(f"{row['activation']}, {row['depth']} layers", {})[str(row["start"])] = text
    return pd.DataFrame(cells).fillna(DASH).rename_axis("start")


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


def gains(found: pd.DataFrame) -> dict[str, tuple[Estimate, Estimate]]:
    """Return by network what holding at the edge gains on the best of the grid, over seeds, which are paired.

    Points of test accuracy, and by how much the test loss is lower.
    """
    steered, grid = held(found), best_of_grid(found)
    points = PERCENT * (steered["test_accuracy"] - grid["test_accuracy"])
    lower = grid["test_loss"] - steered["test_loss"]
    names = list(dict.fromkeys(found["network"]))
    return {name: (over_seeds(points.loc[name].tolist()), over_seeds(lower.loc[name].tolist())) for name in names}


def table(found: pd.DataFrame) -> pd.DataFrame:
    """Set both ways side by side, a row a network: test accuracy, what is gained, and where J^2 ends."""
    steered, grid, gained = held(found), best_of_grid(found), gains(found)
    rows = {}
    for name, (points, lower) in gained.items():
        ends = {way: rows["over_edge"].loc[name].mean() for way, rows in (("grid", grid), ("held", steered))}
        rows[name] = {
            "chosen decay, %": shown(_percent(grid, name)),
            "controller, %": shown(_percent(steered, name)),
            "points gained": shown(points),
            "loss lowered by (less than 0: raised)": shown(lower),
            "J² / that of the edge, chosen decay": said(float(ends["grid"]), ".2f"),
            "J² / that of the edge, controller": said(float(ends["held"]), ".2f"),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("network")


def _percent(rows: pd.DataFrame, name: str) -> Estimate:
    return over_seeds((PERCENT * rows["test_accuracy"].loc[name]).tolist())


def numbers(found: pd.DataFrame) -> Mapping[str, str]:
    """Return what the page says of them in words: on how many networks holding is surely better, worse, or neither."""
    gained = gains(found)
    most = max((points for points, _ in gained.values()), key=lambda points: points.value)
    over_edge = held(found)["over_edge"].groupby("network").mean()
    told = {"held_over_edge": spanned(over_edge.tolist(), ".2f")}
    told |= {"networks": str(len(gained)), "seeds": str(found["seed"].nunique()), "most_gained": shown(most)}
    for number, what in enumerate(("accuracy", "loss")):
        own = {name: estimates[number] for name, estimates in gained.items()}
        better = [name for name, each in own.items() if each.low is not None and each.low > 0]
        worse = [name for name, each in own.items() if each.high is not None and each.high < 0]
        told |= {
            f"better_{what}": _named(better),
            f"worse_{what}": _named(worse),
            f"neither_{what}": str(len(own) - len(better) - len(worse)),
        }
    return told


def _named(networks: list[str]) -> str:
    return f"{len(networks)} ({', '.join(networks)})" if networks else "none"
