"""The command ``edgechaos``: thin doors to the package, every refusal one line on stderr.

Exit codes: 0 done, 1 something outside the command's arguments failed, 2 bad arguments, 3 training diverged,
130 interrupted with what was done kept.
"""

import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

import typer

from edgechaos_core import EdgechaosError, Interrupted, cli_guide, cli_runs

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Training neural networks at the edge of chaos: train, map, and build the book.",
)
app.command()(cli_runs.sweep)
app.command()(cli_guide.guide)
app.add_typer(cli_runs.runs_app, name="runs")

FAILED, BAD_ARGUMENTS, DIVERGED, INTERRUPTED = 1, 2, 3, 130


def main() -> NoReturn:
    """Run the command line and exit: errors are one line each, never a traceback."""
    from typer.exceptions import TyperException

    notes = logging.StreamHandler()
    notes.setFormatter(logging.Formatter("edgechaos: %(message)s"))
    logging.getLogger("edgechaos").handlers = [notes]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill keeps the epochs done, as Ctrl-C does
    try:
        code = app(standalone_mode=False)
    except TyperException as error:
        _refuse(error.format_message(), error.exit_code)
    except ValueError as error:
        _refuse(str(error), BAD_ARGUMENTS)
    except (EdgechaosError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(FAILED)
        _refuse(str(error), FAILED)
    except Interrupted as error:
        _refuse(str(error), INTERRUPTED)
    except (KeyboardInterrupt, typer.Abort):
        _refuse("interrupted", INTERRUPTED)
    except (MemoryError, RuntimeError) as error:  # torch's allocators raise RuntimeError
        from edgechaos_core.work import out_of_memory

        if not out_of_memory(error):
            raise
        _refuse(f"out of memory: try smaller settings ({error})", FAILED)
    if code == INTERRUPTED:  # typer's answer to Ctrl-C where a command has none of its own
        _refuse("interrupted", INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _refuse(message: str, code: int) -> NoReturn:
    print(f"edgechaos: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)


@app.callback(invoke_without_command=True)
def _version(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if version:
        from edgechaos_core import __version__

        print(f"edgechaos {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def train(
    learning_rate: Annotated[float | None, typer.Option(help="eta [default: 0.01 for sgd, 0.001 for adam(w)]")] = None,
    batch_size: Annotated[int, typer.Option(help="B, mini-batch size")] = 32,
    momentum: Annotated[float | None, typer.Option(help="alpha, or beta_1 of adam(w) [default: 0, 0.9]")] = None,
    l2: Annotated[float, typer.Option(help="lambda of lambda ||w||^2; PyTorch's weight_decay is 2 l2")] = 0.0,
    epochs: Annotated[int, typer.Option(help="passes over the training set")] = 10,
    seed: Annotated[int, typer.Option(help="decides initial weights and shuffles")] = 0,
    samples: Annotated[int | None, typer.Option(help="train on the first S images [default: all]")] = None,
    validation: Annotated[int, typer.Option(help="hold out the last training images, say 10000")] = 0,
    dataset: Annotated[str, typer.Option(help="fashion-mnist, mnist[-5k], kmnist or emnist[-SPLIT]")] = "fashion-mnist",
    width: Annotated[int, typer.Option(help="neurons in a hidden layer")] = 784,
    depth: Annotated[int, typer.Option(help="hidden layers")] = 1,
    activation: Annotated[str, typer.Option(help="tanh or relu")] = "tanh",
    optimizer: Annotated[str, typer.Option(help="sgd, adam or adamw")] = "sgd",
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ...")] = "cpu",
    threads: Annotated[int, typer.Option(help="CPU threads; more than one rarely pays")] = 1,
    full_train_loss: Annotated[bool, typer.Option(help="also measure the loss over the whole training set")] = False,
    hold: Annotated[float, typer.Option(help="J^2 that weight decay is steered to, say 1; l2 is its start")] = 0.0,
    label_noise: Annotated[float, typer.Option(help="share of training labels that are shuffled")] = 0.0,
    gradients: Annotated[bool, typer.Option(help="also measure what makes J^2 grow: drift and noise")] = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE.parquet", help="keep the run in this file")] = None,
    force: Annotated[bool, typer.Option(help="replace FILE.parquet if it exists")] = False,
    format: Annotated[Literal["table", "json"], typer.Option(help="what to print, one line an epoch")] = "table",
) -> int:
    """Train one network and print its order parameters, loss and accuracy after every epoch (epoch 0: before)."""
    from edgechaos_core.runs import parse_config

    config = parse_config(
        {
            "dataset": dataset,
            "samples": samples,
            "validation": validation,
            "width": width,
            "depth": depth,
            "activation": activation,
            "optimizer": optimizer,
            "learning_rate": learning_rate,
            "momentum": momentum,
            "l2": l2,
            "batch_size": batch_size,
            "epochs": epochs,
            "seed": seed,
            "gradients": gradients,
            "hold": hold,
            "label_noise": label_noise,
        }
    )
    if out is not None:
        check_out(out, force=force, suffixes=(".parquet",))

    from tqdm import tqdm

    from edgechaos_core.machine import parse_device
    from edgechaos_core.plan import source
    from edgechaos_core.progress import show_progress
    from edgechaos_core.runs import Row, save_run
    from edgechaos_core.trainer import train as train_stack
    from edgechaos_core.work import dataset_of

    parse_device(device)
    data = dataset_of(*source(config))
    printer = _Printer(format, must_finish=out is not None)
    with tqdm(total=config.epochs, unit="epoch", disable=not show_progress(), leave=False) as bar:

        def on_epoch(epoch: int, rows: list[Row | None]) -> None:
            bar.update(min(epoch, 1))
            if rows[0] is not None:
                printer.print(rows[0])

        run = train_stack(
            [config], data, device=device, threads=threads, full_train_loss=full_train_loss, on_epoch=on_epoch
        )[0]
    if out is not None and len(run.history):
        save_run(run, out)
    kept = f"{out} holds" if out is not None else "printed"
    if run.outcome.state == "diverged":
        last = f", last finite J^2 = {run.history['J_squared'].iloc[-1]:.6g}" if len(run.history) else ""
        print(f"edgechaos: diverged: {run.outcome.detail}{last}; {kept} the epochs before", file=sys.stderr)
        return DIVERGED
    if run.outcome.state == "interrupted":
        done = f"after epoch {run.outcome.epoch}; {kept} the epochs done" if len(run.history) else "before epoch 0"
        raise Interrupted(f"interrupted {done}")
    return 0


def check_out(out: Path, *, force: bool, suffixes: tuple[str, ...]) -> None:
    """Refuse, before any work, a place that could not be written after it."""
    if out.suffix not in suffixes:
        raise ValueError(f"--out must end in {' or '.join(suffixes)}, got {out}")
    if not out.parent.is_dir():
        raise ValueError(f"--out: folder {out.parent} does not exist")
    if not os.access(out.parent, os.W_OK):
        raise ValueError(f"--out: folder {out.parent} is not writable")
    if out.is_dir():
        raise ValueError(f"--out: {out} is a folder")
    if out.exists() and not force:
        raise ValueError(f"--out: {out} exists: choose another name, or --force to replace it")


class _Printer:
    """Print one row an epoch; a reader that goes away (``| head``) ends training unless a file waits for it."""

    def __init__(self, style: str, *, must_finish: bool) -> None:
        self.style, self.must_finish = style, must_finish
        self.header_printed = self.closed = False

    def print(self, row: dict[str, float]) -> None:
        from tqdm import tqdm

        if self.closed:
            return
        try:
            for line in self._lines(row):
                tqdm.write(line, file=sys.stdout)
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            self.closed = True
            if not self.must_finish:
                raise KeyboardInterrupt from None

    def _lines(self, row: dict[str, float]) -> list[str]:
        from edgechaos_core.progress import number

        if self.style == "json":
            return [json.dumps(row)]
        cells = [f"{row['epoch']:5d}"] + [f"{number(row[name]):>{max(len(name), 9)}}" for name in list(row)[1:]]
        lines = [] if self.header_printed else ["epoch  " + "  ".join(f"{name:>9}" for name in list(row)[1:])]
        self.header_printed = True
        return [*lines, "  ".join(cells)]


@app.command()
def edge(
    ratio: Annotated[float, typer.Option(help="J0 / J")],
    activation: Annotated[str, typer.Option(help="tanh or relu")] = "tanh",
) -> None:
    """Print 1/J at the theoretical edge of chaos for a given J0/J, to 12 digits; nan where there is no edge."""
    from edgechaos_core.meanfield import edge_of_chaos

    print(f"{edge_of_chaos(ratio, activation):.12f}")


@app.command()
def phase_diagram(
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
    activation: Annotated[str, typer.Option(help="tanh or relu")] = "tanh",
    seed: Annotated[int, typer.Option(help="decides the draws")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ...")] = "cpu",
    threads: Annotated[int | None, typer.Option(help="CPU threads [default: all cores; 1 for small N]")] = None,
    dry_run: Annotated[bool, typer.Option(help="say what it would cost in time and memory, and stop")] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE(.parquet|.png)", help="numbers, kept as they come and resumed; or a picture"),
    ] = None,
    force: Annotated[bool, typer.Option(help="replace FILE if it exists")] = False,
) -> None:
    """Simulate the phase diagram: asymptotic distance and Lyapunov exponent over a grid of J0/J and 1/J."""
    from edgechaos_core import diagram
    from edgechaos_core.settings import parse_settings

    config = parse_settings(
        diagram.DiagramConfig,
        {
            "neurons": neurons,
            "rows": rows,
            "columns": columns,
            "inverse_j_from": inverse_j_from,
            "inverse_j_to": inverse_j_to,
            "ratio_from": ratio_from,
            "ratio_to": ratio_to,
            "iterations": iterations,
            "align": align,
            "measure": measure,
            "draws": draws,
            "activation": activation,
            "seed": seed,
        },
    )
    if dry_run:
        print(diagram.estimate(config, device=device, threads=threads))
        return
    if out is None:
        raise ValueError("--out FILE.parquet or FILE.png is needed (or --dry-run)")
    kept = out if out.suffix == ".parquet" else None
    resume = kept is not None and not force
    check_out(out, force=force or resume, suffixes=(".parquet", ".png"))
    if resume and out.exists():
        done = len(diagram.begun(config, kept).cells)
        print(f"edgechaos: going on with {out}, {done:,} of {config.size:,} cells are done", file=sys.stderr)
    try:
        result = diagram.simulate_with_bar(config, kept, resume=resume, device=device, threads=threads)
    except KeyboardInterrupt:
        if kept is None or not kept.exists():
            raise Interrupted("interrupted: nothing is kept (of a FILE.parquet, what is done would be)") from None
        done = len(diagram.begun(config, kept).cells)
        left = f"{out} holds {done:,} of {config.size:,} cells: the same command goes on"
        raise Interrupted(f"interrupted: {left}{', without --force' if force else ''}") from None
    if kept is None:
        from edgechaos_core.maps import save_diagram_picture

        save_diagram_picture(result, out)
    print(out)


@app.command()
def book(
    profile: Annotated[
        str,
        typer.Option(
            help="standard: the committed runs; quick: train live, few epochs; "
            "paper: train everything anew at the paper's scale"
        ),
    ] = "standard",
    chapter: Annotated[str | None, typer.Option(help="execute this chapter with the parameters of -p")] = None,
    parameter: Annotated[list[str] | None, typer.Option("-p", metavar="NAME=VALUE", help="with --chapter")] = None,
    freeze: Annotated[
        bool, typer.Option(help="keep the checked outputs as the reference that nbval compares with")
    ] = False,
) -> None:
    """Execute the chapters that changed and build the book; print where the page is."""
    from edgechaos_core.book import build_book
    from edgechaos_core.chapters import parse_parameters

    overrides = parse_parameters(parameter or [])
    page = build_book(profile, chapter=chapter, overrides=overrides, freeze=freeze)
    print(page)


__all__: list[Any] = ["app", "main"]
