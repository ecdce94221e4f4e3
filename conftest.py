"""Examples in docstrings are tests: those that the book's API page shows run as a reader pastes them, with no names.

Examples of modules whose library is not installed are no tests: extras are optional.
"""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

import edgechaos_core

collect_ignore = [
    f"edgechaos_core/integrations/{name}.py" for name in ("lightning", "transformers") if find_spec(name) is None
]


def shown_by_the_book() -> set[str]:
    """Return the full names of all functions and classes that the API page describes."""
    page = (Path(__file__).parent / "appendix" / "api.md").read_text(encoding="utf-8")
    names = set(re.findall(r"^\.\. auto(?:function|class|exception):: ([\w.]+)$", page, re.MULTILINE))
    rooms = edgechaos_core._HOME
    return {f"edgechaos_core.{rooms[name]}.{name}" if name in rooms else name for name in names}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Take away what a module imports from the examples that readers see without that module."""
    shown = tuple(shown_by_the_book())
    for item in items:
        if isinstance(item, pytest.DoctestItem) and any(f"{item.name}.".startswith(f"{name}.") for name in shown):
            item.dtest.globs.clear()
