"""The scorecard that runs make, and what it says is lacking."""

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

from edgechaos_core.analysis.by_setting import setting_of
from edgechaos_core.analysis.intervals import Estimate
from edgechaos_core.claims import scorecard
from edgechaos_core.claims.judging import Evidence, Judged, judged
from edgechaos_core.claims.rules import OWN_RULES, RULES
from edgechaos_core.claims.verdicts import Part, read_claims
from edgechaos_core.experiments.protocols import protocol
from edgechaos_core.store.runs import Run
from tests.claims.estimates.test_estimates import FIG2, cut, growing, made_up, noisy
from tests.claims.estimates.test_reason import turning_at

LOSSES = ("test_loss", "validation_loss")
SAMPLES = (50_000, 25_000, 12_500, 6_250)
SHARES = ("test_accuracy", "validation_accuracy", "shuffled_accuracy", "restored_accuracy", "kept_accuracy")


def test_every_part_of_every_claim_has_a_rule():
    parts = judged(Evidence([], []))
    claims = read_claims() | read_claims("own")
    assert list(parts) == list(claims)
    assert {name: len(own) for name, own in parts.items()} == {name: len(claims[name].parts) for name in claims}
    with pytest.raises(ValueError, match=r"^unknown claim 'C15': choose from C1, "):
        judged(Evidence([], []), ["C15"])


def test_without_runs_the_scorecard_says_what_to_train():
    table = scorecard.scorecard(Evidence([], []))
    assert list(table.index) == list(read_claims())
    assert set(table["verdict"]) == {"not run"}
    assert table.loc["C2", "what would settle it"] == (
        "0 of 1 settings run (edgechaos sweep fig2 --seeds 0:10); "
        "0 of 9 settings run (edgechaos sweep speed --seeds 0:5)"
    )
    assert table["what would settle it"].str.contains("edgechaos ").all()
    assert list(scorecard.scorecard(Evidence([], []), "own").index) == list(read_claims("own"))


def row(name: str, runs: list[Run]) -> "pd.Series[Any]":
    return scorecard.scorecard(Evidence(runs, [])).loc[name]


def test_a_decided_row_stands_or_not_by_holm():
    clear = row("C13", [noisy(0.04 + seed / 1e4, 0.95 + seed / 1e4, seed) for seed in range(3)])
    assert (clear["verdict"], clear["Holm"], clear["what would settle it"]) == ("reproduced", "stands", "–")
    card = pd.DataFrame([clear, row("C4", [])])
    assert scorecard.decided(card).index.tolist() == ["C13"]
    barely = row("C13", [noisy(0.05 + seed / 100, 0.95, seed) for seed in range(3)])
    assert (barely["verdict"], barely["Holm"]) == ("reproduced", "does not stand")


def test_an_inconclusive_row_says_how_many_more_seeds():
    found = row("C13", [noisy(0.06 + seed / 30, 0.95, seed) for seed in range(3)])
    assert (found["verdict"], found["Holm"]) == ("reproduced in part", "stands")  # by what is decided of it
    assert re.fullmatch(
        r"about [1-9]\d* more seeds? would settle it, if the estimate stays", found["what would settle it"]
    )


def test_an_estimate_at_its_bound_asks_for_no_thousands_of_seeds():
    found = row("C13", [noisy(0.0901 + seed / 100, 0.95, seed) for seed in range(3)])
    assert (
        found["what would settle it"] == "too close to its bound for 100 more seeds to settle it, if the estimate stays"
    )


def test_one_seed_has_no_verdict():
    one = row("C13", [noisy(0.04, 0.95, 0)])
    assert (one["verdict"], one["estimate"]) == ("no verdict", "0.04, 1 seed; 0.95, 1 seed")
    assert one["what would settle it"] == "1 of 3 seeds run (edgechaos sweep noisy-long --seeds 0:3)"


def test_shorter_runs_are_shown_as_far_as_they_got_and_not_judged():
    found = row("C13", [noisy(0.04 + seed / 1e4, 0.95, seed, epochs=120) for seed in range(3)])
    assert found["verdict"] == "no verdict"
    assert found["estimate"].startswith("0.04010 [0.03985, 0.04035], 3 seeds, after 50% of the epochs; ")
    assert (
        found["what would settle it"]
        == "0 of 1 settings run to the full length (edgechaos sweep noisy-long --seeds 0:3)"
    )
    assert row("C13", [noisy(0.04, 0.95, seed, epochs=40) for seed in range(3)])["verdict"] == "not run"


def test_a_longer_run_is_cut_to_the_protocols_length():
    runs = [noisy(0.04, 0.95, seed, epochs=400) for seed in range(3)]
    for run in runs:
        run.history.loc[run.history["epoch"] > 240, "shuffled_accuracy"] = 0.5
        run.provenance["wall_seconds"] = 1.0
    assert row("C13", runs)["estimate"].startswith("0.04 (all alike)")


def test_a_fit_over_some_of_the_settings_has_no_verdict():
    runs = [growing(learning_rate=rate) for rate in (0.01, 0.02, 0.05, 0.1)]
    found = row("C4", runs)
    assert found["estimate"].startswith("1 (all alike)")
    assert found["estimate"].endswith(", 4 settings")
    assert found["verdict"] == "no verdict"
    assert found["what would settle it"] == "4 of 10 settings run (edgechaos sweep fig3-edge --seeds 0:1)"


def test_a_fit_that_finds_nothing_has_no_value():
    rising = [turning_at(1.0, 0.5, seed, epochs=320, samples=own) for own in SAMPLES for seed in range(3)]
    for run in rising:
        run.history["validation_loss"] = np.linspace(2, 1, len(run.history))
        run.provenance["wall_seconds"] = 1.0
    _, images = judged(Evidence(rising, []), ["B12"])["B12"]
    assert (images.shown, images.verdict) == ("no value", "inconclusive")


def test_a_largest_over_all_settings_is_not_called_not_run_where_some_are():
    assert row("C7", [])["estimate"] == "not run; not run"
    runs = [growing(learning_rate=rate) for rate in (0.01, 0.02, 0.05, 0.1)]
    assert row("C7", runs)["estimate"].endswith("; needs all settings")


def test_more_seeds_are_asked_for_the_strengths_near_the_top_alone():
    strengths = (0.0, 1e-5, 5e-5, 9e-5, 1.5e-4, 3e-4, 5e-4, 1e-3)

    def of_fig6(many: int) -> list[Judged]:
        runs = []
        for l2 in strengths:
            J_squared = 8e-5 / max(l2, 4e-6)
            for seed in range(many if 5e-5 <= l2 <= 3e-4 else 3):
                columns = {"test_accuracy": np.full(502, 0.9 - 0.01 * (J_squared - 1) ** 2 + seed / 1000)}
                columns["test_loss"] = np.full(502, 0.3)  # the run without decay is also Fig. 2's
                runs.append(made_up(np.full(502, J_squared), columns=columns, l2=l2, seed=seed, **FIG2))
        return judged(Evidence(runs, []), ["C11"])["C11"]

    fall, place = of_fig6(10)
    assert (fall.estimate.n, place.estimate.n, fall.to_train, place.to_train) == (3, 10, "", "")
    assert of_fig6(5)[1].to_train == "5 of 10 seeds run (edgechaos sweep fig6 --seeds 0:10)"


def test_every_part_takes_the_runs_of_its_own_protocol():
    """Their settings may differ in more than an estimate was tried on, such as the number of epochs."""
    wanted = [
        config
        for rules in (RULES | OWN_RULES).values()
        for rule in rules
        for config in protocol(rule.protocol, seeds=range(3))
        if rule.keep(config)
    ]
    longest = {(setting_of(config), config.seed): config for config in sorted(wanted, key=lambda one: one.epochs)}
    runs = []
    for config in longest.values():
        J_squared = np.linspace(0.25, 1.6 / (1 + 1e4 * config.l2), config.epochs + 1)
        columns = {name: 0.3 + (np.sqrt(J_squared) - 0.9 - config.seed / 100) ** 2 for name in LOSSES}
        columns |= dict.fromkeys(SHARES, 0.9 - columns["test_loss"] / 10) | {"J0": 0.1, "train_loss": 0.25}
        columns |= {"drift": 1e-3, "gradient": 1e-4, "noise": 1e-2 * (1 + J_squared), "lambda": 1e-4}
        columns |= {"lyapunov": J_squared - 1.1, "lyapunov_shuffled": J_squared - 1}
        runs.append(made_up(J_squared, columns=columns, **config.model_dump()))
        runs[-1].provenance["wall_seconds"] = 1.0
    parts = judged(Evidence(runs, []))
    assert {name for name, own in parts.items() if any(part.estimate is None for part in own)} == {"C1"}


def test_an_optimum_that_many_draws_of_seeds_do_not_have_is_inconclusive():
    runs = []
    for config in protocol("hold-at", seeds=range(3)):
        if config.hold and config.momentum == 0.5:
            bend = 3.0 if config.seed == 2 else -2.0  # concave on average, and not in 7 of 27 draws
            columns = {"validation_loss": np.full(171, 0.3 + (config.hold - 0.5) ** 2)}
            columns["validation_accuracy"] = np.full(171, 0.8 + bend * (config.hold**0.5 - 1) ** 2 / 100)
            runs.append(made_up(np.full(171, config.hold), columns=columns, **config.model_dump()))
    loss, accuracy, _ = judged(Evidence(runs, []), ["B4"])["B4"]
    assert loss.verdict == "not reproduced"
    assert (accuracy.estimate.low, accuracy.verdict, accuracy.p) == (None, "inconclusive", 1.0)
    assert accuracy.told == "inconclusive: in more than a tenth of the draws of seeds the fit finds no value"
    fewer = judged(Evidence([run for run in runs if run.config.seed < 2], []), ["B4"])["B4"][1]
    assert fewer.told == "no verdict: 2 of 3 seeds run (edgechaos sweep hold-at --seeds 0:3)"


def test_c1_needs_all_cuts_at_ten_thousand_neurons():
    ratios = (0.0, 1.1, 1.25, 1.5, 1.75)
    table = scorecard.scorecard(Evidence([], [cut(ratio, 1.0) for ratio in ratios]))
    assert table.loc["C1", "verdict"] == "reproduced"
    small = [cut(0.0, 1.0, neurons=1_000), *(cut(ratio, 1.0) for ratio in ratios[1:])]
    found = scorecard.scorecard(Evidence([], small)).loc["C1"]
    assert found["verdict"] == "not run"
    assert found["what would settle it"].startswith("4 of 5 cuts simulated (edgechaos phase-diagram ")


def test_a_page_has_a_row_a_part_and_the_books_own_claims_are_not_reproduced():
    runs = [noisy(0.04 + seed / 1e4, 0.85 + seed / 1e4, seed) for seed in range(3)]
    free = [noisy(0.2, 0.9, seed, hold=0.0) for seed in range(3)]
    table = scorecard.verdict_table("C13", "B10", evidence=Evidence([*runs, *free], []))
    assert list(table.index.get_level_values("claim")) == ["C13", "C13", "B10"]
    assert list(table["verdict"]) == ["reproduced", "not reproduced", "holds"]
    assert list(table["bounds"]) == ["at most 0.1", "at least 0.9", "at least 0"]
    assert table["here"].iloc[2].startswith("15.990 [")


def test_bounds_can_be_told_before_there_are_results():
    table = scorecard.bounds_table("C13", "B1")
    assert table["holds if"].tolist() == ["at most 0.1", "at least 0.9", "-0.25 to 0.25", "at least 1.6"]
    sentences = {name: claim.sentence for name, claim in (read_claims() | read_claims("own")).items()}
    assert list(dict.fromkeys(table.index.get_level_values("claim"))) == [
        f"C13: {sentences['C13']}",
        f"B1: {sentences['B1']}",
    ]


def judged_part(inside: tuple[float | None, float | None], *ends: float | None, verdict: str = "no verdict") -> Judged:
    own = Part(short="q", quantity="a quantity", published=None, inside=inside, why="a test", setting="none")
    return Judged(own, Estimate(*ends, 3) if ends else None, verdict, "")


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ((1.0, 0.9, 1.1), "inside"),  # its ends on the bounds
        ((1.0, 0.89, 1.1), "across"),
        ((1.0, 0.9, 1.11), "across"),
        ((1.0, 0.5, 1.5), "across"),
        ((1.2, 1.11, 1.3), "outside"),
        ((0.8, 0.7, 0.89), "outside"),
        ((1.0, None, None), "inside"),  # without an interval, by the value
        ((1.2, None, None), "outside"),
        ((), "not run"),
    ],
)
def test_how_an_estimate_lies_to_its_bounds_without_a_verdict(ends, expected):
    assert judged_part((0.9, 1.1), *ends).so_far == expected


INSIDE, OUTSIDE = judged_part((0.9, 1.1), 1.0, 0.95, 1.05), judged_part((None, 1.0), 2.0, 1.5, 2.5)
ACROSS, MISSING = judged_part((0.9, 1.1), 1.0, 0.5, 1.5), judged_part((0.9, 1.1))


def test_what_a_claims_runs_say_before_all_are_there():
    assert scorecard.so_far([INSIDE, INSIDE]) == "agrees"
    assert scorecard.so_far([INSIDE, MISSING]) == "agrees, as far as it is run"
    assert scorecard.so_far([OUTSIDE, MISSING]) == "disagrees"
    assert scorecard.so_far([INSIDE, OUTSIDE]) == scorecard.so_far([ACROSS, OUTSIDE]) == "disagrees in part"
    assert scorecard.so_far([INSIDE, ACROSS]) == scorecard.so_far([ACROSS, MISSING]) == "open"


def test_the_summary_names_every_claim_once():
    verdicts = ["reproduced", "no verdict", "no verdict", "no verdict", "not run", "no verdict", "not reproduced"]
    so_far = ["–", "agrees", "disagrees in part", "agrees, as far as it is run", "–", "open", "–"]
    card = pd.DataFrame({"verdict": verdicts, "so far": so_far}, index=[f"C{n}" for n in range(1, 8)])
    assert scorecard.summary(card) == (
        "Of the 7 claims 1 is reproduced (C1), 1 is not reproduced (C7) and 1 is not run (C5). The other 4 have no "
        "verdict yet, because a part of their runs is missing. Of these, the runs so far agree with 2 (C2, C4), "
        "disagree in part or as a whole with 1 (C3) and leave open 1 (C6)."
    )
    assert scorecard.summary(card.iloc[:1]) == "Of the 1 claims 1 is reproduced (C1)."
    assert scorecard.summary(card.iloc[1:2]).startswith("The other 1 has no verdict yet")


def test_every_part_has_its_bounds_and_the_reason_for_them():
    table = scorecard.reasons_table()
    claims = read_claims() | read_claims("own")
    assert len(table) == sum(len(text.parts) for text in claims.values())
    first = claims["B1"].parts[0]
    row = table.loc[f"B1: {first.quantity}"]
    assert (row["bounds"], row["why"]) == ("-0.25 to 0.25; set before its runs", first.why)
    assert table["bounds"].str.endswith("set with some runs known").any()
