"""The command `edgechaos`: what it prints and keeps, how it refuses, and how it ends when it is stopped."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from edgechaos_core import __version__
from edgechaos_core.cli import main as cli
from edgechaos_core.probes import simulation
from edgechaos_core.probes.diagram import DiagramConfig, load_diagram
from edgechaos_core.store.runs import load_run, parse_config
from edgechaos_core.system.stop_signals import STOPPING
from edgechaos_core.theory.edges import edge_of_chaos
from tests.waiting import PATIENCE, wait_for

COMMAND = Path(sys.executable).parent / "edgechaos"
TINY = ["train", "--samples", "500", "--width", "32"]
KEYS = ["epoch", "J_squared", "J0", "train_loss", "test_loss", "test_accuracy"]
DIAGRAM = ["phase-diagram", "--neurons", "30", "--rows", "3", "--columns", "4", "--iterations", "10", "--threads", "1"]
ENDLESS = ["--epochs", "1000000", "--format", "json"]


@pytest.fixture
def edgechaos(capsys, monkeypatch):
    """Run the command in this process, which saves importing torch each time: (exit code, stdout, stderr)."""
    before = {number: signal.getsignal(number) for number in STOPPING}

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["started/in/its-own-way", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return caught.value.code, *capsys.readouterr()

    yield command
    for number, handler in before.items():
        signal.signal(number, handler)


def start(*arguments, ignoring=(), **options) -> subprocess.Popen:
    """Start the installed command in a process of its own, which ignores these signals alone, as under nohup."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}

    def prepare():
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN if number in ignoring else signal.SIG_DFL)

    command = [COMMAND, *map(str, arguments)]
    # As users have it: with PYTHONUNBUFFERED, which some machines set, nothing would notice a flush that is missing.
    own = {"env": {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}}
    return subprocess.Popen(command, encoding="utf-8", preexec_fn=prepare, **pipes | own | options)  # noqa: PLW1509


# what it prints and keeps -------------------------------------------------------------------------------------------


def test_json_lines(tmp_path):
    out = tmp_path / "run.parquet"
    process = start(*TINY, "--epochs", 2, "--format", "json", "--out", out)
    stdout, stderr = process.communicate(timeout=PATIENCE)
    rows = [json.loads(line) for line in stdout.splitlines()]
    assert process.returncode == 0
    assert stderr == ""  # no progress bar where no one watches
    assert [list(row) for row in rows] == [KEYS] * 3
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    assert pq.read_table(out).to_pylist() == rows
    metadata = {
        name.decode(): json.loads(value) for name, value in pq.read_schema(out).metadata.items() if name[:1] in b"cop"
    }
    assert metadata["config"] == parse_config({"samples": 500, "width": 32, "epochs": 2}).model_dump()
    assert metadata["outcome"] == {"state": "finished", "epoch": 2, "detail": "", "J_squared": None}
    assert set(metadata["provenance"]) >= {"data_sha256", "code_version", "torch_version", "device", "started"}


def test_table(edgechaos):
    code, stdout, stderr = edgechaos(*TINY, "--epochs", 2)
    header, *rows = [line.split() for line in stdout.splitlines()]
    assert code == 0
    assert header == KEYS
    assert [row[0] for row in rows] == ["0", "1", "2"]
    assert all(len(row) == len(KEYS) for row in rows)
    assert len({len(line) for line in stdout.splitlines()}) == 1  # columns stand under their names
    assert stderr == ""


@pytest.mark.parametrize("more", [{"optimizer": "adamw"}, {"hold": 0.3}], ids=str)
def test_every_setting_reaches_the_run(edgechaos, tmp_path, more):
    settings = {"learning_rate": 0.002, "batch_size": 50, "momentum": 0.5, "l2": 0.01, "epochs": 1, "seed": 7}
    settings |= {"samples": 200, "validation": 100, "dataset": "fashion-mnist", "width": 8, "depth": 2}
    settings |= {"activation": "relu", "label_noise": 0.2, "milestone": 3, "initial_J": 1.5, **more}
    options = [part for name, value in settings.items() for part in (f"--{name.replace('_', '-')}", value)]
    settings |= {"gradients": True}
    options += ["--gradients", "--no-trained-map"]
    out = tmp_path / "run.parquet"
    code, stdout, _ = edgechaos("train", *options, "--full-train-loss", "--format", "json", "--out", out)
    assert code == 0
    assert load_run(out).config == parse_config(settings)
    assert {*settings, "optimizer", "hold", "trained_map"} == set(type(load_run(out).config).model_fields)
    added = {"J_squared_2", "J0_2", "train_loss_full", "validation_loss", "validation_accuracy"}
    added |= {f"{part}_{what}" for part in ("shuffled", "restored", "kept") for what in ("loss", "accuracy")}
    added |= {"lambda"} if "hold" in more else set()
    added |= {name + layer for name in ("drift", "gradient", "noise") for layer in ("", "_2")}
    assert set(json.loads(stdout.splitlines()[0])) == {*KEYS} | added


def test_an_existing_file_is_replaced_only_by_force(edgechaos, tmp_path):
    out = tmp_path / "run.parquet"
    out.write_text("precious", encoding="utf-8")
    code, stdout, stderr = edgechaos(*TINY, "--epochs", 1, "--out", out)
    assert (code, stdout) == (2, "")
    assert stderr == f"edgechaos: --out: {out} exists: choose another name, or --force to replace it\n"
    assert out.read_text(encoding="utf-8") == "precious"
    assert edgechaos(*TINY, "--epochs", 1, "--out", out, "--force")[0] == 0
    assert load_run(out).outcome.state == "finished"


def test_help_and_version(edgechaos):
    assert edgechaos("--version") == (0, f"edgechaos {__version__}\n", "")
    alone, helped = edgechaos(), edgechaos("--help")
    assert alone == helped
    assert alone[1].startswith("Usage: edgechaos")
    usage = edgechaos("train", "--help")[1]
    assert all(f"--{name.replace('_', '-')}" in usage for name in parse_config({}).model_dump())


# how it refuses -----------------------------------------------------------------------------------------------------

BAD_OPTIONS = [
    ("--dataset", "cifar10"),
    ("--dataset", ""),
    ("--samples", "0"),
    ("--samples", "60001"),
    ("--samples", "many"),
    ("--validation", "-1"),
    ("--validation", "60000"),
    ("--width", "0"),
    ("--width", "65537"),
    ("--width", "1e3"),
    ("--depth", "0"),
    ("--depth", "101"),
    ("--activation", "sine"),
    ("--optimizer", "lion"),
    ("--optimizer", "sgd\nadam"),
    ("--learning-rate", "0"),
    ("--learning-rate", "-1"),
    ("--learning-rate", "nan"),
    ("--learning-rate", "1e999"),
    ("--learning-rate", "fast"),
    ("--momentum", "1"),
    ("--momentum", "-0.1"),
    ("--l2", "-1"),
    ("--l2", "inf"),
    ("--batch-size", "0"),
    ("--batch-size", "501"),
    ("--epochs", "0"),
    ("--epochs", "1000001"),
    ("--epochs", ""),
    ("--seed", "-1"),
    ("--seed", "9223372036854775808"),
    ("--threads", "0"),
    ("--threads", "100000"),
    ("--threads", "99999999999999999999"),
    ("--device", ""),
    ("--device", "gpu"),
    ("--device", "meta"),
    ("--device", "cuda:99"),
    ("--format", "xml"),
    ("--beta", "2"),
    ("--out", "run.csv"),
    ("--out", ""),
    ("--out", "no/such/folder/run.parquet"),
    ("--out", "folder.parquet"),
    ("--epochs",),
    ("extra",),
]


@pytest.mark.parametrize("bad", BAD_OPTIONS, ids=" ".join)
def test_a_bad_value_is_refused_in_one_line(edgechaos, tmp_path, monkeypatch, bad):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.parquet").mkdir()
    code, stdout, stderr = edgechaos(*TINY, *bad)
    assert (code, stdout) == (2, "")
    assert stderr.startswith("edgechaos: ")
    assert stderr.count("\n") == 1
    assert stderr.endswith("\n")
    name = bad[0].removeprefix("--")
    assert name in stderr or name.replace("-", "_") in stderr  # says which option


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["train", "--nonsense"]], ids=" ".join)
def test_an_unknown_command_or_option(edgechaos, arguments):
    code, stdout, stderr = edgechaos(*arguments)
    assert (code, stdout, stderr.count("\n")) == (2, "", 1)
    assert "nonsense" in stderr


def test_the_installed_command_refuses_as_well():
    process = start(*TINY, "--epochs", 0)
    assert process.communicate(timeout=PATIENCE) == (
        "",
        "edgechaos: epochs must be greater than or equal to 1, got 0\n",
    )
    assert process.returncode == 2


def test_data_out_of_reach(edgechaos, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("EDGECHAOS_DATA", str(tmp_path / "file" / "data"))
    code, stdout, stderr = edgechaos(*TINY, "--dataset", "kmnist")
    assert (code, stdout, stderr.count("\n")) == (1, "", 1)
    assert stderr.startswith("edgechaos: kmnist could not be downloaded to ")


@pytest.mark.parametrize(
    "error",
    [MemoryError("Unable to allocate 32. GiB"), RuntimeError("DefaultCPUAllocator: can't allocate memory:\nyou tried")],
    ids=["numpy", "torch"],
)
def test_out_of_memory(edgechaos, monkeypatch, error):
    def initialise(*_, **__):
        raise error

    monkeypatch.setattr("edgechaos_core.training.trainer.initialise", initialise)
    code, stdout, stderr = edgechaos(*TINY)
    assert (code, stdout, stderr.count("\n")) == (1, "", 1)
    assert stderr.startswith("edgechaos: out of memory: try smaller settings (")


def test_an_error_of_ours_keeps_its_traceback(capsys, monkeypatch):
    def initialise(*_, **__):
        raise RuntimeError("a bug")

    before = {number: signal.getsignal(number) for number in STOPPING}
    monkeypatch.setattr("edgechaos_core.training.trainer.initialise", initialise)
    monkeypatch.setattr(sys, "argv", ["edgechaos", *TINY])
    with pytest.raises(RuntimeError, match="a bug"):
        cli.main()
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_disk_that_fills_up_while_training(edgechaos, tmp_path, monkeypatch):
    def fsync(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fsync)
    out = tmp_path / "run.parquet"
    code, stdout, stderr = edgechaos(*TINY, "--epochs", 1, "--out", out)
    assert (code, stderr) == (1, f"edgechaos: {out} cannot be written: No space left on device\n")
    assert len(stdout.splitlines()) == 3  # the numbers are not lost
    assert list(tmp_path.iterdir()) == []


# how it ends --------------------------------------------------------------------------------------------------------


def test_divergence(edgechaos, tmp_path):
    out = tmp_path / "run.parquet"
    code, stdout, stderr = edgechaos(*TINY, "--learning-rate", "1e38", "--format", "json", "--out", out)
    run = load_run(out)
    assert code == 3
    assert run.outcome.state == "diverged"
    assert [json.loads(line) for line in stdout.splitlines()] == run.history.to_dict("records")
    assert len(run.history) >= 1
    assert stderr.startswith(f"edgechaos: diverged: NaN or Inf in epoch {run.outcome.epoch + 1}, last finite J^2 = ")
    assert stderr.endswith(f"; {out} holds the epochs before\n")


@pytest.mark.parametrize("sent", [*STOPPING, signal.SIGKILL], ids=lambda sent: sent.name)
def test_a_signal_while_training(tmp_path, sent):
    out = tmp_path / "run.parquet"
    with start(*TINY, *ENDLESS, "--out", out) as process:
        seen = [process.stdout.readline() for _ in range(3)]  # epochs 0, 1, 2
        process.send_signal(sent)
        rest, stderr = process.communicate(timeout=PATIENCE)
    if sent == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
        assert list(tmp_path.iterdir()) == []
        return
    rows = [json.loads(line) for line in [*seen, *rest.splitlines()]]
    run = load_run(out)
    assert process.returncode == 128 + sent
    assert run.outcome.state == "interrupted"
    assert run.outcome.epoch == len(rows) - 1
    assert run.history.to_dict("records") == rows
    assert stderr == f"edgechaos: interrupted after epoch {run.outcome.epoch}; {out} holds the epochs done\n"


def test_what_was_ignored_at_the_start_stays_so(tmp_path):
    out = tmp_path / "run.parquet"
    with start(*TINY, *ENDLESS, "--out", out, ignoring=[signal.SIGHUP]) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        for _ in range(3):
            process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGTERM
    assert load_run(out).outcome.epoch >= 3


def test_stopped_while_a_library_is_imported(edgechaos, monkeypatch):
    def half_imported():
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        raise ImportError("half a library")

    monkeypatch.setattr(cli, "_run", half_imported)
    assert edgechaos("edge") == (128 + signal.SIGTERM, "", "edgechaos: interrupted\n")


def test_stopped_before_the_first_epoch(edgechaos, monkeypatch):
    def initialise(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("edgechaos_core.training.trainer.initialise", initialise)
    assert edgechaos(*TINY) == (130, "", "edgechaos: interrupted before epoch 0\n")


def test_stopped_while_loading(edgechaos, monkeypatch):
    def load(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("edgechaos_core.sweeps.jobs.dataset_of", load)
    assert edgechaos(*TINY) == (130, "", "edgechaos: interrupted\n")


def test_a_reader_that_goes_away_ends_training():
    script = '"$@" | head -1; exit ${PIPESTATUS[0]}'
    command = ["bash", "-c", script, "bash", COMMAND, *TINY, *ENDLESS]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=PATIENCE, check=False)
    assert json.loads(done.stdout)["epoch"] == 0
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_reader_that_goes_away_does_not_cost_the_file(tmp_path):
    out = tmp_path / "run.parquet"
    with start(*TINY, "--epochs", 30, "--format", "json", "--out", out) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0
    assert load_run(out).outcome.epoch == 30


def test_a_stdout_that_is_full():
    with Path("/dev/full").open("w", encoding="utf-8") as full, start(*TINY, "--epochs", 1, stdout=full) as process:
        stderr = process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 1
    assert stderr.count("\n") == 1
    assert "No space left on device" in stderr


def test_a_bar_on_a_terminal(monkeypatch):
    monkeypatch.setenv("TQDM_MININTERVAL", "0")  # each step is drawn, however fast
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (24, 80))  # born without a size, in which tqdm draws nothing
    drawn = b""
    with start(*TINY, "--epochs", 3, "--format", "json", stderr=theirs) as process:
        os.close(theirs)
        with contextlib.suppress(OSError):  # Linux ends a terminal's output with EIO
            while chunk := os.read(ours, 4096):
                drawn += chunk
        stdout = process.stdout.read()
    os.close(ours)
    assert process.returncode == 0
    assert [json.loads(line)["epoch"] for line in stdout.splitlines()] == [0, 1, 2, 3]  # the bar is not among them
    assert all(b"%d/3 [" % epoch in drawn for epoch in (0, 1, 2, 3))


# the edge -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        (["--ratio", "0.5"], "1.000000000000"),
        (["--ratio", "1.5"], f"{edge_of_chaos(1.5):.12f}"),
        (["--ratio", "-1.5"], f"{edge_of_chaos(1.5):.12f}"),
        (["--ratio", "-1.1"], "0.662787498330"),
        (["--ratio", "1.0001"], "0.989956773478"),  # as computed with 40 digits
        (["--ratio", "-1.00000001"], "0.999899995557"),  # as typed: the nearest float is 5e-13 off
        (["--ratio", "1e-999999999"], "1.000000000000"),
        (["--ratio", "0", "--activation", "relu"], "0.707106781187"),
        (["--ratio", "-1", "--activation", "relu"], f"{edge_of_chaos(-1, 'relu'):.12f}"),
        (["--ratio", "1", "--activation", "relu"], "nan"),
    ],
    ids=" ".join,
)
def test_the_edge_to_12_digits(edgechaos, arguments, printed):
    assert edgechaos("edge", *arguments) == (0, printed + "\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--ratio", ""],
        ["--ratio", "steep"],
        ["--ratio", "nan"],
        ["--ratio", "sNaN"],
        ["--ratio", "inf"],
        ["--ratio", "-1e999"],
        ["--ratio", "5"],
        ["--ratio", "1", "--activation", "sine"],
        ["--ratio", "1", "extra"],
    ],
    ids=" ".join,
)
def test_a_bad_edge_is_refused_in_one_line(edgechaos, arguments):
    code, stdout, stderr = edgechaos("edge", *arguments)
    assert (code, stdout, stderr.count("\n")) == (2, "", 1)
    assert stderr.startswith("edgechaos: ")
    assert any(word in stderr for word in ("ratio", "activation", "extra"))


# the phase diagram --------------------------------------------------------------------------------------------------


def test_a_diagram_in_numbers(edgechaos, tmp_path):
    out = tmp_path / "diagram.parquet"
    assert edgechaos(*DIAGRAM, "--out", out) == (0, f"{out}\n", "")
    kept = load_diagram(out)
    assert kept.config == DiagramConfig(neurons=30, rows=3, columns=4, iterations=10)
    assert len(kept.cells) == 12
    assert kept.provenance["threads"] == 1


def test_every_setting_reaches_the_diagram(edgechaos, tmp_path):
    settings = {"neurons": 20, "rows": 2, "columns": 2, "inverse_j_from": 0.5, "inverse_j_to": 1.5, "ratio_from": 0.25}
    settings |= {
        "ratio_to": 0.75,
        "iterations": 6,
        "align": 3,
        "measure": 4,
        "draws": 2,
        "activation": "relu",
        "seed": 7,
    }
    options = [part for name, value in settings.items() for part in (f"--{name.replace('_', '-')}", value)]
    out = tmp_path / "diagram.parquet"
    assert edgechaos("phase-diagram", *options, "--out", out)[0] == 0
    assert load_diagram(out).config == DiagramConfig(**settings)
    assert set(settings) == set(DiagramConfig.model_fields)
    usage = edgechaos("phase-diagram", "--help")[1]
    assert all(f"--{name.replace('_', '-')}" in usage for name in settings)


@pytest.mark.parametrize("options", [[], ["--activation", "relu", "--inverse-j-to", "0.3"]], ids=["tanh", "all grown"])
def test_a_diagram_in_a_picture(edgechaos, tmp_path, options):
    out = tmp_path / "diagram.png"
    assert edgechaos(*DIAGRAM, *options, "--out", out) == (0, f"{out}\n", "")
    content = out.read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 10_000
    assert list(tmp_path.iterdir()) == [out]
    code, _, stderr = edgechaos(*DIAGRAM, "--out", out)
    assert (code, stderr) == (2, f"edgechaos: --out: {out} exists: choose another name, or --force to replace it\n")
    assert edgechaos(*DIAGRAM, "--seed", 1, "--out", out, "--force")[0] == 0
    assert out.read_bytes() != content


def test_a_dry_run_writes_nothing(edgechaos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for options in ([], ["--out", "diagram.parquet"]):
        code, stdout, stderr = edgechaos(*DIAGRAM, *options, "--dry-run")
        assert (code, stdout.count("\n"), stderr) == (0, 1, "")
        assert stdout.startswith("12 cells of 30 neurons, 3 of them chaotic by theory: about ")
    assert list(tmp_path.iterdir()) == []


BAD_DIAGRAMS = [
    ("--neurons", "1"),
    ("--neurons", "100001"),
    ("--neurons", "many"),
    ("--rows", "0"),
    ("--columns", "0"),
    ("--inverse-j-from", "2"),
    ("--inverse-j-to", "nan"),
    ("--ratio-from", "-5"),
    ("--ratio-to", "-2"),
    ("--iterations", "4"),
    ("--align", "-1"),
    ("--measure", "0"),
    ("--draws", "0"),
    ("--activation", "sine"),
    ("--seed", "-1"),
    ("--threads", "0"),
    ("--threads", "100000"),
    ("--device", "gpu"),
    ("--device", "cuda:99"),
    ("--J", "1"),
    ("--out", "diagram.csv"),
    ("--out", ""),
    ("--out", "no/such/folder/diagram.parquet"),
    ("--out", "folder.parquet"),
    ("extra",),
]


@pytest.mark.parametrize("bad", BAD_DIAGRAMS, ids=" ".join)
def test_a_bad_diagram_is_refused_in_one_line(edgechaos, tmp_path, monkeypatch, bad):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.parquet").mkdir()
    code, stdout, stderr = edgechaos(*DIAGRAM, "--out", "diagram.parquet", *bad)
    assert (code, stdout, stderr.count("\n")) == (2, "", 1)
    assert stderr.startswith("edgechaos: ")
    name = bad[0].removeprefix("--")
    assert name in stderr or name.replace("-", "_") in stderr
    assert [path.name for path in tmp_path.iterdir()] == ["folder.parquet"]


def test_a_diagram_needs_a_place(edgechaos):
    assert edgechaos(*DIAGRAM) == (2, "", "edgechaos: --out FILE.parquet or FILE.png is needed (or --dry-run)\n")


def test_a_complete_diagram_is_kept(edgechaos, tmp_path):
    out = tmp_path / "diagram.parquet"
    edgechaos(*DIAGRAM, "--out", out)
    content = out.read_bytes()
    said = f"edgechaos: going on with {out}, 12 of 12 cells are done\n"
    assert edgechaos(*DIAGRAM, "--out", out) == (0, f"{out}\n", said)
    assert out.read_bytes() == content
    code, stdout, stderr = edgechaos(*DIAGRAM, "--seed", 1, "--out", out)
    assert (code, stdout, stderr.count("\n")) == (2, "", 1)
    other = f"edgechaos: {out} holds a diagram of other settings, seed 0 and not 1: "
    assert stderr == f"{other}choose another name or replace it with --force\n"
    assert edgechaos(*DIAGRAM, "--seed", 1, "--out", out, "--dry-run") == (2, "", stderr)
    assert out.read_bytes() == content
    assert edgechaos(*DIAGRAM, "--seed", 1, "--out", out, "--force") == (0, f"{out}\n", "")
    assert load_diagram(out).config.seed == 1


def test_a_damaged_diagram_is_replaced_only_by_force(edgechaos, tmp_path):
    out = tmp_path / "diagram.parquet"
    out.write_text("precious", encoding="utf-8")
    code, stdout, stderr = edgechaos(*DIAGRAM, "--out", out)
    assert (code, stdout, stderr.count("\n")) == (1, "", 1)
    assert stderr.startswith(f"edgechaos: {out} is not a readable phase diagram ")
    assert out.read_text(encoding="utf-8") == "precious"
    assert edgechaos(*DIAGRAM, "--out", out, "--force")[0] == 0
    assert load_diagram(out).complete


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGHUP], ids=lambda sent: sent.name)
def test_a_signal_while_simulating(tmp_path, sent):
    out = tmp_path / "diagram.parquet"
    long = [*DIAGRAM, "--rows", 200, "--columns", 50, "--draws", 100, "--out", out]
    with start(*long) as process:
        wait_for(out.exists, process)
        process.send_signal(sent)
        stdout, stderr = process.communicate(timeout=PATIENCE)
    assert (process.returncode, stdout) == (128 + sent, "")
    assert stderr.startswith(f"edgechaos: interrupted: {out} holds ")
    assert stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == [out]
    kept = load_diagram(out, partial=True)
    assert 0 < len(kept.cells) < kept.config.size == 1_000_000
    assert len(kept.cells) % 10_000 % simulation.TILE == 0  # whole tiles, of one draw each


def interrupted_after_tiles(monkeypatch, tiles: int) -> None:
    save, saved = simulation.save_diagram, []

    def save_and_stop(*arguments):
        save(*arguments)
        saved.append(1)
        if len(saved) == tiles:
            raise KeyboardInterrupt

    monkeypatch.setattr(simulation, "save_diagram", save_and_stop)


def test_an_interrupted_diagram_says_what_is_kept(edgechaos, tmp_path, monkeypatch):
    monkeypatch.setattr(simulation, "TILE", 5)
    out = tmp_path / "diagram.parquet"
    interrupted_after_tiles(monkeypatch, 1)
    said = f"edgechaos: interrupted: {out} holds 5 of 12 cells: the same command goes on\n"
    assert edgechaos(*DIAGRAM, "--out", out) == (130, "", said)
    assert edgechaos(*DIAGRAM, "--out", out)[0] == 0
    assert load_diagram(out).complete


def test_an_interrupted_picture_says_that_nothing_is_kept(edgechaos, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(simulation, "simulate", stop)
    code, stdout, stderr = edgechaos(*DIAGRAM, "--out", tmp_path / "diagram.png")
    assert (code, stdout) == (130, "")
    assert stderr == "edgechaos: interrupted: nothing is kept (of a FILE.parquet, what is done would be)\n"
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_replacement_leaves_the_old_diagram(edgechaos, tmp_path, monkeypatch):
    out = tmp_path / "diagram.parquet"
    edgechaos(*DIAGRAM, "--out", out)

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(simulation, "simulate", stop)
    said = f"edgechaos: interrupted: no cells are done yet, {out} is as it was\n"
    assert edgechaos(*DIAGRAM, "--seed", 1, "--out", out, "--force") == (130, "", said)
    assert load_diagram(out).config.seed == 0


@pytest.mark.parametrize("out", ["diagram.txt", "none/diagram.parquet"])
def test_a_dry_run_looks_at_its_place(edgechaos, tmp_path, out):
    code, stdout, stderr = edgechaos(*DIAGRAM, "--out", tmp_path / out, "--dry-run")
    assert (code, stdout) == (2, "")
    assert stderr.startswith("edgechaos: --out")


# closed and broken outputs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_no_files(tmp_path, closed):
    """What is opened next would take their numbers, and what is printed would go into it."""
    out = tmp_path / "run.parquet"
    script = f'"$@" {closed}'
    command = ["bash", "-c", script, "bash", COMMAND, *TINY, "--epochs", "1", "--out", out]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert load_run(out).outcome.epoch == 1


def test_closed_standard_streams_are_no_files_of_other_processes_either():
    code = "cli._open_standard_streams(); print([os.get_inheritable(number) for number in range(3)], file=kept)"
    script = (
        f"import os; kept = os.fdopen(9, 'w', encoding='utf-8'); from edgechaos_core.cli import main as cli; {code}"
    )
    command = ["bash", "-c", '"$@" 9>&1 <&- >&- 2>&-', "bash", sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=PATIENCE, check=True)
    assert done.stdout == "[True, True, True]\n"


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full"])
def test_a_refusal_that_cannot_be_said_keeps_its_exit_code(closed):
    command = ["bash", "-c", f'"$@" {closed}', "bash", COMMAND, "edge", "--ratio", "x"]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (2, b"", b"")


def test_an_answer_that_cannot_be_written_is_a_failure():
    with Path("/dev/full").open("w", encoding="utf-8") as full, start("edge", "--ratio", 1, stdout=full) as process:
        stderr = process.communicate(timeout=PATIENCE)[1]
    assert (process.returncode, stderr) == (1, "edgechaos: [Errno 28] No space left on device\n")


def test_a_place_at_home(edgechaos, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert edgechaos(*TINY, "--epochs", 1, "--out", "~/run.parquet")[0] == 0
    assert load_run(tmp_path / "run.parquet").outcome.epoch == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "run.parquet"]


def test_ctrl_c_anywhere_is_said_in_one_line(edgechaos, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("edgechaos_core.theory.edges.edge_of_chaos", stop)
    assert edgechaos("edge", "--ratio", 1) == (130, "", "edgechaos: interrupted\n")


def test_huge_numbers_keep_to_their_columns(edgechaos):
    code, stdout, _ = edgechaos(*TINY, "--epochs", 1, "--learning-rate", "1e15")
    assert code == 0
    assert "e+" in stdout
    assert len({len(line) for line in stdout.splitlines()[1:]}) == 1


def test_the_command_starts_without_torch():
    script = "import sys, edgechaos_core.cli.app; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=True)
    assert result.stdout == "False\n"
