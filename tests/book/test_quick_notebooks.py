"""Every quick chapter against frozen outputs, as it is executed under the rounding of another processor."""

import json
import os
import subprocess
import sys

import nbformat
import pytest

from edgechaos_core.book import frozen_outputs
from tests.book.nbval_tolerance import Close
from tests.book.test_notebooks import CHECKED, TOLERANCE

QUICK = [page for page, profile in CHECKED if profile == "quick"]
Texts = dict[str, list[Close]]


def texts(outputs: dict[str, list[dict]]) -> Texts:
    """What cells say, by cell, to be compared as nbval compares it."""
    return {
        cell: [Close(output["text"] if "text" in output else output["data"]["text/plain"]) for output in kept]
        for cell, kept in outputs.items()
    }


def said_and_frozen(page: str, executed: nbformat.NotebookNode) -> tuple[Texts, Texts]:
    frozen = json.loads(frozen_outputs.reference_file(page, "quick").read_text(encoding="utf-8"))
    return texts(frozen_outputs.checked_outputs(executed, "quick")), texts(frozen)


@pytest.fixture(autouse=True)
def tolerance(monkeypatch):
    for name, value in TOLERANCE["quick"].items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("page", QUICK)
def test_what_a_chapter_computes_live_is_the_same_on_another_processor(page, quick_book):
    """The references were made with the vector instructions of their machine, and are held against other rounding."""
    said, frozen = said_and_frozen(page, quick_book.execute(page))
    assert said
    assert said == frozen


def test_a_number_changed_in_a_quick_chapter_is_noticed(quick_book):
    page = "chapters/phase_diagram"
    said, frozen = said_and_frozen(page, quick_book.execute(page))
    (cell,) = [cell for cell, shown in frozen.items() if "0.46865" in shown[0]]
    frozen[cell][0] = Close(frozen[cell][0].replace("0.46865", "0.48000"))
    assert said != frozen


ROUNDED = """
import torch
from edgechaos_core.training.network import initialise
x = torch.rand(32, 784, generator=torch.Generator().manual_seed(0))
W = initialise([0], inputs=784, width=784).hidden[0][0]
print(torch.backends.cpu.get_cpu_capability(), torch.tanh(x @ W).sum().item().hex())
"""


def test_the_other_rounding_is_another(other_rounding):
    printed = [
        subprocess.run(
            [sys.executable, "-c", ROUNDED], env=os.environ | own, capture_output=True, encoding="utf-8", check=True
        ).stdout.split()
        for own in ({}, other_rounding)
    ]
    assert printed[1][0] == "DEFAULT"
    assert printed[0] != printed[1] or printed[0][0] == "DEFAULT"  # a processor without vector instructions
