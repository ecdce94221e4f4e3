"""Estimates on made-up runs of which the right answer is known."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest

from edgechaos_core.analysis.intervals import Estimate
from edgechaos_core.analysis.scaling import scale_factor
from edgechaos_core.claims.estimates import decay, growth, optima, paths
from edgechaos_core.probes.diagram import Diagram, DiagramConfig
from edgechaos_core.store.runs import Outcome, Run, parse_config

FIG2 = {"learning_rate": 0.02, "momentum": 0.5, "batch_size": 32}
EXACT = 1e-9  # what is made up without noise comes back but for rounding
Columns = dict[str, Any]


def made_up(J_squared: np.ndarray, *, columns: Columns | None = None, **settings: Any) -> Run:
    epochs = len(J_squared) - 1
    history = pd.DataFrame({"epoch": np.arange(epochs + 1), "J_squared": J_squared, **(columns or {})})
    return Run(parse_config({"epochs": epochs} | settings), history, Outcome("finished", epochs))


def growing(c: float = 11.0, until: float = 1.5, **settings: Any) -> Run:
    """J^2 grows by the law from 1/4 on, from the first epoch that is past ``until`` no more."""
    speed = scale_factor(parse_config(settings | {"epochs": 1}))
    return made_up(0.25 + c * speed * np.arange(math.ceil((until - 0.25) / (c * speed)) + 1), **settings)


def with_loss(place: float, column: str = "test_loss", seed: int = 0, **settings: Any) -> Run:
    J = np.linspace(0.5, 1.6, 221)
    settings = FIG2 | {"seed": seed} | settings
    return made_up(J**2, columns={column: 0.33 + 0.3 * (J - place) ** 2}, **settings)


def ended(l2: float, J_squared: float, seed: int = 0, **ends: float) -> Run:
    """A run that ends where it is said to; before, everything is something else."""
    course = np.where(np.arange(100) < 80, 0.1, 1.0)
    columns = {name: course * value for name, value in ends.items()}
    return made_up(course * J_squared, columns=columns, l2=l2, seed=seed, **FIG2)


def test_an_optimum_is_that_of_parabolas_of_one_shape():
    x = np.array([[0.7, 0.9, 1.1, 1.3], [0.75, 0.95, 1.15, 1.35]])
    heights = np.array([[3.0], [5.0]])
    assert optima.optimum(x, heights + 2 * (x - 0.97) ** 2) == pytest.approx(0.97, abs=EXACT)
    assert math.isnan(optima.optimum(x, heights - 2 * (x - 0.97) ** 2))  # a maximum
    assert math.isnan(optima.optimum(x, heights + 2 * (x - 1.5) ** 2))  # beyond what was seen
    assert math.isnan(optima.optimum(x[:, :2], x[:, :2] ** 2))  # two points are no parabola
    assert math.isnan(optima.optimum(x, np.full_like(x, np.nan)))


def test_the_place_of_the_least_loss_is_not_that_of_a_lucky_epoch():
    run = with_loss(0.93)
    jumps = np.where(np.arange(len(run.history)) % 2, 0.01, -0.01)
    run.history["test_loss"] *= 1 + jumps
    run.history.loc[20, "test_loss"] = 0.93 * run.history["test_loss"].min()  # at J = 0.6
    raw = run.history["J_squared"][run.history["test_loss"].argmin()] ** 0.5
    assert raw == pytest.approx(0.6)
    assert optima.least_on_path(run.history, "test_loss") == pytest.approx(0.93, abs=0.02)  # half a step of Fig. 2's


def test_c2_has_one_place_a_seed():
    estimate = growth.place_of_least_test_loss([with_loss(J, seed=seed) for seed, J in enumerate((0.9, 1.0, 1.1))])
    assert estimate.value == pytest.approx(1.0, abs=EXACT)
    assert estimate.n == 3
    assert estimate.high == pytest.approx(1 + 4.302653 * 0.1 / 3**0.5, abs=1e-5)


@pytest.mark.parametrize(("n", "has_interval"), [(1, False), (2, False), (3, True)])
def test_one_or_two_seeds_have_no_interval(n, has_interval):
    estimate = growth.place_of_least_test_loss([with_loss(1 + seed / 100, seed=seed) for seed in range(n)])
    assert (estimate.low is not None, estimate.n) == (has_interval, n)


def test_c2_is_judged_by_the_worst_speed_as_a_factor():
    places = {0.01: 0.8, 0.02: 1.0, 0.04: 1.22}  # 1 / 0.8 is farther than 1.22
    runs = [
        with_loss(J, "validation_loss", seed, learning_rate=rate, validation=10_000)
        for (rate, J), seed in product(places.items(), range(3))
    ]
    assert growth.place_of_least_validation_loss(runs).value == pytest.approx(0.8, abs=EXACT)


def test_a_speed_whose_minimum_is_not_seen_is_worse_than_any():
    runs = [with_loss(J, "validation_loss", learning_rate=J / 50, validation=10_000) for J in (1.0, 2.0)]
    assert math.isnan(growth.place_of_least_validation_loss(runs).value)


def test_one_run_of_many_without_a_minimum_is_left_out_and_two_are_not():
    places = {0.01: 0.8, 0.02: 1.0, 0.04: 1.22}
    runs = [
        with_loss(9.0 if (rate, seed) == (0.04, 3) else J + seed / 100, "validation_loss", seed, learning_rate=rate)
        for (rate, J), seed in product(places.items(), range(4))
    ]
    runs = [Run(run.config.model_copy(update={"validation": 10_000}), run.history, run.outcome) for run in runs]
    found = growth.place_of_least_validation_loss(runs)
    assert (found.value, found.n) == (pytest.approx(1.23, abs=EXACT), 3)  # 1 / 0.815 is not so far
    assert math.isnan(growth.place_of_least_validation_loss(runs[4:]).value)  # one of eight


def test_c3_compares_the_halves_of_the_ordered_phase():
    J_squared = np.concatenate([np.arange(0.25, 0.65, 0.004), np.arange(0.65, 1.1, 0.006)])
    run = made_up(J_squared, learning_rate=0.01)
    assert growth.late_over_early_slope([run]).value == pytest.approx(1.5, rel=1e-6)
    assert math.isnan(growth.late_over_early_slope([made_up(J_squared[:110], learning_rate=0.01)]).value)


VARIED: dict[str, tuple[Callable[[list[Run]], Estimate], tuple[float, ...], Callable[[float], float]]] = {
    "learning_rate": (growth.exponent_of_learning_rate, (0.005, 0.01, 0.02, 0.05), lambda rate: rate / 0.01),
    "momentum": (growth.exponent_of_momentum, (0.0, 0.3, 0.6, 0.9), lambda momentum: 1 / (1 - momentum)),
    "batch_size": (growth.exponent_of_batch_size, (8, 16, 32, 64), lambda size: 32 / size),
}


@pytest.mark.parametrize("name", VARIED)
def test_the_exponents_of_growth(name):
    estimate, values, speed = VARIED[name]
    runs = [growing(11 * speed(value) ** 0.1, **{"learning_rate": 0.01, name: value}) for value in values]
    found = estimate(runs)
    assert (found.value, found.low, found.high) == pytest.approx((1.1, 1.1, 1.1), abs=1e-6)
    assert (found.n, found.resampled) == (4, True)
    short = growing(until=0.9, **{"learning_rate": 0.01, name: values[0] / 2 if name == "learning_rate" else values[0]})
    others = runs if name == "learning_rate" else runs[1:]
    assert estimate([*others, short]).n == len(others)  # a run that does not pass J^2 = 1 has no A


def test_the_bootstrap_over_settings_does_not_depend_on_the_order_of_runs():
    c = (10.0, 11.5, 11.0, 12.0)
    runs = [growing(own, learning_rate=rate) for own, rate in zip(c, (0.005, 0.01, 0.02, 0.05), strict=True)]
    estimate = growth.exponent_of_learning_rate(runs)
    assert estimate.low < estimate.value < estimate.high
    assert growth.exponent_of_learning_rate(runs[::-1]) == estimate


def test_c7_averages_c_over_settings():
    runs = [growing(c, learning_rate=rate) for c, rate in ((10.0, 0.005), (11.0, 0.01), (12.0, 0.02))]
    estimate = growth.growth_constant(runs)
    assert estimate.value == pytest.approx(11.0, rel=1e-6)
    assert (estimate.low, estimate.high) == pytest.approx((10.0, 12.0), rel=1e-6)  # one setting drawn three times


def test_c7_compares_the_largest_c_with_the_smallest_over_common_seeds():
    c = {0.005: (10.0, 10.0, 10.0, 99.0), 0.01: (11.0, 12.0, 13.0)}  # seed 3 is of one setting alone
    runs = [growing(own, learning_rate=rate, seed=seed) for rate, all_c in c.items() for seed, own in enumerate(all_c)]
    estimate = growth.spread_of_constant(runs)
    assert (estimate.value, estimate.n) == (pytest.approx(1.2, rel=1e-6), 3)
    assert (estimate.low, estimate.high) == pytest.approx((1.1, 1.3), rel=0.02)  # the same seed drawn three times
    assert math.isnan(growth.spread_of_constant(runs[3:5]).value)  # seeds 3 and 0


def of_fig4(factor: float, seeds: int = 3, **settings: Any) -> list[Run]:
    """Fig. 2's path, by a tenth apart between seeds, times a factor."""
    own = FIG2 | settings
    return [made_up(factor * (1 + seed / 10) * np.linspace(0.25, 3, 200), seed=seed, **own) for seed in range(seeds)]


def test_c8_pairs_runs_by_seed_and_judges_the_worst_setting():
    worst, other = {"learning_rate": 0.01, "batch_size": 16}, {"learning_rate": 0.04, "batch_size": 64}
    runs = of_fig4(1.0) + of_fig4(0.97, **worst) + of_fig4(1.02, **other)
    for estimate in (paths.path_at_edge(runs), paths.path_at_end(runs)):
        assert (estimate.value, estimate.low, estimate.high) == pytest.approx((0.97, 0.97, 0.97), abs=EXACT)
    unpaired = [run for run in runs if run.config.learning_rate != 0.02 or run.config.seed == 0]
    assert paths.path_at_edge(unpaired).n == 1


def test_c8_tells_the_edge_from_the_end():
    base, bent = of_fig4(1.0), of_fig4(1.0, learning_rate=0.01, batch_size=16)
    for run in bent:
        run.history.loc[run.history["J_squared"] > 1.5, "J_squared"] *= 1.2
    assert paths.path_at_edge(base + bent).value == pytest.approx(1.0, abs=EXACT)
    assert paths.path_at_end(base + bent).value == pytest.approx(1.2, abs=EXACT)


def slowed(base: list[Run], times: int, ordered: float, beyond: float, **settings: Any) -> list[Run]:
    """The same paths at a fraction of the speed, off by so much on either side of the edge."""
    runs = []
    for run in base:
        rows = len(run.history)
        path = np.interp(np.arange(times * (rows - 1) + 1) / times, np.arange(rows), run.history["J_squared"])
        off = np.where(path > 1, 1 + beyond, 1 - ordered)
        runs.append(made_up(off * path, seed=run.config.seed, **(FIG2 | settings)))
    return runs


def test_c9_measures_the_distance_on_both_sides_of_the_edge():
    base = of_fig4(1.0)
    runs = base + slowed(base, 2, 0.01, 0.5, learning_rate=0.01)
    runs += slowed(base, 4, 0.04, 0.3, learning_rate=0.01, momentum=0.0)
    ordered, difference = paths.distance_in_order(runs), paths.distance_beyond_less_in_order(runs)
    assert (ordered.value, ordered.n) == (pytest.approx(0.04, abs=EXACT), 3)
    assert difference.value == pytest.approx(0.3 - 0.04, abs=EXACT)


def test_c9_looks_from_the_end_of_the_bases_first_epoch_to_the_last_of_both():
    base = of_fig4(1.0)
    slow = slowed(base, 2, 0.0, 0.0, learning_rate=0.01)
    for run in slow:
        path, end = run.history["J_squared"].copy(), len(run.history) - 1
        path[1] *= 9.0  # within the base's first epoch
        path[2] *= 0.9
        path[end] *= 3.0
        run.history["J_squared"] = path
    assert paths.distance_in_order(base + slow).value == pytest.approx(0.1, abs=EXACT)
    assert paths.distance_beyond_less_in_order(base + slow).value == pytest.approx(2.0 - 0.1, abs=EXACT)


def validated(rate: float, loss: float, accuracy: float, seed: int) -> Run:
    """Test loss and accuracy are those where the validation loss is least, better ones elsewhere."""
    columns = {
        "validation_loss": [1.0, 0.3, 0.5],
        "test_loss": [2.0, loss, loss / 2],
        "test_accuracy": [0.1, accuracy, accuracy + 0.1],
    }
    settings = FIG2 | {"learning_rate": rate, "seed": seed, "validation": 10_000}
    return made_up(np.array([0.25, 0.5, 0.75]), columns=columns, **settings)


def test_c10_compares_the_best_with_the_bases_seed_by_seed():
    runs = [validated(0.02, 0.30 + seed / 10, 0.88 + seed / 100, seed) for seed in range(3)]
    runs += [validated(0.01, 0.99 * (0.30 + seed / 10), 0.881 + seed / 100, seed) for seed in range(3)]
    runs += [validated(0.04, 1.03 * (0.30 + seed / 10), 0.877 + seed / 100, seed) for seed in range(3)]
    loss, accuracy = paths.best_loss_over_base(runs), paths.best_accuracy_less_base(runs)
    assert (loss.value, loss.low) == pytest.approx((1.03, 1.03), abs=EXACT)
    assert (accuracy.value, accuracy.high) == pytest.approx((-0.3, -0.3), abs=EXACT)


STRENGTHS = (1e-5, 5e-5, 9e-5, 1.5e-4, 3e-4)


def of_decay(top: float = 0.97, seeds: int = 3) -> list[Run]:
    """J^2 = (8e-5 / lambda)^0.7, by seed a little apart; accuracy a parabola of J with a height of each seed."""
    runs = []
    for l2, seed in product(STRENGTHS, range(seeds)):
        J = (8e-5 / l2) ** 0.35 * (1 + seed / 1000)
        runs.append(ended(l2, J**2, seed, test_accuracy=0.88 + seed / 100 - 0.1 * (J - top) ** 2))
    return runs


def test_c11_shows_the_least_fall_of_all_pairs():
    ends = {0.0: 4.0, 1e-5: 3.0, 5e-5: 2.9, 9e-5: 1.0}
    runs = [ended(l2, end + seed, seed) for l2, end in ends.items() for seed in range(3)]
    estimate = decay.least_fall_with_decay(runs)
    assert (estimate.value, estimate.low, estimate.n) == (pytest.approx(0.1), pytest.approx(0.1), 3)


def test_c11_finds_the_best_place_through_the_four_best_strengths():
    estimate = decay.place_of_best_accuracy(of_decay())
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((0.97, 0.97, 0.97), abs=1e-6)
    runs = of_decay()
    for run in runs:
        if run.config.l2 == 1e-5:  # the farthest from the top, and not of the four
            run.history["test_accuracy"] -= 0.3
    assert decay.place_of_best_accuracy(runs).value == pytest.approx(0.97, abs=1e-6)
    for beyond in (0.1, 5.0):  # not among the J
        assert math.isnan(decay.place_of_best_accuracy(of_decay(top=beyond)).value)


def test_the_uncertainty_of_an_optimum_is_that_over_seeds():
    runs = of_decay(seeds=5)
    for run in runs:
        J = run.history["J_squared"].iloc[-1] ** 0.5
        top = (0.8, 0.9, 1.0, 1.1, 1.2)[run.config.seed]
        run.history["test_accuracy"] = 0.88 - 0.1 * (J - top) ** 2
    estimate = decay.place_of_best_accuracy(runs)
    assert estimate.value == pytest.approx(1.0, abs=0.01)
    half = 1.96 * np.std((0.8, 0.9, 1.0, 1.1, 1.2)) / 5**0.5  # the bootstrap's, of a mean of five
    assert (estimate.high - estimate.low) / 2 == pytest.approx(half, rel=0.1)


def test_c12_reads_the_end_and_pairs_by_seed():
    runs = [ended(9e-5, 1.0 + seed / 10, seed, test_accuracy=0.900 + seed / 100) for seed in range(3)]
    assert decay.end_with_decay(runs).value == pytest.approx(1.1)
    runs += [ended(5e-5, 1.5, seed, test_accuracy=0.899 + seed / 100) for seed in range(3)]
    runs += [
        ended(3e-4, 0.5, seed, test_accuracy=(0.89, 0.9, 0.93)[seed]) for seed in range(3)
    ]  # best for seed 2 alone
    estimate = decay.accuracy_less_best_other(runs)
    assert (estimate.value, estimate.low) == pytest.approx((0.1, 0.1), abs=EXACT)
    runs += [ended(l2, 1.0, 3, test_accuracy=own) for l2, own in ((9e-5, 0.95), (5e-5, 0.949))]  # not of the third
    assert decay.accuracy_less_best_other(runs).n == 4


def test_lambda_of_the_edge():
    estimate = decay.strength_for_the_edge(of_decay())
    assert estimate.value == pytest.approx(8e-5, rel=0.01)  # seeds are by 0.1% in J apart
    assert estimate.low < estimate.value < estimate.high
    around = [run for run in of_decay() if run.config.l2 < 1e-4]  # the last strength alone ends below the edge
    assert decay.strength_for_the_edge(around).value == pytest.approx(8e-5, rel=0.01)
    high = [run for run in of_decay() if run.config.l2 < 8e-5]
    low = [run for run in of_decay() if run.config.l2 > 8e-5]
    assert math.isnan(decay.strength_for_the_edge(high).value)
    assert math.isnan(decay.strength_for_the_edge(low).value)


def test_the_end_at_a_strength_that_was_not_run():
    runs = of_decay()
    between = decay.end_at_strength(runs, decay.strength_for_the_edge(runs).value)
    assert between.value == pytest.approx(1.0, rel=0.002)
    strongest = max(run.config.l2 for run in runs)
    own = np.mean([decay.settled(run) for run in runs if run.config.l2 == strongest])
    assert decay.end_at_strength(runs, strongest).value == pytest.approx(own)
    for outside in (2 * strongest, 1e-9, 0.0):
        assert math.isnan(decay.end_at_strength(runs, outside).value)


def test_a_run_that_diverged_has_no_end():
    runs = [ended(9e-5, 1.0, seed) for seed in range(3)]
    runs[1] = Run(runs[1].config, runs[1].history, Outcome("diverged", 50))
    estimate = decay.end_with_decay(runs)
    assert math.isnan(estimate.value)
    assert estimate.low is None


def noisy(wrong: float, right: float, seed: int, epochs: int = 240, hold: float = 1.0) -> Run:
    columns = {"shuffled_accuracy": [wrong] * (epochs + 1), "kept_accuracy": [right] * (epochs + 1)}
    settings = FIG2 | {"momentum": 0.8, "label_noise": 0.4, "hold": hold, "seed": seed}
    return made_up(np.ones(epochs + 1), columns=columns, **settings)


def test_c13_reads_the_shares_of_labels():
    runs = [noisy(0.04, 0.91, seed) for seed in range(3)]
    assert decay.wrong_labels_fitted(runs).value == pytest.approx(0.04)
    assert decay.correct_labels_fitted(runs).value == pytest.approx(0.91)


def test_b7_and_b8_tell_the_end_that_is_farthest_from_the_edge_as_a_factor():
    ends = {5e-5: 1.0, 9e-5: 0.8, 1.5e-4: 1.24}
    runs = [ended(l2, J_squared + add, seed) for l2, J_squared in ends.items() for seed, add in enumerate((-0.1, 0.1))]
    assert decay.worst_end(runs).value == pytest.approx(0.8)


def held(run: Run) -> Run:
    return replace(run, config=run.config.model_copy(update={"l2": 0.0, "hold": 1.0}))


@pytest.mark.parametrize("by", [lambda run: run, held], ids=["constant", "held"])
def test_b9_and_b10_set_decay_against_none_seed_by_seed(by):
    def end(l2: float, seed: int, loss: float, accuracy: float, shuffled: float) -> Run:
        add = seed / 100  # that seeds differ by, with decay and without
        ends = {"test_loss": loss + add, "test_accuracy": accuracy + add, "shuffled_accuracy": shuffled + add}
        return ended(l2, 1.0, seed, **ends)

    free = [end(0.0, seed, 0.40, 0.80, 0.5) for seed in range(3)]
    decayed = [by(end(8e-5, seed, 0.35, 0.82, 0.3)) for seed in (3, 2, 1, 0)]
    for estimate, expected in [
        (decay.loss_spared_by_formula, 0.05),
        (decay.points_gained_by_formula, 2.0),
        (decay.wrong_labels_spared, 20.0),
    ]:
        found = estimate([*decayed, *free])
        assert (found.low, found.value, found.high) == pytest.approx((expected,) * 3)
        assert found.n == 3


def test_c14_is_in_units_of_the_edge_of_relu():
    relu = {"activation": "relu", "optimizer": "adam", "learning_rate": 0.001, "momentum": 0.9}
    J = np.linspace(0.7, 2.4, 202)
    runs = [
        made_up(J**2, columns={"test_loss": 0.33 + 0.3 * (J - 2**0.5 * own) ** 2}, seed=seed, **relu)
        for seed, own in enumerate((0.9, 1.0, 1.1))
    ]
    ours = decay.relu_place_of_least_test_loss(runs)
    assert ours.value == pytest.approx(1.0, abs=EXACT)
    assert ours.sample == pytest.approx((0.9, 1.0, 1.1), abs=EXACT)


def cut(ratio: float, passage: float, draws: int = 3, neurons: int = 10_000) -> Diagram:
    """A cut whose exponent falls through 0.005 at 1/J = ``passage`` times theory, a percent apart between draws."""
    theory = growth.theoretical_passage(ratio)
    config = DiagramConfig(
        neurons=neurons, rows=20, columns=1, inverse_j_from=0.5 * theory, inverse_j_to=1.5 * theory,
        ratio_from=ratio, ratio_to=ratio, draws=draws,
    )  # fmt: skip
    place = theory * (passage + 0.01 * (config.cells["draw"] - 1))
    cells = config.cells.assign(distance=0.0, lyapunov_exponent=0.005 + 0.3 * (place - config.cells["inverse_J"]))
    return Diagram(config, cells)


def test_c1_reads_simulation_and_theory_at_the_same_exponent():
    estimate = growth.edge_over_theory([cut(0.0, 1.01), cut(1.25, 0.96), cut(1.5, 1.03)])
    assert (estimate.value, estimate.n) == (pytest.approx(0.96, abs=1e-6), 3)
    assert estimate.sample == pytest.approx((0.95, 0.96, 0.97), abs=1e-6)
    assert math.isnan(growth.edge_over_theory([cut(0.0, 1.0), cut(1.25, 1.7)]).value)  # outside its cut
    assert growth.theoretical_passage(0.0) == pytest.approx(0.91, abs=0.001)  # the audit's
    assert growth.theoretical_passage(-1.25) == pytest.approx(growth.theoretical_passage(1.25), abs=1e-9)


@pytest.mark.parametrize(
    ("estimate", "runs", "message"),
    [
        (growth.place_of_least_test_loss, [], "at least one run"),
        (growth.place_of_least_test_loss, [with_loss(1.0), with_loss(1.0, learning_rate=0.01)], "got 2 settings"),
        (growth.place_of_least_test_loss, [with_loss(1.0), with_loss(1.1)], "a seed twice"),
        (growth.exponent_of_learning_rate, [growing(learning_rate=0.01, batch_size=size) for size in (8, 16)], "alone"),
        (growth.exponent_of_learning_rate, [growing(learning_rate=0.01)], "three settings that pass"),
        (growth.edge_over_theory, [], "at least one"),
        (paths.path_at_edge, of_fig4(1.0), "got 1 and 0"),
        (decay.least_fall_with_decay, [ended(9e-5, 1.0)], "two strengths"),
        (decay.place_of_best_accuracy, of_decay()[:9], "4 strengths"),
        (decay.accuracy_less_best_other, of_decay()[:6], "9e-05 is not among"),
    ],
)
def test_bad_runs_are_refused(estimate, runs, message):
    with pytest.raises(ValueError, match=message):
        estimate(runs)
