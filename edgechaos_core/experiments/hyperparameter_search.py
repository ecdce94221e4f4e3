"""What the guideline replaces: a search over hyperparameters by trial and error, with Optuna's TPE sampler.

A search is a function of its arguments: the sampler is seeded, suggestions are rounded before they are trained, and
every trial is a run of the store. So a search that was stopped goes on from the stored runs, and one that was
committed is replayed from them, trial by trial.
"""

import logging
from collections.abc import Callable, Mapping, Sequence

from tqdm import tqdm

from edgechaos_core.analysis.scaling import settled
from edgechaos_core.store.runs import Run, RunConfig, parse_config
from edgechaos_core.sweeps.sweep import obtain
from edgechaos_core.system.progress import notes_above_bar, show_progress

SEARCHABLE = ("l2", "learning_rate")
DIGITS = 3  # of a suggestion: last bits, which differ between machines, must not make it another run

_log = logging.getLogger("edgechaos")

Obtain = Callable[[Sequence[RunConfig]], list[Run]]


def search(
    base: RunConfig, space: Mapping[str, tuple[float, float]], *, trials: int = 30, seed: int = 0, get: Obtain = obtain
) -> list[Run]:
    """Return the runs of a search, one a trial, in order: Optuna's TPE with its default settings.

    ``space`` gives bounds ``(low, high)``, both above 0, of the settings of ``base`` that are searched, on a
    logarithmic scale; what is maximised is `score`. ``get`` obtains the run of a config, by default from the store or
    by training. Raises ValueError for a base without a validation split, a space that is not accepted, or fewer than
    one trial, and what ``get`` raises.
    """
    if not base.validation:
        raise ValueError("a search chooses on a validation split: give validation, say 10000")
    if trials < 1:
        raise ValueError(f"trials must be at least 1, got {trials}")
    if not space or not set(space) <= set(SEARCHABLE):
        raise ValueError(f"a search is over some of {', '.join(SEARCHABLE)}, got {', '.join(space) or 'none'}")
    for name, (low, high) in space.items():
        if not 0 < low < high:
            raise ValueError(f"{name} needs bounds 0 < low < high, got {low} and {high}")
        for bound in (low, high):
            parse_config(base.model_dump() | {name: bound})
    try:
        import optuna
    except ImportError:
        raise ValueError("a search needs Optuna: pip install 'edgechaos[search]'") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    runs = []
    with notes_above_bar(_log), tqdm(total=trials, desc="searching", unit="trial", disable=not show_progress()) as bar:
        for _ in range(trials):
            trial = study.ask()
            # Rounded before it is trained, and told by its score alone: a replay from stored runs makes the same
            # suggestions.
            own = {name: rounded(trial.suggest_float(name, *bounds, log=True)) for name, bounds in space.items()}
            run = get([parse_config(base.model_dump() | own)])[0]
            study.tell(trial, score(run))
            runs.append(run)
            bar.update()
    return runs


def rounded(value: float) -> float:
    """Return a suggestion as it is trained, to three significant digits."""
    return float(f"{value:.{DIGITS}g}")


def score(run: Run) -> float:
    """Return validation accuracy over the last tenth of the epochs; 0 for a run that diverged."""
    return settled(run, "validation_accuracy") if run.outcome.state == "finished" else 0.0


def best(runs: Sequence[Run]) -> Run:
    """Return the first run of highest `score`."""
    return max(runs, key=score)


def stop_early(run: Run, patience: int = 10) -> tuple[int, int]:
    """Return the epoch of least validation loss that stops training, and the epoch at which it does.

    Training stops once the validation loss has not fallen for ``patience`` epochs, or where the run ends. Raises
    ValueError for a run without a validation split.
    """
    if "validation_loss" not in run.history:
        raise ValueError("early stopping needs a run with a validation split")
    losses = run.history["validation_loss"].to_numpy()
    least = 0
    for epoch, loss in enumerate(losses):
        if loss < losses[least]:
            least = epoch
        if epoch - least >= patience:
            return least, epoch
    return least, len(losses) - 1
