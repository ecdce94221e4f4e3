"""Page `methods`: what was run and what was not, for every protocol, and what the rest would cost."""

import re
from collections.abc import Mapping, Sequence

import pandas as pd

from edgechaos_core.analysis.by_setting import by_setting, setting_of
from edgechaos_core.analysis.intervals import DASH
from edgechaos_core.analysis.scaling import epochs_to_pass
from edgechaos_core.experiments.protocols import protocol
from edgechaos_core.store.runs import Run, RunConfig

UNKNOWN = re.compile("no git|unknown")  # in the code version of a run whose commit was not recorded
UNTIL_EDGE = {"fig3"}  # protocols whose claims are judged on runs that pass J^2 = 1, however long these are
# The seeds that each protocol is planned with.
PLANNED_SEEDS: Mapping[str, int] = {
    "fig2": 10,
    "fig3": 3,
    "fig4": 3,
    "fig5": 1,
    "fig6": 10,
    "relu-adam": 3,
    "start": 5,
    "speed": 5,
    "hold-at": 3,
    "trained-map": 3,
    "depth": 3,
    "adamw": 3,
    "mnist": 3,
    "payoff": 3,
    "contest": 3,
    "unseen": 3,
    "noisy": 3,
    "noisy-long": 3,
    "gradients": 1,
    "decay-gradients": 3,
}


def inventory(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row a protocol: settings, seeds planned, runs planned and present at their full length, and hours.

    ``hours`` are those of one core that the missing epochs would take, by the median time of an epoch of the
    protocol's own runs, or of all runs where it has none (those of other machines and loads among them); ``command``
    trains them.
    """
    groups = by_setting(runs)
    usual = pd.Series([seconds for run in runs if (seconds := _epoch_seconds(run)) is not None]).median()
    rows = {}
    for name, seeds in PLANNED_SEEDS.items():
        configs = protocol(name)
        present, lacking, pace = 0, 0, []
        for config in configs:
            own = [run for run in groups.get(setting_of(config), []) if run.config.seed < seeds]
            pace += [seconds for run in own if (seconds := _epoch_seconds(run)) is not None]
            whole = sum(run.outcome.epoch >= config.epochs or run.outcome.state == "diverged" for run in own)
            present += whole
            lacking += _missing_epochs(name, config, own, seeds, whole)
        rows[name] = {
            "settings": len(configs),
            "seeds planned": seeds,
            "runs planned": len(configs) * seeds,
            "runs present": present,
            "hours of the rest": round(lacking * float(pd.Series(pace).median() if pace else usual) / 3600, 1),
            "command": f"edgechaos sweep {name} --seeds 0:{seeds}" if lacking else DASH,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("protocol")


def _missing_epochs(name: str, config: RunConfig, own: Sequence[Run], seeds: int, whole: int) -> int:
    """Epochs that missing runs of a setting would take, those that verdicts ask for included.

    Verdicts on Fig. 3 ask for runs that pass J^2 = 1, which are longer than the protocol's where training is slow: a
    seed without one is charged for it.
    """
    if name not in UNTIL_EDGE or epochs_to_pass(config) <= config.epochs:
        return (seeds - whole) * config.epochs
    passed = {run.config.seed for run in own if run.history["J_squared"].max() > 1}
    return (seeds - len(passed)) * epochs_to_pass(config)


def elsewhere(runs: Sequence[Run]) -> dict[str, int]:
    """Count the runs that `inventory` shows, each once, and the rest: of the formula's fit, pilots, and all others."""
    planned = [(config, seeds) for name, seeds in PLANNED_SEEDS.items() for config in protocol(name)]
    lengths: dict[tuple[object, int], int] = {}  # of the shortest protocol that plans a setting and seed
    for config, seeds in planned:
        for seed in range(seeds):
            key = (setting_of(config), seed)
            lengths[key] = min(config.epochs, lengths.get(key, config.epochs))
    found = {"distinct": 0, "calibration": 0, "piloted": 0, "others": 0}
    own = {name: {*protocol(name)} for name in ("calibration", "piloted")}
    for run in runs:
        length = lengths.get((setting_of(run.config), run.config.seed))
        if length is not None and (run.outcome.epoch >= length or run.outcome.state == "diverged"):
            found["distinct"] += 1
        else:
            found[next((name for name, configs in own.items() if run.config in configs), "others")] += 1
    return found


def _epoch_seconds(run: Run) -> float | None:
    """CPU seconds of an epoch, the run's share of its stack; None where the file does not tell."""
    made_by = run.provenance
    if "wall_seconds" not in made_by or not run.outcome.epoch:
        return None
    return float(made_by["wall_seconds"]) / int(made_by.get("stack_members", 1)) / run.outcome.epoch


def provenance_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row a way of training: device, instruction set, whether the commit is known; runs and hours."""
    rows = [
        {
            "device": str(run.provenance.get("device", "not recorded")),
            "instruction set": str(run.provenance.get("instruction_set", "not recorded")),
            "commit": "unknown" if UNKNOWN.search(str(run.provenance.get("code_version"))) else "known",
            "runs": 1,
            "hours": (_epoch_seconds(run) or 0.0) * run.outcome.epoch / 3600,
        }
        for run in runs
    ]
    table = pd.DataFrame(rows).groupby(["device", "instruction set", "commit"], sort=True).sum()
    return table.round(1).reset_index()
