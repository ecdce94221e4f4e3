"""Ways to choose a decay, side by side: what each reaches at the end of training, and how many epochs it cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from edgechaos_core.protocols import CONTEST, RIVALS, SLOWER
from edgechaos_core.runs import Run, parse_config
from edgechaos_core.scaling import Interval, over_seeds, settled
from edgechaos_core.search import Obtain, best, score, search, stop_early


@dataclass(frozen=True)
class Entry:
    """One way: its decay in words, results by seed, and ``epochs``, all that were trained to get one network."""

    name: str
    decay: str
    accuracies: dict[int, float]
    losses: dict[int, float]
    J_squared: dict[int, float]
    epochs: float


SPACES = {
    "λ": {"l2": (1e-6, 1e-2)},
    "λ and η": {"l2": (1e-6, 1e-2), "learning_rate": (1e-3, 1e-1)},
}


@dataclass(frozen=True)
class Standing:
    """All ``entries``, and of them the formula's, the controller's, and the better search's.

    The better search is that whose choice has the higher validation accuracy.
    """

    entries: tuple[Entry, ...]
    formula: Entry
    controller: Entry
    best_found: Entry


@dataclass(frozen=True)
class Contest:
    """The searches' runs by name, and how all ways stand: at a ``constant`` learning rate, and ``slower`` at the end.

    Early stopping is among the former alone.
    """

    searches: Mapping[str, list[Run]]
    constant: Standing
    slower: Standing


def hold_contest(
    get: Obtain,
    *,
    samples: int = 50_000,
    validation: int = 10_000,
    epochs: int = 48,
    slower: int = SLOWER,
    trials: int = 30,
    seeds: Sequence[int] = (0, 1, 2),
) -> Contest:
    """Let all ways compete at the setting of protocols.CONTEST, by runs that ``get`` obtains.

    Searches over `SPACES` train on ``samples`` and choose on ``validation`` others; what they choose, and the other
    ways but early stopping, is trained on both together with all seeds: ``epochs`` at the setting's learning rate, and
    ``slower`` more at a tenth of it. Raises ValueError for ``slower`` below 1.
    """
    if slower < 1:
        raise ValueError(f"slower must be at least 1, got {slower}")
    setting = CONTEST | {"epochs": epochs, "milestone": epochs, "samples": samples + validation}
    chooser = parse_config({**setting, "milestone": 0, "samples": samples, "validation": validation})
    searches = {name: search(chooser, space, trials=trials, get=get) for name, space in SPACES.items()}
    chosen = {name: best(runs) for name, runs in searches.items()}
    names = {f"search over {name}": run for name, run in chosen.items()}
    found = {name: {"l2": run.config.l2, "learning_rate": run.config.learning_rate} for name, run in names.items()}
    before = dict.fromkeys(names, trials * epochs)
    better = max(names, key=lambda name: score(names[name]))
    stopped = get([chooser.model_copy(update={"seed": seed}) for seed in seeds])

    def stand(length: int) -> Standing:
        own = {
            way: [parse_config({**setting, **settings, "epochs": length, "seed": seed}) for seed in seeds]
            for way, settings in (found | RIVALS).items()
        }
        every = iter(get([config for configs in own.values() for config in configs]))  # at once: they train in parallel
        runs = {way: [next(every) for _ in configs] for way, configs in own.items()}
        entries = {way: trained(way, seeded, before=before.get(way, 0)) for way, seeded in runs.items()}
        if length == epochs:
            entries["early"] = stopped_early("no decay, stopped early", stopped)
            entries["again"] = stopped_early("the same, trained again on all", stopped, runs["no decay"])
        return Standing(tuple(entries.values()), entries["formula"], entries["controller"], entries[better])

    later = stand(epochs + slower)  # first: a longer run serves the shorter request
    return Contest(searches, stand(epochs), later)


def trained(name: str, runs: Sequence[Run], *, before: int = 0) -> Entry:
    """Return the entry of runs trained to their end, where results are means over the last tenth of the epochs.

    ``before`` are epochs spent earlier, on a search. Raises ValueError for no runs, or runs of several settings.
    """
    if len({run.config.model_dump_json(exclude={"seed"}) for run in runs}) != 1:
        raise ValueError("an entry needs runs that differ in seed alone")
    config = runs[0].config
    held = np.mean([settled(run, "lambda") for run in runs]) if config.hold else config.l2
    accuracies, losses, J_squared = (
        {run.config.seed: settled(run, column) for run in runs}
        for column in ("test_accuracy", "test_loss", "J_squared")
    )
    return Entry(name, f"{held:.2g}", accuracies, losses, J_squared, before + config.epochs)


def stopped_early(name: str, runs: Sequence[Run], again: Sequence[Run] = ()) -> Entry:
    """Return the entry of runs stopped by their validation loss (search.stop_early), with results at the epoch kept.

    ``again`` are runs of the same seeds on all samples, that are trained for as many epochs and take their place; what
    it took to find out how many is paid for as well.
    """
    accuracies, losses, J_squared, epochs = {}, {}, {}, []
    second = {run.config.seed: run for run in again}
    for run in runs:
        kept, stopped = stop_early(run)
        row = second.get(run.config.seed, run).history.iloc[kept]
        seed = run.config.seed
        accuracies[seed], losses[seed], J_squared[seed] = row["test_accuracy"], row["test_loss"], row["J_squared"]
        epochs.append(stopped + (kept if again else 0))
    return Entry(name, f"{runs[0].config.l2:.2g}", accuracies, losses, J_squared, float(np.mean(epochs)))


def table(entries: Sequence[Entry], reference: Entry) -> pd.DataFrame:
    """Set entries side by side; ``behind`` are points of accuracy behind the reference, seed by seed."""
    rows = [
        {
            "way": entry.name,
            "lambda": entry.decay,
            "test accuracy, %": shown_points(over_seeds([100 * value for value in entry.accuracies.values()])),
            "behind, points": "–" if entry is reference else shown_points(behind(entry, reference)),
            "test loss": round(float(np.mean(list(entry.losses.values()))), 3),
            "J²": round(float(np.mean(list(entry.J_squared.values()))), 2),
            "epochs": round(entry.epochs),
        }
        for entry in entries
    ]
    return pd.DataFrame(rows).set_index("way")


def behind(entry: Entry, reference: Entry) -> Interval:
    """Return by how many points of accuracy an entry is behind another, over the seeds that both have.

    Raises ValueError where they have none in common.
    """
    both = entry.accuracies.keys() & reference.accuracies.keys()
    if not both:
        raise ValueError(f"{entry.name} and {reference.name} have no seed in common")
    return over_seeds([100 * (reference.accuracies[seed] - entry.accuracies[seed]) for seed in sorted(both)])


def shown_points(interval: Interval) -> str:
    """Write an interval of percentages with two decimals."""
    if interval.low is None:
        return f"{interval.mean:.2f} (n = 1)"
    return f"{interval.mean:.2f} [{interval.low:.2f}, {interval.high:.2f}]"
