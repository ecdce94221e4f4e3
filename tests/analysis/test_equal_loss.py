"""The growth of J^2 at equal training loss, on runs made up."""

import math

import numpy as np
import pandas as pd
import pytest

from edgechaos_core.analysis.equal_loss import constants, growth_at_loss
from edgechaos_core.store.runs import Outcome, Run, parse_config


def falling(slope: float, l2: float = 0.0, seed: int = 0) -> Run:
    """J^2 grows so fast an epoch, ever faster; the training loss falls from 1 to 0 over 100 epochs."""
    epoch = np.arange(101)
    history = pd.DataFrame({"epoch": epoch, "J_squared": 0.25 + slope * epoch**2, "train_loss": 1 - epoch / 100})
    return Run(parse_config({"epochs": 100, "seed": seed, "l2": l2}), history, Outcome("finished", 100))


@pytest.mark.parametrize(("loss", "epoch"), [(0.25, 75), (0.5, 50), (0.31, 69)])
def test_c_is_that_of_the_epoch_at_which_the_loss_is_passed(loss, epoch):
    assert growth_at_loss(falling(1e-4), loss) == pytest.approx(1e-4 * 2 * epoch * 32 / 0.01, rel=1e-6)


def test_c_at_a_loss_that_is_not_passed_is_not_known():
    assert math.isnan(growth_at_loss(falling(1e-4), 0.001))  # the last part ends before
    assert math.isnan(growth_at_loss(falling(1e-4), 2.0))


def test_the_table_has_a_row_a_strength_and_dashes():
    table = constants([falling(1e-4, l2, seed) for l2 in (9e-5, 0.0) for seed in range(2)], losses=(0.25, 0.001))
    assert table.index.tolist() == ["0", "9e-5"]
    assert table["c at training loss 0.25"]["0"] == "48"
    assert table["c at training loss 0.00"].tolist() == ["–", "–"]
    assert float(table["c at the end"]["9e-5"]) > float(table["c at the end"]["0"])  # decay is added back
