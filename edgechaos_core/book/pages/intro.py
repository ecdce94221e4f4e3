"""Page `intro`, the landing page: its numbers, as text with the digits that their intervals support."""

from collections.abc import Mapping

from edgechaos_core.analysis.intervals import DASH, said, shown
from edgechaos_core.book.pages.deeper import sizes_table, ways_table
from edgechaos_core.book.pages.further_tests import held_numbers
from edgechaos_core.book.pages.training_path import path_estimates
from edgechaos_core.book.pages.weight_decay import habit_less_controller
from edgechaos_core.claims.estimates.reason import deepest, depth_trained
from edgechaos_core.claims.judging import Evidence, Judged, judged, serving_runs
from edgechaos_core.claims.rules import OWN_RULES
from edgechaos_core.experiments.protocols import protocol
from edgechaos_core.store.runs import Run
from edgechaos_core.system.places import REPOSITORY
from edgechaos_core.system.yaml_files import read_yaml

NOT_RUN = "(not run)"


def headline(evidence: Evidence) -> Mapping[str, str]:
    """Return the numbers of the landing page by name; "(not run)" where there are no runs to make one from."""
    parts = judged(evidence, ["C2", "C7", "C12", "C14", "B1", "B4"])
    held, formula = parts["C12"][:2]
    epochs = protocol("fig6")[0].epochs
    return {
        **_of_path(evidence),
        "loss_J": _value(parts["C2"][0]),
        "c": _value(parts["C7"][0]),
        "c_settings": str(parts["C7"][0].estimate.n) if parts["C7"][0].estimate else NOT_RUN,
        "held_J2": _value(held),
        "held_epochs": f"{held.share * epochs:.0f}" if held.estimate else NOT_RUN,
        "formula_J2": _value(formula),
        "reason_slope": _value(parts["B1"][0]),
        "held_J": NOT_RUN if (best := parts["B4"][0].estimate) is None else said(best.value, ".1f"),
        "held_points": _of_held(evidence),
        "adamw_J": _of_adamw(evidence),
        "relu_J": _value(parts["C14"][0]),
        **_of_sizes(evidence),
        **_of_depth(evidence),
        "habit_points": _of_habit(evidence),
    }


def address() -> str:
    """Return in a sentence where the repository is, as _config.yml has it; that it is not said where it has none."""
    url = read_yaml(REPOSITORY / "_config.yml")["repository"]["url"]
    if url:
        return f"The repository is at {url}."
    told = "Where the repository is, this copy of the book does not say: no address was set when it was built."
    return f"{told} The page of downloads has the package."


def _value(part: Judged) -> str:
    return NOT_RUN if part.estimate is None else shown(part.estimate)


def _of_path(evidence: Evidence) -> dict[str, str]:
    """Of Fig. 2's setting, as chapter `training_path` tells it: when J passes 1, accuracy there and at the end."""
    runs = [run for run in evidence.runs if _is_fig2(run)]
    if not runs:
        return dict.fromkeys(("edge_epoch", "accuracy_there", "accuracy_end", "end_J"), NOT_RUN)
    told = {"edge_epoch": ".0f", "least_accuracy": ".1f", "end_accuracy": ".1f", "end_J": ".2f"}
    estimates = path_estimates(runs)
    names = ("edge_epoch", "accuracy_there", "accuracy_end", "end_J")
    return {name: format(estimates[own].value, form) for name, (own, form) in zip(names, told.items(), strict=True)}


def _is_fig2(run: Run) -> bool:
    (config,) = protocol("fig2")
    return (
        run.outcome.epoch >= config.epochs
        and run.config.model_copy(update={"seed": config.seed, "epochs": config.epochs}) == config
    )


def _of_held(evidence: Evidence) -> str:
    """Points of accuracy of networks held at J^2 = 0.5 minus those held at 1."""
    wanted = {*protocol("hold-at", seeds=range(3))}
    runs = [run for run in evidence.runs if run.config in wanted]
    return held_numbers(runs)["held_points"] if runs else NOT_RUN


def _of_habit(evidence: Evidence) -> str:
    """Points of accuracy of the usual weight decay minus those of the controller, of the contest."""
    wanted = {*protocol("contest", seeds=range(3))}
    found = habit_less_controller([run for run in evidence.runs if run.config in wanted], "test_accuracy")
    return NOT_RUN if found is None else shown(found, 0.01)


def _of_adamw(evidence: Evidence) -> str:
    """J at the least validation loss with AdamW, without decay."""
    wanted = {config for config in protocol("adamw", seeds=range(3)) if not config.l2}
    runs = [run for run in evidence.runs if run.config in wanted]
    return ways_table(runs)["J at the least loss"].iloc[0] if runs else NOT_RUN


def _of_sizes(evidence: Evidence) -> dict[str, str]:
    """J at the least validation loss of Fig. 2's setting twice as wide, and with half the images."""
    wanted = {*protocol("sizes", seeds=range(3))}
    runs = [run for run in evidence.runs if run.config in wanted]
    table = sizes_table(runs) if runs else None
    rows = {
        "wide_J": "width 1,568, 50,000 images",
        "half_J": "width 784, 25,000 images",
    }
    return {name: NOT_RUN if table is None else str(table.loc[row, "J at the turn"]) for name, row in rows.items()}


def _of_depth(evidence: Evidence) -> dict[str, str]:
    """Layers that are trained from the edge, and from PyTorch's default start, and the next depth tried there."""
    runs = serving_runs(evidence, OWN_RULES["B6"][1])
    if runs is None:
        return dict.fromkeys(("edge_depth", "default_depth", "after_default"), NOT_RUN)
    _, depths, accuracies = depth_trained(runs)
    default, edge = deepest(accuracies.mean(0), depths)
    after = f"{min(deeper)}" if (deeper := [depth for depth in depths if depth > default]) else DASH
    return {"edge_depth": f"{edge:.0f}", "default_depth": f"{default:.0f}", "after_default": after}
