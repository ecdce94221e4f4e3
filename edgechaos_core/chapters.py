"""Chapters as sources: MyST notebooks, their parameters, and the frozen outputs that nbval compares with."""

import ast
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbformat import NotebookNode

from edgechaos_core import EdgechaosError
from edgechaos_core.diagram import DiagramConfig
from edgechaos_core.places import REFERENCES, REPOSITORY
from edgechaos_core.runs import RunConfig
from edgechaos_core.settings import Settings, parse_settings
from edgechaos_core.yaml_files import read_yaml

PROFILES = ("quick", "standard", "paper")
SETTINGS: dict[str, type[Settings]] = {"run": RunConfig, "diagram": DiagramConfig}  # what a chapter's parameters set
CHECKED = "nbval-check-output"  # the tag of cells whose output is a regression reference
# The same where runs are stored, which have the same digits everywhere. Trained live, the numbers of such a cell are
# small differences (a few images of 10,000, say), or a choice between equals: how a processor rounds decides them.
CHECKED_STORED = "nbval-check-stored"

Parameters = dict[str, Any]


def documents() -> list[str]:
    """Return the pages of the table of contents, ``_toc.yml``, root first."""
    toc = read_yaml(REPOSITORY / "_toc.yml")
    return [toc["root"], *(entry["file"] for part in toc.get("parts", [toc]) for entry in part["chapters"])]


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
    """Parse ``name=value`` words, values as JSON or a bare word; raise ValueError for a word of another form."""
    parsed: Parameters = {}
    for argument in arguments:
        name, separator, text = argument.partition("=")
        if not separator or not name.isidentifier():
            raise ValueError(f"-p takes NAME=VALUE, got {argument!r}")
        try:
            parsed[name] = json.loads(text)
        except json.JSONDecodeError:
            if text.startswith(("[", "{")):
                raise ValueError(f"-p {name}: {text!r} is not a number, a list like [0,1] or a word") from None
            parsed[name] = text
    return parsed


def chapter_parameters(
    document: str, profile: str, overrides: Mapping[str, Any], root: Path = REPOSITORY
) -> Parameters:
    """Return a chapter's parameters: its defaults, then its profile's, then ``overrides``.

    Raises ValueError in one line for an unknown profile or name, a value of another type than the default, or one that
    the chapter's settings do not accept: those that ``edgechaos: settings`` in its front matter names, run (the
    default) or diagram. A list named as a plural of a setting is checked item by item.
    """
    if profile not in PROFILES:
        raise ValueError(f"unknown profile {profile!r}: choose from {', '.join(PROFILES)}")
    notebook = read_notebook(document, root)
    if notebook is None:
        raise ValueError(f"{document} has no code to execute")
    defaults = default_parameters(notebook)
    for name, value in overrides.items():
        if name not in defaults:
            raise ValueError(f"{document} has no parameter {name!r}: choose from {', '.join(defaults)}")
        if not _same_kind(value, defaults[name]):
            raise ValueError(f"{name} must be {_kind(defaults[name])}, got {value!r}")
        if isinstance(value, list) and len(set(value)) < len(value):
            raise ValueError(f"{name} must not repeat a value, got {value!r}")
    own = notebook.metadata.get("edgechaos", {})
    parameters: Parameters = {**defaults, **own.get("profiles", {}).get(profile, {}), **overrides}
    _check_settings(parameters, SETTINGS[own.get("settings", "run")])
    return parameters


def _check_settings(parameters: Parameters, kind: type[Settings]) -> None:
    settings = {name: value for name, value in parameters.items() if name in kind.model_fields}
    parse_settings(kind, settings)
    for name, values in parameters.items():
        field = name.removesuffix("s")
        if isinstance(values, list) and field in kind.model_fields:
            for value in values:
                parse_settings(kind, settings | {field: value})


def _same_kind(value: object, default: object) -> bool:
    if isinstance(default, list):
        return isinstance(value, list) and bool(value) and all(_same_kind(item, default[0]) for item in value)
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is type(default)


def _kind(default: object) -> str:
    if isinstance(default, list):
        return f"a list like {json.dumps(default)}"
    return {bool: "true or false", int: "a whole number", float: "a number"}.get(type(default), "text")


def checked_profiles(notebook: NotebookNode) -> tuple[str, ...]:
    """Return the profiles in which nbval checks a page: one without parameters is the same in all."""
    return ("quick", "standard") if default_parameters(notebook) else ("standard",)


def is_checked(cell: NotebookNode, profile: str) -> bool:
    """Tell whether nbval compares a cell's output in that profile."""
    tags = cell.metadata.get("tags", [])
    return CHECKED in tags or (CHECKED_STORED in tags and profile == "standard")


def freeze_outputs(page: str, executed: NotebookNode, profile: str) -> None:
    """Keep the outputs of an executed page's checked cells as nbval's reference."""
    outputs = {cell.id: _plain(cell.outputs) for cell in executed.cells if is_checked(cell, profile)}
    target = reference_file(page, profile)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(outputs, indent=1) + "\n", encoding="utf-8")


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
    parameters = chapter_parameters(page, profile, {}, root)
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
