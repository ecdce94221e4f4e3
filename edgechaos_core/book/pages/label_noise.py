"""Page `label_noise`: which runs with shuffled labels it shows, their table, and its numbers.

Columns of a history with shuffled labels, each a share of the images measured: ``shuffled_accuracy``, those with a
wrong label that are given that label; ``restored_accuracy``, those that are given their true class instead;
``kept_accuracy``, those with a correct label that are given it.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean

import pandas as pd

from edgechaos_core.analysis.by_setting import strength_text
from edgechaos_core.analysis.intervals import DASH, over_seeds, said, shown
from edgechaos_core.analysis.scaling import settled
from edgechaos_core.experiments.hyperparameter_search import Obtain
from edgechaos_core.experiments.named_grids import CONTEST, NOISY_WAYS
from edgechaos_core.store.runs import Run, RunConfig, parse_config

OTHER_CLASSES = 9  # that a wrong guess can fall on

Noisy = Mapping[tuple[float, str], Sequence[Run]]

# Columns of the table, in percent: the name in words, and that of the history.
SHARES = {
    "test accuracy, %": "test_accuracy",
    "wrong labels fitted, %": "shuffled_accuracy",
    "true class given instead, %": "restored_accuracy",
    "correct labels fitted, %": "kept_accuracy",
}


def find_runs(
    get: Obtain, shares: Sequence[float], *, samples: int, epochs: int, seeds: Sequence[int], milestone: int = 0
) -> Noisy:
    """Return those runs of each (share of shuffled labels, way) that ``get`` has; it may have none.

    A ``milestone`` at the last epoch changes nothing but lets longer stored runs serve, that are slowed from there on.
    """
    common = CONTEST | {"samples": samples, "epochs": epochs, "milestone": milestone}
    planned: dict[tuple[float, str], list[RunConfig]] = {
        (share, way): [parse_config({**common, **own, "label_noise": share, "seed": seed}) for seed in seeds]
        for share in shares
        for way, own in NOISY_WAYS.items()
    }
    found = {run.config: run for run in get([config for own in planned.values() for config in own])}
    return {key: [found[config] for config in own if config in found] for key, own in planned.items()}


def table(runs: Noisy) -> pd.DataFrame:
    """Return the end of training by share and way: means over seeds, with intervals for test accuracy."""
    index = pd.MultiIndex.from_tuples([(f"{share:.0%}", way) for share, way in runs], names=["shuffled", "way"])
    return pd.DataFrame([_row(own) for own in runs.values()], index, ["λ", "J²", *SHARES, "seeds"])


def _row(own: Sequence[Run]) -> list[str]:
    if not own:
        return [DASH] * (2 + len(SHARES)) + ["0"]
    decay = fmean(settled(run, "lambda") if run.config.hold else run.config.l2 for run in own)
    accuracy, *others = SHARES.values()
    ends = [_percent(own, accuracy), *(_mean(own, column, 100, 1) for column in others)]
    return [strength_text(decay), _mean(own, "J_squared", 1, 2), *ends, str(len(own))]


def _mean(own: Sequence[Run], column: str, unit: float, digits: int) -> str:
    """A column at the end, the mean over seeds; a dash where it is not measured or a run diverged."""
    ends = [unit * settled(run, column) for run in own if column in run.history]
    return said(fmean(ends), f".{digits}f") if ends else DASH


def _percent(own: Sequence[Run], column: str) -> str:
    """A share at the end with its interval, in percent; a dash without runs, or where it is not measured."""
    if not own or any(column not in run.history for run in own):
        return DASH
    return shown(over_seeds([100 * settled(run, column) for run in own]))


def _spanned(seeds: Sequence[int]) -> str:
    """The numbers of seeds from the fewest to the most, in words; no seed where a way has none."""
    return _seeds(seeds[0]) if seeds[0] in (0, seeds[-1]) else f"{seeds[0]} to {_seeds(seeds[-1])}"


def numbers(runs: Noisy) -> dict[str, str]:
    """Return what is told of each way at the largest share, by name, as text; a dash for what is missing.

    Names are ``no_decay_end`` and the like: accuracy on clean test images at the ``end``, wrong labels ``fitted`` and
    correct ones ``kept``, and J² (``J``); ``n_told`` is how many seeds the ways have, in words;
    ``no_decay_less`` and the like are points of accuracy at the end less those of no decay, seed by seed. ``neither``
    is the percentage of images with a wrong label to which the controller's network gives neither it nor the true
    class, and ``mistaken`` that of wrong labels given by mistake, an eighth of it.
    """
    largest = max(share for share, _ in runs)
    own = {way: runs.get((largest, way), ()) for way in NOISY_WAYS}
    found = _mistaken(own["controller"]) | {"n_told": _spanned(sorted(map(len, own.values())))}
    for way, seeded in own.items():
        texts = _told(seeded) | {"less": _less(seeded, own["no decay"])}
        found |= {f"{way.replace(' ', '_')}_{name}": text for name, text in texts.items()}
    return found


def _seeds(count: int) -> str:
    """How many seeds there are, in words."""
    return {0: "no seed", 1: "one seed"}.get(count, f"{count} seeds")


def wrong_share(shuffled: float) -> float:
    """Return the share of wrong labels: of those shuffled, one in ten falls on its own class again.

    >>> round(wrong_share(0.4), 2)
    0.36
    """
    return shuffled * OTHER_CLASSES / (OTHER_CLASSES + 1)


_ENDS = {"end": "test_accuracy", "fitted": "shuffled_accuracy", "kept": "kept_accuracy"}


def _told(own: Sequence[Run]) -> dict[str, str]:
    if not own:
        return dict.fromkeys((*_ENDS, "J"), DASH)
    ends = {name: _percent(own, column) for name, column in _ENDS.items()}
    return ends | {"J": shown(over_seeds([settled(run) for run in own])).partition(" ")[0]}


def _less(own: Sequence[Run], free: Sequence[Run]) -> str:
    by_seed = {run.config.seed: settled(run, "test_accuracy") for run in free}
    pairs = [
        100 * (settled(run, "test_accuracy") - by_seed[run.config.seed]) for run in own if run.config.seed in by_seed
    ]
    return shown(over_seeds(pairs)) if pairs else DASH


def _mistaken(own: Sequence[Run]) -> dict[str, str]:
    if not own:
        return {"neither": DASH, "mistaken": DASH}
    either = ("shuffled_accuracy", "restored_accuracy")
    neither = 100 * (1 - over_seeds([sum(settled(run, name) for name in either) for run in own]).value)
    return {"neither": f"{neither:.0f}", "mistaken": f"{neither / (OTHER_CLASSES - 1):.1f}"}
