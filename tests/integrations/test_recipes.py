"""Every recipe of the appendix runs as it stands on the page, in the order of the page."""

import re
import warnings
from dataclasses import fields
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
OPTIONAL = {"lightning", "transformers", "tensorboard"}


def test_the_page_has_its_recipes():
    assert len(RECIPES) == 10
    assert all(len(blocks) <= 1 for _, blocks in PARTS)


def test_the_table_on_the_page_has_the_columns_that_are_printed():
    (head,) = re.findall(r"^```text\n(.*)$", PAGE, re.M)
    assert head.split() == [each.name for each in fields(WeightRow)]


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
