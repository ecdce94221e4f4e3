"""What page `reason` tells, on made-up runs of which the right answer is known."""

import math
from itertools import product

import pytest

from edgechaos_core.book.pages import reason as page
from edgechaos_core.claims.estimates import reason
from edgechaos_core.claims.judging import Evidence, judged
from edgechaos_core.experiments.protocols import protocol
from edgechaos_core.store.runs import Run
from tests.claims.estimates.test_reason import by_time, turning_at


def test_the_turn_of_a_run():
    row = page.turns([turning_at(1.0, 0.6, seed=2)]).iloc[0]
    assert (row["start"], row["seed"], row["through"]) == (0.6, 2, (0.02, 32))
    values = row[["epoch", "J", "gained", "train_loss", "least_loss"]].astype(float).tolist()
    assert values == pytest.approx([40, 1.0, 1 - 0.36, 0.2, 0.33], abs=1e-6)
    assert page.turns([]).empty


def test_the_most_constant_candidate_is_told_from_the_others():
    table = page.constancy(page.turns(by_time()))
    assert table.loc["gained", "starts"] == pytest.approx(0, abs=1e-6)
    assert table.loc["gained", "seeds"] == pytest.approx(0.01 / 3**0.5, rel=0.02)
    assert table.loc["train_loss", ["mean", "starts"]].tolist() == pytest.approx([0.2, 0], abs=1e-6)
    assert table.loc["J", "starts"] > 0.2
    alone = page.constancy_table(page.turns([turning_at(1.0)]))
    assert alone.loc["J"].tolist() == ["1", "1", "1", "–", "–"]


def test_numbers_of_the_page():
    told = page.numbers(by_time())
    assert (told["least_start"], told["most_start"], told["gained"]) == ("0.1", "1.5", "0.545")
    assert told["slope"] == told["slope_all"] == "1 (all alike)"
    assert told["reaching"] == f"{math.sqrt(1 - 0.54 * 1.01):.2f}"
    assert told["from_half"].startswith("0.89")
    assert abs(float(told["train_loss_slope"].split(" ")[0])) < 1e-9
    sloped = by_time()
    for run in sloped:
        run.history["train_loss"] += 0.01 * reason.started_at(run.config) ** 2
    assert page.numbers(sloped)["train_loss_slope"].startswith("0.01 ")


def test_spreads_over_starts_and_over_seeds_are_told_apart():
    runs = by_time()
    for run in runs:
        run.history["train_loss"] += 0.01 * run.config.seed
        run.history["epoch"] *= 2 if reason.started_at(run.config) == 0.1 else 1
    told = page.numbers(runs)
    spreads = {name: told[f"{name}_starts"] for name in ("train_loss", "epoch", "gained", "J")}
    assert spreads == {"train_loss": "0.0%", "epoch": "35%", "gained": "0.0%", "J": "35%"}
    by_seeds = {name: told[f"{name}_seeds"] for name in ("train_loss", "epoch", "gained")}
    assert by_seeds == {"train_loss": "2.7%", "epoch": "0.0%", "gained": "0.6%"}
    assert (told["least_epoch"], told["most_epoch"], told["train_loss"]) == ("40", "80", "0.210")
    assert (told["least_J"], told["most_J"]) == ("0.75", "1.67")
    assert (told["from_03"], told["from_12"]) == ("0.80", "1.41")  # the roots of 0.3^2 + 0.5454 and 1.2^2 + 0.5454


def test_what_is_not_known_is_a_dash():
    assert set(page.numbers([]).values()) == {"–"}
    short = turning_at(1.0, 0.3)
    told = page.numbers([Run(short.config, short.history[:5], short.outcome)])
    assert (told["least_start"], told["least_J"], told["slope"], told["from_half"]) == ("0.3", "–", "–", "–")


def test_turns_at_the_slowest_and_the_fastest_speed():
    runs = [
        turning_at(J + seed / 100, 0.5, seed, learning_rate=rate, batch_size=size)
        for rate, size, J in ((0.005, 32, 0.8), (0.02, 128, 0.8), (0.02, 32, 0.9), (0.08, 32, 1.1), (0.02, 8, 1.0))
        for seed in range(3)
    ]
    told = page.speed_numbers(runs)
    assert (told["times"], told["slow_J"], told["fast_J"]) == ("16", "0.81", "1.01 to 1.11")
    assert (told["J_times"], told["gained_times"]) == ("1.25 to 1.37", "1.9 to 2.4")  # through B, and through the rate
    assert told["epoch_times"] == "1.0"
    assert set(page.speed_numbers([]).values()) == {"–"}


def test_the_answer_in_numbers():
    starts = (0.1, 0.25, 0.5, 0.75, 1.5)
    runs = [turning_at(math.sqrt(J**2 + 0.54 + seed / 100), J, seed) for J, seed in product(starts, range(5))]
    told = page.edge_as_cause(Evidence(runs, []))
    assert told["slope"] == "1 (all alike)"
    assert told["seeds"] == "5"
    assert told["epochs"].startswith("1 ")
    assert told["beyond"] != "–"
    assert (told["rate"], told["batch"]) == ("–", "–")
    assert judged(Evidence(runs, []), ["B1"])["B1"][0].verdict == "not reproduced"
    nothing = page.edge_as_cause(Evidence([], []))
    assert (nothing["slope"], nothing["beyond"], nothing["seeds"], nothing["about_held"]) == ("–", "–", "–", "–")


def test_the_exponents_of_the_rate_and_of_the_batch_are_told_apart():
    runs = []
    for own, seed in product(protocol("speed"), range(5)):
        place = 0.9 * (own.learning_rate / 0.02) ** 0.1 * (32 / own.batch_size) ** 0.05  # J^2 has twice these exponents
        through = {"learning_rate": own.learning_rate, "batch_size": own.batch_size}
        runs.append(turning_at(place + seed / 1_000, 0.5, seed, epochs=own.epochs, **through))
    told = page.edge_as_cause(Evidence(runs, []))
    exponents = [float(told[name].partition(" ")[0]) for name in ("rate", "batch")]
    assert exponents == pytest.approx([0.2, 0.1], abs=0.001)
