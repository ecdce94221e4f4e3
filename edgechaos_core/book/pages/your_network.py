"""Page `your_network`: usual weight decays against J^2 held at the edge, on five networks.

The controller has two rivals: the best of a grid of weight decays, which costs as many trainings as the grid has, and
AdamW's default of 0.01, which costs one, as the controller does.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from edgechaos_core.analysis.intervals import Estimate, over_seeds, said, shown, spanned
from edgechaos_core.book.pages.weight_decay import habit_less_controller
from edgechaos_core.experiments.five_networks import DECAYS, HELD, chosen, compare, decay_name, load
from edgechaos_core.experiments.protocols import protocol
from edgechaos_core.sweeps.sweep import available

PERCENT = 100
DEFAULT = 0.01  # AdamW's weight_decay in PyTorch
RIVALS = {"grid": "best of four decays", "default": f"decay of {DEFAULT:g}"}  # as the page calls them


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
    return _of_decay(found, DEFAULT)


def _of_decay(found: pd.DataFrame, decay: float) -> pd.DataFrame:
    return _by_seed(chosen(found[found["way"] == decay_name(decay)]))


def decay_points(found: pd.DataFrame, decay: float) -> dict[str, Estimate]:
    """Return by network the points of test accuracy of a constant decay minus those of the default, paired by seed."""
    points = PERCENT * (_of_decay(found, decay)["test_accuracy"] - of_default(found)["test_accuracy"])
    return {name: over_seeds(points.loc[name].tolist()) for name in dict.fromkeys(found["network"])}


def decays_table(found: pd.DataFrame) -> pd.DataFrame:
    """Return the default's test accuracy in percent, a row a network, and other decays' minus that, in text."""
    names = list(dict.fromkeys(found["network"]))
    own = PERCENT * of_default(found)["test_accuracy"].groupby("network").mean()
    columns = {f"decay of {DEFAULT:g}, %": {name: said(own[name], ".1f") for name in names}}
    for decay in DECAYS:
        if decay != DEFAULT:
            points = decay_points(found, decay)
            columns[f"{decay:g} minus {DEFAULT:g}"] = {name: shown(points[name]) for name in names}
    return pd.DataFrame(columns).rename_axis("network")


def strongest_decay(found: pd.DataFrame) -> dict[str, str]:
    """Return in words on which networks the strongest decay surely costs accuracy, or gains it, against the default.

    And the largest cost in points, as a mean with its interval.
    """
    points = decay_points(found, max(DECAYS))
    least = min(points.values(), key=lambda each: each.value)
    raised, lowered = _sure(points)
    return {
        "strongest": f"{max(DECAYS):g}",
        "strongest_raised": _named(raised),
        "strongest_lowered": _named(lowered),
        "strongest_cost": shown(over_seeds([-each for each in least.sample])),
    }


def _sure(estimates: Mapping[str, Estimate]) -> tuple[list[str], list[str]]:
    """Return the networks whose interval lies above 0, and those whose interval lies below it."""
    raised = [name for name, each in estimates.items() if each.low is not None and each.low > 0]
    lowered = [name for name, each in estimates.items() if each.high is not None and each.high < 0]
    return raised, lowered


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
            raised, lowered = _sure(own)
            told |= {
                f"{rival}_raised_{what}": _named(raised),
                f"{rival}_lowered_{what}": _named(lowered),
                f"{rival}_alike_{what}": str(len(own) - len(raised) - len(lowered)),
            }
    return told


def _named(networks: list[str]) -> str:
    return f"{len(networks)} ({', '.join(networks)})" if networks else "none"
