"""Every recipe of the appendix runs as it stands on the page, in the order of the page."""

import re
import warnings
from dataclasses import fields
from difflib import SequenceMatcher
from importlib.util import find_spec

import matplotlib.pyplot as plt
import pytest

from edgechaos_core.models.inspection_table import WeightRow
from edgechaos_core.system.places import REPOSITORY

PAGE = (REPOSITORY / "appendix" / "recipes.md").read_text(encoding="utf-8")
PARTS = [
    (part.splitlines()[0], re.findall(r"^```python\n(.*?)^```", part, re.S | re.M)) for part in PAGE.split("\n## ")
]
SETUP, *RECIPES = [(title, blocks[0]) for title, blocks in PARTS if blocks]
NUMBER, ROUNDING = r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])", 0.02  # growth is brought to 1 by a number of sweeps
OPTIONAL = {"lightning", "transformers", "tensorboard"}


def test_the_page_has_its_recipes():
    assert len(RECIPES) == 11
    assert all(len(blocks) <= 1 for _, blocks in PARTS)


def test_the_table_on_the_page_has_the_columns_that_are_printed():
    head, *_ = re.findall(r"^```text\n(.*)$", PAGE, re.M)
    assert head.split() == [each.name for each in fields(WeightRow)]


@pytest.mark.parametrize("title", ["See where each layer stands", "Start at the edge"])
def test_what_a_recipe_prints_stands_on_the_page(title, capsys):
    names: dict[str, object] = {"__name__": "recipe"}
    with warnings.catch_warnings():
        exec(compile(SETUP[1], "setup", "exec"), names)
        exec(compile(dict(RECIPES)[title], title, "exec"), names)
    plt.close("all")
    (shown,) = re.findall(r"^```text\n(.*?)^```", PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0], re.M | re.S)
    printed = capsys.readouterr().out.splitlines()
    assert len(shown.splitlines()) > 2
    for line in shown.splitlines():  # numbers differ in their last digit from processor to processor
        near = min(printed, key=lambda other: SequenceMatcher(None, line, other).ratio() * -1)
        assert re.sub(NUMBER, "#", line).split() == re.sub(NUMBER, "#", near).split()
        values = ([float(number) for number in re.findall(NUMBER, each)] for each in (line, near))
        assert next(values) == pytest.approx(next(values), rel=ROUNDING, abs=1e-3)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe[0])
@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_recipe_runs(recipe, capsys):
    title, code = recipe
    needs = {name for name in OPTIONAL if re.search(rf"^from \S*\b{name}\b", code, re.M)}
    if missing := [name for name in sorted(needs) if find_spec(name) is None]:
        pytest.skip(f"needs {', '.join(missing)}: pip install -e '.[dev]'")
    names: dict[str, object] = {"__name__": "recipe"}
    with warnings.catch_warnings():
        exec(compile(SETUP[1], "setup", "exec"), names)
        exec(compile(code, title, "exec"), names)
    plt.close("all")
    if "print(" in code:
        assert capsys.readouterr().out.strip()
