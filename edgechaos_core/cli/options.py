"""Options that several commands have, and the settings that a command's options are."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:  # imported where it is needed: pydantic takes its time
    from edgechaos_core.settings import Settings

Activation = Annotated[str, typer.Option(help="tanh or relu")]
BatchSize = Annotated[int, typer.Option(help="B, mini-batch size")]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:1 ...")]
Force = Annotated[bool, typer.Option(help="replace FILE if it exists")]


def settings_of(context: typer.Context, kind: "type[Settings]") -> dict[str, Any]:
    """Return the settings of a kind as the command line has them: each is an option of the same name."""
    # a setting without an option fails at the first try, in every test of its command
    return {name: context.params[name] for name in kind.model_fields}
