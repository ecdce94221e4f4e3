"""The command ``edgechaos guide``: one object for programs, words for people, refusals in one line."""

import json
import subprocess
import sys

import pandas as pd
import pytest

from edgechaos_core.store.runs import Outcome, Run
from tests.cli.test_main import edgechaos  # noqa: F401 - a fixture

HEAVY = ("torch", "pandas", "scipy", "statsmodels", "pyarrow", "matplotlib")
SMALL = ("--samples", "1000", "--width", "32", "--learning-rate", "0.2", "--momentum", "0", "--batch-size", "4")


def test_json_is_one_object_that_agrees_with_the_words(edgechaos):  # noqa: F811
    code, stdout, stderr = edgechaos("guide", "--json")
    assert (code, stderr) == (0, "")
    advice = json.loads(stdout)
    assert {"l2", "l2_interval", "weight_decay_sgd", "weight_decay_sgd_decoupled", "epochs_to_edge", "sooner"} <= set(
        advice
    )
    assert 7e-5 < advice["l2"] < 1e-4  # the committed runs of Fig. 6
    assert advice["l2_interval"][0] < advice["l2"] < advice["l2_interval"][1]
    assert advice["weight_decay_sgd"] == pytest.approx(2 * advice["l2"])
    code, words, _ = edgechaos("guide")
    assert code == 0
    assert f"{advice['l2']:.3g}" in words
    assert f"after about {advice['epochs_to_edge']:.0f} epochs" in words
    assert "rough guess" not in words


def test_no_name_promises_the_decay_of_adamw(edgechaos):  # noqa: F811
    """The decoupled decay is that of an SGD: a step takes off as much of the weights as SGD's penalty does."""
    advice = json.loads(edgechaos("guide", "--momentum", "0.75", "--json")[1])
    assert advice["weight_decay_sgd_decoupled"] == pytest.approx(advice["weight_decay_sgd"] / (1 - 0.75))
    assert not [name for name in advice if "adam" in name]
    words = edgechaos("guide", "--momentum", "0.75")[1]
    assert f"weight_decay of decoupled SGD   {advice['weight_decay_sgd_decoupled']:.3g}\n" in words


def test_a_wider_network_needs_less_decay(edgechaos):  # noqa: F811
    base, wide = (json.loads(edgechaos("guide", "--json", *options)[1]) for options in ((), ("--width", "1568")))
    assert wide["l2"] < 0.7 * base["l2"]
    assert (base["untested"], wide["untested"]) == ([], ["width"])
    words = edgechaos("guide", "--width", "1568")[1]
    assert "a rough guess for width like these: --pilot" in words
    assert "taken at width = 1,024, the nearest of the runs that the formula is fitted to, and lambda ~ 1 / w" in words


def test_what_the_answer_is_about_is_said(edgechaos):  # noqa: F811
    code, words, _ = edgechaos("guide", "--samples", "4000", "--momentum", "0.75")
    assert code == 0
    assert "taken at samples = 5,000, the nearest of the runs that the formula is fitted to\n" in words
    assert "this is for training of 2,000 epochs (20,000 rescaled steps)" in words
    assert "is within 10% of" not in words  # of the edge: with few samples nobody has seen when
    words = edgechaos("guide")[1]
    assert "this is for training of 267 epochs (20,000 rescaled steps)" in words
    assert "taken at" not in words


def test_another_target_has_no_epochs(edgechaos):  # noqa: F811
    assert json.loads(edgechaos("guide", "--target", "0.6", "--json")[1])["epochs_to_edge"] is None
    code, words, _ = edgechaos("guide", "--target", "0.6")
    assert (code, "epochs\n" in words) == (0, False)


def test_nothing_heavy_is_imported():
    """It answers in a second, which importing any of these would take."""
    script = (
        "import sys; from edgechaos_core.cli.app import app; app(['guide'], standalone_mode=False); "
        f"sys.exit(', '.join(name for name in {HEAVY} if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("more", [(), ("--activation", "relu", "--depth", "2", "--target", "1.5")])
def test_a_pilot_run_has_the_last_word(edgechaos, monkeypatch, more):  # noqa: F811
    asked = []

    def obtain(configs, retrain):
        asked.extend(configs)
        history = pd.DataFrame({"epoch": range(11), "J_squared": 1.04 if not more else 1.54})
        return [Run(configs[0], history, Outcome("finished", 10))]

    monkeypatch.setattr("edgechaos_core.guideline.pilot_runs.obtain", obtain)
    code, stdout, _ = edgechaos("guide", *SMALL, "--pilot", "--json", *more)
    assert code == 0
    advice = json.loads(stdout)
    assert advice["l2_interval"] is None
    assert (asked[0].samples, asked[0].width, asked[0].epochs) == (1_000, 32, 400)
    assert (asked[0].activation, asked[0].depth) == (("relu", 2) if more else ("tanh", 1))
    assert advice["pilot"] == f"400 epochs with lambda {asked[0].l2:.3g} ended at J^2 = {1.54 if more else 1.04}"
    assert advice["l2"] == asked[0].l2
    code, words, _ = edgechaos("guide", *SMALL, "--pilot", *more)
    assert code == 0
    assert f"pilot: {advice['pilot']}" in words
    assert "as good" not in words
    assert f"{advice['l2']:.3g}" in words


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--momentum", "1"), "momentum must be less than or equal to 0.999, got 1.0"),
        (("--momentum", "-0.1"), "momentum must be greater than or equal to 0, got -0.1"),
        (("--learning-rate", "0"), "learning_rate must be greater than or equal to 0.0000001, got 0.0"),
        (("--learning-rate", "1e300"), "learning_rate must be less than or equal to 100, got 1e+300"),
        (("--samples", "0"), "samples must be greater than or equal to 1, got 0"),
        (("--samples", "1000000001"), "samples must be less than or equal to 1000000000, got 1000000001"),
        (("--batch-size", "0"), "batch_size must be greater than or equal to 1, got 0"),
        (("--width", "0"), "width must be greater than or equal to 1, got 0"),
        (("--width", "65537"), "width must be less than or equal to 65536, got 65537"),
        (("--depth", "0"), "depth must be greater than or equal to 1, got 0"),
        (("--depth", "101"), "depth must be less than or equal to 100, got 101"),
        (("--target", "0"), "target, a J^2, must be between "),
        (("--target", "50"), "target, a J^2, must be between "),
        (("--activation", "relu"), "the guideline is for activation = tanh, got relu: use EdgeDecay, or --pilot"),
        (("--optimizer", "adam", "--pilot"), "the guideline is for optimizer = sgd, got adam: use EdgeDecay"),
        (("--dataset", "mnist-5k"), "--dataset is what a pilot run trains on: it needs --pilot"),
        (("--samples", "9", "--batch-size", "10"), "batch_size must be at most samples = 9, got 10"),
        (("--pilot", "--dataset", "cifar10"), "unknown dataset 'cifar10': choose from "),
        (("--pilot", "--samples", "70000"), "samples + validation must be at most 60000"),
    ],
    ids=str,
)
def test_refusals(edgechaos, options, message):  # noqa: F811
    code, stdout, stderr = edgechaos("guide", *options)
    assert (code, stdout) == (2, "")
    assert stderr.startswith(f"edgechaos: {message}")
    assert len(stderr.splitlines()) == 1
