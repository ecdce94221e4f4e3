"""Chapters as sources: MyST notebooks, their parameters, and the frozen outputs that nbval compares with."""

import ast
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode
from pydantic import ValidationError

from edgechaos_core import EdgechaosError
from edgechaos_core.book.parameters import PARAMETERS, ChapterParameters
from edgechaos_core.settings import accepted
from edgechaos_core.system.places import REFERENCES, REPOSITORY
from edgechaos_core.system.yaml_files import read_yaml

PROFILES = ("quick", "standard", "paper")
CHECKED = "nbval-check-output"  # the tag of cells whose output is a regression reference
# The same where runs are stored, which have the same digits everywhere. Trained live, the numbers of such a cell are
# small differences (a few images of 10,000, say), or a choice between equals: how a processor rounds decides them.
CHECKED_STORED = "nbval-check-stored"
_WORDS = {"true": True, "false": False, "none": None, "null": None}

Parameters = dict[str, Any]


def documents() -> list[str]:
    """Return the pages of the table of contents, ``_toc.yml``, root first."""
    toc = read_yaml(REPOSITORY / "_toc.yml")
    return [toc["root"], *(entry["file"] for part in toc.get("parts", [toc]) for entry in part["chapters"])]


def find_document(chapter: str) -> str:
    """Return the page of a chapter's name; raise ValueError naming the chapters for another."""
    names = {Path(page).name: page for page in documents()}
    if chapter not in names:
        raise ValueError(f"unknown chapter {chapter!r}: choose from {', '.join(names)}")
    return names[chapter]


def read_notebook(document: str, root: Path = REPOSITORY) -> NotebookNode | None:
    """Read a page's MyST source as a notebook with stable cell ids; None for a page without code."""
    notebook: NotebookNode = jupytext.read(root / f"{document}.md")
    if "kernelspec" not in notebook.metadata:
        return None
    for number, cell in enumerate(notebook.cells):
        cell.id = f"{Path(document).name.replace('_', '-')}-{number:03d}"
    return notebook


def default_parameters(notebook: NotebookNode) -> Parameters:
    """Return the defaults of the cell tagged ``parameters``, which holds plain ``name = literal`` lines."""
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    statements = [node for cell in cells for node in ast.parse(cell.source).body if isinstance(node, ast.Assign)]
    return {ast.unparse(node.targets[0]): ast.literal_eval(node.value) for node in statements}


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
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
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


def checked_profiles(notebook: NotebookNode) -> tuple[str, ...]:
    """Return the profiles in which nbval checks a page: one without parameters is the same in all."""
    return ("quick", "standard") if default_parameters(notebook) else ("standard",)


def is_checked(cell: NotebookNode, profile: str) -> bool:
    """Tell whether nbval compares a cell's output in that profile."""
    tags = cell.metadata.get("tags", [])
    return CHECKED in tags or (CHECKED_STORED in tags and profile == "standard")


def freeze_outputs(page: str, executed: NotebookNode, profile: str) -> None:
    """Keep the outputs of an executed page's checked cells as nbval's reference."""
    target = reference_file(page, profile)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(checked_outputs(executed, profile), indent=1) + "\n", encoding="utf-8")


def checked_outputs(executed: NotebookNode, profile: str) -> dict[str, list[dict[str, Any]]]:
    """Return what is compared of the outputs of an executed page's checked cells, by cell."""
    return {cell.id: _plain(cell.outputs) for cell in executed.cells if is_checked(cell, profile)}


def reference_file(page: str, profile: str) -> Path:
    """Return the file of a page's frozen outputs."""
    return REFERENCES / profile / f"{Path(page).name}.json"


def _plain(outputs: Sequence[NotebookNode]) -> list[dict[str, Any]]:
    """Keep what nbval compares: streams to stdout and text/plain."""
    kept: list[dict[str, Any]] = []
    for output in outputs:
        if output.output_type == "stream" and output.name == "stdout":
            kept.append({"output_type": "stream", "name": "stdout", "text": output.text})
        elif "data" in output and "text/plain" in output.data:
            kept.append(
                {"output_type": output.output_type, "data": {"text/plain": output.data["text/plain"]}, "metadata": {}}
            )
    return kept


def nbval_notebook(page: str, profile: str, *, root: Path = REPOSITORY, reference: Path | None = None) -> NotebookNode:
    """Return the notebook nbval runs: the current source and parameters, with the frozen outputs to compare with.

    Raises EdgechaosError where a checked cell has no frozen output.
    """
    notebook = read_notebook(page, root)
    if notebook is None:
        raise ValueError(f"{page} has no code to check")
    frozen = json.loads((reference or reference_file(page, profile)).read_text(encoding="utf-8"))
    parameters = chapter_parameters(page, profile, {})
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "parameters" in tags:
            cell.source = "\n".join(f"{name} = {value!r}" for name, value in parameters.items())
        if is_checked(cell, profile):
            cell.metadata["tags"] = [*tags, CHECKED]
            if cell.id not in frozen:
                raise EdgechaosError(f"{page}: checked cell {cell.id} has no frozen output: run `make freeze`")
            cell.outputs = [nbformat.from_dict(output) for output in frozen[cell.id]]
            cell.execution_count = 1
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = 1
    return notebook
