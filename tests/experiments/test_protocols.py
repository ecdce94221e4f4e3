"""Grids of runs: the paper's protocols as published, overrides, and a reader's own YAML."""

import hashlib
import os
import subprocess
import sys

import pandas as pd
import pytest

from edgechaos_core.analysis.scaling import scale_factor
from edgechaos_core.experiments.named_grids import PROTOCOLS, RIVALS
from edgechaos_core.experiments.protocols import parse_seeds, protocol, read_grid
from edgechaos_core.system.places import REPOSITORY

# Of each grid its number of runs, and a digest of their settings, as planned: claims are judged on these runs, and many
# of them were trained before another change. A red test here means that a plan has changed, which must be meant.
PLANNED = {
    "fig2": (1, "f1e298dffef0"),
    "fig3": (28, "08228f50bc50"),
    "fig3-edge": (28, "2e86b71dc7c3"),
    "fig4": (5, "9d1d6ccf3f8f"),
    "fig5": (5, "fe50ef70d704"),
    "fig6": (8, "609cb8321593"),
    "relu-adam": (8, "1a55f2630c3b"),
    "gradients": (6, "af02c278a0d8"),
    "decay-gradients": (3, "3790221dc613"),
    "payoff": (18, "04769a1bd20c"),
    "calibration": (16, "cf2b1cbc0029"),
    "unseen": (16, "129ca67efac8"),
    "piloted": (8, "22b53b1576e8"),
    "contest": (7, "0955d421c29a"),
    "noisy": (9, "83c29b613d9e"),
    "noisy-long": (3, "a913aaffbb0b"),
    "start": (8, "c6ea1a7d45b8"),
    "speed": (9, "77b673f23469"),
    "hold-at": (21, "f61dc345b807"),
    "trained-map": (3, "80d520c375c5"),
    "depth": (70, "213f0f2da5ee"),
    "sizes": (7, "b9062bdc530a"),
    "adamw": (5, "984a42ea8df3"),
    "mnist": (2, "34a40d875af0"),
}


@pytest.mark.parametrize("name", PROTOCOLS)
def test_grids_are_as_they_were_planned(name):
    configs = protocol(name)
    planned = "\n".join(f"{config.key('')} {config.epochs}" for config in configs)
    assert (len(configs), hashlib.sha256(planned.encode()).hexdigest()[:12]) == PLANNED[name]


def test_fig3_is_the_published_table():
    table = pd.read_csv(REPOSITORY / "data" / "published" / "fig3_slopes.csv", comment="#")
    settings = {(row.learning_rate, row.momentum, row.batch_size) for row in table.itertuples()}
    configs = protocol("fig3")
    assert len(configs) == 28
    assert {(config.learning_rate, config.momentum, config.batch_size) for config in configs} == settings
    assert {(config.epochs, config.l2, config.samples) for config in configs} == {(50, 0.0, 60_000)}


def test_fig3_goes_on_to_the_edge_in_the_same_settings():
    on = protocol("fig3-edge")
    assert [config.model_copy(update={"epochs": 50}) for config in on] == protocol("fig3")
    assert all(config.epochs * scale_factor(config) > 0.067 for config in on)  # (1 - 1/4) / 11.16, the published c


def test_the_books_own_grids():
    payoff = protocol("payoff")
    assert len({config.model_dump_json(exclude={"epochs"}) for config in payoff}) == len(payoff) == 18
    assert {(config.validation, config.samples, config.l2) for config in payoff} == {(10_000, 50_000, 0.0)}
    gradients = protocol("gradients")
    assert all(config.gradients for config in gradients)
    assert all(config.epochs * scale_factor(config) > 0.066 for config in gradients)  # they pass J^2 = 1


def test_the_guidelines_grids():
    calibration = protocol("calibration")
    assert all(config.l2 > 0 and not config.hold for config in calibration)
    for config in [*calibration, *protocol("unseen")]:
        rescaled = config.samples * scale_factor(config) * config.epochs
        assert rescaled == pytest.approx(10_000 if config.hold else 20_000, rel=0.08)
    unseen = protocol("unseen")
    of_setting = [config.model_dump_json(exclude={"l2", "hold", "epochs"}) for config in unseen]
    assert len(set(of_setting)) == 8  # each with the formula's decay and with the controller's
    assert sorted(of_setting) == sorted([*set(of_setting)] * 2)
    assert not set(of_setting) & {config.model_dump_json(exclude={"l2", "hold", "epochs"}) for config in calibration}


def test_the_contest_and_its_noisy_twin_are_one_setting():
    rates = {(c.learning_rate, c.momentum, c.batch_size) for n in ("contest", "noisy") for c in protocol(n)}
    assert len(rates) == 1
    asked = {(config.l2, config.hold) for config in protocol("contest") if not config.validation}
    assert asked == {(own.get("l2", 0.0), own.get("hold", 0.0)) for own in RIVALS.values()}
    assert {config.label_noise for config in protocol("noisy")} == {0, 0.2, 0.4}
    clean = [config for config in protocol("noisy") if not config.label_noise]
    asked = [config.model_copy(update={"epochs": 48}) for config in protocol("contest") if config.milestone]
    assert set(clean) < set(asked)  # the longer runs serve the shorter requests


def test_the_other_figures_as_published():
    (fig2,) = protocol("fig2")
    assert (fig2.learning_rate, fig2.batch_size, fig2.momentum, fig2.epochs, fig2.l2) == (0.02, 32, 0.5, 501, 0.0)
    fig4 = [(config.learning_rate, config.batch_size) for config in protocol("fig4")]
    assert fig4 == [(0.005, 8), (0.01, 16), (0.02, 32), (0.04, 64), (0.08, 128)]
    fig5 = [(config.epochs, config.learning_rate, config.momentum) for config in protocol("fig5")]
    assert fig5 == [(501, 0.02, 0.5), (1001, 0.01, 0.5), (2001, 0.01, 0), (4001, 0.005, 0), (8001, 0.0025, 0)]
    assert [config.l2 for config in protocol("fig6")] == [0, 1e-5, 5e-5, 9e-5, 1.5e-4, 3e-4, 5e-4, 1e-3]
    for config in protocol("relu-adam"):
        assert (config.activation, config.optimizer, config.learning_rate) == ("relu", "adam", 0.001)
        assert (config.epochs, config.momentum) == (201, 0.9)
    assert fig2 in protocol("fig4")
    assert fig2 in protocol("fig5")
    assert fig2 in protocol("fig6")


def test_overrides():
    assert [config.seed for config in protocol("fig2", seeds=(3, 1))] == [3, 1]
    assert [config.epochs for config in protocol("fig5", epochs=125)] == [125, 250, 499, 998, 1996]
    assert {config.samples for config in protocol("fig4", samples=1_000)} == {1_000}
    assert {config.epochs for name in PROTOCOLS for config in protocol(name, epochs=1)} >= {1}


@pytest.mark.parametrize(("text", "seeds"), [("0:3", [0, 1, 2]), ("5:6", [5]), ("7", [7]), ("0,2,2,5", [0, 2, 5])])
def test_seeds(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "3:3", "4:2", "-1", "0:", ":3", "1,", "0:3:2", "1.5", "0:99999999999"])
def test_bad_seeds(text):
    with pytest.raises(ValueError, match=r"seeds .*got '"):
        parse_seeds(text)


GRID = """
base: {learning_rate: 2e-2, momentum: 0.5, epochs: 5}
runs:
  - {}
  - {batch_size: 8, learning_rate: 0.005, seed: 7}
vary:
  l2: [0, 9e-5]
"""


def test_a_grid_of_ones_own(tmp_path):
    path = tmp_path / "grid.yaml"
    path.write_text(GRID, encoding="utf-8")
    with pytest.raises(ValueError, match=r"grid\.yaml gives seeds itself"):
        protocol(str(path), seeds=(0, 1))
    path.write_text(GRID.replace(", seed: 7", ""), encoding="utf-8")
    configs = protocol(str(path), seeds=(0, 1))
    assert [config.seed for config in configs] == [0, 1] * 4
    path.write_text(GRID, encoding="utf-8")
    configs = protocol(str(path))
    rows = [(config.learning_rate, config.batch_size, config.l2, config.seed) for config in configs]
    assert rows == [
        (0.02, 32, 0.0, 0),
        (0.02, 32, 9e-5, 0),
        (0.005, 8, 0.0, 7),
        (0.005, 8, 9e-5, 7),
    ]
    assert {config.momentum for config in configs} == {0.5}


BAD_GRIDS = [
    ("", "a grid has the parts base, vary, runs"),
    ("[1, 2]", "a grid has the parts base, vary, runs"),
    ("grid: {}", "a grid has the parts base, vary, runs"),
    ("base: 3", "base must be settings"),
    ("runs: []", "runs must be a list of settings"),
    ("runs: {a: 1}", "runs must be a list of settings"),
    ("vary: {l2: 3}", "vary must give a list of values"),
    ("vary: {l2: []}", "vary must give a list of values"),
    ("base: {rate: 1}", "unknown setting 'rate': choose from dataset, samples"),
    ("vary: {rate: [1]}", "unknown setting 'rate'"),
    ("base: {epochs: 0}", "epochs must be greater than or equal to 1, got 0"),
    ("vary: {l2: [0, -1]}", "l2 must be greater than or equal to 0, got -1"),
    ("base: {epochs: 1, epochs: 2}", 'found duplicate key "epochs"'),
    ("vary: {l2: [0], l2: [1]}", 'found duplicate key "l2"'),
    ("runs: [{seed: 1, seed: 2}]", 'found duplicate key "seed"'),
    ("base: {epochs: 1:30}", "epochs must be a valid integer, got '1:30'"),
    ("base: {gradients: yes}", "gradients must be a valid boolean, got 'yes'"),
    ("base: {epochs: 2020-01-01}", "epochs must be a valid integer, got datetime.date(2020, 1, 1)"),
    ("base: {epochs: 2020-99-01}", "is not valid YAML"),
    ("base: " + "[" * 5_000, "is not valid YAML: nested too deeply"),
    ("base: {epochs: 1", "is not valid YAML"),
    ("base: !!python/object:os.system {}", "is not valid YAML"),
    ("vary: {seed: &s [" + "1, " * 999 + "1], l2: *s, momentum: *s}", "a grid has at most 1,000,000 runs"),
]


@pytest.mark.parametrize(("text", "message"), BAD_GRIDS)
def test_a_bad_grid_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "grid.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        read_grid(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numbers_are_those_of_yaml_1_2(tmp_path):
    path = tmp_path / "grid.yaml"
    path.write_text("base: {epochs: 010, samples: 0x100, seed: 1_000, l2: 1e-5}", encoding="utf-8")
    assert read_grid(path) == [{"epochs": 10, "samples": 256, "seed": 1000, "l2": 1e-5}]


def test_merge_keys_are_resolved(tmp_path):
    path = tmp_path / "grid.yaml"
    text = "base: &fast {epochs: 2, momentum: 0.9}\nruns: [{l2: 0}, {<<: *fast, epochs: 3}]"
    path.write_text(text, encoding="utf-8")
    assert read_grid(path) == [{"epochs": 2, "momentum": 0.9, "l2": 0}, {"epochs": 3, "momentum": 0.9}]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with a byte-order mark"])
def test_grids_are_utf_8_whatever_the_locale(tmp_path, mark):
    path = tmp_path / "grid.yaml"
    path.write_bytes(mark + "# \N{GREEK SMALL LETTER LAMDA}\nbase: {epochs: 2}".encode())
    script = "import sys; from pathlib import Path; from edgechaos_core.experiments.protocols import read_grid; "
    script += "print(read_grid(Path(sys.argv[1])))"
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-c", script, path]
    done = subprocess.run(command, env=os.environ | plain, capture_output=True, encoding="utf-8", check=False)
    assert (done.stdout, done.stderr) == ("[{'epochs': 2}]\n", "")


def test_a_grid_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / "grid.yaml"
    path.write_bytes("# \N{GREEK SMALL LETTER LAMDA}".encode("iso-8859-7"))
    with pytest.raises(ValueError, match=r"grid\.yaml is not valid YAML: not UTF-8 \(byte 2\)"):
        read_grid(path)


def test_what_is_no_grid(tmp_path):
    for call, message in [
        (lambda: protocol("fig7"), "unknown protocol 'fig7': choose from fig2, fig3, fig3-edge, "),
        (lambda: protocol(str(tmp_path / "none.yaml")), "none.yaml cannot be read: No such file"),
        (lambda: protocol(f"{tmp_path}.yaml"), "cannot be read"),
        (lambda: protocol("fig2", seeds=()), "at least one seed is needed"),
        (lambda: protocol("fig2", epochs=0), "epochs must be at least 1, got 0"),
        (lambda: protocol("fig2", samples=0), "samples must be greater than or equal to 1, got 0"),
    ]:
        with pytest.raises(ValueError, match=r".") as caught:
            call()
        assert message in str(caught.value)


def test_milestones_keep_their_place_in_shorter_runs():
    lengths = {(config.epochs, config.milestone) for config in protocol("contest", epochs=24)}
    assert lengths == {(29, 24), (29, 0), (24, 0)}


def test_the_grids_that_test_the_principle():
    judged = [config for name in ("start", "speed", "hold-at", "mnist") for config in protocol(name)]
    assert {config.validation for config in judged} == {10_000}  # no optimum is located on test data
    assert [config.initial_J for config in protocol("start")] == [0.1, 0.25, None, 0.75, 1.0, 1.25, 1.5, 2.0]
    rescaled = {round(config.epochs * scale_factor(config), 9) for config in protocol("speed")}
    assert min(rescaled) == 0.1  # J^2 comes as far at any speed, and farther where its least loss comes later
    speeds = [scale_factor(config) / scale_factor(protocol("fig2")[0]) for config in protocol("speed")]
    assert sorted(round(speed, 6) for speed in speeds) == [0.25, 0.25, 0.5, 0.5, 1, 2, 2, 4, 4]
    held = {(config.momentum, config.hold) for config in protocol("hold-at")}
    assert len(held) == len(protocol("hold-at")) == 21
    assert all(config.milestone == config.epochs - 10 for config in protocol("hold-at"))
    deep = protocol("depth")
    assert len(deep) == 70
    assert {config.width for config in deep} == {256}
