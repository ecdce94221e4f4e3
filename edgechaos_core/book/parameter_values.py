"""The parameters that a chapter is executed with: a reader's ``NAME=VALUE``, over the profile's, over the defaults."""

import ast
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edgechaos_core.book.chapters import PROFILES, Parameters, read_notebook
from edgechaos_core.book.parameter_types import ChapterParameters
from edgechaos_core.book.parameters import PARAMETERS
from edgechaos_core.settings import accepted

_CONSTANTS = {"true": True, "false": False, "none": None, "null": None}  # in any case, as JSON or Python write them


def parse_parameters(arguments: Sequence[str]) -> Parameters:
    """Parse ``name=value`` words; raise ValueError for a word of another form, or a name given twice.

    Values are numbers, true or false, none, or lists of them, as JSON or Python write them; anything else is text.
    """
    parsed: Parameters = {}
    for argument in arguments:
        name, separator, text = argument.partition("=")
        name = name.strip()
        if not separator or not name.isidentifier():
            raise ValueError(f"-p takes NAME=VALUE, got {argument!r}")
        if name in parsed:
            raise ValueError(f"-p {name} is given twice")
        parsed[name] = _parse_value(name, text.strip())
    return parsed


def _parse_value(name: str, text: str) -> object:
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    for parse in (json.loads, ast.literal_eval):  # literals of Python also have .05, 5., +1, 60_000 and one quote
        try:
            value = parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        return list(value) if isinstance(value, tuple) else value
    if text.startswith(("[", "{", "(")):
        raise ValueError(f"-p {name}: {text!r} is not a number, a list like [0,1] or a word")
    return text


def chapter_parameters(document: str, profile: str, overrides: Mapping[str, Any]) -> Parameters:
    """Return a page's parameters: its defaults, then its profile's, then ``overrides``, as `PARAMETERS` declares them.

    Raises ValueError in one line for an unknown profile or name, or a value that is not accepted, naming what is.
    """
    if profile not in PROFILES:
        raise ValueError(f"unknown profile {profile!r}: choose from {', '.join(PROFILES)}")
    notebook = read_notebook(document)
    if notebook is None:
        raise ValueError(f"{document} has no code to execute")
    kind = declared_parameters(document)
    for name in overrides:
        if name not in kind.model_fields:
            known = f"choose from {', '.join(kind.model_fields)}" if kind.model_fields else "it has none"
            raise ValueError(f"{document} has no parameter {name!r}: {known}")
    own = notebook.metadata.get("edgechaos", {}).get("profiles", {}).get(profile, {})
    values = {**own, **{name: _whole(value) for name, value in overrides.items()}}
    try:
        return kind.model_validate(values).model_dump()
    except ValidationError as error:
        raise ValueError(_refusal(error, kind, values)) from None


def declared_parameters(document: str) -> type[ChapterParameters]:
    """Return the declaration of a page's parameters; that of a page without any has no fields."""
    return PARAMETERS.get(Path(document).name, ChapterParameters)


def _whole(value: object) -> object:
    """Return 1e3 as 1000, in lists too: a whole number is accepted however it is written."""
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _refusal(error: ValidationError, kind: type[ChapterParameters], values: Mapping[str, Any]) -> str:
    """Put in one line which parameters are not accepted, and what is."""
    lines = []
    for item in error.errors():
        if item["loc"]:
            name = str(item["loc"][0])
            lines.append(f"{name} must be {accepted(kind, name)}, got {values[name]!r}")
        else:  # values that do not go together
            lines.append(item["msg"].removeprefix("Value error, "))
    return "; ".join(dict.fromkeys(lines))


def parameter_table(document: str) -> str:
    """List a page's parameters, one a paragraph: its name and default, what it accepts, and what it means."""
    kind = declared_parameters(document)
    if not kind.model_fields:
        raise ValueError(f"{document} has no parameters")
    return "\n".join(
        f"{name} = {json.dumps(field.default)}\n    {field.description}\n    {accepted(kind, name)}"
        for name, field in kind.model_fields.items()
    )
