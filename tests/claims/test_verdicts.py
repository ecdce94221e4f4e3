"""Verdicts: the interval alone decides, and a wide one decides nothing."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from edgechaos_core.analysis.intervals import Estimate, over_seeds, resampled
from edgechaos_core.book import chapters
from edgechaos_core.claims import verdicts
from edgechaos_core.claims.verdicts import Part

BOUNDS = Part(short="q", quantity="J", published=1.0, inside=(0.9, 1.1), why="a test", setting="none")


def test_the_file_names_every_claim_of_the_paper_and_the_books_own():
    assert list(verdicts.read_claims()) == [f"C{number}" for number in range(1, 15)]
    assert list(verdicts.read_claims("own")) == [f"B{number}" for number in range(1, 13)]


def test_published_values_of_reproduced_claims_lie_inside_their_own_bounds():
    parts = [part for claim in verdicts.read_claims().values() for part in claim.parts if part.published is not None]
    assert len(parts) >= 15
    outside = [part.quantity for part in parts if not part.bounds[0] <= part.published <= part.bounds[1]]
    assert outside == []


def test_every_page_is_one_of_the_books_or_planned():
    planned = {"chapters/reason", "chapters/deeper"}
    pages = {claim.page for kind in ("claims", "own") for claim in verdicts.read_claims(kind).values()}
    assert pages <= planned | set(chapters.documents())


@pytest.mark.parametrize("change", [{"inside": [1.1, 0.9]}, {"inside": [None, None]}, {"why": 3}, {"colour": "red"}])
def test_a_bad_row_is_named(change, tmp_path, monkeypatch):
    part = {"short": "q", "quantity": "J", "published": 1.0, "inside": [0.9, 1.1], "why": "w", "setting": "s"} | change
    row = {"sentence": "s", "page": "p", "set": "before", "parts": [part]}
    path = tmp_path / "claims.yaml"
    path.write_text(json.dumps({"claims": {"C7": row}}), encoding="utf-8")
    monkeypatch.setattr(verdicts, "CLAIMS", path)
    with pytest.raises(ValueError, match=r"claims\.yaml, C7: "):
        verdicts.read_claims()


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.95, 1.05, "reproduced"),
        (0.9, 1.1, "reproduced"),
        (0.89, 1.05, "inconclusive"),
        (0.5, 2.0, "inconclusive"),
        (1.11, 1.2, "not reproduced"),
        (0.2, 0.89, "not reproduced"),
        (None, None, "no verdict"),
    ],
)
def test_the_interval_alone_decides(low, high, expected):
    assert verdicts.verdict(Estimate(1.0, low, high, 3), BOUNDS) == expected


def test_one_seed_and_two_have_no_interval():
    for values in ([1.0], [1.0, 1.001]):
        estimate = over_seeds(values)
        assert (estimate.low, estimate.high, estimate.n) == (None, None, len(values))
        assert verdicts.verdict(estimate, BOUNDS) == "no verdict"
        assert verdicts.p_value(estimate, BOUNDS) == 1


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (["reproduced", "reproduced"], "reproduced"),
        (["reproduced", "not reproduced"], "reproduced in part"),
        (["reproduced", "inconclusive"], "reproduced in part"),
        (["inconclusive", "not reproduced"], "not reproduced"),
        (["inconclusive", "no verdict"], "inconclusive"),
        (["no verdict"], "no verdict"),
    ],
)
def test_a_claim_of_several_parts(parts, expected):
    assert verdicts.claim_verdict(parts) == expected


def test_how_many_more_seeds_would_settle_it():
    generator = np.random.default_rng(0)
    sample = 1.06 + 0.05 * stats.zscore(generator.normal(size=4), ddof=1)
    estimate = over_seeds(sample.tolist())
    assert verdicts.verdict(estimate, BOUNDS) == "inconclusive"
    more = verdicts.seeds_to_settle(estimate, BOUNDS)
    assert more is not None
    for n, settled in ((4 + more, True), (3 + more, False)):
        half = stats.t.ppf(0.975, n - 1) * 0.05 / math.sqrt(n)
        assert (half < 0.04) == settled
    assert verdicts.seeds_to_settle(Estimate(1.1, 1.0, 1.2, 3), BOUNDS) is None  # on the bound: never
    assert verdicts.seeds_to_settle(Estimate(1.0, 0.95, 1.05, 3), BOUNDS) is None  # settled


@pytest.mark.parametrize("centre", [0.8, 0.88, 0.92, 1.0, 1.08, 1.12, 1.3])
@pytest.mark.parametrize("scatter", [0.003, 0.02, 0.1])
def test_the_p_value_says_what_the_interval_says(centre, scatter):
    values = centre + scatter * stats.zscore(np.random.default_rng(1).normal(size=5), ddof=1)
    over = over_seeds(values.tolist())
    decided = verdicts.verdict(over, BOUNDS) in ("reproduced", "not reproduced")
    assert (verdicts.p_value(over, BOUNDS) < 0.05) == decided
    draws = np.random.default_rng(2).normal(centre, scatter, 4_001)
    boot = resampled(centre, draws.tolist(), 5)
    decided = verdicts.verdict(boot, BOUNDS) in ("reproduced", "not reproduced")
    assert (verdicts.p_value(boot, BOUNDS) < 0.05) == decided


def test_holm_is_stricter_than_each_alone():
    stands = verdicts.holm({"C1": 0.001, "C2": 0.02, "C3": 0.04, "C4": 0.9})
    assert stands == {"C1": True, "C2": False, "C3": False, "C4": False}
    assert verdicts.holm({}) == {}


def test_what_a_picture_calls_a_part_is_short():
    plain = BOUNDS.model_dump()
    assert Part(**plain | {"short": "x" * 45}).short == "x" * 45
    with pytest.raises(ValueError, match="at most 45"):
        Part(**plain | {"short": "x" * 46})
