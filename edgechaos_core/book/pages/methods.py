"""Page `methods`: what was run and what was not, for every protocol, and what the rest would cost."""

import math
import re
from collections.abc import Mapping, Sequence

import pandas as pd

from edgechaos_core.analysis.by_setting import by_setting, setting_in_words, setting_of
from edgechaos_core.analysis.intervals import DASH
from edgechaos_core.claims.estimates.optima import least_on_path
from edgechaos_core.experiments.protocols import protocol
from edgechaos_core.store.runs import Run, RunConfig, parse_config
from edgechaos_core.system.places import FIVE_NETWORKS, STARTS

UNKNOWN = re.compile("no git|unknown")  # in the code version of a run whose commit was not recorded
# The seeds that each protocol is planned with, but for those that name their seeds themselves.
PLANNED_SEEDS: Mapping[str, int] = {
    "fig2": 10,
    "fig3": 3,
    "fig3-edge": 3,
    "fig4": 3,
    "fig5": 3,
    "fig6": 10,
    "relu-adam": 3,
    "start": 5,
    "speed": 5,
    "hold-at": 3,
    "trained-map": 3,
    "depth": 3,
    "sizes": 3,
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
OWN_SEEDS = ("calibration", "piloted")


def inventory(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row a protocol: settings, seeds planned, runs planned and present at their full length, and hours.

    ``hours`` are those of one core that the missing epochs would take, by the median time of an epoch of the
    protocol's own runs, or of all runs where it has none (those of other machines and loads among them); ``command``
    trains them.
    """
    groups = by_setting(runs)
    usual = pd.Series([seconds for run in runs if (seconds := _epoch_seconds(run)) is not None]).median()
    rows = {}
    for name in (*PLANNED_SEEDS, *OWN_SEEDS):
        plan = _plan(name)
        present, lacking, pace = 0, 0, []
        for config, seeds in plan:
            own = [run for run in groups.get(setting_of(config), []) if run.config.seed in seeds]
            pace += [seconds for run in own if (seconds := _epoch_seconds(run)) is not None]
            whole = sum(run.outcome.epoch >= config.epochs or run.outcome.state == "diverged" for run in own)
            present += whole
            lacking += (len(seeds) - whole) * config.epochs
        seeds_option = "" if name in OWN_SEEDS else f" --seeds 0:{PLANNED_SEEDS[name]}"
        rows[name] = {
            "settings": len(plan),
            "runs planned": sum(len(seeds) for _, seeds in plan),
            "runs present": present,
            "hours of the rest": round(lacking * float(pd.Series(pace).median() if pace else usual) / 3600, 1),
            "command": f"edgechaos sweep {name}{seeds_option}" if lacking else DASH,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("protocol")


def _plan(name: str) -> list[tuple[RunConfig, set[int]]]:
    """Return the settings of a protocol, each with the seeds that are planned."""
    if name in PLANNED_SEEDS:
        return [(config, set(range(PLANNED_SEEDS[name]))) for config in protocol(name)]
    found: dict[str, tuple[RunConfig, set[int]]] = {}
    for config in protocol(name):
        found.setdefault(setting_of(config), (config, set()))[1].add(config.seed)
    return list(found.values())


def elsewhere(runs: Sequence[Run]) -> dict[str, int]:
    """Count the runs that `inventory` shows, each once: ``distinct``, and the ``others``."""
    lengths: dict[tuple[object, int], int] = {}  # of the shortest protocol that plans a setting and seed
    for name in (*PLANNED_SEEDS, *OWN_SEEDS):
        for config, seeds in _plan(name):
            for seed in seeds:
                key = (setting_of(config), seed)
                lengths[key] = min(config.epochs, lengths.get(key, config.epochs))
    distinct = 0
    for run in runs:
        length = lengths.get((setting_of(run.config), run.config.seed))
        distinct += length is not None and (run.outcome.epoch >= length or run.outcome.state == "diverged")
    return {"distinct": distinct, "others": len(runs) - distinct}


def other_files() -> pd.DataFrame:
    """Return what chapter `your_network` rests on beside runs: a row a file, with its trainings and what made it."""
    networks, starts = pd.read_parquet(FIVE_NETWORKS), pd.read_csv(STARTS, comment="#")
    trainings = len(networks.drop_duplicates(["network", "way", "seed"]))
    module = "python -m edgechaos_core.experiments"
    rates = [name for name in map(str, starts) if name.startswith("accuracy_")]
    rows = {
        FIVE_NETWORKS.name: {"trainings": trainings, "command": f"{module}.five_networks"},
        STARTS.name: {"trainings": int(starts[rates].notna().sum().sum()), "command": f"{module}.starts"},
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("file")


def without_minimum(runs: Sequence[Run], name: str = "speed") -> dict[str, str]:
    """Return how many of a protocol's runs have no minimum of the validation loss by a parabola, ``of`` how many.

    ``which``: their settings and seeds, in words. Of runs of full length.
    """
    groups, lost, all_runs = by_setting(runs), [], 0
    for config, seeds in _plan(name):
        for run in groups.get(setting_of(config), []):
            if run.config.seed in seeds and run.outcome.epoch >= config.epochs:
                all_runs += 1
                if math.isnan(least_on_path(run.history, "validation_loss")):
                    lost.append(f"{setting_in_words(run.config)}, seed {run.config.seed}")
    return {"without": str(len(lost)), "of": str(all_runs), "which": "; ".join(lost) or DASH}


def idle_seconds(runs: Sequence[Run], batch_size: int = 32) -> float:
    """Return the least seconds of an epoch of the paper's network in any run: those of a core without other work.

    Of runs of ten epochs or more of 60,000 images; nan where there are none.
    """
    usual = [run for run in runs if setting_of(run.config) == setting_of(_usual(run.config, batch_size))]
    pace = [seconds for run in usual if run.outcome.epoch >= 10 and (seconds := _epoch_seconds(run)) is not None]
    return min(pace, default=math.nan)


def _usual(config: RunConfig, batch_size: int) -> RunConfig:
    """The same training of the paper's network by plain SGD."""
    rates = {"learning_rate": config.learning_rate, "momentum": config.momentum, "l2": config.l2}
    return parse_config({"batch_size": batch_size, **rates})


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
