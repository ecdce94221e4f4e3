"""Page `intro`, the landing page: its numbers, as text with the digits that their intervals support."""

from collections.abc import Mapping

import numpy as np

from edgechaos_core.analysis.intervals import shown
from edgechaos_core.analysis.scaling import settled
from edgechaos_core.claims.estimates.reason import deepest, depth_trained
from edgechaos_core.claims.judging import Evidence, Judged, judged, serving_runs
from edgechaos_core.claims.rules import OWN_RULES
from edgechaos_core.experiments.protocols import protocol
from edgechaos_core.store.runs import Run

NOT_RUN = "(not run)"


def headline(evidence: Evidence) -> Mapping[str, str]:
    """Return the numbers of the landing page by name; "(not run)" where there are no runs to make one from."""
    parts = judged(evidence, ["C2", "C7", "C12", "B1"])
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
        **_of_depth(evidence),
    }


def _value(part: Judged) -> str:
    return NOT_RUN if part.estimate is None else shown(part.estimate)


def _of_path(evidence: Evidence) -> dict[str, str]:
    """Of Fig. 2's setting: when J passes 1, accuracy at the least test loss and at the end, J at the end."""
    runs = [run for run in evidence.runs if _is_fig2(run)]
    if not runs:
        return dict.fromkeys(("edge_epoch", "accuracy_there", "accuracy_end", "end_J"), NOT_RUN)
    histories = [run.history for run in runs]
    passed = [int(np.argmax(history["J_squared"].to_numpy() > 1)) for history in histories]
    there = [100 * float(history["test_accuracy"].iloc[int(history["test_loss"].argmin())]) for history in histories]
    return {
        "edge_epoch": f"{np.mean(passed):.0f}",
        "accuracy_there": f"{np.mean(there):.1f}",
        "accuracy_end": f"{100 * np.mean([settled(run, 'test_accuracy') for run in runs]):.1f}",
        "end_J": f"{np.mean([settled(run) for run in runs]) ** 0.5:.2f}",
    }


def _is_fig2(run: Run) -> bool:
    (config,) = protocol("fig2")
    return (
        run.outcome.epoch >= config.epochs
        and run.config.model_copy(update={"seed": config.seed, "epochs": config.epochs}) == config
    )


def _of_depth(evidence: Evidence) -> dict[str, str]:
    """Layers that are trained from the edge, and from PyTorch's default start."""
    runs = serving_runs(evidence, OWN_RULES["B6"][1])
    if runs is None:
        return dict.fromkeys(("edge_depth", "default_depth"), NOT_RUN)
    _, depths, accuracies = depth_trained(runs)
    default, edge = deepest(accuracies.mean(0), depths)
    return {"edge_depth": f"{edge:.0f}", "default_depth": f"{default:.0f}"}
