"""The command ``edgechaos inspect``: where each weight of a model stands, in a file or as a function builds it.

Files are read without running a pickle: programs of `torch.export` and weights of safetensors.
"""

import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgechaos_core import EdgechaosError
from edgechaos_core.cli.options import Force
from edgechaos_core.cli.output import check_out, json_line, tell
from edgechaos_core.system.places import expanded

if TYPE_CHECKING:  # imported where it is needed: torch takes a second
    from torch import Tensor

    from edgechaos_core.models.inspection_table import Inspection

ACCEPTED = "a .pt2 of torch.export.save, a .safetensors, or module:function that builds the model"


def inspect(
    what: Annotated[str, typer.Argument(metavar="FILE|MODULE:FUNCTION", help=ACCEPTED)],
    sample: Annotated[
        str | None,
        typer.Option(metavar="SHAPE", help="what the model takes, drawn Gaussian, as 32x3x64x64; for module:function"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object a weight")] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="draw the weights and the growth of a difference as well")
    ] = None,
    force: Force = False,
) -> None:
    """Tell of each weight of a model its J^2, the edge of what follows it, its phase, and if EdgeDecay can steer it.

    A function is called without arguments and returns the model, or the model and a sample of what it takes.
    """
    if plot is not None:
        plot = check_out(plot, force=force, suffixes=(".png",), option="--plot")
    table = _inspected(what, sample)
    if plot is not None:
        from edgechaos_core.book.figures.inspection import plot_inspection
        from edgechaos_core.book.figures.pictures import save_picture

        save_picture(plot_inspection(table), plot)
    if not as_json:
        print(table)
        return
    for row in table:
        print(json_line(asdict(row)))
    for note in table.notes:
        tell(note)


def _inspected(what: str, sample: str | None) -> "Inspection":
    path = expanded(Path(what))
    if path.suffix in {".pt2", ".safetensors"}:
        if sample is not None:
            raise ValueError(f"--sample is for module:function: a {path.suffix} has its own shapes")
        if not path.is_file():
            raise ValueError(f"there is no file {path}")
        return _of_file(path)
    module, _, function = what.partition(":")
    if path.exists() or not (module and function):
        pickle = path.suffix in {".pt", ".pth", ".bin", ".ckpt", ".pkl"}
        why = "a pickle, which can run code when it is read" if pickle else "not known"
        raise ValueError(f"{what} is {why}: give {ACCEPTED}")
    from edgechaos_core.models.inspection import inspect as inspect_model

    model, given = _built(module, function)
    if given is None and sample is None:
        raise ValueError(
            f"{what} returns a model without a sample: give the shape of what it takes, as --sample 32x3x64x64"
        )
    return inspect_model(model, _drawn(sample) if sample is not None else given)


def _of_file(path: Path) -> "Inspection":
    from edgechaos_core.models.inspection import inspect as inspect_model
    from edgechaos_core.models.saved import inspect_weights_file, load_exported

    return inspect_weights_file(path) if path.suffix == ".safetensors" else inspect_model(*load_exported(path))


def _built(module: str, function: str) -> tuple[Any, Any]:
    """The model that a function returns, and the sample that may come with it."""
    build: Any = None
    sys.path.insert(0, "")  # as python -m does: a module of the current folder
    try:
        build = import_module(module)
        for name in function.split("."):
            build = getattr(build, name)
        if not callable(build):
            raise ValueError(f"{module}:{function} is no function")
        made = build()
    except ImportError as error:
        raise ValueError(f"module {module} cannot be imported: {error}") from None
    except AttributeError as error:
        raise ValueError(f"{module}:{function}: {error}") from None
    except Exception as error:
        if build is not None and not callable(build):
            raise
        where = module if build is None else f"{module}:{function}"
        raise EdgechaosError(f"{where} failed: {type(error).__name__}: {error}") from None
    finally:
        sys.path.remove("")
    return made if isinstance(made, tuple) and len(made) == 2 else (made, None)


def _drawn(shape: str) -> "Tensor":
    import torch

    sizes = shape.split("x")
    if not all(size.isdecimal() and int(size) for size in sizes):
        raise ValueError(f"--sample must be sizes with x between them, as 32x3x64x64, got {shape}")
    return torch.randn([int(size) for size in sizes], generator=torch.Generator().manual_seed(0))
