"""The command ``edgechaos guide``: which weight decay holds a network at the edge of chaos."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from edgechaos_core.cli.options import BatchSize, settings_of
from edgechaos_core.cli.output import json_line

if TYPE_CHECKING:
    from edgechaos_core.guideline.decay_formula import Guidance


def guide(
    context: typer.Context,
    samples: Annotated[int, typer.Option(help="S, training samples")] = 60_000,
    learning_rate: Annotated[float, typer.Option(help="eta")] = 0.02,
    batch_size: BatchSize = 32,
    momentum: Annotated[float, typer.Option(help="alpha")] = 0.5,
    width: Annotated[int, typer.Option(help="neurons in the hidden layer")] = 784,
    depth: Annotated[int, typer.Option(help="hidden layers; more than one needs --pilot")] = 1,
    activation: Annotated[str, typer.Option(help="tanh; relu needs --pilot")] = "tanh",
    optimizer: Annotated[str, typer.Option(help="sgd: for others, EdgeDecay finds the decay in training")] = "sgd",
    target: Annotated[float, typer.Option(help="J^2 to settle at")] = 1.0,
    run_pilot: Annotated[
        bool, typer.Option("--pilot", help="train the network, up to four times, until a run confirms it")
    ] = False,
    dataset: Annotated[str, typer.Option(help="that the pilot run trains on, as in edgechaos train")] = "fashion-mnist",
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Say which weight decay brings a network to the edge of chaos, and when it is there; trains with --pilot alone."""
    from edgechaos_core.guideline.decay_formula import KNOWN, Network, committed_formula
    from edgechaos_core.guideline.decay_formula import guide as advise
    from edgechaos_core.settings import parse_settings

    network, formula = parse_settings(Network, settings_of(context, Network)), committed_formula()
    if dataset != "fashion-mnist" and not run_pilot:
        raise ValueError("--dataset is what a pilot run trains on: it needs --pilot")
    start = {name: KNOWN[name] for name in ("depth", "activation")} if run_pilot else {}
    advice = advise(network.model_copy(update=start), formula, target)
    if run_pilot:
        from edgechaos_core.guideline.pilot_runs import after_pilot, pilot

        found = pilot(network, advice, formula, dataset)
        advice = after_pilot(advice, network, found.l2, found.epochs_to_edge, found.story)
    if as_json:
        print(json_line(asdict(advice)))
    else:
        _tell(advice)


def _tell(advice: "Guidance") -> None:
    from edgechaos_core.guideline.decay_formula import HORIZON, NEAR

    if advice.pilot is not None:
        print(f"pilot: {advice.pilot}")
    known = ""
    if advice.l2_interval is not None:
        known = "   (95% interval for a new network: {:.2g} to {:.2g})".format(*advice.l2_interval)
    if advice.untested:
        print(f"a rough guess for {', '.join(advice.untested)} like these: --pilot trains and corrects it")
    for name, value in advice.nearest.items():
        beyond = ", and lambda ~ 1 / width from there" if name == "width" else ""
        print(f"taken at {name} = {value:,.0f}, the nearest of the runs that the formula is fitted to{beyond}")
    if advice.caution is not None:
        print(advice.caution)
    print(f"lambda of lambda ||w||^2        {advice.l2:.3g}{known}")
    if advice.J_squared_interval is not None:
        low, high = advice.J_squared_interval
        print(f"J^2 at the end                  {advice.target:<8g}   (for a new network: {low:.2f} to {high:.2f})")
    print(f"weight_decay of PyTorch's SGD   {advice.weight_decay_sgd:.3g}")
    print(f"weight_decay of decoupled SGD   {advice.weight_decay_sgd_decoupled:.3g}")
    length = f"{advice.training_epochs:,.0f} epochs ({HORIZON:,} rescaled steps)"
    print(f"this is for training of {length}; with more epochs J^2 goes on changing")
    if advice.epochs_to_edge is not None:
        place = "its value then" if advice.pilot is None else f"{advice.target:g}"
        print(f"J^2 is within {NEAR:.0%} of {place} after about {advice.epochs_to_edge:.0f} epochs")
    for setting in advice.sooner:
        eta, alpha, size = (setting[name] for name in ("learning_rate", "momentum", "batch_size"))
        cost = f"{1 / setting['speedup']:.2g} x the epochs, {setting['steps_factor']:.2g} x the steps"
        print(f"as good: eta {eta:g}, alpha {alpha:.4g}, B {size:g}: {cost}")
