"""Page `guideline`: where runs land that were meant to land at the edge, by setting and way of choosing the decay."""

from collections.abc import Collection, Mapping, Sequence
from statistics import fmean

import pandas as pd

from edgechaos_core.analysis.by_setting import USUAL, by_setting, setting_in_words, strength_text
from edgechaos_core.analysis.intervals import DASH, over_seeds, shown
from edgechaos_core.analysis.scaling import scale_factor, settled
from edgechaos_core.store.runs import Run, RunConfig

# How far from 1 J^2 may end to count as at the edge, by way (data/claims.yaml, C12, B7 and B8).
BANDS = {"formula": 0.1, "pilot": 0.1, "controller": 0.03}


def way_of(config: RunConfig) -> str:
    """Return how the decay of a run was chosen: ``controller``, ``formula`` (constant) or ``none``."""
    return "controller" if config.hold else "formula" if config.l2 else "none"


def by_way(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Sort runs by `way_of` their config, in order of first appearance."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(way_of(run.config), []).append(run)
    return found


def table(runs: Mapping[str, Sequence[Run]]) -> pd.DataFrame:
    """Return one row a run of each way: setting, way, seed, lambda, J² and accuracy at the end (last tenth)."""
    return pd.DataFrame(
        [
            {
                "setting": setting_in_words(run.config),
                "way": way,
                "seed": run.config.seed,
                "lambda": settled(run, "lambda") if run.config.hold else run.config.l2,
                "J²": settled(run),
                "test accuracy": settled(run, "test_accuracy"),
            }
            for way, own in runs.items()
            for run in own
        ]
    ).sort_values("setting", key=lambda settings: settings.map(list(dict.fromkeys(settings)).index), kind="stable")


def summary(ends: pd.DataFrame) -> pd.DataFrame:
    """Set `table` together by setting and way: J² with its interval over seeds, mean lambda and accuracy."""
    groups = ends.groupby(["setting", "way"], sort=False)
    return pd.DataFrame(
        {
            "J² at the end": groups["J²"].agg(lambda values: shown(over_seeds(values.tolist()))),
            "λ": groups["lambda"].mean().map(strength_text),
            "test accuracy, %": (100 * groups["test accuracy"].mean()).round(2),
        }
    ).rename_axis(["setting", "method"])


REACHED = 0.97  # the largest J^2 of a run that has come to the edge, where the controller's band begins
# What a page says of single settings: name, way, and what the setting's words contain.
NAMED = (
    ("fast", "formula", "α 0, B 32"),
    ("large", "formula", "B 128"),
    ("small", "formula", "B 8"),
    ("narrow", "formula", "width 392"),
    ("narrow_pilot", "pilot", "width 392"),
    ("wide", "formula", "width 1,568"),
    ("few", "formula", "S 10,000"),
    ("half", "formula", "S 30,000"),
    ("digits", "formula", "mnist"),
    ("digits_held", "controller", "mnist"),
    ("wide_pilot", "pilot", "width 1,568"),
    ("few_pilot", "pilot", "S 10,000"),
    ("half_pilot", "pilot", "S 30,000"),
)


def decay_exposure(run: Run) -> float:
    """Return the largest part of ln J^2 that decay takes off in an epoch of a steered run, ``4 lambda S s``."""
    return 4 * float(run.history["lambda"].max()) * run.config.samples * scale_factor(run.config)


def numbers(runs: Mapping[str, Sequence[Run]]) -> dict[str, str]:
    """Return in words where runs of each way end, by the names of `NAMED`; a dash for what is not among them.

    ``few_peak`` is the largest J^2 of the formula's run of 10,000 samples; ``reached`` and ``steered`` count the
    controller's runs, those that come to the edge and all; ``held`` is the range of J^2 at the end of the former,
    ``exposure`` their largest `decay_exposure`. ``few_l2`` and ``few_steered_l2`` are lambda of formula and controller
    with 10,000 samples and ``few_over`` their ratio, ``half_l2`` and so on those of 30,000 samples, ``wide_l2`` and so
    on those of width 1,568; ``whole_steered_l2`` is the range of lambda of the controller with 60,000 samples and
    width 784. ``half_off`` is
    percent of J^2 = 1 that the formula's runs of 30,000 end beside it, ``seeds_told`` how many seeds a setting of
    formula and controller has.
    """
    found = {}
    for name, way, words in NAMED:
        own = [settled(run) for run in runs.get(way, []) if words in setting_in_words(run.config)]
        found[name] = f"{sum(own) / len(own):.3f}" if own else DASH
    peaks = [run.history["J_squared"].max() for run in runs.get("formula", []) if run.config.samples == 10_000]
    steered = runs.get("controller", [])
    reached = [run for run in steered if run.history["J_squared"].max() >= REACHED]
    held = [settled(run) for run in reached]
    return (
        found
        | _beside_controller(runs, "few", "S 10,000")
        | _beside_controller(runs, "half", "S 30,000")
        | _beside_controller(runs, "wide", "width 1,568")
        | {
            "whole_steered_l2": _range_of_steered(steered),
            "seeds_told": _seeds([*runs.get("formula", []), *steered]),
            "half_off": DASH if found["half"] == DASH else f"{100 * abs(float(found['half']) - 1):.0f}",
            "few_peak": f"{max(peaks):.3f}" if peaks else DASH,
            "steered": str(len(steered)),
            "reached": str(len(reached)),
            "held": f"{min(held):.3f} to {max(held):.3f}" if held else DASH,
            "exposure": f"{max(map(decay_exposure, reached)):.2f}" if reached else DASH,
        }
    )


def _beside_controller(runs: Mapping[str, Sequence[Run]], name: str, words: str) -> dict[str, str]:
    """Lambda of the formula and of the controller at the end, and their ratio, in settings whose words hold these."""
    own = {way: [run for run in found if words in setting_in_words(run.config)] for way, found in runs.items()}
    constant = [run.config.l2 for run in own.get("formula", [])]
    steered = [settled(run, "lambda") for run in own.get("controller", [])]
    names = (f"{name}_l2", f"{name}_steered_l2", f"{name}_over")
    if not constant or not steered or not min(steered) > 0:
        return dict.fromkeys(names, DASH)
    l2, held = fmean(constant), fmean(steered)
    return dict(zip(names, (strength_text(l2), strength_text(held), f"{l2 / held:.1f}"), strict=True))


def _range_of_steered(steered: Sequence[Run]) -> str:
    """The range of lambda at the end of the controller's runs of the usual network, all images and 784 units."""
    usual = [run for run in steered if run.config.samples == USUAL["samples"] and run.config.width == USUAL["width"]]
    ends = [settled(run, "lambda") for run in usual]
    return f"{strength_text(min(ends))} to {strength_text(max(ends))}" if ends else DASH


def counts(
    runs: Mapping[str, Sequence[Run]], planned: Sequence[RunConfig], piloted: Sequence[RunConfig]
) -> dict[str, str]:
    """Return how many runs each way has and should have, ``shown_WAY`` and ``planned_WAY``.

    ``shared`` are those of the pilot that are runs of the formula as well.
    """
    asked = {way: sum(way_of(config) == way for config in planned) for way in ("formula", "controller")}
    asked["pilot"] = len(piloted)
    found = {f"planned_{way}": str(count) for way, count in asked.items()}
    found |= {f"shown_{way}": str(len(runs.get(way, []))) for way in asked}
    formula = {run.config for run in runs.get("formula", [])}
    return found | {"shared": str(sum(run.config in formula for run in runs.get("pilot", [])))}


def _seeds(runs: Sequence[Run]) -> str:
    """How many seeds a setting has, from the fewest to the most, in words; a dash without runs."""
    counts = [len(own) for own in by_setting(runs).values()]
    if not counts:
        return DASH
    few, most = min(counts), max(counts)
    number = str(most) if few == most else f"{few} to {most}"
    return f"{number} seed{'' if most == 1 else 's'}"


def strengths_left_out(runs: Sequence[Run], drawn: Collection[float]) -> dict[str, str]:
    """Return, as ``left_out``, the strengths of decay among the runs that are not drawn, in words; a dash for none."""
    others = sorted({run.config.l2 for run in runs} - {*drawn})
    return {"left_out": ", ".join(map(strength_text, others)) or DASH}
