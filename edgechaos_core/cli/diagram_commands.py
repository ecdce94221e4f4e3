"""The commands of the phase diagram: ``edgechaos edge`` and ``edgechaos phase-diagram``."""

from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgechaos_core import EdgechaosError, Interrupted
from edgechaos_core.cli.options import Activation, Device, Force, settings_of
from edgechaos_core.cli.output import check_out, tell

if TYPE_CHECKING:
    from edgechaos_core.probes.diagram import DiagramConfig


def _decimal(text: str) -> Decimal:
    """The number as it was typed: a float would round it, which next to 1 moves the last digits of the edge."""
    try:
        number = Decimal(text)
        return Decimal("nan") if number.is_snan() else number
    except InvalidOperation:
        raise typer.BadParameter(f"{text!r} is not a valid number.") from None


def edge(
    ratio: Annotated[Decimal, typer.Option(help="J0 / J, from -4 to 4", parser=_decimal, metavar="FLOAT")],
    activation: Activation = "tanh",
) -> None:
    """Print 1/J at the theoretical edge of chaos for a given J0/J, to 12 digits; nan where there is no edge."""
    from edgechaos_core.theory.edges import edge_of_chaos

    print(f"{edge_of_chaos(ratio, activation):.12f}")


Out = Annotated[
    Path | None,
    typer.Option(metavar="FILE(.parquet|.png)", help="numbers, kept as they come and resumed; or a picture"),
]


def phase_diagram(
    context: typer.Context,
    neurons: Annotated[int, typer.Option(help="N, components of x <- phi(W x)")] = 4_000,
    rows: Annotated[int, typer.Option(help="values of 1/J")] = 100,
    columns: Annotated[int, typer.Option(help="values of J0/J")] = 151,
    inverse_j_from: Annotated[float, typer.Option(help="1/J lies above this")] = 0.0,
    inverse_j_to: Annotated[float, typer.Option(help="largest 1/J")] = 2.0,
    ratio_from: Annotated[float, typer.Option(help="smallest J0/J")] = -1.0,
    ratio_to: Annotated[float, typer.Option(help="largest J0/J")] = 2.0,
    iterations: Annotated[int, typer.Option(help="of the map; distances are averaged over the last fifth")] = 500,
    align: Annotated[int, typer.Option(help="iterations in which tangent vectors turn to the fastest directions")] = 25,
    measure: Annotated[int, typer.Option(help="iterations over which their growth is averaged")] = 50,
    draws: Annotated[int, typer.Option(help="independent draws of W and of the start")] = 1,
    activation: Activation = "tanh",
    seed: Annotated[int, typer.Option(help="decides the draws")] = 0,
    device: Device = "cpu",
    threads: Annotated[int | None, typer.Option(help="CPU threads [default: all cores; 1 for small N]")] = None,
    dry_run: Annotated[bool, typer.Option(help="say what it would cost in time and memory, and stop")] = False,
    out: Out = None,
    force: Force = False,
) -> None:
    """Simulate the phase diagram: asymptotic distance and Lyapunov exponent over a grid of J0/J and 1/J."""
    from edgechaos_core.probes import simulation
    from edgechaos_core.probes.diagram import DiagramConfig, begun
    from edgechaos_core.settings import parse_settings

    config = parse_settings(DiagramConfig, settings_of(context, DiagramConfig))
    resume, done = False, 0
    if out is not None:
        resume = out.suffix == ".parquet" and not force
        out = check_out(out, force=force or resume, suffixes=(".parquet", ".png"))
        done = len(begun(config, out if resume else None).cells)
    if dry_run:
        print(simulation.estimate(config, device=device, threads=threads))
        return
    if out is None:
        raise ValueError("--out FILE.parquet or FILE.png is needed (or --dry-run)")
    kept = out if out.suffix == ".parquet" else None
    if resume and out.exists():
        tell(f"going on with {out}, {done:,} of {config.size:,} cells are done")
    try:
        result = simulation.simulate_with_bar(config, kept, resume=resume, device=device, threads=threads)
    except KeyboardInterrupt:
        raise Interrupted(f"interrupted: {_left(config, out, force=force)}") from None
    if kept is None:
        from edgechaos_core.book.figures.maps import save_diagram_picture

        save_diagram_picture(result, out)
    print(out)


def _left(config: "DiagramConfig", out: Path, *, force: bool) -> str:
    """Say what an interrupted simulation leaves in its file."""
    from edgechaos_core.probes.diagram import begun

    if out.suffix != ".parquet":
        return "nothing is kept (of a FILE.parquet, what is done would be)"
    try:
        done = len(begun(config, out).cells)
    except (EdgechaosError, ValueError):  # what --force was to replace is still there
        done = 0
    if not done:
        return f"no cells are done yet, {out} is as it was"
    again = "the same command, without --force, goes on" if force else "the same command goes on"
    return f"{out} holds {done:,} of {config.size:,} cells: {again}"
