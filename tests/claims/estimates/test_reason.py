"""Estimates of B1 to B6 on made-up runs of which the right answer is known."""

import math
from itertools import product
from typing import Any

import numpy as np
import pytest

from edgechaos_core.claims.estimates import reason
from edgechaos_core.store.runs import Run
from tests.claims.estimates.test_estimates import EXACT, FIG2, made_up

VALIDATED = FIG2 | {"validation": 10_000}
SEEDS = range(3)
STARTS = (0.1, 0.25, 0.5, 0.75, 1.25, 1.5)


def turning_at(
    place: float, start: float = 0.5, seed: int = 0, least: float = 0.33, epochs: int = 80, **settings: Any
) -> Run:
    """J grows linearly to twice what is between start and turn, as far as the epochs go; the loss is a parabola."""
    J = np.linspace(start, 2 * place - start, epochs + 1)
    columns = {"validation_loss": least + 0.05 * ((J - place) / (place - start)) ** 2}
    columns["train_loss"] = np.linspace(0.4, 0.0, epochs + 1)  # 0.2 at the turn
    return made_up(J**2, columns=columns, **(VALIDATED | {"initial_J": start, "seed": seed} | settings))


def by_time(gained: float = 0.54) -> list[Run]:
    """What a fixed time makes: J^2 gained is the same from every start, seeds a little apart."""
    return [
        turning_at(math.sqrt(start**2 + gained * (1 + seed / 100)), start, seed)
        for start, seed in product(STARTS, SEEDS)
    ]


def by_edge() -> list[Run]:
    """What the edge makes from below it: J = 1 whatever the start, but for a percent between seeds."""
    return [turning_at(1 + seed / 100, start, seed) for start, seed in product((0.1, 0.25, 0.5, 0.75), SEEDS)]


def test_a_run_without_a_start_of_its_own_started_at_one_half():
    assert reason.started_at(made_up(np.ones(3), initial_J=0.5).config) == 0.5
    assert reason.started_at(made_up(np.ones(3), initial_J=1.5).config) == 1.5


def test_b1_tells_a_fixed_time_from_the_edge():
    time = reason.slope_of_place_on_start([run for run in by_time() if reason.started_at(run.config) < 1])
    edge = reason.slope_of_place_on_start(by_edge())
    assert (time.value, time.low, time.high) == pytest.approx((1, 1, 1), abs=1e-6)
    assert (edge.value, edge.low, edge.high) == pytest.approx((0, 0, 0), abs=1e-6)
    assert (time.n, time.resampled) == (3, True)


def test_b1_has_no_slope_of_one_start_or_of_a_loss_that_has_not_turned():
    assert math.isnan(reason.slope_of_place_on_start([turning_at(0.9)]).value)
    whole = [turning_at(1.0, start, seed) for start, seed in product((0.25, 0.5), SEEDS)]
    early = [Run(run.config, run.history[:30], run.outcome) for run in whole]
    assert math.isnan(reason.slope_of_place_on_start(early).value)


def test_b1_compares_the_epochs_of_the_same_seed():
    runs = [turning_at(1.0, 0.1, seed) for seed in SEEDS]  # all turn at epoch 40
    for seed, factor in zip(SEEDS, (1, 2, 4), strict=True):
        near = turning_at(1.0, 0.75, seed)
        near.history["epoch"] *= factor
        runs.append(near)
    estimate = reason.epochs_from_far_over_near(runs)
    assert estimate.sample == pytest.approx((1, 1 / 2, 1 / 4), abs=1e-6)
    between = [turning_at(1.0, 0.5, seed, epochs=20) for seed in SEEDS]  # turn at epoch 10
    assert reason.epochs_from_far_over_near([*between, *runs]).sample == estimate.sample


def test_b2_is_the_least_loss_from_beyond_less_the_usual():
    runs = [turning_at(1.0, 0.5, seed, least=0.32 + seed / 100) for seed in SEEDS]
    runs += [turning_at(1.7, 1.5, seed, least=0.33 + seed / 50) for seed in SEEDS]
    estimate = reason.loss_from_beyond_less_usual(runs)
    assert estimate.sample == pytest.approx((0.01, 0.02, 0.03), abs=EXACT)
    assert estimate.value == pytest.approx(0.02, abs=EXACT)
    between = [turning_at(1.3, 1.0, seed, least=0.5) for seed in SEEDS]
    assert reason.loss_from_beyond_less_usual([*between, *runs]).sample == estimate.sample


@pytest.mark.parametrize(
    ("varied", "estimate"),
    [
        ([{"learning_rate": 0.02 * factor} for factor in (0.25, 1, 4)], reason.exponent_of_place_through_rate),
        ([{"batch_size": size} for size in (8, 32, 128)], reason.exponent_of_place_through_batch),
    ],
)
def test_b3_is_the_exponent_of_j_squared(varied, estimate):
    runs = []
    for own, seed in product(varied, SEEDS):
        speed = own.get("learning_rate", 0.02) / own.get("batch_size", 32) * 32 / 0.02
        runs.append(turning_at(0.9 * speed**0.1, 0.5, seed, **own))  # J^2 follows the speed with twice that exponent
    assert (found := estimate(runs)).value == pytest.approx(0.2, abs=1e-6)
    assert (found.low, found.high) == pytest.approx((0.2, 0.2), abs=1e-6)
    assert math.isnan(estimate(runs[: 2 * len(SEEDS)]).value)  # two speeds


@pytest.mark.parametrize(
    ("setting", "values", "estimate"),
    [
        ("width", (196, 784, 1_568), reason.exponent_of_place_in_width),
        ("samples", (6_250, 25_000, 50_000), reason.exponent_of_place_in_samples),
    ],
)
def test_b12_is_the_exponent_of_j_squared_in_a_size(setting, values, estimate):
    runs = [turning_at(0.9 * (v / 784) ** -0.1, 0.5, seed, **{setting: v}) for v, seed in product(values, SEEDS)]
    assert (found := estimate(runs)).value == pytest.approx(-0.2, abs=1e-6)
    assert (found.low, found.high) == pytest.approx((-0.2, -0.2), abs=1e-6)
    assert math.isnan(estimate(runs[: 2 * len(SEEDS)]).value)  # two sizes


def test_a_slope_leaves_a_place_out_that_is_not_known_and_no_more_than_a_tenth():
    x = np.array([0.0, 1.0, 2.0, 4.0])
    y = np.array([3 + 2 * x, 7 + 2 * x, 1 + 2 * x])  # seeds differ in height alone
    y[1, 3] = math.nan
    assert reason.line_over_seeds(x, y).value == pytest.approx(2, rel=1e-12)
    y[2, 0] = math.nan
    assert math.isnan(reason.line_over_seeds(x, y).value)


HELD = (0.3, 0.5, 0.7, 1.0, 1.4, 2.0)


def held(top: float = 0.95) -> list[Run]:
    runs = []
    for hold, seed in product(HELD, SEEDS):
        J = hold**0.5
        ends = {"validation_loss": 0.3 + seed / 100 + 0.1 * (J - top) ** 2}
        ends["validation_accuracy"] = 0.89 + seed / 100 - 0.1 * (J - top) ** 2
        course = np.where(np.arange(101) < 80, 5.0, 1.0)  # what is before the end does not count
        columns = {name: course * value for name, value in ends.items()} | {"lambda": 1e-4 / hold}
        runs.append(made_up(np.full(101, hold), columns=columns, hold=hold, seed=seed, **VALIDATED))
    return runs


def test_b4_finds_the_best_place_to_be_held_and_what_another_costs():
    loss, accuracy = reason.held_place_of_least_loss(held()), reason.held_place_of_best_accuracy(held())
    assert (loss.value, accuracy.value) == pytest.approx((0.95, 0.95), abs=1e-6)
    assert (loss.low, loss.high) == pytest.approx((0.95, 0.95), abs=1e-6)
    two = [run for run in held() if run.config.hold in (0.5, 1.0)]
    lost = 10 * ((0.5**0.5 - 0.95) ** 2 - 0.05**2)
    assert reason.points_lost_below_the_edge(two).value == pytest.approx(lost, abs=1e-6)
    assert math.isnan(reason.held_place_of_least_loss(held()[: 3 * len(SEEDS)]).value)  # three places


def test_b5_compares_passages_of_the_same_run():
    J = np.linspace(0.5, 1.5, 101)
    columns = {"lyapunov": J - 1.2, "lyapunov_shuffled": J - 0.96}
    runs = [made_up(J**2, columns=columns, seed=seed, **FIG2) for seed in SEEDS]
    assert reason.trained_over_shuffled_edge(runs).value == pytest.approx(1.25, abs=1e-6)
    assert reason.passage(runs[0], "lyapunov", 0.05) == pytest.approx(1.25, abs=1e-6)


@pytest.mark.parametrize("shift", [-2.0, 2.0], ids=["never", "from the start"])
def test_an_exponent_that_does_not_pass_zero_has_no_passage(shift):
    J = np.linspace(0.5, 1.5, 101)
    assert math.isnan(reason.passage(made_up(J**2, columns={"lyapunov": J - 1 + shift}), "lyapunov"))


DEEP_J = (3**-0.5, 0.8, 1.0, 1.25, 2.0)
REACHED = dict(zip(DEEP_J, (4, 8, 16, 16, 8), strict=True))


def deep(seeds: int = 3) -> list[Run]:
    runs = []
    for J, depth, seed in product(DEEP_J, (1, 4, 8, 16), range(seeds)):
        accuracy = 0.8 + J / 50 if depth <= REACHED[J] else 0.1
        columns = {"test_accuracy": np.where(np.arange(11) < 8, 0.3, accuracy)}
        runs.append(made_up(np.full(11, J**2), columns=columns, depth=depth, initial_J=J, seed=seed))
    return runs


def test_b6_finds_the_middle_of_the_starts_that_reach_deepest():
    estimate = reason.start_of_deepest(deep())
    assert (estimate.value, estimate.low) == pytest.approx((1.25**0.5, 1.25**0.5), abs=EXACT)
    two = [run for run in deep() if reason.started_at(run.config) in reason.DEFAULT_AND_EDGE]
    assert reason.depth_from_edge_over_default(two).value == pytest.approx(16 / 4)


def test_b6_needs_a_whole_grid_with_a_seed_in_common():
    with pytest.raises(ValueError, match="every start needs runs of every depth"):
        reason.depth_trained(deep(1)[:-1])
    mixed = [run for run in deep(2) if (run.config.depth == 1) == (run.config.seed == 0)]
    with pytest.raises(ValueError, match="a seed that all of them have"):
        reason.depth_trained(mixed)
