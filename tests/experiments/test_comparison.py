"""Ways to choose a decay set side by side, on made-up runs; and the claims that rest on them."""

import math

import numpy as np
import pandas as pd
import pytest

from edgechaos_core.analysis.endpoints import by_way, setting_of, summary
from edgechaos_core.analysis.endpoints import table as landing_table
from edgechaos_core.analysis.scaling import Interval
from edgechaos_core.claims.decay import all_land_at_the_edge, as_good_as_a_search, beats_no_decay, noise_is_not_fitted
from edgechaos_core.claims.verdicts import judge_beyond
from edgechaos_core.experiments.comparison import AGAIN, ON, Entry, behind, hold_contest, stopped_early, table, trained
from edgechaos_core.experiments.hyperparameter_search import best
from edgechaos_core.experiments.named_grids import RIVALS
from edgechaos_core.experiments.protocols import protocol
from edgechaos_core.store.runs import Outcome, Run, parse_config

EPOCHS = 20


def run_of(seed=0, *, columns=None, **settings) -> Run:
    """Columns are constant but for the validation loss, which is least at epoch 7."""
    config = parse_config({"epochs": EPOCHS, "seed": seed} | settings)
    epoch = np.arange(EPOCHS + 1)
    own = {"J_squared": 1.0, "test_accuracy": 0.89, "test_loss": 0.4} | (columns or {})
    own |= {"validation_loss": np.abs(epoch - 7)} if config.validation else {}
    return Run(config, pd.DataFrame({"epoch": epoch} | own), Outcome("finished", EPOCHS))


def entry_of(*accuracies, name="way", epochs=48.0) -> Entry:
    own = dict(enumerate(accuracies))
    return Entry(name, "8e-05", own, own, own, epochs)


def test_an_entry_is_the_end_of_training_and_its_price():
    rising = np.linspace(0.5, 0.9, EPOCHS + 1)
    runs = [run_of(seed, l2=8e-5, columns={"test_accuracy": rising}) for seed in (0, 1)]
    found = trained("search", runs, before=100)
    assert found.accuracies == {0: pytest.approx(0.89), 1: pytest.approx(0.89)}  # the last two of 21 epochs
    assert (found.decay, found.epochs) == ("8e-05", 100 + EPOCHS)
    held = trained("controller", [run_of(hold=1.0, columns={"lambda": rising})])
    assert held.decay == "0.89"
    with pytest.raises(ValueError, match=r"^an entry needs runs that differ in seed alone$"):
        trained("both", [run_of(l2=1e-5), run_of(l2=2e-5)])
    with pytest.raises(ValueError, match=r"^an entry needs runs that differ in seed alone$"):
        trained("none", [])


def made_up(config) -> Run:
    """Accuracy rises by a point an epoch at a tenth of the learning rate; validation loss is least at epoch 7."""
    epoch = np.arange(config.epochs + 1)
    slow = np.maximum(epoch - config.milestone, 0) if config.milestone else 0 * epoch
    columns = {"J_squared": 1.0, "lambda": 7e-5, "test_loss": 0.4, "validation_accuracy": 0.8, "epoch": epoch}
    columns |= {"test_accuracy": 0.5 + 0.01 * slow + 0.001 * config.seed, "validation_loss": np.abs(epoch - 7)}
    return Run(config, pd.DataFrame(columns), Outcome("finished", config.epochs), {"wall_seconds": 1.0})


def test_a_contest_asks_for_what_its_protocol_trains_and_slows_all():
    asked: list = []

    def get(configs):
        asked.extend(configs)
        return [made_up(config) for config in configs]

    held = hold_contest(get, trials=2)
    parts, searches = (held.constant, held.slowed), ["search over λ", "search over λ and η"]
    early = "no decay, stopped early"
    assert [*held.constant.entries] == [*searches, *RIVALS, early, AGAIN]
    assert [*held.slowed.entries] == [*searches, *RIVALS, ON, AGAIN]
    assert all(entry.accuracy() == pytest.approx(0.501) for entry in held.constant.entries.values())
    assert held.slowed.entries[ON].accuracy() == pytest.approx(0.501)
    slowed = [entry for name, entry in held.slowed.entries.items() if name not in (ON, AGAIN)]
    assert all(entry.accuracy() == pytest.approx(0.501 + 0.075) for entry in slowed)  # the last 6 of 59 epochs
    assert held.slowed.entries[AGAIN].accuracy() == pytest.approx(0.501 + 0.095)  # the last 2 of 18
    price = {name: tuple(part.entries[name].epochs for part in parts) for name in (*searches, AGAIN)}
    assert price == {**dict.fromkeys(searches, (2 * 48 + 48, 2 * 48 + 58)), AGAIN: (17 + 7, 17 + 7 + 10)}
    searched = {run.config for runs in held.searches.values() for run in runs}
    assert len(searched) == 4
    assert all((config.validation, config.milestone, config.epochs) == (10_000, 0, 48) for config in searched)
    assert set(protocol("contest", seeds=range(3))) < set(asked)
    with pytest.raises(ValueError, match=r"^slow_epochs must be at least a tenth of all epochs, got 4 of 52$"):
        hold_contest(get, slow_epochs=4)


def test_what_early_stopping_would_never_train_is_trained_for_an_epoch():
    asked: list = []

    def get(configs):
        asked.extend(configs)
        runs = [made_up(config) for config in configs]
        for run in runs:
            run.history["validation_loss"] = run.history["epoch"] + 1.0  # least before training
        return runs

    hold_contest(get, trials=1)
    again = [(config.milestone, config.epochs) for config in asked if config.milestone not in (0, 48)]
    assert again == [(1, 1 + 10)] * 3


def test_the_search_to_match_is_the_better_on_test_images():
    def get(configs):
        runs = [made_up(config) for config in configs]
        for run in runs:
            run.history["test_accuracy"] += run.config.learning_rate
        return runs

    held = hold_contest(get, trials=5)
    rates = {name: best(runs).config.learning_rate for name, runs in held.searches.items()}
    assert held.constant.best_found.name == held.slowed.best_found.name == max(rates, key=lambda name: rates[name])


def test_the_end_of_a_run_that_diverged_is_not_a_number():
    run = run_of(l2=8e-5)
    broken = Run(run.config, run.history, Outcome("diverged", EPOCHS))
    assert math.isnan(trained("broken", [broken]).accuracies[0])
    assert all_land_at_the_edge([broken], "formula").verdict == "fails"


def test_early_stopping_pays_for_its_patience_and_for_training_again():
    falling = np.linspace(0.9, 0.5, EPOCHS + 1)
    runs = [run_of(seed, validation=10_000, columns={"test_accuracy": falling}) for seed in (0, 1)]
    once = stopped_early("once", runs)
    assert once.accuracies == {0: pytest.approx(falling[7]), 1: pytest.approx(falling[7])}
    assert once.epochs == 17
    again = stopped_early("twice", runs, [run_of(seed, columns={"test_accuracy": falling / 2}) for seed in (0, 1)])
    assert again.accuracies[1] == pytest.approx(falling[7] / 2)
    assert again.epochs == 17 + 7


def test_behind_is_seed_by_seed():
    off = behind(entry_of(0.88, 0.90), entry_of(0.89, 0.91))
    assert (off.mean, off.low, off.high) == pytest.approx((1, 1, 1))
    assert behind(entry_of(0.88), entry_of(0.89, 0.91)).seeds == 1
    with pytest.raises(ValueError, match=r"^way and other have no seed in common$"):
        behind(Entry("way", "", {3: 0.9}, {}, {}, 1), entry_of(0.9, name="other"))


def test_the_table_has_a_row_a_way():
    best = entry_of(0.9, 0.9, name="search")
    shown = table([best, entry_of(0.88, 0.89)], best)
    assert shown.loc["search", "behind, points"] == "–"
    assert shown.loc["way", "behind, points"].startswith("1.50 [")
    assert shown["epochs"].tolist() == [48, 48]


# claims -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("off", "epochs", "verdict", "clear"),
    [
        ([0.1, 0.2, 0.15], 48, "holds", True),
        ([0.1, 0.2, 0.15], 200, "holds in part", True),
        ([0.5, 0.6, 0.55], 48, "fails", True),
        ([-0.5, 0.9, 0.0], 48, "holds", False),
        ([0.1], 48, "holds", False),
    ],
)
def test_rule_of_as_good_as_a_search(off, epochs, verdict, clear):
    way = entry_of(*(0.9 - points / 100 for points in off), epochs=epochs)
    claim = as_good_as_a_search(way, entry_of(*(0.9 for _ in off), name="search", epochs=1500))
    assert (claim.verdict, claim.clear) == (verdict, clear)
    assert claim.measured.mean == pytest.approx(np.mean(off))


def test_rule_of_loss_and_accuracy_against_no_decay():
    free = Entry("no decay", "0", {0: 0.90, 1: 0.91}, {0: 0.40, 1: 0.42}, {}, 48)

    def against(losses, accuracies=(0.90, 0.91)):
        return beats_no_decay(
            Entry("formula", "", *(dict(enumerate(own)) for own in (accuracies, losses)), {}, 48), free
        )

    spared, level = against([0.35, 0.37], [0.899, 0.909])
    assert (spared.verdict, spared.clear, spared.measured.mean) == ("holds", True, pytest.approx(0.05))
    assert (level.verdict, level.clear, level.measured.mean) == ("holds in part", True, pytest.approx(-0.1))
    assert against([0.39, 0.37])[0].clear is False
    assert against([0.45, 0.47])[0].verdict == "fails"
    assert [claim.clear for claim in against([0.35], [0.92])] == [False, False]  # one seed has no interval
    assert against([0.35, 0.37], [0.91, 0.92])[1].verdict == "holds"
    assert against([0.35, 0.37], [0.89, 0.90])[1].verdict == "fails"
    for points, verdict in ((0.29, "holds in part"), (0.31, "fails")):
        accuracies = [own - points / 100 for own in (0.90, 0.91)]
        assert against([0.35, 0.37], accuracies)[1].verdict == verdict
    with pytest.raises(ValueError, match=r"^formula and no decay have no seed in common$"):
        beats_no_decay(Entry("formula", "", {7: 0.9}, {7: 0.45}, {}, 48), free)


def landed(*ends, seeds=2, **settings) -> list[Run]:
    return [
        run_of(seed, samples=10_000 + number, l2=8e-5, columns={"J_squared": end + 0.01 * seed}, **settings)
        for number, end in enumerate(ends)
        for seed in range(seeds)
    ]


@pytest.mark.parametrize(
    ("ends", "seeds", "verdict", "clear"),
    [
        ([0.95, 1.03], 2, "holds", True),
        ([0.95, 1.2], 2, "holds in part", True),
        ([1.0, 0.6], 2, "fails", True),
        ([0.95, 1.094], 2, "holds", False),  # a seed is beyond
        ([0.95, 1.03], 1, "holds", False),
    ],
)
def test_rule_of_landing(ends, seeds, verdict, clear):
    claim = all_land_at_the_edge(landed(*ends, seeds=seeds), "formula")
    assert (claim.verdict, claim.clear) == (verdict, clear)
    assert claim.measured.seeds == len(ends)
    assert "J² at the end, 2 settings: worst" in claim.quantity
    assert claim.statement == "the formula lands on the edge elsewhere"
    with pytest.raises(ValueError, match=r"^where the pilot lands is judged on at least one run$"):
        all_land_at_the_edge([], "pilot")


@pytest.mark.parametrize(
    ("ends", "verdict"), [([0.98, 1.0], "holds"), ([1.0, 1.05], "holds in part"), ([1.0, 1.12], "fails")]
)
def test_the_controller_is_to_land_nearer(ends, verdict):
    assert all_land_at_the_edge(landed(*ends), "controller").verdict == verdict


@pytest.mark.parametrize(("sign", "off"), [(1, 0.01), (-1, -0.01)])
def test_a_bound_is_to_be_passed_and_not_only_met(sign, off):
    def verdict(mean):
        bounds = {"holds": 0.5, "in_part": 0.5 - 0.3 * sign, "sign": sign}
        return judge_beyond("C0", "", "", Interval(mean, None, None, 1), **bounds).verdict

    met = (0.5, 0.5 - 0.3 * sign)
    assert [verdict(value) for value in met] == ["holds in part", "fails"]
    assert [verdict(value + off) for value in met] == ["holds", "holds in part"]


def noisy(fitted, kept, accuracy, **settings) -> list[Run]:
    columns = {"shuffled_accuracy": fitted, "kept_accuracy": kept}
    return [
        run_of(seed, label_noise=0.2, columns=columns | {"test_accuracy": accuracy + 0.001 * seed}, **settings)
        for seed in range(3)
    ]


@pytest.mark.parametrize(
    ("fitted", "kept", "accuracy", "verdicts"),
    [
        (0.05, 0.95, 0.89, ["holds", "holds", "holds", "holds"]),
        (0.2, 0.8, 0.859, ["holds in part", "holds in part", "holds", "holds in part"]),
        (0.92, 0.5, 0.8, ["fails", "fails", "fails", "fails"]),
    ],
)
def test_rule_of_c13(fitted, kept, accuracy, verdicts):
    found = noise_is_not_fitted(noisy(fitted, kept, accuracy, hold=1.0), noisy(0.9, 0.9, 0.86))
    assert [claim.verdict for claim in found] == verdicts
    assert all(claim.clear for claim in found)
    assert found[2].measured.mean == pytest.approx(100 * (0.9 - fitted))
    assert found[3].measured.mean == pytest.approx(100 * (accuracy - 0.86))
    assert all(claim.quantity.endswith("20% noise, controller, 20 epochs") for claim in found)
    assert len(noise_is_not_fitted(noisy(fitted, kept, accuracy), [])) == 2
    assert math.isnan(found[0].published)


def test_c13_pairs_runs_of_one_seed_in_whatever_order():
    def of(seeds, base, step):
        made = [
            run_of(seed, label_noise=0.2, columns={"shuffled_accuracy": base + step * seed, "kept_accuracy": 0.95})
            for seed in seeds
        ]
        for run in made:
            run.history["test_accuracy"] = 0.8 + run.history["shuffled_accuracy"] / 10
        return made

    guided, free = of([2, 0, 1], 0.1, 0.1), of([7, 0, 1, 2, 9], 0.5, 0.1)  # 0.4 apart, seed by seed
    spared, gained = noise_is_not_fitted(guided, free)[2:]
    assert (spared.measured.low, spared.measured.mean, spared.measured.high) == pytest.approx((40, 40, 40))
    assert (gained.measured.low, gained.measured.mean, gained.measured.high) == pytest.approx((-4, -4, -4))
    assert spared.measured.seeds == 3


# where runs land ------------------------------------------------------------------------------------------------------


def test_settings_in_words():
    rates = {"learning_rate": 0.02, "momentum": 0.5, "batch_size": 32}
    assert setting_of(parse_config(rates)) == "η 0.02, α 0.5, B 32"
    assert setting_of(parse_config(rates | {"samples": 10_000, "width": 1568})) == (
        "S 10,000; width 1,568; η 0.02, α 0.5, B 32"
    )
    assert setting_of(parse_config(rates | {"dataset": "mnist-5k"})) == "S 4,000; mnist-5k; η 0.02, α 0.5, B 32"


def test_ways_are_told_from_the_settings():
    runs = [run_of(**own) for own in ({"hold": 1.0}, {}, {"l2": 1e-4}, {"hold": 1.0, "l2": 1e-4})]
    assert by_way(runs) == {"controller": [runs[0], runs[3]], "none": [runs[1]], "formula": [runs[2]]}


def test_landing_places_by_setting_and_way():
    held = [run_of(hold=1.0, samples=10_000, columns={"lambda": 7e-5})]
    ends = landing_table({"formula": landed(0.9, 1.1), "controller": held})
    shown = summary(ends)
    assert shown.index.get_level_values("way").tolist() == ["formula", "controller", "formula"]  # setting by setting
    assert shown["J² at the end"].iloc[0].startswith("0.905 [")
    assert shown["J² at the end"].iloc[1] == "1.000 (n = 1)"
    assert shown["lambda"].tolist() == ["8e-05", "7e-05", "8e-05"]
