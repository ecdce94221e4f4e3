"""The guideline on runs made up to obey its law, and its closed doors."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from edgechaos_core.analysis.by_setting import setting_in_words
from edgechaos_core.analysis.scaling import growth_constant, scale_factor, settled
from edgechaos_core.experiments import named_grids as grids
from edgechaos_core.experiments.protocols import protocol
from edgechaos_core.guideline import decay_formula, formula_fit, own_networks
from edgechaos_core.guideline import pilot_runs as pilots
from edgechaos_core.guideline.decay_formula import (
    Formula,
    Network,
    committed_formula,
    corrected,
    guide,
    terms,
)
from edgechaos_core.guideline.formula_fit import calibrate, calibration_runs, near_edge, points, power_of_speed
from edgechaos_core.guideline.pilot_runs import after_pilot, pilot
from edgechaos_core.settings import parse_settings
from edgechaos_core.store.runs import Outcome, Run, parse_config
from edgechaos_core.sweeps.sweep import committed

M = 0.11  # -<W, grad L> at the edge, without noise of gradients: lambda = M / (2 width) settles J^2 at 1
FIG6 = {"learning_rate": 0.02, "momentum": 0.5, "batch_size": 32}


def run_of(l2, seed=0, epochs=600, m=M, **settings) -> Run:
    """J^2 of ``dJ^2/depoch = c s - 4 l2 S s J^2`` with ``c = 2 S m / width``, s the scale factor."""
    config = parse_config(FIG6 | settings | {"l2": l2, "seed": seed, "epochs": epochs})
    growth, pull = 2 * config.samples * m / config.width, 4 * l2 * config.samples
    epoch = np.arange(epochs + 1)
    way = epoch * scale_factor(config)
    end = growth / pull if l2 else np.nan
    J_squared = end + (0.25 - end) * np.exp(-pull * way) if l2 else 0.25 + growth * way
    return Run(config, pd.DataFrame({"epoch": epoch, "J_squared": J_squared}), Outcome("finished", epochs))


def formula(**changes) -> Formula:
    """lambda = 7e-5 (S/60000)^0.2 (width/784)^-1 J^2^-1.5, known to about 2%."""
    coefficients = dict.fromkeys(terms(1, 1, 1), 0.0)
    coefficients |= {"1": np.log(7e-5), "ln S": 0.2, "ln w": -1.0, "ln J²": -1.5}
    within = {"samples": (5_000, 60_000), "width": (256, 1_024), "J_squared": (0.5, 2.0)}
    within |= {"speed": (0.001, 0.003)}
    unseen = {"left_out": {"S 30,000, width 392": 0.01, "S 60,000, width 784": -0.01}, "half": 0.025}
    covariance = tuple(tuple(0.01**2 * (row == column) for column in range(7)) for row in range(7))
    own = {"coefficients": coefficients, "covariance": covariance, "scatter": 0.01, "t": 2.0, "runs": 20}
    return Formula(**(own | unseen | {"within": within, "way": (np.log(13_500), 1.0, 0.5)} | changes))


def spread(*, noise=0.0, **more) -> list[Run]:
    """Runs with decay near the edge that obey the law, sizes and widths varied, lambda off by some noise."""
    generator = np.random.default_rng(0)
    grid = [
        (samples, width, rate) for samples in (15_000, 30_000, 60_000) for width in (392, 784) for rate in (0.01, 0.04)
    ]
    settings = {"momentum": 0.5, "batch_size": 32}
    return [
        run_of(
            M / (2 * width) * off * np.exp(noise * generator.standard_normal()),
            epochs=4_000,
            samples=samples,
            width=width,
            **(settings | {"learning_rate": rate} | more),
        )
        for samples, width, rate in grid
        for off in (0.7, 1.0, 1.5)
    ]


def test_the_fit_finds_the_law_behind_runs():
    found = calibrate(spread())
    expected = dict.fromkeys(terms(1, 1, 1), 0.0) | {"1": np.log(M / (2 * 784)), "ln w": -1, "ln J²": -1}
    assert found.coefficients == pytest.approx(expected, abs=0.02)
    assert found.scatter < 0.01
    assert found.runs == 36
    assert found.within["width"] == (392, 784)
    assert found.within["J_squared"] == pytest.approx((1 / 1.5, 1 / 0.7), rel=0.01)


def test_the_interval_is_that_of_networks_left_out_of_the_fit():
    runs = spread(noise=0.1)
    found, table = calibrate(runs), points(near_edge(runs))
    x = pd.DataFrame([terms(*row) for row in table[["samples", "width", "J_squared"]].itertuples(index=False)])
    squares = []
    for samples, width in itertools.product((15_000, 30_000, 60_000), (392, 784)):
        own = (table["samples"] == samples) & (table["width"] == width)
        fit = sm.OLS(np.log(table.loc[~own, "l2"]), x[~own]).fit()
        errors = fit.predict(x[own]) - np.log(table.loc[own, "l2"])
        squares.append(np.mean(errors**2))
        assert found.left_out[f"S {samples:,}, width {width}"] == pytest.approx(errors.mean(), rel=1e-6)
    assert found.half == pytest.approx(stats.t.ppf(0.975, 6) * np.mean(squares) ** 0.5, rel=1e-6)
    middle, low, high = found.l2(60_000, 784, 1.0)
    assert (low, high) == pytest.approx((middle * np.exp(-found.half), middle * np.exp(found.half)))
    assert low < M / (2 * 784) < high


def test_the_committed_interval_covers_the_networks_that_were_left_out():
    """The fit's own prediction interval, 5% either way, did not."""
    formula = committed_formula()
    errors = {network: math.expm1(error) for network, error in formula.left_out.items()}
    assert min(errors.values()) == pytest.approx(-0.16, abs=0.01)
    assert max(errors.values()) == pytest.approx(0.23, abs=0.01)
    assert "S 5,000, width 784" not in errors  # no fit to the others knows how lambda bends with S
    middle, low, high = formula.l2(60_000, 784, 1.0)
    assert all(low < middle * math.exp(sign * error) < high for error in formula.left_out.values() for sign in (-1, 1))


def test_speed_drops_out_unless_it_does_not():
    runs = spread(noise=0.05)
    none = power_of_speed(runs)
    assert none.low < 0 < none.high
    faster = [
        Run(
            run.config.model_copy(update={"l2": run.config.l2 * scale_factor(run.config) ** 0.3}),
            run.history,
            run.outcome,
        )
        for run in runs
    ]
    some = power_of_speed(faster)
    assert some.value - none.value == pytest.approx(0.3)
    assert some.low > 0


def test_terms_that_do_not_vary_are_left_out():
    runs = [
        run_of(784 / width * l2, epochs=4_000, width=width) for l2 in (5e-5, 7e-5, 9e-5) for width in (392, 784, 1_568)
    ]
    found = calibrate(runs)
    assert {name for name, value in found.coefficients.items() if value} == {"1", "ln w", "ln J²", "(ln J²)²"}
    assert found.l2(60_000, 784, 1.0)[0] == pytest.approx(M / (2 * 784), rel=0.01)


def test_runs_that_say_nothing_about_the_edge_are_left_out():
    far = [run_of(0.0), run_of(1e-3), run_of(1e-6, epochs=20_000)]
    assert calibrate([*spread(), *far]) == calibrate(spread())
    with pytest.raises(ValueError, match=r"^a formula of 2 terms needs 5 runs with decay .* got 2$"):
        calibrate([run_of(5e-5), run_of(9e-5), *far])
    with pytest.raises(ValueError, match=r"got 0$"):
        calibrate(far)


def test_an_interval_needs_networks_that_the_others_predict():
    runs = [run_of(l2, seed, epochs=4_000) for l2 in (5e-5, 7e-5, 9e-5) for seed in range(2)]
    with pytest.raises(ValueError, match=r"^the interval of a formula needs 3 networks .* got 0$"):
        calibrate(runs)


def test_the_committed_formula_is_the_fit_to_the_committed_runs(tmp_path, monkeypatch):
    kept = committed_formula()
    for module in (formula_fit, decay_formula):
        monkeypatch.setattr(module, "GUIDELINE", tmp_path / "guideline.json")
    formula_fit.main()  # as make calibration does
    again = committed_formula()
    assert kept.coefficients == pytest.approx(again.coefficients, rel=1e-6)
    np.testing.assert_allclose(kept.covariance, again.covariance, rtol=1e-4, atol=1e-12)
    assert (kept.scatter, kept.t, *kept.way) == pytest.approx((again.scatter, again.t, *again.way))
    assert kept.left_out == pytest.approx(again.left_out, rel=1e-4)
    assert kept.half == pytest.approx(again.half, rel=1e-4)
    assert kept.within == again.within


def test_what_was_run_with_the_formulas_decay_is_what_it_answers():
    for config in [*protocol("unseen"), parse_config(grids.CONTEST | grids.RIVALS["formula"])]:
        if config.l2:
            network = parse_settings(Network, config.model_dump(include=set(Network.model_fields)))
            assert config.l2 == pytest.approx(guide(network, committed_formula()).l2, rel=0.04)  # as the protocols say


def test_what_was_run_after_a_pilot_is_what_it_answers():
    formula = committed_formula()
    first = {setting_in_words(run.config): run for run in committed(protocol("unseen")) if run.config.l2}
    piloted = protocol("piloted")
    assert len(piloted) >= 3
    for config in piloted:
        run = first[setting_in_words(config)]
        network = parse_settings(Network, config.model_dump(include=set(Network.model_fields)))
        assert config.epochs == run.config.epochs
        assert config.seed != run.config.seed
        assert config.l2 == pytest.approx(corrected(run.config.l2, settled(run), network, formula, 1.0), rel=0.02)


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"runs": 3}', None])
def test_a_damaged_formula_is_named(tmp_path, monkeypatch, content):
    path = tmp_path / "guideline.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    monkeypatch.setattr("edgechaos_core.guideline.decay_formula.GUIDELINE", path)
    with pytest.raises(ValueError, match=r"guideline\.json cannot be read \(.*\): restore it, or: make calibration"):
        committed_formula()


def test_settled_is_the_mean_of_the_last_tenth():
    run = run_of(9e-5, epochs=99)
    run.history["J_squared"] = np.arange(100.0)
    assert settled(run) == pytest.approx(94.5)


@pytest.mark.parametrize("l2", [0.0, 3e-5, 5e-4])
def test_the_growth_constant_is_that_of_the_law(l2):
    assert growth_constant(run_of(l2, epochs=100)) == pytest.approx(2 * 60_000 * M / 784, rel=0.01)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"samples": 10_000, "batch_size": 16},
        {"learning_rate": 0.005, "momentum": 0.9, "batch_size": 64},
        {"width": 392},
        {"width": 1568, "samples": 30_000},
    ],
)
def test_networks_that_obey_the_law_are_brought_to_the_edge(settings):
    network, found = parse_settings(Network, FIG6 | settings), calibrate(spread())
    epochs = found.epochs(network.samples, network.width, network.speed)
    run = run_of(guide(network, found).l2, epochs=round(6 * epochs), **settings)
    assert run.history["J_squared"].iloc[-1] == pytest.approx(1, abs=0.03)
    assert run.history["J_squared"].iloc[round(epochs)] == pytest.approx(0.9, abs=0.03)


def test_epochs_to_the_edge_are_told_where_they_were_seen():
    """Committed runs with the formula's decay first have J^2 = 0.9 then; of other sizes nothing is said.

    With 10,000 samples the same epochs were once promised as with 60,000, and J^2 was at 0.74 then.
    """
    runs = {setting_in_words(run.config): run for run in committed(protocol("unseen")) if run.config.l2}
    told = {}
    for words, run in runs.items():
        network = parse_settings(Network, run.config.model_dump(include=set(Network.model_fields)))
        advice = guide(network, committed_formula())
        if advice.epochs_to_edge is not None:
            told[words] = advice.epochs_to_edge / int((run.history["J_squared"] >= 0.9).argmax())
    assert len(told) == 4
    assert not [words for words in told if words.startswith("S ") or "1,568" in words]
    assert list(told.values()) == pytest.approx([1.0] * 4, abs=0.08)


def test_another_target():
    network = parse_settings(Network, FIG6)
    advice = guide(network, formula(), target=0.5)
    assert (advice.l2, advice.epochs_to_edge) == (pytest.approx(7e-5 * 0.5**-1.5), None)
    for target in (0.4, 2.1, 0.0, np.nan):
        with pytest.raises(ValueError, match=rf"^target, a J\^2, must be between 0.5 and 2, got {target}$"):
            guide(network, formula(), target=target)


def test_three_conventions():
    advice = guide(parse_settings(Network, FIG6), formula())
    assert advice.l2 == pytest.approx(7e-5)
    assert advice.weight_decay_sgd == pytest.approx(1.4e-4)
    assert advice.weight_decay_sgd_decoupled == pytest.approx(2.8e-4)  # a step shrinks w by eta 2 lambda / (1 - alpha)
    assert advice.l2_interval == pytest.approx((7e-5 * np.exp(-0.025), 7e-5 * np.exp(0.025)))
    assert advice.J_squared_interval == pytest.approx((np.exp(-0.025 / 1.5), np.exp(0.025 / 1.5)))
    assert advice.epochs_to_edge == pytest.approx(13_500 / (60_000 * 0.00125))
    wide = guide(parse_settings(Network, FIG6 | {"width": 1_000, "samples": 30_000}), formula())
    assert wide.epochs_to_edge is None  # nobody has seen 30,000 samples hold what the formula says
    expected = 6_750 * np.sqrt(1_000 / 784) / (30_000 * 0.00125)
    assert formula().epochs(30_000, 1_000, 0.00125) == pytest.approx(expected)
    assert (advice.training_epochs, wide.training_epochs) == pytest.approx((20_000 / 75, 20_000 / 37.5))


def test_the_interval_of_the_end_is_that_of_the_decay():
    """At either end of J^2 the formula asks for a decay that is off by the half width of its interval."""
    found = committed_formula()
    for target in (0.6, 1.0, 1.5):
        low, high = found.ends(target)
        assert low < target < high
        off = [found.log_l2(60_000, 784, J_squared) - found.log_l2(60_000, 784, target) for J_squared in (low, high)]
        assert off == pytest.approx([found.half, -found.half])


def test_what_no_run_has_tested_is_named():
    assert guide(parse_settings(Network, FIG6), formula()).untested == ()
    other = FIG6 | {"width": 100, "samples": 100, "learning_rate": 1.0}
    advice = guide(parse_settings(Network, other), formula())
    assert advice.untested == ("samples", "width", "speed")
    assert (advice.l2_interval, advice.J_squared_interval) == (None, None)
    assert advice.sooner == ()
    assert advice.caution.startswith("with 5,000 to 20,000 samples, which such a network memorises, J^2 was seen to")
    assert advice.nearest == {"samples": 5_000, "width": 256}
    between = guide(parse_settings(Network, FIG6 | {"samples": 30_000}), formula())
    assert (between.untested, between.l2_interval, between.caution) == (("samples",), None, None)
    assert between.nearest == {}


def test_beyond_its_runs_the_formula_is_that_of_the_nearest_sizes_and_theory():
    bent = formula(coefficients=dict.fromkeys(terms(1, 1, 1), 0.0) | {"1": -9.0, "(ln S)²": -1.0, "ln w": -2.0})
    assert bent.l2(1_000, 784, 1.0) == pytest.approx(bent.l2(5_000, 784, 1.0))
    assert bent.l2(60_000, 128, 1.0) == pytest.approx(tuple(2 * end for end in bent.l2(60_000, 256, 1.0)))


@pytest.mark.parametrize(
    ("J_squared", "factor"), [(0.8, 0.8**1.5), (1.0, 1.0), (1.3, 1.3**1.5), (30.0, 2**1.5), (0.01, 0.5**1.5)]
)
def test_a_pilot_run_corrects_the_decay_as_far_as_the_formula_goes(J_squared, factor):
    network = parse_settings(Network, FIG6 | {"width": 100})
    assert corrected(9e-5, J_squared, network, formula(), 1.0) == pytest.approx(9e-5 * factor)
    found = after_pilot(guide(network, formula()), network, 8e-5, 12, "a story")
    assert (found.l2, found.weight_decay_sgd, found.weight_decay_sgd_decoupled) == pytest.approx((8e-5, 1.6e-4, 3.2e-4))
    assert (found.l2_interval, found.untested, found.pilot, found.epochs_to_edge) == (None, (), "a story", 12)
    assert found.nearest == {}


def test_settings_that_are_sooner_are_told_of_networks_that_they_were_seen_with():
    network = parse_settings(Network, FIG6)
    advice = guide(network, formula())
    assert advice.sooner
    assert after_pilot(advice, network, 8e-5, 12, "a story").sooner == advice.sooner
    for other in ({"activation": "relu"}, {"depth": 2}):
        unlike = parse_settings(Network, FIG6 | other)
        assert after_pilot(advice, unlike, 8e-5, 12, "a story").sooner == ()


@pytest.fixture
def train(monkeypatch):
    """Stand in for training: J^2 is a function of lambda from epoch 30 of 100 on; return what is asked."""

    def ends_at(function):
        asked = []

        def obtain(configs, retrain):
            asked.append(configs[0].l2)
            run = run_of(configs[0].l2, epochs=100)
            run.history["J_squared"] = np.where(np.arange(101) < 30, 0.25, function(configs[0].l2))
            return [run]

        monkeypatch.setattr("edgechaos_core.guideline.pilot_runs.obtain", obtain)
        return asked

    return ends_at


def test_pilot_runs_go_on_until_one_confirms_its_decay(train):
    network = parse_settings(Network, FIG6)
    advice = guide(network, formula())
    asked = train(lambda l2: 1.04)
    assert pilot(network, advice, formula()).l2 == asked[0] == pytest.approx(7e-5)
    asked = train(lambda l2: 3e-4 / l2)  # the formula says J^2 ~ lambda^(-1/1.5)
    found = pilot(network, advice, formula())
    assert asked == pytest.approx([7e-5, 7e-5 * 2**1.5, 3e-4], rel=0.01)  # it counts as 2; then by its own two runs
    assert (found.l2, found.epochs_to_edge, len(found.tried)) == (asked[2], 30, 3)
    assert found.story.startswith(
        "267 epochs with lambda 7e-05 ended at J^2 = 4.29; lambda 0.000198 ended at J^2 = 1.52"
    )


def test_a_pilot_run_that_diverges_says_what_to_change(monkeypatch):
    diverged = replace(run_of(7e-5, epochs=3), outcome=Outcome("diverged", 2, "NaN"))
    monkeypatch.setattr(pilots, "obtain", lambda configs, retrain: [diverged])
    with pytest.raises(ValueError, match=r"^the pilot run has diverged: a smaller learning_rate, or less momentum$"):
        pilot(network := parse_settings(Network, FIG6), guide(network, formula()), formula())


def test_pilot_runs_take_bounded_steps_and_give_up(train):
    network = parse_settings(Network, FIG6)
    asked = train(lambda l2: 1.5 * (l2 / 7e-5) ** -0.05)
    with pytest.raises(
        ValueError, match=r"^no constant decay was found: 267 epochs with .*; EdgeDecay needs no formula$"
    ):
        pilot(network, guide(network, formula()), formula())
    assert len(asked) == 4
    first, *later = [after / before for before, after in itertools.pairwise(asked)]
    assert first == pytest.approx(1.5**1.5, rel=0.01)
    assert later == pytest.approx([4, 4], rel=0.01)


def test_a_step_down_is_bounded_as_well(train):
    network = parse_settings(Network, FIG6)
    ends = iter([0.6, 0.65, 1.0])
    asked = train(lambda l2: next(ends))
    pilot(network, guide(network, formula()), formula())
    assert asked[1] == pytest.approx(7e-5 * 0.6**1.5, rel=0.01)
    assert asked[2] == pytest.approx(asked[1] / 4, rel=0.01)


def test_pilot_runs_go_between_those_on_either_side_of_the_target(train):
    network = parse_settings(Network, FIG6)
    ends = iter([1.3, 0.9, 0.93, 1.01])
    asked = train(lambda l2: next(ends))
    assert pilot(network, guide(network, formula()), formula()).l2 == asked[3]
    assert asked[0] < asked[2] < asked[1]
    assert asked[0] < asked[3] < asked[2]  # not beyond, as 0.9 and 0.93 alone would have it


def test_a_pilot_run_that_sinks_through_the_target_confirms_nothing(train):
    network = parse_settings(Network, FIG6)
    asked = train(lambda l2: np.linspace(1.5, 0.95, 101))
    with pytest.raises(
        ValueError,
        match=r"^no constant decay was found: 267 .* only passed the target, coming down from 1\.33; EdgeDecay holds",
    ):
        pilot(network, guide(network, formula()), formula())
    assert len(asked) == 1


@pytest.mark.parametrize("ends", [lambda l2: 0.77, lambda l2: 0.8 * (l2 / 7e-5) ** 0.2])
def test_pilot_runs_end_where_more_decay_does_not_lower_j_squared(train, ends):
    network = parse_settings(Network, FIG6)
    asked = train(ends)
    with pytest.raises(ValueError, match="no constant decay was found: "):
        pilot(network, guide(network, formula()), formula())
    assert len(asked) == 2


def test_pilot_runs_that_would_never_end_are_refused():
    slow = parse_settings(Network, FIG6 | {"learning_rate": 1e-7})
    with pytest.raises(ValueError, match=r"^a pilot run would take 53,333,334 epochs at this speed"):
        pilot(slow, guide(slow, formula()), formula())


def test_sooner():
    faster, larger = guide(parse_settings(Network, FIG6), formula()).sooner
    assert faster == pytest.approx(
        {"learning_rate": 0.02, "momentum": 0.75, "batch_size": 32, "speedup": 2, "steps_factor": 0.5}
    )
    assert larger == {"learning_rate": 0.08, "momentum": 0.5, "batch_size": 128, "speedup": 1.0, "steps_factor": 0.25}
    quick = guide(parse_settings(Network, FIG6 | {"momentum": 0.6}), formula()).sooner
    assert [own["batch_size"] for own in quick] == [32]  # four times its step is beyond what B = 128 was seen to bear
    slow = guide(parse_settings(Network, FIG6 | {"learning_rate": 1e-5}), formula()).sooner[0]
    assert (slow["momentum"], slow["speedup"]) == pytest.approx((0.95, 10))
    for beyond in (
        {"learning_rate": 0.08, "batch_size": 128},
        FIG6 | {"batch_size": 8},
        FIG6 | {"learning_rate": 0.05},
    ):
        assert guide(parse_settings(Network, FIG6 | beyond), formula()).sooner == ()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"activation": "relu"}, "the guideline is for activation = tanh, got relu: use EdgeDecay"),
        ({"optimizer": "adam"}, "the guideline is for optimizer = sgd, got adam"),
        ({"depth": 2}, "the guideline is for depth = 1, got 2"),
        ({"samples": 31}, "batch_size must be at most samples = 31, got 32"),
    ],
)
def test_what_the_guideline_does_not_speak_of(settings, message):
    with pytest.raises(ValueError, match=message):
        guide(parse_settings(Network, FIG6 | settings), formula())


def test_the_next_decay_lies_between_those_that_ended_nearest_the_target():
    """Of three, whatever the target: the farthest is left out, though it were the nearest to another one."""
    tried = [(4e-4, 0.6), (1e-4, 1.9), (5e-5, 2.3)]
    network = Network(learning_rate=0.02, batch_size=32)
    found = pilots._next(tried, network, committed_formula(), target=2.0)
    share = math.log(2.0 / 1.9) / math.log(2.3 / 1.9)
    assert found == pytest.approx(1e-4 * (5e-5 / 1e-4) ** share)


def test_networks_of_a_readers_own_get_the_formulas_decay_then_a_corrected_one():
    configs = own_networks.configs_to_try([5_000], [100], None, [0, 1], formula())
    assert [(config.samples, config.width, config.hold, config.seed) for config in configs] == [
        *[(5_000, 784, hold, seed) for hold in (0.0, 1.0) for seed in (0, 1)],
        *[(20_000, 100, hold, seed) for hold in (0.0, 1.0) for seed in (0, 1)],
    ]
    assert configs[0].epochs == round(20_000 / (5_000 * 0.0025))
    network = parse_settings(Network, own_networks.BASE | {"samples": 5_000})
    assert configs[0].l2 == pytest.approx(guide(network, formula()).l2, rel=0.05)
    history = pd.DataFrame({"epoch": range(11), "J_squared": 2.0})
    first = [Run(config, history, Outcome("finished", 10)) for config in configs if config.l2]
    better = own_networks.piloted_configs(first, formula())
    assert [(config.samples, config.width, config.seed) for config in better] == [(5_000, 784, 2), (20_000, 100, 2)]
    assert better[0].l2 == pytest.approx(configs[0].l2 * 2**1.5, rel=0.05)


def test_the_share_of_the_noise_is_told_of_the_runs_that_have_one(monkeypatch):
    monkeypatch.setattr(formula_fit, "predicted_constant", lambda share: {"share": share})
    assert formula_fit.noise_share([0.8, math.nan, 0.6]) == "60 to 80%"
    assert formula_fit.noise_share([math.nan]) == "–"


def test_a_page_is_told_the_formula_in_words():
    found, runs = committed_formula(), calibration_runs()
    told = formula_fit.numbers(found, runs, [])
    assert (told["l2_edge"], told["noise_share"], told["runs"]) == ("8e-5", "–", "16")
    assert told["missed"] == "-16 to +23%"
    wide = replace(found, scatter=0.5, left_out={"one": math.log(1.7), "other": math.log(0.4)})
    told_wide = formula_fit.numbers(wide, runs, [])
    assert (told_wide["scatter"], told_wide["missed"]) == ("50.0", "-60 to +70%")
    assert (told["l2_nearest"], told["l2_beyond"], told["few_fitted"]) == ("9.3e-6", "6.1e-6", "0.50")
    assert (told["networks"], told["undetermined"]) == ("7", "S 5,000, width 784; S 60,000, width 784")
    assert formula_fit.shown_errors(found)["error of λ"]["S 60,000, width 256"] == "+22.9%"
    assert formula_fit.shown_coefficients(found)["coefficient"]["ln w"] == pytest.approx(-1.068)
    shown = formula_fit.shown_points(runs)
    assert shown["seeds"].sum() == len(runs)
    assert shown.loc[(60_000, 784, 0.00125, "9e-5"), "J² at the end"] == pytest.approx(0.923, abs=1e-3)
