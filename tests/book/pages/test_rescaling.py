"""What speed costs, on runs made up to have a price."""

import math

import numpy as np
import pandas as pd
import pytest

from edgechaos_core.analysis.by_setting import setting_of
from edgechaos_core.analysis.intervals import over_seeds
from edgechaos_core.book.pages import rescaling
from edgechaos_core.book.pages.rescaling import apart_numbers, epoch_seconds, payoff, price_numbers
from edgechaos_core.claims.estimates import paths
from edgechaos_core.claims.judging import committed_evidence, judged
from edgechaos_core.experiments.protocols import protocol
from edgechaos_core.store.runs import Outcome, Run, parse_config
from tests.claims.estimates.test_estimates import EXACT, of_fig4, slowed

BASE = {"learning_rate": 0.02, "momentum": 0.5, "batch_size": 32}
SLOW = {"learning_rate": 0.005, "momentum": 0.0, "batch_size": 32}  # an eighth of its speed


def run_of(settings, best_at: int, loss: float, seed: int = 0) -> Run:
    """Test and validation loss are least at an epoch; J^2 there is its number over 100."""
    epoch = np.arange(501)
    test_loss = loss + 1e-4 * np.abs(epoch - best_at)
    columns = {"epoch": epoch, "J_squared": epoch / 100, "test_loss": test_loss}
    columns |= {"test_accuracy": 0.9 - test_loss / 10, "validation_loss": test_loss + 0.01}
    config = parse_config(settings | {"epochs": 500, "seed": seed, "validation": 10_000})
    return Run(config, pd.DataFrame(columns), Outcome("finished", 500))


def test_the_tables_have_each_comparison_once():
    assert (len(rescaling.PATHS), len(rescaling.BESTS)) == (4, 2)
    assert [*rescaling.PATHS, *rescaling.BESTS] == list(rescaling.COMPARISONS)


def test_payoff_by_hand():
    runs = [run_of(BASE, best, 0.3, seed) for seed, best in ((0, 40), (1, 60))]
    table = payoff([*runs, run_of(SLOW, 400, 0.4)], runs[0].config, {32: 3.0})
    assert table.index.tolist() == [(0.005, 0.0, 32), (0.02, 0.5, 32)]
    slow, fast = table.to_dict("records")
    assert slow | {"test loss": 0, "test accuracy, %": 0} == pytest.approx(
        {"speed": 1 / 8, "epochs": 400, "steps": 400 * 1563, "seconds": 1200.0, "J²": 4.0, "seeds": 1}
        | {"test loss": 0, "test accuracy, %": 0}
    )
    assert (slow["test loss"].value, slow["test accuracy, %"].value) == pytest.approx((0.4, 86))
    assert slow["test loss"].low is None
    assert (fast["epochs"], fast["speed"], fast["seeds"], fast["seconds"]) == (50, 1, 2, 150)
    assert payoff(runs, runs[0].config, {})["seconds"].isna().all()


def priced(runs: list[Run]) -> dict[str, float]:
    base, own = runs[0].config, [run for run in runs if setting_of(run.config) == setting_of(runs[0].config)]
    return price_numbers(payoff(runs, base, {}), base, rescaling.settings_over_base(own, runs, rescaling.BESTS))


def test_the_price_is_that_of_the_cheapest_setting_beyond_the_free_ones():
    twice, four, eight = (BASE | {"learning_rate": 0.02 * factor} for factor in (2, 4, 8))
    big = BASE | {"batch_size": 128, "learning_rate": 0.08}
    runs = [run_of(BASE, 40, 0.300), run_of(twice, 20, 0.305), run_of(big, 41, 0.301)]
    runs += [run_of(four, 10, 0.33), run_of(BASE | {"momentum": 0.9}, 8, 0.36), run_of(eight, 0, 2.3)]
    numbers = priced(runs)
    assert (numbers["free_speed"], numbers["free_epochs"], numbers["free_alpha"]) == pytest.approx((2, 20, 0.5))
    assert (numbers["few_B"], numbers["few_eta"], numbers["few_steps"]) == pytest.approx((128, 0.08, 41 * 391))
    assert (numbers["price"], numbers["fast"], numbers["lost"]) == pytest.approx((10, 4, 1))
    assert numbers["lost_step"] == pytest.approx(0.32)
    assert (numbers["base_epochs"], numbers["base_steps"]) == (40, 40 * 1563)
    assert (numbers["slow_epochs"], numbers["fast_epochs"]) == (40, 8)
    speeds, epochs = np.log([1, 1, 2, 4, 5]), np.log([40, 41, 20, 10, 8])
    assert numbers["power"] == pytest.approx(np.polyfit(speeds, epochs, 1)[0])
    assert math.isnan(numbers["free_low"])  # one seed
    # Seeds differ by much, and the two settings of one seed by little: it is the latter that the interval is of.
    own, three = ([run_of(one, 20, 0.30 + 0.01 * seed, seed) for seed in range(3)] for one in (BASE, twice))
    three[1] = run_of(twice, 20, 0.31 * 1.001, 1)
    numbers, expected = priced([*own, *three]), over_seeds([0.0, 0.1, 0.0])
    assert [numbers["free_low"], numbers["free_high"]] == pytest.approx([expected.low, expected.high])
    alone = priced(runs[:1])
    assert math.isnan(alone["price"])
    assert math.isnan(alone["lost_step"])
    assert price_numbers(payoff(runs[1:], runs[0].config, {}), runs[0].config, pd.DataFrame()) == {}


def test_settings_of_one_speed_whose_losses_differ_most():
    large, larger = (
        {"learning_rate": rate, "momentum": 0.5, "batch_size": size} for rate, size in ((0.08, 32), (0.32, 128))
    )
    lost = {"learning_rate": 1.28, "momentum": 0.5, "batch_size": 512}
    runs = [run_of(BASE, 40, 0.3), run_of(BASE | {"batch_size": 64, "learning_rate": 0.04}, 40, 0.31)]
    runs += [run_of(large, 18, 0.36), run_of(larger, 21, 1.08), run_of(lost, 0, 2.3)]
    found = apart_numbers(payoff(runs, runs[0].config, {}))
    assert found == pytest.approx(
        {"pair_speed": 4, "apart_eta": 0.32, "apart_B": 128, "apart_step": 0.64, "apart_loss": 1.08, "apart_J2": 0.21}
        | {"beside_eta": 0.08, "beside_B": 32, "beside_step": 0.16, "beside_loss": 0.36, "beside_J2": 0.18}
    )
    assert apart_numbers(payoff(runs[:1], runs[0].config, {})) == {}


def test_a_payoff_needs_runs():
    with pytest.raises(ValueError, match="at least one run"):
        payoff([], parse_config(BASE), {})


def test_estimates_of_a_payoff_have_the_interval_of_its_seeds():
    table = payoff([run_of(BASE, 40, 0.3 + seed / 100, seed) for seed in range(3)], parse_config(BASE), {})
    expected = over_seeds([0.3, 0.31, 0.32])
    estimate = table["test loss"].iloc[0]
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((0.31, expected.low, expected.high))


def test_seconds_are_known_for_every_batch_size_of_the_payoff():
    assert set(epoch_seconds()) == {config.batch_size for config in protocol("payoff")}
    assert all(0.1 < seconds < 100 for seconds in epoch_seconds().values())


def test_a_pages_table_of_paths_has_what_c8_and_c9_are_judged_on():
    base = of_fig4(1.0)
    half = slowed(base, 2, 0.01, 0.5, learning_rate=0.01)
    quarter = slowed(base, 4, 0.04, 0.3, learning_rate=0.01, momentum=0.0)
    table = rescaling.path_table(base, [*half, *quarter])
    assert table.index.tolist() == [(0.01, 0.0, 32), (0.01, 0.5, 32)]
    assert table["speed"].tolist() == pytest.approx([0.25, 0.5])
    numbers = rescaling.path_numbers(table, table)
    assert numbers["ordered_high"] == 100 * paths.distance_in_order(base + half + quarter).value
    assert (numbers["ordered_low"], numbers["beyond_low"]) == pytest.approx((1, 30), abs=1e-6)
    assert (numbers["slowest"], numbers["equal_end"]) == pytest.approx((4, 50))
    more = [100 * (row["beyond the edge"].value - row["up to the edge"].value) for _, row in table.iterrows()]
    assert [numbers["more_slowest"], numbers["more_nearest"]] == pytest.approx(more)
    with pytest.raises(ValueError, match="unknown comparison 'speed': choose from J²"):
        rescaling.settings_over_base(base, half, ["speed"])


def test_a_setting_without_a_seed_in_common_is_told_as_nan():
    base, other = of_fig4(1.0, seeds=2), of_fig4(1.0, learning_rate=0.01)[2:]
    table = rescaling.settings_over_base(base, other, ["up to the edge"])
    assert math.isnan(table["up to the edge"].iloc[0].value)


def test_the_committed_runs_have_one_distance_on_page_and_scorecard():
    """The page's runs are those of the chapter's parameters, the scorecard's all that are committed."""
    evidence = committed_evidence()
    setting, *settings = map(setting_of, protocol("fig5"))
    fig2 = [run for run in evidence.runs if setting_of(run.config) == setting]
    others = [run for run in evidence.runs if setting_of(run.config) in settings and run.config.seed == 0]
    told = rescaling.path_numbers(*[rescaling.path_table(fig2, others)] * 2)
    ordered = judged(evidence, ["C9"])["C9"][0]
    assert told["ordered_high"] == pytest.approx(100 * ordered.estimate.value, rel=EXACT)
