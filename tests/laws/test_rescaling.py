"""Collapse, parting and pay-off, on trajectories made up to have them."""

import numpy as np
import pandas as pd
import pytest

from edgechaos_core.claims import growth as claims
from edgechaos_core.experiments.protocols import protocol
from edgechaos_core.laws import published
from edgechaos_core.laws.rescaling import best_epoch, collapse, epoch_seconds, farthest, parting, payoff
from edgechaos_core.laws.scaling import scale_factor
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


def test_one_law_collapses_at_any_speed():
    collapsed = collapse(reference(), run_of(SLOW, 800))
    assert collapsed["distance"].abs().max() < 1e-12
    assert collapsed["epoch"].tolist() == list(range(8, 801))  # from the reference's first epoch on
    assert parting(collapsed) is None


def test_the_spread_is_a_prediction_interval():
    own = collapse(reference(), run_of(BASE, 100))
    # three seeds at -0.01, 0, 0.01: deviation 0.01, t(0.975; 2) = 4.302653, sqrt(1 + 1/3)
    expected = 4.302653 * 1.1547005 * 0.01 / own["J_squared"]
    np.testing.assert_allclose(own["spread"], expected, rtol=1e-6)


def test_curves_part_where_they_were_made_to():
    collapsed = collapse(reference(scatter=1e-3), run_of(SLOW, 800, bend=0.3))
    assert farthest(collapsed, ordered=True) < 1e-9
    assert farthest(collapsed, ordered=False) == pytest.approx(0.3 * (1.625 - 1) / 1.625, rel=1e-3)  # 1.625 at the end
    row = parting(collapsed)
    assert row is not None
    assert row["J_squared"] == pytest.approx(
        1 + 0.00497 / 0.3, abs=0.002
    )  # where 0.3 (J^2 - 1) is the spread's 0.00497
    later = parting(collapsed, tolerance=0.05)
    assert later is not None
    assert later["J_squared"] == pytest.approx(1.2, abs=0.002)  # 0.3 (J^2 - 1) = 0.05 J^2


def test_curves_that_come_back_have_not_parted():
    collapsed = pd.DataFrame({"distance": [0.0, 0.2, 0.2, 0.0], "spread": 0.1, "J_squared": [0.3, 0.5, 0.8, 1.1]})
    assert parting(collapsed) is None
    assert parting(collapsed[:3])["J_squared"] == 0.5
    assert parting(collapsed[1:3])["J_squared"] == 0.5  # beyond from the start
    assert parting(collapsed[:0]) is None


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
    with pytest.raises(ValueError, match="the run needs the setting validation"):
        best_epoch(Run(run.config, run.history.drop(columns="validation_loss"), run.outcome))


def test_payoff_by_hand():
    runs = [run_of(BASE, 100, seed=seed, best_at=best) for seed, best in ((0, 40), (1, 60))]
    table = payoff([*runs, run_of(SLOW, 600, best_at=400, loss=0.4)], runs[0].config, {32: 3.0})
    assert table.index.tolist() == [(0.005, 0.0, 32), (0.02, 0.5, 32)]
    slow, fast = table.to_dict("records")
    assert slow == pytest.approx(
        {"speed": 1 / 8, "epochs": 400, "steps": 400 * 1563, "seconds": 1200.0, "J²": 0.25 + C / 8 / 2}
        | {"test loss": 0.4, "± test loss": np.nan, "test accuracy": 0.86, "± test accuracy": np.nan, "seeds": 1},
        nan_ok=True,
    )
    assert (fast["epochs"], fast["speed"], fast["seeds"]) == (50, 1, 2)
    assert fast["seconds"] == pytest.approx(50 * 3.0)
    assert payoff(runs, runs[0].config, {})["seconds"].isna().all()


def test_seconds_are_known_for_every_batch_size_of_the_payoff():
    assert set(epoch_seconds()) == {config.batch_size for config in protocol("payoff")}
    assert all(0.1 < seconds < 100 for seconds in epoch_seconds().values())


# claims -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("off", "verdict"), [(0.0, "holds"), (0.04, "holds in part"), (0.2, "fails")])
def test_rule_of_c8(off, verdict):
    same = [run_of(BASE | {"learning_rate": 0.04, "batch_size": 64}, 100, offset=off * k) for k in (0.9, 1.0, 1.1)]
    edge, end = claims.equal_scale_factors_coincide(reference(), same)
    assert (edge.verdict, edge.quantity) == (verdict, "J² / base J², at J² = 1")
    assert edge.measured.mean == pytest.approx(1 + off, abs=0.02)
    assert end.measured.mean == pytest.approx(1 + off / 1.625, abs=1e-6)


def test_c8_is_about_equal_scale_factors():
    with pytest.raises(ValueError, match="equal scale factors are compared"):
        claims.equal_scale_factors_coincide(reference(), [run_of(SLOW, 100)])


def test_c8_before_the_edge():
    assert [claim.quantity for claim in claims.equal_scale_factors_coincide(reference(30), [run_of(BASE, 30)])] == [
        "J² / base J², at the end"
    ]


@pytest.mark.parametrize(
    ("offset", "bend", "verdicts"),
    [
        (0.0, 0.3, ["holds", "holds"]),
        (0.0, 0.0, ["holds", "fails"]),
        (0.02, 0.0, ["holds in part", "fails"]),
        (0.02, 0.3, ["holds in part", "holds"]),
        (0.2, 0.1, ["fails", "holds in part"]),
    ],
)
def test_rule_of_c9(offset, bend, verdicts):
    runs = [run_of(SLOW, 800, offset=offset + 1e-6 * seed, bend=bend + 1e-6 * seed) for seed in range(3)]
    assert [claim.verdict for claim in claims.ordered_phase_collapses(reference(), runs)] == verdicts


def test_c9_is_held_against_the_largest_spread():
    """Curves a quarter apart beyond the edge: within the spread of seeds of one, beyond that of another."""
    seeds = [run_of(BASE, 100, seed=seed, bend=0.1 * (seed - 1)) for seed in range(3)]  # they spread beyond the edge
    runs = [run_of(SLOW, epochs, bend=0.25) for epochs in (500, 800)]
    before, beyond = claims.ordered_phase_collapses(seeds, runs)
    spread = [collapse(seeds, run)["spread"].max() for run in runs]
    assert spread[0] < beyond.measured.mean < spread[1]
    assert (before.verdict, beyond.verdict) == ("holds", "holds in part")


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "holds"), (1.1, "holds in part"), (1.3, "fails")])
def test_rule_of_c7(factor, verdict):
    def grown(rate):
        config = parse_config({"learning_rate": rate, "epochs": 400})
        epoch = np.arange(401)
        J_squared = 0.25 + factor * published.constant() * scale_factor(config) * epoch
        return Run(config, pd.DataFrame({"epoch": epoch, "J_squared": J_squared}), Outcome("finished", 400))

    (claim,) = claims.growth_laws([grown(rate) for rate in (0.01, 0.02)])  # two settings give no exponent
    assert (claim.name, claim.verdict) == ("C7", verdict)
    assert claim.measured.mean == pytest.approx(factor * published.constant())


@pytest.mark.parametrize(("power", "verdict"), [(1.04, "holds"), (1.1, "holds in part"), (1.2, "fails")])
def test_rule_of_c4(power, verdict):
    def grown(rate):
        epoch = np.arange(2_001)
        J_squared = 0.25 + 0.003 * (rate / 0.01) ** power * epoch
        config = parse_config({"learning_rate": rate, "epochs": 2_000})
        return Run(config, pd.DataFrame({"epoch": epoch, "J_squared": J_squared}), Outcome("finished", 2_000))

    claim = claims.growth_laws([grown(rate) for rate in (0.005, 0.01, 0.02, 0.04)])[0]
    assert (claim.name, claim.verdict) == ("C4", verdict)
    assert claim.measured.mean == pytest.approx(power)


@pytest.mark.parametrize(("loss", "verdict"), [(0.302, "holds"), (0.31, "holds in part"), (0.35, "fails")])
def test_rule_of_c10(loss, verdict):
    base = [run_of(BASE, 100, seed=seed) for seed in range(3)]
    slower = [run_of(SLOW, 100, loss=loss, seed=seed) for seed in range(2)]
    as_fast = [run_of(BASE | {"momentum": 0.0, "learning_rate": 0.04}, 100)]
    faster = [run_of(BASE | {"momentum": 0.75}, 100, loss=loss)]
    faster += [run_of(BASE | {"momentum": 0.95}, 100, loss=2.0)]  # a step larger than any of the paper's
    found = claims.best_is_alike([*base, *slower, *as_fast, *faster], base[0].config)
    assert [claim.quantity for claim in found] == [
        "best test loss / base, equal speed",
        "best test accuracy / base, equal speed",
        "best test loss / base, other speeds",
        "best test accuracy / base, other speeds",
    ]
    assert [claim.measured.seeds for claim in found] == [1, 1, 2, 2]
    assert (found[0].verdict, found[0].clear) == ("holds", False)
    assert (found[2].verdict, found[2].clear) == (verdict, True)
    assert found[2].measured.mean == pytest.approx(loss / 0.3)
    assert found[3].measured.mean == pytest.approx((0.9 - loss / 10) / 0.87)
    assert len(claims.best_is_alike([*base, *slower], base[0].config)) == 2
    with pytest.raises(ValueError, match="none of the runs is of it"):
        claims.best_is_alike(slower, base[0].config)


def test_settings_are_compared_seed_by_seed():
    base = [run_of(BASE, 100, seed=seed, loss=0.3 + 0.03 * seed) for seed in range(3)]
    other = [run_of(SLOW, 100, seed=2, loss=0.36)]
    assert claims.best_is_alike([*base, *other], base[0].config)[0].measured.mean == pytest.approx(1)


def test_a_payoff_of_nothing():
    with pytest.raises(ValueError, match="at least one run"):
        payoff([], run_of(BASE, 10).config, {})


@pytest.mark.parametrize(
    ("learning_rate", "momentum", "within"),
    [(0.08, 0.5, True), (0.016, 0.9, True), (0.0801, 0.5, False), (0.02, 0.9, False), (0.16, 0.5, False)],
)
def test_the_largest_published_step_is_itself_published(learning_rate, momentum, within):
    """0.16 itself is, and where it is rounded up by the last digit: 0.016 / (1 - 0.9) is 0.16000000000000003."""
    config = parse_config({"learning_rate": learning_rate, "momentum": momentum})
    assert published.has_published_step(config) == within
