"""Ways to choose a decay, side by side: what each reaches at the end of training, and how many epochs it cost."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from edgechaos_core.analysis.scaling import SETTLED, settled
from edgechaos_core.experiments.hyperparameter_search import Obtain, best, search, stop_early
from edgechaos_core.experiments.named_grids import CONTEST, RIVALS, SLOW_EPOCHS
from edgechaos_core.store.runs import Run, cut_run, parse_config
from edgechaos_core.store.tables import TableError
from edgechaos_core.sweeps.sweep import obtain


@dataclass(frozen=True)
class Entry:
    """One way: its decay in words, results by seed, and ``epochs``: what it costs to get one network.

    ``epochs`` are of all images: an epoch on fewer of them, in a search, counts as the share of them that it trains on.
    """

    name: str
    decay: str
    accuracies: dict[int, float]
    losses: dict[int, float]
    J_squared: dict[int, float]
    epochs: float

    def accuracy(self) -> float:
        """Return the mean over seeds, nan if one diverged."""
        return float(np.mean(list(self.accuracies.values())))


ON = "formula, not slowed"
AGAIN = "stopped early, trained again on all"
SPACES = {
    "λ": {"l2": (1e-6, 1e-2)},
    "λ and η": {"l2": (1e-6, 1e-2), "learning_rate": (1e-3, 1e-1)},
}


@dataclass(frozen=True)
class Standing:
    """All ``entries`` by name, and of the searches the one to match: whose accuracy on test images is higher.

    It is picked on test images, so to its own advantage and not to that of the ways that are held against it.
    """

    entries: Mapping[str, Entry]
    best_found: Entry


@dataclass(frozen=True)
class Contest:
    """The searches' runs by name, and how ways stand at a ``constant`` learning rate, and ``slowed`` at the end."""

    searches: Mapping[str, list[Run]]
    constant: Standing
    slowed: Standing


def hold_contest(
    get: Obtain,
    *,
    samples: int = 50_000,
    validation: int = 10_000,
    epochs: int = 48,
    slow_epochs: int = SLOW_EPOCHS,
    trials: int = 30,
    seeds: Sequence[int] = (0, 1, 2),
) -> Contest:
    """Let all ways compete at the setting of named_grids.CONTEST, by runs that ``get`` obtains.

    Searches over `SPACES` train on ``samples`` and choose on ``validation`` others; what they choose, and the other
    ways but early stopping, is trained on both together with all seeds: ``epochs`` at the setting's learning rate, and
    ``slow_epochs`` more at a tenth of it. Of those, one way also goes on at the whole learning rate. Raises ValueError
    for so few ``slow_epochs`` that the end of training, over which results are averaged, has others in it.
    """
    check_slow_epochs(epochs, slow_epochs)
    every = epochs + slow_epochs
    setting = CONTEST | {"epochs": every, "milestone": epochs, "samples": samples + validation}
    chooser = parse_config({**setting, **_constant(epochs), "samples": samples, "validation": validation})
    searches = {f"search over {name}": search(chooser, space, trials=trials, get=get) for name, space in SPACES.items()}
    choices = {name: best(runs).config for name, runs in searches.items()}
    ways = {name: {"l2": own.l2, "learning_rate": own.learning_rate} for name, own in choices.items()} | RIVALS
    stopped = get([chooser.model_copy(update={"seed": seed}) for seed in seeds])
    kept = {run.config.seed: max(stop_early(run)[0], 1) for run in stopped}

    asked = [own | {"seed": seed} for own in ways.values() for seed in seeds]
    asked += [RIVALS["formula"] | _constant(every) | {"seed": seed} for seed in seeds]
    asked += [{"epochs": kept[seed] + slow_epochs, "milestone": kept[seed], "seed": seed} for seed in seeds]
    obtained = iter(get([parse_config({**setting, **own}) for own in asked]))  # at once: they train in parallel
    runs = {way: [next(obtained) for _ in seeds] for way in (*ways, ON, AGAIN)}

    def stand(own: Mapping[str, Sequence[Run]], more: Sequence[Entry]) -> Standing:
        before = dict.fromkeys(searches, trials * epochs * samples / (samples + validation))
        entries = {name: trained(name, seeded, before=before.get(name, 0)) for name, seeded in own.items()}
        entries |= {entry.name: entry for entry in more}
        return Standing(entries, max((entries[name] for name in searches), key=Entry.accuracy))

    short = {
        way: [cut_run(run, run.config.model_copy(update={"epochs": epochs})) for run in seeded]
        for way, seeded in runs.items()
        if way in ways
    }
    early = [stopped_early("no decay, stopped early", stopped), stopped_early(AGAIN, stopped, short["no decay"])]
    again = stopped_early(AGAIN, stopped, runs.pop(AGAIN), slow_epochs)
    return Contest(searches, stand(short, early), stand(runs, [again]))


def if_stored(hold: Callable[[Obtain], Contest]) -> Contest | None:
    """Return the contest that ``hold`` holds from stored runs alone, None where one of them is missing."""
    try:
        return hold(partial(obtain, stored_only=True))
    except TableError:
        return None


def check_slow_epochs(epochs: int, slow_epochs: int) -> None:
    """Raise ValueError for fewer ``slow_epochs`` than the tenth of all epochs over which results are averaged."""
    every = epochs + slow_epochs
    if slow_epochs < max(round(SETTLED * (every + 1)), 1):
        raise ValueError(f"slow_epochs must be at least a tenth of all epochs, got {slow_epochs} of {every}")


def _constant(epochs: int) -> dict[str, int]:
    return {"epochs": epochs, "milestone": 0}


def trained(name: str, runs: Sequence[Run], *, before: float = 0) -> Entry:
    """Return the entry of runs trained to their end, where results are means over the last tenth of the epochs.

    ``before`` are epochs of all images spent earlier, on a search. Raises ValueError for no runs, or runs of several
    settings.
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


def stopped_early(name: str, runs: Sequence[Run], again: Sequence[Run] = (), slow_epochs: int = 0) -> Entry:
    """Return the entry of runs stopped by their validation loss (search.stop_early), with results at the epoch kept.

    ``again`` are runs of the same seeds on all samples, that are trained for as many epochs, and ``slow_epochs`` more,
    and take their place: results are then as in `trained`, or at the epoch kept if there are no slow ones. What it took
    to find out how many is paid for as well: as the share of all images, the validation images among them, that those
    runs train on.
    """
    accuracies, losses, J_squared, epochs = {}, {}, {}, []
    share = runs[0].config.samples / (runs[0].config.samples + runs[0].config.validation)
    second = {run.config.seed: run for run in again}
    for run in runs:
        kept, stopped = stop_early(run)
        seed = run.config.seed
        own = second.get(seed, run)
        accuracies[seed], losses[seed], J_squared[seed] = (
            settled(own, column) if slow_epochs else float(own.history[column].iloc[kept])
            for column in ("test_accuracy", "test_loss", "J_squared")
        )
        epochs.append(stopped * share + (kept + slow_epochs if again else 0))
    return Entry(name, f"{runs[0].config.l2:.2g}", accuracies, losses, J_squared, float(np.mean(epochs)))
