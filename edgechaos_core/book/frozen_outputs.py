"""Frozen outputs of chapters, a regression reference: which cells are checked, and what nbval compares them with."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from edgechaos_core import EdgechaosError
from edgechaos_core.book.chapters import default_parameters, read_notebook
from edgechaos_core.book.parameter_values import chapter_parameters
from edgechaos_core.system.places import REFERENCES, REPOSITORY

CHECKED = "nbval-check-output"  # the tag of cells whose output is a regression reference
# The same where runs are stored, which have the same digits everywhere. Trained live, the numbers of such a cell are
# small differences (a few images of 10,000, say), or a choice between equals: how a processor rounds decides them.
CHECKED_STORED = "nbval-check-stored"


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
            cell.metadata["tags"] = tags if CHECKED in tags else [*tags, CHECKED]
            if cell.id not in frozen:
                raise EdgechaosError(f"{page}: checked cell {cell.id} has no frozen output: run `make freeze`")
            cell.outputs = [nbformat.from_dict(output) for output in frozen[cell.id]]
            cell.execution_count = 1
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = 1
    return notebook
