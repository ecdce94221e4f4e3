"""What the further tests of page `reason` tell, on made-up runs of which the right answer is known."""

import numpy as np
import pytest

from edgechaos_core.book.pages import further_tests as page
from edgechaos_core.probes.linear_maps import radius_of_cut
from edgechaos_core.store.runs import Run
from tests.claims.estimates.test_estimates import FIG2, made_up
from tests.claims.estimates.test_reason import HELD, VALIDATED, held


def test_where_trained_maps_turn_chaotic_and_what_grows_in_them():
    J = np.linspace(0.5, 1.5, 101)
    columns = {
        "lyapunov": J - 1.245,
        "lyapunov_shuffled": J - 1.145,
        "outliers": 10 * J**2,
        "spectral_radius": J + 0.105,
        "spectral_radius_shuffled": J + 0.005,
        "spectral_radius_bulk": 0.6,
    }
    small = FIG2 | {"width": 100}
    runs = [made_up(J**2, columns=columns, seed=seed, **small) for seed in range(3)]
    fast = small | {"momentum": 0.9}
    other = {"spectral_radius": J + 0.21}  # passes 1 elsewhere at the higher speed
    never = columns | other | {"lyapunov": np.full(101, -0.1), "lyapunov_shuffled": J - 1.045, "outliers": 60.0}
    told = page.map_numbers([*runs, made_up(J**2, columns=never, **fast)])
    assert (told["map_chaotic"], told["map_all"], told["map_end"]) == ("3", "4", "1.50")
    sooner = made_up(J**2, columns=columns | {"lyapunov": J - 0.9}, seed=5, **small)
    assert (told["map_later"], page.map_numbers([*runs, sooner])["map_later"]) == ("4", "3")
    assert (told["map_unstable"], told["map_unstable_shuffled"]) == ("0.79 to 0.90", "1.00")
    assert (told["map_unstable_slow"], told["map_unstable_fast"]) == ("0.90", "0.79")
    assert (told["map_trained"], told["map_shuffled"]) == ("1.25", "1.05 to 1.15")
    assert (told["map_outliers"], told["map_width"]) == ("10 (all alike)", "100")  # of the slowest speed
    assert told["map_bulk"] == "0.6 (all alike)"
    assert told["map_bulk_apart"] == "0.45 (all alike)"  # 0.5 (1 - 10 / 100)
    assert told["map_bulk_least"].startswith("1.33")
    cut = [radius_of_cut(100, 0.5, 10, seed=seed) for seed in range(3)]
    assert float(told["map_bulk_random"].split(" ")[0]) == pytest.approx(np.mean(cut), rel=1e-2)
    assert float(told["map_bulk_times"].split(" ")[0]) == pytest.approx(np.mean(0.6 / np.array(cut)), rel=1e-2)
    nothing = page.map_numbers([])
    assert (nothing["map_chaotic"], nothing["map_all"], nothing["map_trained"], nothing["map_bulk"]) == (
        "0",
        "0",
        "–",
        "–",
    )


def test_where_networks_end_that_are_held():
    free = made_up(np.full(101, 1.96), columns={"validation_loss": 0.5, "validation_accuracy": 0.8}, **VALIDATED)
    fast = made_up(
        np.full(101, 4.0),
        columns={"validation_loss": 9.0, "validation_accuracy": 0.1},
        **(VALIDATED | {"momentum": 0.9}),
    )
    ends = page.held_ends([fast, *held(), free])
    assert ends["hold"].tolist() == [0] + [hold for hold in HELD for _ in range(3)] + [0]
    assert ends.iloc[0][["J", "loss", "accuracy"]].tolist() == pytest.approx([1.4, 0.5, 80])
    table = page.held_table([fast, *held(), free])
    assert table.index.tolist() == [f"{hold:g}" for hold in HELD] + ["not held"]
    assert table.loc["not held"].tolist() == ["1.40", "–", "0.5", "80"]
    assert table.loc["0.5", ["J at the end", "λ at the end"]].tolist() == ["0.71", "2e-4"]
    assert float(table.loc["1", "validation loss"].split(" ")[0]) == pytest.approx(0.31 + 0.1 * 0.05**2, rel=1e-2)
    assert float(table.loc["1", "validation accuracy, %"].split(" ")[0]) == pytest.approx(90 - 10 * 0.05**2, rel=1e-2)
    assert page.held_ends([]).empty


def test_an_end_is_at_the_lower_rate_and_a_speed_that_before_it():
    columns = {"validation_loss": np.where(np.arange(101) > 95, 0.3, 0.4), "validation_accuracy": 0.9, "lambda": 0.0}
    slowed = made_up(np.ones(101), columns=columns, hold=1.0, milestone=95, **VALIDATED)
    steady = made_up(np.ones(101), columns=columns, hold=1.0, **VALIDATED)
    ends = page.held_ends([slowed, steady])
    assert ends["loss"].tolist() == pytest.approx([0.3, 0.35])
    assert ends["speed"].nunique() == 1


def test_what_it_costs_to_be_held_elsewhere():
    columns = {"validation_loss": 0.5, "validation_accuracy": 0.8}
    free = [made_up(np.full(101, 1.96), columns=columns, seed=seed, **VALIDATED) for seed in range(3)]
    told = page.held_numbers([*held(), *free])
    more = 0.1 * (0.05**2 - (0.5**0.5 - 0.95) ** 2)  # seeds differ in height alone
    assert float(told["held_more"].split(" ")[0]) == pytest.approx(more, rel=1e-2)
    assert float(told["held_points"].split(" ")[0]) == pytest.approx(100 * more, rel=1e-2)
    assert float(told["free_more"].split(" ")[0]) == pytest.approx(0.19 - 0.1 * 0.05**2, rel=0.05)
    assert float(told["free_points"].split(" ")[0]) == pytest.approx(-10, rel=0.05)
    least, most = (90 - 10 * (place**0.5 - 0.95) ** 2 for place in (0.5, 1.0))
    assert [float(told["held_least"]), float(told["held_most"])] == pytest.approx([least, most], abs=0.006)
    fast = [Run(run.config.model_copy(update={"momentum": 0.9}), run.history, run.outcome) for run in held(0.75)]
    both = page.held_numbers([*fast, *held()])
    assert both["held_more"] == told["held_more"]  # of the slowest speed
    table = page.held_by_speed([*fast, *held(), *free])
    assert table.index.tolist() == ["1", "5"]
    assert table["loss at J² = 1 minus 0.5"].tolist()[0] == told["held_more"]
    assert float(table["J of the least loss"].iloc[0].split(" ")[0]) == pytest.approx(0.95)
    assert float(table["J of the least loss"].iloc[1].split(" ")[0]) == pytest.approx(0.75)
    assert page.held_by_speed([]).empty
    assert set(page.held_numbers([]).values()) == {"–"}
