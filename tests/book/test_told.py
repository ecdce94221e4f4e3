"""Numbers as a page tells them."""

import math
import re

import pandas as pd
import pytest

from edgechaos_core.analysis.intervals import Estimate
from edgechaos_core.book import told


def test_numbers_are_glued_as_text_and_what_is_missing_as_a_dash(monkeypatch):
    glued = {}
    monkeypatch.setattr(told, "glue", lambda name, value, display: glued.update({name: value}))
    told.tell({"c": 11.224, "none": math.nan, "n": 16}, c=".1f", none=".1f", n="d")
    told.tell({}, never="d")
    assert glued == {"c": "11.2", "none": "–", "n": "16", "never": "–"}
    with pytest.raises(ValueError, match="unknown number 'd': choose from c"):
        told.tell({"c": 1.0}, d=".1f")


def test_a_flat_table_has_one_row_of_heads_and_no_blank_cell():
    index = pd.MultiIndex.from_tuples([(0.01, 32), (0.01, 64)], names=["η", "B"])
    table = told.flat(pd.DataFrame({"c": ["11.2", "–"]}, index=index))
    assert [line.split() for line in repr(table).splitlines()] == [
        ["η", "B", "c"], ["0.01", "32", "11.2"], ["0.01", "64", "–"]
    ]  # fmt: skip
    html = table._repr_html_()
    assert re.findall("<th>(.*?)</th>", html) == ["η", "B", "c"]
    assert re.findall("<td>(.*?)</td>", html) == ["0.01", "32", "11.2", "0.01", "64", "–"]


def test_a_number_with_a_power_of_ten_stands_in_one_line_and_can_be_copied():
    html = told.flat(pd.DataFrame({"λ": ["1.8e-6", "9e-5 to 1e-4", "one-way"]}))._repr_html_()
    assert re.findall('nowrap">(.*?)</span>', html) == ["1.8e-6", "9e-5", "1e-4"]
    assert "<td>one-way</td>" in html


def test_a_table_has_text_and_no_nan():
    estimates = [Estimate(0.9449, 0.9255, 0.9643, 5), Estimate(math.nan, None, None, 1), Estimate(1.0, None, None, 1)]
    table = pd.DataFrame({"a": [1.0, math.nan, 3.14], "J²": estimates, "left out": 0})
    plain = told.plain(table, {"J²": ".2f", "a": ".1f"})
    assert plain.to_dict("list") == {"J²": ["0.945 [0.925, 0.964]", "–", "1.00"], "a": ["1.0", "–", "3.1"]}
