"""The tests themselves: none passes because there was nothing to look at.

Where all assertions of a test stand in loops, or in `all` over something, one of these must be over something that the
text shows not to be empty: otherwise the test asserts how much there is, or takes it as parameters.
"""

import ast
import re
from pathlib import Path

import pytest

WHOLE = {"enumerate", "len", "list", "reversed", "sorted", "tuple", "items", "keys", "values"}  # as long as their own


def sure(node: ast.expr, names: dict[str, ast.expr]) -> bool:
    """Tell whether an iterable has an element, or a number is not 0, as far as the text shows."""
    shown = False
    match node:
        case ast.Constant(value=value):
            shown = bool(value)
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts) | ast.Dict(keys=parts):
            shown = any(
                sure(part.value, names) if isinstance(part, ast.Starred) else part is not None for part in parts
            )
        case ast.Name(id=name) if name in names:
            shown = sure(names[name], {own: value for own, value in names.items() if own != name})
        case ast.BinOp(left=left, op=ast.Add() | ast.BitOr(), right=right):
            shown = sure(left, names) or sure(right, names)
        case ast.ListComp(generators=loops) | ast.GeneratorExp(generators=loops):
            shown = all(sure(loop.iter, names) and not loop.ifs for loop in loops)
        case ast.Call(func=ast.Name(id="range"), args=[end]):
            shown = sure(end, names)
        case ast.Call(func=ast.Name(id="zip"), args=parts, keywords=strict):  # all are as long as one, or as the least
            shown = (any if strict else all)(sure(part, names) for part in parts)
        case ast.Call(func=ast.Name(id=name), args=[first]) if name in WHOLE:
            shown = sure(first, names)
        case ast.Call(func=ast.Attribute(value=value, attr=name), args=[]) if name in WHOLE:
            shown = sure(value, names)
    return shown


def assertions(node: ast.AST, names: dict[str, ast.expr], *, safe: bool = True) -> list[bool]:
    """Whether each assertion under a node is made at least once, other functions left out."""
    found = []
    match node:
        case ast.FunctionDef() | ast.Lambda() | ast.ClassDef():
            return []
        case ast.Assert(test=ast.Call(func=ast.Name(id="all"), args=[ast.GeneratorExp() as over])):
            return [safe and sure(over, names)]
        case ast.Assert():
            return [safe]
        case ast.With(items=items) if any(re.search("raises|warns", ast.unparse(item.context_expr)) for item in items):
            found = [safe]
        case ast.Expr(value=ast.Call(func=called)) if "assert" in ast.unparse(called):
            return [safe]
        case ast.For(iter=over, body=body):
            return [made for part in body for made in assertions(part, names, safe=safe and sure(over, names))]
    return found + [made for part in ast.iter_child_nodes(node) for made in assertions(part, names, safe=safe)]


def assigned(body: list[ast.stmt]) -> dict[str, ast.expr]:
    """What names stand for, as far as they are given a value by an assignment of one name."""
    return {
        target.id: part.value
        for part in body
        if isinstance(part, ast.Assign)
        for target in part.targets
        if isinstance(target, ast.Name)
    }


def empty_handed(text: str) -> list[str]:
    """Return the names of tests in a module's text whose assertions may all be made on nothing."""
    module = ast.parse(text)
    found = []
    for test in module.body:
        if isinstance(test, ast.FunctionDef) and test.name.startswith("test_"):
            names = assigned(module.body) | assigned(test.body)
            if not any(made for part in test.body for made in assertions(part, names)):
                found.append(test.name)
    return found


@pytest.mark.parametrize("path", sorted(Path(__file__).parent.rglob("test_*.py")), ids=lambda path: path.stem)
def test_no_test_passes_on_nothing(path):
    assert empty_handed(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("body", "passes_on_nothing"),
    [
        ("for run in runs: assert run", True),
        ("assert all(run for run in runs)", True),
        ("for run in [own for own in (1, 2) if own > least]: assert run", True),
        ("for run in (): assert run", True),
        ("runs = found()\n    for run in runs: assert run", True),
        ("list(runs)", True),
        ("assert len(runs) == 3\n    for run in runs: assert run", False),
        ("for run in (1, 2): assert run", False),
        ("runs = [1, *found()]\n    for one, other in zip(runs, found(), strict=True): assert one", False),
        ("for number in range(3): assert_close(number, number)", False),
        ("with pytest.raises(ValueError): f()", False),
    ],
)
def test_the_search_tells_loops_over_nothing(body, passes_on_nothing):
    assert empty_handed(f"def test_it(runs):\n    {body}\n") == ["test_it"] * passes_on_nothing
