"""The house itself: modules and functions of the package are short enough to be read at once."""

import ast

import pytest

from edgechaos_core.system.places import PACKAGE

LONGEST_MODULE, LONGEST_FUNCTION = 250, 60  # lines, signature and docstring among them
MODULES = sorted(PACKAGE.rglob("*.py"))


def lengths(text: str) -> dict[str, int]:
    """The number of lines of each function in a module's text, those in classes and functions among them."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)]
    return {f"{node.name} in line {node.lineno}": node.end_lineno - node.lineno + 1 for node in functions}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_and_functions_are_short(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_MODULE
    assert {name: length for name, length in lengths(text).items() if length > LONGEST_FUNCTION} == {}


def test_lengths_are_counted_with_signature_and_docstring():
    text = (
        'class A:\n    def f(\n        self,\n    ):\n        """Say."""\n\n        def g(): pass\n        return g\n'
    )
    assert lengths(text) == {"f in line 2": 7, "g in line 7": 1}
