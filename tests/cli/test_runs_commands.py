"""The commands of many runs: sweep, and runs list, show, verify, export."""

import inspect
import io
import json
import os
import re
import signal
import subprocess
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest

from edgechaos_core.cli.runs_commands import sweep
from edgechaos_core.store.catalogue import entries
from edgechaos_core.store.runs import Run, Wanted, load_run, save_run
from edgechaos_core.store.store import Store, note_failure
from edgechaos_core.sweeps.sweep import How, SweepError
from tests.cli.test_main import COMMAND, edgechaos, start  # noqa: F401 - a fixture
from tests.store.test_runs import FINGERPRINT, run_of
from tests.waiting import PATIENCE

GRID = "base: {samples: 300, batch_size: 64, width: 16, epochs: 2}\nvary: {l2: [0, 1e-3]}\n"
SERIAL = ["--backend", "serial"]


@pytest.fixture
def grid(tmp_path, folders):
    path = tmp_path / "grid.yaml"
    path.write_text(GRID, encoding="utf-8")
    return path


def states(folders) -> list[str]:
    return [entry.state for entry in entries(Store(folders[1]))]


# sweep --------------------------------------------------------------------------------------------------------------


def test_a_sweep_prints_its_runs(edgechaos, grid, folders):  # noqa: F811
    code, stdout, stderr = edgechaos("sweep", grid, "--seeds", "0:2", *SERIAL)
    common, header, *rows = stdout.splitlines()
    assert (code, stderr) == (0, "")
    assert common.startswith("all: dataset fashion-mnist, samples 300, ")
    assert header.split()[:4] == ["l2", "seed", "state", "epoch"]
    assert [row.split()[:4] for row in rows] == [
        [l2, seed, "finished", "2"] for l2, seed in (("0", "0"), ("0", "1"), ("0.001", "0"), ("0.001", "1"))
    ]
    assert states(folders) == ["finished"] * 4
    assert edgechaos("sweep", grid, "--seeds", "0:2", *SERIAL) == (0, stdout, "")
    code, lines, _ = edgechaos("sweep", grid, "--seeds", "0:2", "--format", "json", *SERIAL)
    assert [json.loads(line)["l2"] for line in lines.splitlines()] == [0.0, 0.0, 1e-3, 1e-3]


def test_a_dry_run_says_what_it_would_cost(edgechaos, grid, folders):  # noqa: F811
    code, stdout, stderr = edgechaos("sweep", grid, "--seeds", "0:3", "--dry-run")
    assert (code, stdout.count("\n"), stderr) == (0, 1, "")
    assert stdout.startswith("6 runs, 0 of them stored; 1 stacks to train, 0 of them begun, 12 epochs: about ")
    assert not folders[1].exists()
    edgechaos("sweep", grid, "--seeds", "0:3", *SERIAL)
    assert edgechaos("sweep", grid, "--seeds", "0:3", "--dry-run")[1] == "6 runs, 6 of them stored: nothing to train\n"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["fig9"], "unknown protocol 'fig9'"),
        (["none.yaml"], "none.yaml cannot be read"),
        (["fig2", "--seeds", "a"], "seeds"),
        (["fig2", "--epochs", "0"], "epochs"),
        (["fig2", "--samples", "70000"], "samples"),
        (["fig2", "--backend", "slurm"], "choose from processes, serial, ray"),
        (["fig2", "--workers", "0"], "workers"),
        (["fig2", "--stack", "0"], "stack_members"),
        (["fig2", "--device", "cuda:77"], "device"),
        (["fig2", "--checkpoint-seconds", "-1"], "checkpoint_seconds"),
        (["fig2", "--address", "auto"], "address"),
        (["fig2", "--format", "xml"], "format"),
        ([], "PROTOCOL"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_bad_sweep_is_refused_in_one_line(edgechaos, folders, arguments, word):  # noqa: F811
    code, stdout, stderr = edgechaos("sweep", *arguments)
    assert (code, stdout, stderr.count("\n")) == (2, "", 1)
    assert stderr.startswith("edgechaos: ")
    assert word in stderr
    assert not folders[1].exists()


def test_a_failed_sweep_says_so(edgechaos, grid, monkeypatch):  # noqa: F811
    def sweep(*_):
        raise SweepError("1 of 2 runs failed, e.g. that one: no luck")

    monkeypatch.setattr("edgechaos_core.sweeps.sweep.sweep", sweep)
    assert edgechaos("sweep", grid) == (1, "", "edgechaos: 1 of 2 runs failed, e.g. that one: no luck\n")


# Every signal and both backends; a signal's own way is in system/stop_signals.py alone, and tested on `train`.
@pytest.mark.parametrize(
    ("backend", "sent"), [("processes", signal.SIGINT), ("serial", signal.SIGTERM), ("serial", signal.SIGHUP)]
)
def test_a_signal_and_the_same_command_again(grid, folders, backend, sent):
    grid.write_text("base: {samples: 2000, width: 32, epochs: 3000}\n", encoding="utf-8")
    command = [COMMAND, "sweep", grid, "--backend", backend]  # no checkpoint but that of the signal for a minute
    progress = os.environ | {"EDGECHAOS_PROGRESS": "1"}
    process = start(*command[1:], env=progress, bufsize=1)
    shown = ""
    while not re.search(r"[1-9][0-9]*/3000", shown):  # epochs are done
        shown += process.stderr.read(1) or pytest.fail(f"no progress: {shown}")
    process.send_signal(sent)
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert (process.returncode, stdout) == (128 + sent, "")
    assert stderr.endswith("\nedgechaos: interrupted: the same command goes on from here\n")
    (entry,) = entries(Store(folders[1]))
    assert entry.state == "interrupted"
    done = entry.epoch
    assert done >= 1
    result = subprocess.run([*command, "--epochs", str(done)], capture_output=True, encoding="utf-8", check=False)
    assert (result.returncode, states(folders)) == (0, ["finished"])


# runs ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def stored(folders) -> list[Run]:
    runs = [run_of(seed=1), run_of(seed=2, epochs=3), run_of(seed=3, state="diverged", reached=2)]
    for run, folder in zip(runs, (folders[0], folders[1], folders[1])):
        save_run(run, folder / f"{run.config.key(FINGERPRINT)}.parquet")
    return runs


def test_list(edgechaos, stored):  # noqa: F811
    code, stdout, _ = edgechaos("runs", "list")
    assert code == 0
    assert stdout.count("finished") == 2
    assert stdout.count("diverged") == 1
    assert stdout.count("committed") == 1
    code, stdout, _ = edgechaos("runs", "list", "--format", "json")
    rows = [json.loads(line) for line in stdout.splitlines()]
    assert {row["seed"]: (row["state"], row["epoch"], row["place"]) for row in rows} == {
        1: ("finished", 5, "committed"),
        2: ("finished", 3, "own"),
        3: ("diverged", 2, "own"),
    }


def test_a_damaged_file_leaves_whole_numbers_whole(edgechaos, stored, folders):  # noqa: F811
    (folders[1] / "0123456789abcdef.parquet").write_text("junk", encoding="utf-8")
    code, stdout, _ = edgechaos("runs", "list")
    assert code == 0
    assert "samples 300," in stdout
    assert "damaged" in stdout


def test_an_empty_store_lists_nothing(edgechaos, folders):  # noqa: F811
    assert edgechaos("runs", "list") == (0, "no runs are stored\n", "")
    assert edgechaos("runs", "list", "--format", "json") == (0, "", "")


def test_show(edgechaos, stored):  # noqa: F811
    key = stored[2].config.key(FINGERPRINT)
    code, stdout, _ = edgechaos("runs", "show", key[:8])
    assert code == 0
    assert stdout.startswith(f"{key}  diverged at epoch 2")
    assert "learning_rate    0.01" in stdout
    assert "device           cpu" in stdout
    assert f"{stored[2].history['J_squared'].iloc[-1]:.5f}" in stdout


@pytest.mark.parametrize(
    ("epochs", "shown"), [(4, range(5)), (57, [*range(0, 57, 5), 57]), (103, [*range(0, 104, 10), 103])]
)
def test_show_has_about_ten_epochs_the_first_and_the_last_among_them(edgechaos, folders, epochs, shown):  # noqa: F811
    run = run_of(epochs=epochs)
    save_run(run, folders[1] / f"{run.config.key(FINGERPRINT)}.parquet")
    code, stdout, _ = edgechaos("runs", "show", run.config.key(FINGERPRINT))
    assert code == 0
    head, *rows = [line.split() for line in stdout.strip().rpartition("\n\n")[2].splitlines()]
    assert head == ["epoch", "J_squared", "test_loss"]
    assert [int(row[0]) for row in rows] == list(shown)
    assert [float(row[1]) for row in rows] == pytest.approx(run.history["J_squared"].iloc[list(shown)], abs=1e-5)


def test_show_of_a_run_without_an_epoch(edgechaos, folders):  # noqa: F811
    run = run_of(state="diverged", reached=-1)
    save_run(run, folders[1] / f"{run.config.key(FINGERPRINT)}.parquet")
    code, stdout, stderr = edgechaos("runs", "show", run.config.key(FINGERPRINT))
    assert (code, stderr) == (0, "")
    assert stdout.startswith(f"{run.config.key(FINGERPRINT)}  diverged at epoch -1 ")


def test_show_of_what_has_no_run_says_why(edgechaos, stored, folders):  # noqa: F811
    junk = folders[1] / "0123456789abcdef.parquet"
    junk.write_text("junk", encoding="utf-8")
    note_failure(Store(folders[1]), Wanted(run_of(seed=9).config, FINGERPRINT), "out of memory")
    for key, state, why in [
        (junk.stem, "damaged", f"{junk} is not a readable run file"),
        (run_of(seed=9).config.key(FINGERPRINT), "failed", "out of memory"),
    ]:
        code, stdout, stderr = edgechaos("runs", "show", key)
        first, second = stdout.splitlines()
        assert (code, stderr) == (0, "")
        assert first.startswith(f"{key}  {state} at epoch -1  {folders[1]}")
        assert second.startswith(why)


@pytest.mark.parametrize("key", ["", "zzz"])
def test_show_of_nothing(edgechaos, stored, key):  # noqa: F811
    code, stdout, stderr = edgechaos("runs", "show", key)
    assert (code, stdout) == (2, "")
    assert stderr.startswith("edgechaos: no stored run has a key that begins with")


@pytest.mark.parametrize("style", ["csv", "json", "parquet"])
def test_export(edgechaos, stored, tmp_path, style):  # noqa: F811
    out = tmp_path / f"table.{style}"
    assert edgechaos("runs", "export", "--format", style, "--out", out) == (0, f"{out}\n", "")
    read = {
        "csv": pd.read_csv,
        "json": lambda path: pd.DataFrame(map(json.loads, path.read_text(encoding="utf-8").splitlines())),
        "parquet": pd.read_parquet,
    }
    table = read[style](out)
    assert len(table) == sum(len(run.history) for run in stored)
    for run in stored:
        own = table[table["seed"] == run.config.seed]
        for name in run.history:  # to the last bit
            assert own[name].tolist() == run.history[name].tolist()
    code, _, stderr = edgechaos("runs", "export", "--format", style, "--out", out)
    assert (code, stderr) == (2, f"edgechaos: --out: {out} exists: choose another name, or --force to replace it\n")
    assert edgechaos("runs", "export", "--format", style, "--out", out, "--force")[0] == 0


def test_export_to_a_pipe(stored):
    keys = ["--key", stored[1].config.key(FINGERPRINT)]
    result = subprocess.run([COMMAND, "runs", "export", *keys], capture_output=True, check=True)
    assert pd.read_csv(io.BytesIO(result.stdout))["seed"].tolist() == [2] * 4


def test_bad_exports(edgechaos, stored, tmp_path):  # noqa: F811
    for arguments, code, word in [
        (["--format", "parquet"], 2, "--out FILE.parquet is needed"),
        (["--out", tmp_path / "table.txt"], 2, "--out must end in .csv"),
        (["--out", tmp_path / "none" / "table.csv"], 2, "does not exist"),
        (["--format", "xml"], 2, "format"),
        (["--key", "0123"], 2, "no stored run has a key that begins with '0123'"),
    ]:
        result = edgechaos("runs", "export", *arguments)
        assert (result[0], result[1], result[2].count("\n")) == (code, "", 1)
        assert word in result[2]


@pytest.mark.parametrize("style", ["csv", "json"])
def test_export_without_what_is_damaged(edgechaos, stored, folders, style):  # noqa: F811
    path = folders[1] / f"{stored[1].config.key(FINGERPRINT)}.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    code, stdout, stderr = edgechaos("runs", "export", "--format", style)
    assert code == 1
    assert len(stdout.splitlines()) == (style == "csv") + len(stored[0].history) + len(stored[2].history)
    assert stderr.startswith(f"edgechaos: {path} is not a readable run file ")
    assert stderr.endswith(": left out\n")
    assert stderr.count("\n") == 1
    code, stdout, stderr = edgechaos("runs", "export", "--key", path.stem)
    assert (code, stdout) == (1, "")
    assert stderr.endswith("\nedgechaos: no other runs are stored: nothing was exported\n")


def test_json_has_no_word_for_what_is_not_a_number(edgechaos, folders):  # noqa: F811
    run = run_of()
    run.history["test_loss"] = float("nan")
    save_run(run, folders[1] / f"{run.config.key(FINGERPRINT)}.parquet")
    _, stdout, _ = edgechaos("runs", "export", "--format", "json")
    assert [json.loads(line, parse_constant=pytest.fail)["test_loss"] for line in stdout.splitlines()] == [None] * 6


def test_nothing_is_not_all_well(edgechaos, folders):  # noqa: F811
    code, stdout, stderr = edgechaos("runs", "verify")
    assert (code, stdout) == (1, "")
    assert stderr == f"edgechaos: there are no run files in {folders[0]}, {folders[1]}: nothing was verified\n"
    nothing = "edgechaos: no runs are stored: nothing was exported\n"
    assert edgechaos("runs", "export") == (1, "", nothing)


def test_no_committed_runs_to_train_again_is_said(edgechaos, grid, folders):  # noqa: F811
    edgechaos("sweep", grid, *SERIAL)
    code, stdout, stderr = edgechaos("runs", "verify", "--sample", "2")
    assert (code, stdout) == (0, "2 files read, 0 trained again, 0 problems\n")
    assert stderr == f"edgechaos: there are no committed runs in {folders[0]}: none was trained again\n"


def test_verify(edgechaos, grid, folders):  # noqa: F811
    edgechaos("sweep", grid, *SERIAL)
    folders[0].mkdir()
    for path in folders[1].glob("*.parquet"):
        path.rename(folders[0] / path.name)
    code, stdout, stderr = edgechaos("runs", "verify", "--sample", "2")
    assert (code, stderr) == (0, "")
    assert stdout.count("epochs 0-1 trained again: agrees") == 2
    assert stdout.endswith("2 files read, 2 trained again, 0 problems\n")
    path = next(Path(folders[0]).iterdir())
    run = load_run(path)
    run.history["test_loss"] *= 1.01
    save_run(run, path)
    code, stdout, stderr = edgechaos("runs", "verify", "--sample", "2")
    assert code == 1
    assert stdout.endswith("2 files read, 2 trained again, 1 problems\n")
    assert stderr.startswith(f"edgechaos: {path}: epochs 0-1 trained again: test_loss ")
    assert edgechaos("runs", "verify", "--sample", "-1")[0] == 2


def test_verify_draws_three_runs_and_trains_one_epoch_unless_told_otherwise(edgechaos, grid, folders):  # noqa: F811
    edgechaos("sweep", grid, "--seeds", "0:2", *SERIAL)
    folders[1].rename(folders[0])
    code, stdout, stderr = edgechaos("runs", "verify")
    assert (code, stderr) == (0, "")
    assert stdout.count("epochs 0-1 trained again: agrees") == 3
    assert stdout.endswith("4 files read, 3 trained again, 0 problems\n")


def test_a_sweep_trains_as_the_package_does_unless_told_otherwise():
    defaults = {name: option.default for name, option in inspect.signature(sweep).parameters.items()}
    names = {field.name: "stack" if field.name == "stack_members" else field.name for field in fields(How)}
    assert How(**{name: defaults[option] for name, option in names.items()}) == How()


def test_the_sweep_commands_are_listed(edgechaos):  # noqa: F811
    assert "sweep" in edgechaos("--help")[1]
    assert all(name in edgechaos("runs", "--help")[1] for name in ("list", "show", "verify", "export"))


def test_an_interrupted_verification_gives_no_verdict(edgechaos, stored, monkeypatch):  # noqa: F811
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("edgechaos_core.sweeps.verify.check_files", lambda _: iter(()))
    monkeypatch.setattr("edgechaos_core.sweeps.verify.dataset_of", stop)
    code, stdout, stderr = edgechaos("runs", "verify", "--sample", "1")
    assert (code, stdout) == (130, "")
    assert stderr == "edgechaos: interrupted: 0 files were read and 0 of 1 runs trained again, no verdict\n"
