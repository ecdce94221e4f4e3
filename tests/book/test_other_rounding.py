"""What the quick chapters check is the same under the rounding of another processor."""

import os
import subprocess
import sys

import pytest

from edgechaos_core.book import chapters
from tests.book.test_notebooks import run_nbval

# Those that train live, of every kind: plain, with decay and steered. What label_noise and search check of such runs is
# of the same kinds, and phase_diagram counts cells; all three were the same, too, when this was written.
UNDER_OTHER_ROUNDING = ["training_path", "ordered_scaling", "rescaling", "weight_decay", "guideline"]


@pytest.mark.parametrize("page", UNDER_OTHER_ROUNDING)
def test_what_a_chapter_computes_live_is_the_same_on_another_processor(page, tmp_path, other_rounding):
    notebook = chapters.nbval_notebook(f"chapters/{page}", "quick")
    result = run_nbval(notebook, tmp_path, "quick", other_rounding)
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
