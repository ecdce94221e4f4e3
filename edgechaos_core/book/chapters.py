"""Chapters as sources: the pages of the book, their MyST notebooks, and the parameters that a notebook gives."""

import ast
from pathlib import Path
from typing import Any

import jupytext
from nbformat import NotebookNode

from edgechaos_core.system.places import REPOSITORY
from edgechaos_core.system.yaml_files import read_yaml

PROFILES = ("quick", "standard", "paper")

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
    notebook: NotebookNode = jupytext.read(root / f"{document}.md", fmt="md:myst")
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
