"""The commands of ``edgechaos``: thin doors to the package. Nothing slow is imported before it is needed."""

from typing import Annotated

import typer

from edgechaos_core.cli import diagram_commands, guide_command, inspect_command, runs_commands, train_command

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Training neural networks at the edge of chaos: train, map, and build the book.",
)
for command in (
    *(train_command.train, runs_commands.sweep, guide_command.guide, inspect_command.inspect),
    *(diagram_commands.edge, diagram_commands.phase_diagram),
):
    app.command()(command)
app.add_typer(runs_commands.runs_app, name="runs")


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
    chapter: Annotated[
        str | None, typer.Option(help="execute this chapter with the parameters of -p; with --freeze it alone")
    ] = None,
    parameter: Annotated[list[str] | None, typer.Option("-p", metavar="NAME=VALUE", help="with --chapter")] = None,
    help_parameters: Annotated[
        bool, typer.Option("--help-parameters", help="list the parameters of --chapter, and what they accept")
    ] = False,
    freeze: Annotated[
        bool, typer.Option(help="keep the checked outputs as the reference that nbval compares with")
    ] = False,
) -> None:
    """Execute the chapters that changed and build the book; print where the page is."""
    from edgechaos_core import EdgechaosError
    from edgechaos_core.system.places import in_checkout

    if not in_checkout():
        raise EdgechaosError(
            "the book's sources are in the repository, not in the installed package: clone it and run `make book` there"
        )
    try:
        from edgechaos_core.book.build import build_book
        from edgechaos_core.book.chapters import find_document
        from edgechaos_core.book.parameter_values import parameter_table, parse_parameters
    except ModuleNotFoundError as error:
        raise EdgechaosError(f"the book needs {error.name}: pip install -e '.[book]'") from None

    if help_parameters:
        if chapter is None:
            raise ValueError("--help-parameters needs a chapter: edgechaos book --chapter NAME --help-parameters")
        print(parameter_table(find_document(chapter)))
        return
    overrides = parse_parameters(parameter or [])
    page = build_book(profile, chapter=chapter, overrides=overrides, freeze=freeze)
    print(page)
