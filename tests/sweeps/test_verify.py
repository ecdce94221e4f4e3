"""Committed runs are evidence: drawn afresh, trained again, compared; a doctored file is found."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from edgechaos_core.images.datasets import load_dataset
from edgechaos_core.store.runs import Run, load_run, parse_config, save_run
from edgechaos_core.store.store import COMMITTED_RUNS, Store
from edgechaos_core.sweeps import verify
from edgechaos_core.system.places import REPOSITORY
from edgechaos_core.training.trainer import train

SETTINGS = {"samples": 300, "batch_size": 64, "width": 16, "epochs": 3}
STORED = Store(Path("/nonexistent"), (COMMITTED_RUNS,))


def test_every_committed_file_is_intact():
    checks = list(verify.check_files(STORED))
    assert len(checks) >= 47
    assert verify.problems(checks) == []


def test_committed_runs_drawn_afresh_train_again_to_the_same_numbers():
    checks = list(verify.retrain_some(STORED, 2))
    print([check.name for check in checks])  # shown if it fails: which were drawn
    assert len(checks) == 2
    assert verify.problems(checks) == []


@pytest.fixture
def stored(tmp_path) -> tuple[Store, Path]:
    config = parse_config(SETTINGS)
    run = train([config], load_dataset(samples=300))[0]
    path = tmp_path / "committed" / f"{config.key(run.provenance['data_sha256'])}.parquet"
    save_run(run, path)
    return Store(tmp_path / "own", (path.parent,)), path


def found(store: Store) -> list[str]:
    return verify.problems([*verify.check_files(store), *verify.retrain_some(store, 5, epochs=2)])


def test_an_honest_file_passes(stored):
    assert found(stored[0]) == []


@pytest.mark.parametrize(
    ("column", "factor"), [("J_squared", 1.0001), ("J0", 1.1), ("test_loss", 0.999), ("test_accuracy", 1.01)]
)
def test_a_doctored_file_is_found(stored, column, factor):
    store, path = stored
    run = load_run(path)
    run.history.loc[1, column] *= factor
    save_run(run, path)  # with a digest that is right
    problems = found(store)
    assert len(problems) == 1
    assert str(path) in problems[0]
    assert f"{column} " in problems[0]
    assert "at epoch 1" in problems[0]


def test_a_run_thrown_into_chaos_is_compared_up_to_there(tmp_path):
    config = parse_config(SETTINGS | {"learning_rate": 20.0})
    run = train([config], load_dataset(samples=300))[0]
    assert run.history["J_squared"].iloc[1] > 1
    store = Store(tmp_path / "own", (tmp_path,))
    path = tmp_path / f"{config.key(run.provenance['data_sha256'])}.parquet"
    run.history.loc[1, "J_squared"] *= 1.02
    save_run(run, path)
    (check,) = verify.retrain_some(store, 1, epochs=2)
    assert (check.what, check.problem) == ("epochs 0-0 trained again", None)
    run.history.loc[0, "J_squared"] *= 1.02
    save_run(run, path)
    assert "J_squared" in verify.problems([*verify.retrain_some(store, 1)])[0]


TRAINED_ELSEWHERE = """
import sys
from pathlib import Path
from edgechaos_core.images.datasets import load_dataset
from edgechaos_core.store.runs import parse_config, save_run
from edgechaos_core.training.trainer import train
for rate, size in ((0.1, 2), (0.3, 16)):
    config = parse_config({"samples": 300, "batch_size": size, "width": 16, "epochs": 3, "learning_rate": rate})
    run = train([config], load_dataset(samples=300))[0]
    save_run(run, Path(sys.argv[1]) / f"{config.key(run.provenance['data_sha256'])}.parquet")
"""


def test_runs_of_another_processor_are_compared_as_far_as_rounding_lets_them_agree(tmp_path, other_rounding):
    """In one, J^2 is off by 1e-3 after an epoch, in which it stays below the edge; in the other by 1e-2, but later."""
    committed = tmp_path / "committed"
    committed.mkdir()
    command = [sys.executable, "-c", TRAINED_ELSEWHERE, committed]
    subprocess.run(command, env=os.environ | other_rounding, cwd=REPOSITORY, check=True)
    checks = list(verify.retrain_some(Store(tmp_path / "own", (committed,)), 2, epochs=3))
    assert verify.problems(checks) == []
    assert "epochs 0-0 trained again" in [check.what for check in checks]
    assert "epochs 0-3 trained again" not in [check.what for check in checks]


def test_a_column_that_rounding_decides_before_training_is_left_out(stored, monkeypatch):
    """As the distance of trajectories of the map of trained weights, in chaos."""
    store, path = stored
    run = load_run(path)

    def with_distance(configs, data, dtype):
        again = train(configs, data, dtype=dtype)[0]
        distance = 0.5 if dtype == torch.float32 else 0.51
        return [dataclasses.replace(again, history=again.history.assign(distance=distance))]

    monkeypatch.setattr(verify, "train", with_distance)
    save_run(dataclasses.replace(run, history=run.history.assign(distance=0.6)), path)
    assert found(store) == []
    run.history.loc[1, "J_squared"] *= 1.0001
    save_run(dataclasses.replace(run, history=run.history.assign(distance=0.6)), path)
    assert "J_squared" in found(store)[0]


def test_a_jump_in_the_file_alone_is_found(stored):
    store, path = stored
    run = load_run(path)
    run.history.loc[1:, "J_squared"] += 5
    save_run(run, path)
    assert any("J_squared" in problem for problem in found(store))


def test_a_run_under_another_name_or_of_other_settings_is_found(stored):
    store, path = stored
    run = load_run(path)
    save_run(Run(run.config.model_copy(update={"learning_rate": 0.5}), run.history, run.outcome, run.provenance), path)
    assert "its name is not the key of its settings and data" in found(store)[0]


@pytest.mark.parametrize("rows", [slice(0, 3), slice(1, 4)])
def test_missing_epochs_are_found(stored, rows):
    store, path = stored
    run = load_run(path)
    save_run(Run(run.config, run.history[rows].reset_index(drop=True), run.outcome, run.provenance), path)
    assert any("epoch" in problem for problem in found(store))


def test_a_damaged_file_is_found(stored):
    store, path = stored
    path.write_bytes(path.read_bytes()[:-7])
    assert all(str(path) in problem for problem in found(store))
    assert len(found(store)) == 2  # as a file, and when drawn


def test_training_that_is_interrupted_does_not_pass_for_agreeing(stored, monkeypatch):
    def interrupted(configs, data, dtype):
        def stop(epoch, _):
            if epoch == 0:
                raise KeyboardInterrupt

        return train(configs, data, dtype=dtype, on_epoch=stop)

    monkeypatch.setattr(verify, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(verify.retrain_some(stored[0], 1))


@pytest.mark.parametrize(("sample", "epochs"), [(-1, 1), (1, 0)])
def test_bad_arguments(sample, epochs):
    with pytest.raises(ValueError, match="sample must be at least 0 and epochs at least 1"):
        list(verify.retrain_some(STORED, sample, epochs=epochs))
