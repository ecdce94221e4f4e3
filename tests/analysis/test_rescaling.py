"""Collapse and parting, on trajectories made up to have them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from edgechaos_core.analysis import published
from edgechaos_core.analysis.by_setting import of_seeds
from edgechaos_core.analysis.rescaling import (
    best_epoch,
    best_loss_ratio,
    best_points_more,
    collapse,
    farthest,
    parting,
    parts_at,
    square_at_edge,
    square_at_end,
)
from edgechaos_core.analysis.scaling import scale_factor
from edgechaos_core.store.runs import Outcome, Run, parse_config

BASE = {"learning_rate": 0.02, "momentum": 0.5, "batch_size": 32}
SLOW = {"learning_rate": 0.005, "momentum": 0.0, "batch_size": 32}  # an eighth of its speed
C = 11.0


def run_of(settings, epochs, *, seed=0, bend=0.0, offset=0.0, best_at=50, loss=0.3) -> Run:
    """J^2 = 1/4 + c time + offset, and from J^2 = 1 on, bent by a fraction ``bend`` of what is beyond."""
    config = parse_config(settings | {"epochs": epochs, "seed": seed, "validation": 10_000})
    epoch = np.arange(epochs + 1)
    line = 0.25 + C * epoch * scale_factor(config)
    J_squared = line + offset + bend * np.maximum(line - 1, 0)
    columns = {"epoch": epoch, "J_squared": J_squared, "test_loss": loss + 1e-4 * np.abs(epoch - best_at)}
    columns |= {"test_accuracy": 0.9 - columns["test_loss"] / 10, "validation_loss": columns["test_loss"] + 0.01}
    return Run(config, pd.DataFrame(columns), Outcome("finished", epochs))


def reference(epochs=100, scatter=0.01) -> list[Run]:
    return [run_of(BASE, epochs, seed=seed, offset=scatter * (seed - 1)) for seed in range(3)]


def test_the_paper_has_slopes_of_its_own_settings_alone():
    run = run_of({"learning_rate": 0.02, "momentum": 0.0, "batch_size": 32}, 2)
    like = replace(run, config=parse_config({"learning_rate": 0.02, "momentum": 0.0, "batch_size": 32}))
    row = published.slopes().query("learning_rate == 0.02 and momentum == 0 and batch_size == 32")
    assert published.slope(like) == published.slope(like, missing=-1.0) == row["A"].item()
    assert published.slope(run, missing=-1.0) == -1  # of 50,000 samples
    with pytest.raises(ValueError, match=r"^the paper has no slope for .*'learning_rate': 0.02.* samples = 50000, "):
        published.slope(run)


def test_a_run_with_a_milestone_has_no_one_speed():
    with pytest.raises(ValueError, match=r"^a run with a milestone has no one speed: milestone must be 0$"):
        scale_factor(parse_config(BASE | {"milestone": 5}))


def test_one_law_collapses_at_any_speed():
    collapsed = collapse(reference(), run_of(SLOW, 800, seed=1))
    assert collapsed["distance"].abs().max() < 1e-12
    assert collapsed["epoch"].tolist() == list(range(8, 801))  # from the reference's first epoch on
    assert parting(collapsed) is None
    assert np.isnan(parts_at(reference(), run_of(SLOW, 800, seed=1)))


def test_a_run_is_compared_with_the_reference_of_its_seed():
    for seed in range(3):
        collapsed = collapse(reference(scatter=0.1), run_of(SLOW, 800, seed=seed, offset=0.1 * (seed - 1)))
        assert collapsed["distance"].abs().max() < 1e-12
    with pytest.raises(ValueError, match="no run of seed 7 to compare with"):
        collapse(reference(), run_of(SLOW, 800, seed=7))


def test_the_spread_is_a_prediction_interval_of_two_seeds():
    own = collapse(reference(), run_of(BASE, 100, seed=1))
    # three seeds at -0.01, 0, 0.01: deviation 0.01, t(0.975; 2) = 4.302653, that of a difference by sqrt(2)
    expected = 4.302653 * 1.4142136 * 0.01 / own["J_squared"]
    np.testing.assert_allclose(own["spread"], expected, rtol=1e-6)


def test_curves_part_where_they_were_made_to():
    run = run_of(SLOW, 800, seed=1, bend=0.3)
    collapsed = collapse(reference(scatter=1e-3), run)
    assert farthest(collapsed, ordered=True) < 1e-9
    assert farthest(collapsed, ordered=False) == pytest.approx(0.3 * (1.625 - 1) / 1.625, rel=1e-3)  # 1.625 at the end
    row = parting(collapsed)
    assert row is not None
    # where 0.3 (J^2 - 1) is the spread's 0.00608
    assert row["J_squared"] == pytest.approx(1 + 0.00608 / 0.3, abs=0.002)
    assert parts_at(reference(scatter=1e-3), run) == row["J_squared"]
    later = parting(collapsed, tolerance=0.05)
    assert later is not None
    assert later["J_squared"] == pytest.approx(1.2, abs=0.002)  # 0.3 (J^2 - 1) = 0.05 J^2


def test_curves_that_come_back_have_not_parted():
    collapsed = pd.DataFrame({"distance": [0.0, 0.2, 0.2, 0.0], "spread": 0.1, "J_squared": [0.3, 0.5, 0.8, 1.1]})
    assert parting(collapsed) is None
    assert parting(collapsed[:3])["J_squared"] == 0.5
    assert parting(collapsed[1:3])["J_squared"] == 0.5  # beyond from the start
    assert parting(collapsed[:0]) is None


def test_squares_are_compared_at_the_edge_and_at_the_end_of_the_shorter():
    base, ahead = run_of(BASE, 100), run_of(SLOW, 800, offset=0.1)
    assert square_at_edge(ahead, base) == pytest.approx(1.1, rel=1e-9)
    assert square_at_end(ahead, base) == pytest.approx(1.725 / 1.625, rel=1e-9)
    assert square_at_end(run_of(SLOW, 400, offset=0.1), base) == pytest.approx(1.0375 / 0.9375, rel=1e-9)


def test_a_run_that_ends_before_the_base_passes_the_edge_has_no_square_there():
    assert np.isnan(square_at_edge(run_of(SLOW, 400, offset=0.1), run_of(BASE, 100)))  # the base is at 0.9375 by then
    assert np.isnan(square_at_edge(run_of(SLOW, 800), run_of(BASE, 50)))  # the base never is at 1


def test_no_common_stretch():
    assert np.isnan(farthest(collapse(reference(), run_of(BASE, 20)), ordered=False))


@pytest.mark.parametrize(
    "runs", [reference()[:1], [*reference()[:2], run_of(SLOW, 100)], []], ids=["one seed", "two settings", "none"]
)
def test_a_reference_is_seeds_of_one_setting(runs):
    with pytest.raises(ValueError, match="at least two seeds of one setting"):
        collapse(runs, run_of(SLOW, 100))


def test_a_collapse_ends_with_the_shortest_of_the_reference():
    unequal = [run_of(BASE, epochs, seed=seed) for seed, epochs in ((0, 100), (1, 60), (2, 80))]
    assert collapse(unequal, run_of(BASE, 100))["epoch"].tolist() == list(range(1, 61))
    assert collapse(unequal, run_of(SLOW, 800))["epoch"].tolist() == list(range(8, 481))


def test_an_unknown_column():
    with pytest.raises(ValueError, match="unknown column 'J0': choose from J_squared, "):
        collapse(reference(), run_of(SLOW, 100), "J0")


def test_the_best_epoch_is_chosen_on_validation():
    run = run_of(BASE, 100)
    run.history["validation_loss"] = np.abs(run.history["epoch"] - 30.0)
    assert best_epoch(run)["epoch"] == 30
    base = run_of(BASE, 100)  # whose best epoch is 50
    assert best_loss_ratio(run, base) == pytest.approx(0.302 / 0.3)
    assert best_points_more(run, base) == pytest.approx(-0.02)
    with pytest.raises(ValueError, match="the run needs the setting validation"):
        best_epoch(Run(run.config, run.history.drop(columns="validation_loss"), run.outcome))


def test_configs_are_repeated_with_each_seed():
    configs = [parse_config(BASE), parse_config(SLOW)]
    repeated = of_seeds(configs, [3, 5])
    assert [(config.seed, config.learning_rate) for config in repeated] == [
        (3, 0.02),
        (3, 0.005),
        (5, 0.02),
        (5, 0.005),
    ]


@pytest.mark.parametrize(
    ("learning_rate", "momentum", "within"),
    [(0.08, 0.5, True), (0.016, 0.9, True), (0.0801, 0.5, False), (0.02, 0.9, False), (0.16, 0.5, False)],
)
def test_the_largest_published_step_is_itself_published(learning_rate, momentum, within):
    """0.16 itself is, and where it is rounded up by the last digit: 0.016 / (1 - 0.9) is 0.16000000000000003."""
    config = parse_config({"learning_rate": learning_rate, "momentum": momentum})
    assert published.has_published_step(config) == within
