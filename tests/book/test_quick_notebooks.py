"""Every quick chapter run by nbval against frozen outputs, under the rounding of another processor."""

import os
import subprocess
import sys

import pytest

from edgechaos_core.book import frozen_outputs
from tests.book.test_notebooks import CHECKED, run_nbval

QUICK = [page for page, profile in CHECKED if profile == "quick"]


@pytest.mark.parametrize("page", QUICK)
def test_what_a_chapter_computes_live_is_the_same_on_another_processor(page, tmp_path, other_rounding):
    """The references were made with the vector instructions of their machine, and are held against other rounding."""
    result = run_nbval(frozen_outputs.nbval_notebook(page, "quick"), tmp_path, "quick", other_rounding)
    assert result.returncode == 0, result.stdout


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
