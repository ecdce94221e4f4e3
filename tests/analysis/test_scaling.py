"""Lines and constants of growth against computations by hand."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from edgechaos_core.analysis.scaling import (
    epochs_to_pass,
    growth,
    growth_along,
    growth_at_loss,
    growth_constant,
    late_over_early,
    least_test_loss,
    near_least,
    ordered_growth,
    predicted_constant,
    predicted_growth,
    scale_factor,
    settled,
)
from edgechaos_core.store.runs import Outcome, Run, parse_config
from edgechaos_core.training.trainer import train

ROUNDING = 1e-9  # relative error of a least-squares fit in float64


def history_of(j_squared, epochs=range(51)) -> pd.DataFrame:
    return pd.DataFrame({"epoch": list(epochs), "J_squared": [j_squared(epoch) for epoch in epochs]})


def test_growth_recovers_a_line():
    line = growth(history_of(lambda epoch: 0.25 + 0.003 * epoch))
    assert line.slope == pytest.approx(0.003, rel=ROUNDING)
    assert line.intercept == pytest.approx(0.25, rel=ROUNDING)
    assert line.r_squared == pytest.approx(1, rel=ROUNDING)


def test_growth_by_hand():
    values = {0: 1.0, 2: 2.0, 4: 2.0}  # slope 2/8, intercept 5/3 - 1/2, r^2 = (2 / (8 * 2/3)^(1/2))^2
    line = growth(history_of(values.__getitem__, values))
    assert line.slope == pytest.approx(0.25, rel=ROUNDING)
    assert line.intercept == pytest.approx(7 / 6, rel=ROUNDING)
    assert line.r_squared == pytest.approx(0.75, rel=ROUNDING)


def test_growth_sees_the_published_window_alone():
    # Odd epochs and those after 48 lie far off the line; the fit is of epochs 0, 2, ..., 48.
    line = growth(history_of(lambda epoch: 0.01 * epoch if epoch % 2 == 0 and epoch <= 48 else 1e6))
    assert line.slope == pytest.approx(0.01, rel=ROUNDING)


def test_growth_of_a_short_history_uses_what_there_is():
    assert growth(history_of(lambda epoch: 3 * epoch, range(6))).slope == pytest.approx(3, rel=ROUNDING)


@pytest.mark.parametrize("epochs", [range(0), range(1), range(4), range(1, 50, 2)], ids=["none", "1", "2 even", "odd"])
def test_growth_over_fewer_than_three_epochs_is_nan(epochs):
    line = growth(history_of(lambda epoch: epoch, epochs))
    assert np.isnan([line.slope, line.intercept, line.r_squared]).all()


def test_least_test_loss_and_the_epochs_near_it():
    history = history_of(lambda epoch: epoch).assign(test_loss=lambda frame: 1 + (frame["epoch"] - 30) ** 2 / 1000)
    assert least_test_loss(history)["epoch"] == 30
    assert near_least(history) == "26-34"  # (4 epochs)^2 / 1000 is within 2%, 5^2 / 1000 is not
    assert near_least(history, tolerance=0) == "30-30"


@pytest.mark.parametrize("state", ["finished", "interrupted"])
def test_a_run_settles_at_the_mean_of_its_last_tenth(state):
    history = history_of(lambda epoch: epoch, range(101))
    run = Run(parse_config({"epochs": 100}), history, Outcome(state, 100))
    assert settled(run) == 95.5  # epochs 91 to 100
    assert math.isnan(settled(replace(run, outcome=Outcome("diverged", 100))))


@pytest.mark.parametrize(
    ("milestone", "end"), [(95, 98), (80, 95.5), (100, 95.5)], ids=["in it", "before", "at the end"]
)
def test_what_was_trained_before_a_milestone_is_not_the_end(milestone, end):
    history = history_of(lambda epoch: epoch, range(101))
    assert settled(Run(parse_config({"epochs": 100, "milestone": milestone}), history, Outcome("finished", 100))) == end


def test_ordered_growth_takes_the_stretch_from_the_data():
    def bent(epoch):  # a jump, the ordered phase with slope 0.05, then faster
        return 0.25 if epoch == 0 else 0.28 + 0.05 * epoch if epoch < 15 else 1.0 + 0.2 * (epoch - 14)

    assert ordered_growth(history_of(bent)).slope == pytest.approx(0.05, rel=ROUNDING)
    assert np.isnan(ordered_growth(history_of(lambda epoch: 0.25 + 0.01 * epoch)).slope)  # ends at 0.75
    assert np.isnan(ordered_growth(history_of(lambda epoch: 0.25 + 0.5 * epoch)).slope)  # passes in one epoch


def test_a_bend_in_the_middle_of_the_ordered_phase_is_told():
    def bent(epoch):  # slope 0.01 to J^2 = 0.65, and 0.02 beyond
        return 0.25 + 0.01 * epoch + 0.01 * max(epoch - 40, 0)

    assert late_over_early(history_of(bent, range(80))) == pytest.approx(2, rel=1e-2)
    assert late_over_early(history_of(lambda epoch: 0.25 + 0.01 * epoch, range(90))) == pytest.approx(1, rel=ROUNDING)
    assert np.isnan(late_over_early(history_of(lambda epoch: 0.25 + 0.01 * epoch)))  # ends at 0.75


@pytest.mark.parametrize(("rate", "epochs"), [(0.01, 221), (0.1, 27), (1.0, 8), (10.0, 8)])
def test_epochs_to_pass_are_five_more_than_the_law_says(rate, epochs):
    config = parse_config({"learning_rate": rate})  # J^2 grows by 0.75 in 0.0672 of rescaled time at c = 11.16
    assert epochs_to_pass(config) == epochs


def test_scale_factor():
    config = parse_config({"learning_rate": 0.02, "momentum": 0.5, "batch_size": 32})
    assert scale_factor(config) == pytest.approx(0.00125, rel=ROUNDING)


@pytest.mark.parametrize("momentum", [0.0, 0.6])
@pytest.mark.parametrize("l2", [0.0, 0.01])
def test_gradients_predict_the_growth_of_real_training(small, momentum, l2):
    # The steps are small: in larger ones a gradient at an epoch's end is one throw of the dice.
    settings = {"samples": 300, "batch_size": 16, "width": 64, "epochs": 20, "gradients": True, "l2": l2}
    settings |= {"learning_rate": 0.005 * (1 - momentum), "momentum": momentum}
    run = train([parse_config(settings)], small())[0]
    terms = predicted_growth(run)
    assert (terms["noise"] > 0).all()
    assert (terms["decay"] < 0).all() == (l2 > 0)
    along = ((terms["total"] + terms["total"].shift()) / 2)[5:].sum()
    grown = run.history["J_squared"].diff()[5:].sum()
    assert along == pytest.approx(grown, rel=0.03)


def test_the_constant_of_real_training_is_predicted(small):
    settings = {"samples": 300, "batch_size": 4, "width": 64, "learning_rate": 0.005, "epochs": 40, "gradients": True}
    run = train([parse_config(settings)], small())[0]
    found = predicted_constant(run)
    assert found["epochs"] == (run.history["J_squared"] >= 0.3).sum() > 10
    assert found["predicted"] == pytest.approx(found["drift"] + found["noise"], rel=ROUNDING)
    assert abs(found["predicted"] / found["measured"] - 1) < 0.05


def test_the_measured_constant_is_that_of_the_epochs_that_follow():
    """J^2 doubles in each epoch: what grows after an epoch is J^2 at its end, and what grew before it half of that."""
    config = parse_config({"gradients": True, "epochs": 9})
    J_squared = 0.02 * 2.0 ** np.arange(10)  # 0.32, 0.64 are ordered, and 1.28 is not
    columns = {"epoch": range(10), "J_squared": J_squared, "drift": 1.0, "gradient": 0.0, "noise": 0.0}
    history = pd.DataFrame(columns)
    assert predicted_constant(Run(config, history, Outcome("finished", 9)))["epochs"] == 2
    three = history.assign(J_squared=[0.3, 0.32, 0.36, 0.44, 0.6, 0.92, 1.56, 2.84, 5.4, 10.5])
    found = predicted_constant(Run(config, three, Outcome("finished", 9)))
    assert found["epochs"] == 6
    assert found["measured"] == pytest.approx((1.56 - 0.3) / 6 / scale_factor(config))
    assert found["predicted"] == pytest.approx(config.samples)  # S/B eta, by eta / B
    grown = np.diff([0.3, 0.32, 0.36, 0.44, 0.6, 0.92, 1.56]) / scale_factor(config)
    assert found["error"] == pytest.approx(grown.std(ddof=1) / 6**0.5)
    assert (found["jumps"], found["share"]) == pytest.approx((0, 0))
    drift = three["J_squared"].diff().shift(-1).fillna(0) * config.batch_size / (config.samples * config.learning_rate)
    found = predicted_constant(Run(config, three.assign(drift=drift), Outcome("finished", 9)))  # it predicts each epoch
    assert (found["predicted"], found["error"]) == pytest.approx((found["measured"], 0), abs=1e-6)
    assert found["jumps"] == pytest.approx(grown.std(ddof=1))


def test_no_constant_before_the_ordered_phase(small):
    settings = {"samples": 300, "width": 16, "epochs": 2, "gradients": True}
    found = predicted_constant(train([parse_config(settings)], small())[0])
    assert found["epochs"] == 0
    assert np.isnan(found["predicted"])


@pytest.mark.parametrize(
    "settings", [{}, *({"gradients": True} | more for more in ({"optimizer": "adam"}, {"hold": 1}, {"milestone": 3}))]
)
def test_a_prediction_needs_gradients_of_sgd(settings):
    with pytest.raises(ValueError, match="needs a run of sgd with gradients: true, no hold and no milestone"):
        predicted_growth(Run(parse_config(settings), pd.DataFrame(), Outcome("finished", 0)))


def test_growth_along_a_run_is_that_of_the_law():
    config = parse_config({"learning_rate": 0.02, "momentum": 0.5, "l2": 9e-5, "epochs": 200})
    way = np.arange(201) * scale_factor(config)
    pull = 4 * config.l2 * config.samples
    J_squared = 0.25 + (12 / pull - 0.25) * (1 - np.exp(-pull * way))  # dJ^2/depoch = (12 - pull J^2) s
    history = pd.DataFrame({"epoch": range(201), "J_squared": J_squared})
    along = growth_along(Run(config, history, Outcome("finished", 200)), parts=10)
    assert along["epoch"].tolist() == [10, 30, 50, 70, 90, 110, 130, 150, 170, 190]
    np.testing.assert_allclose(along["c"], 12, rtol=0.01)
    np.testing.assert_allclose(along["scaled"], 60_000 * scale_factor(config) * along["epoch"])
    held = parse_config(config.model_dump() | {"l2": 0.0, "hold": 1.0})
    own = growth_along(Run(held, history.assign(**{"lambda": 9e-5}), Outcome("finished", 200)), parts=10)
    pd.testing.assert_frame_equal(own, along)
    # A row's lambda is what its epoch was trained with: that of the first row of a part is of the part before.
    steered = history.assign(**{"lambda": np.select([np.arange(201) == 0, np.arange(201) == 20], [0.5, 1e-2], 9e-5)})
    own = growth_along(Run(held, steered[:21], Outcome("finished", 20)), parts=1)
    ours = history["J_squared"][:21]
    mean = (19 * 9e-5 + 1e-2) / 20
    grown = (ours.iloc[-1] - ours[0]) / 20 / scale_factor(config)
    assert own["c"].item() == pytest.approx(grown + 4 * mean * 60_000 * ours.mean(), rel=ROUNDING)
    assert len(growth_along(Run(config, history[:4], Outcome("finished", 3)))) == 3


@pytest.mark.parametrize(("epochs", "first"), [(99, 90), (9, 8)], ids=["a tenth", "two rows at least"])
def test_the_growth_constant_is_of_the_last_tenth(epochs, first):
    """J^2 jumps just before that, and again within it."""
    J_squared = np.full(epochs + 1, 0.25)
    J_squared[first:] = 0.5
    J_squared[first + 1 :] = 0.59
    history = pd.DataFrame({"epoch": range(epochs + 1), "J_squared": J_squared})
    run = Run(parse_config({"epochs": epochs}), history, Outcome("finished", epochs))
    expected = 0.09 / (epochs - first) / scale_factor(run.config)
    assert growth_constant(run) == pytest.approx(expected, rel=1e-12)


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
