"""The command ``edgechaos``: thin doors to the package, every refusal one line on stderr.

Exit codes: 0 done, 1 something outside the command's arguments failed, 2 bad arguments, 3 training diverged,
130 interrupted with what was done kept.
"""

import logging
import os
import signal
import sys
from typing import Annotated, Any, NoReturn

import typer

from edgechaos_core import EdgechaosError, Interrupted, cli_guide, cli_maps, cli_runs, cli_train

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Training neural networks at the edge of chaos: train, map, and build the book.",
)
for command in (cli_train.train, cli_runs.sweep, cli_guide.guide, cli_maps.edge, cli_maps.phase_diagram):
    app.command()(command)
app.add_typer(cli_runs.runs_app, name="runs")

FAILED, BAD_ARGUMENTS, INTERRUPTED = 1, 2, 130


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
    help_parameters: Annotated[
        bool, typer.Option("--help-parameters", help="list the parameters of --chapter, and what they accept")
    ] = False,
    freeze: Annotated[
        bool, typer.Option(help="keep the checked outputs as the reference that nbval compares with")
    ] = False,
) -> None:
    """Execute the chapters that changed and build the book; print where the page is."""
    from edgechaos_core.book import build_book
    from edgechaos_core.chapters import find_document, parameter_table, parse_parameters

    if help_parameters:
        if chapter is None:
            raise ValueError("--help-parameters needs a chapter: edgechaos book --chapter NAME --help-parameters")
        print(parameter_table(find_document(chapter)))
        return
    overrides = parse_parameters(parameter or [])
    page = build_book(profile, chapter=chapter, overrides=overrides, freeze=freeze)
    print(page)


__all__: list[Any] = ["app", "main"]
