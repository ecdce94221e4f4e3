"""The command ``edgechaos guide``: one object for programs, words for people, refusals in one line."""

import json

import pytest

from tests.test_cli import edgechaos  # noqa: F401 - a fixture


def test_json_is_one_object_that_agrees_with_the_words(edgechaos):  # noqa: F811
    code, stdout, stderr = edgechaos("guide", "--json")
    assert (code, stderr) == (0, "")
    advice = json.loads(stdout)
    assert {"l2", "l2_interval", "weight_decay_sgd", "weight_decay_adamw", "epochs_to_edge", "sooner"} <= set(advice)
    assert 7e-5 < advice["l2"] < 1e-4  # the committed runs of Fig. 6
    assert advice["weight_decay_sgd"] == pytest.approx(2 * advice["l2"])
    code, words, _ = edgechaos("guide")
    assert code == 0
    assert f"{advice['l2']:.3g}" in words
    assert f"after about {advice['epochs_to_edge']:.0f} epochs" in words


def test_a_wider_network_needs_less_decay_and_fewer_samples_more_epochs(edgechaos):  # noqa: F811
    base, wide, few = (
        json.loads(edgechaos("guide", "--json", *options)[1])
        for options in ((), ("--width", "1568"), ("--samples", "6000"))
    )
    assert wide["l2"] == pytest.approx(base["l2"] / 2)
    assert few["l2"] == base["l2"]
    assert (base["untested"], wide["untested"], few["untested"]) == ([], ["width"], ["samples"])
    assert few["epochs_to_edge"] == pytest.approx(10 * base["epochs_to_edge"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--momentum", "1"), "momentum must be less than 1, got 1.0"),
        (("--samples", "0"), "samples must be greater than or equal to 1, got 0"),
        (("--target", "0"), "target, a J^2, must be positive, got 0.0"),
        (("--target", "50"), "no seed has runs on both sides of J^2 = 50: they settle at "),
        (("--activation", "relu"), "the guideline is for activation = tanh, got relu: use EdgeDecay"),
    ],
    ids=str,
)
def test_refusals(edgechaos, options, message):  # noqa: F811
    code, stdout, stderr = edgechaos("guide", *options)
    assert (code, stdout) == (2, "")
    assert stderr.startswith(f"edgechaos: {message}")
    assert len(stderr.splitlines()) == 1
