"""Settings, content keys and run files: what is refused, what is never silently different, what survives a crash."""

import errno
import io
import json
import multiprocessing
import os
import resource
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgechaos_core.store.run_tables import summary
from edgechaos_core.store.runs import (
    Outcome,
    Run,
    RunConfig,
    cut_run,
    load_run,
    parse_config,
    save_run,
)
from edgechaos_core.store.tables import TableError

# settings -----------------------------------------------------------------------------------------------------------

BAD_SETTINGS = [
    ({"dataset": "cifar10"}, "unknown dataset 'cifar10': choose from fashion-mnist, mnist, "),
    ({"dataset": 3}, "dataset must be a valid string, got 3"),
    ({"samples": 0}, "samples must be greater than or equal to 1, got 0"),
    ({"samples": 60_001}, "samples + validation must be at most 60000 for fashion-mnist, got 60001 + 0"),
    ({"samples": 60_000, "validation": 1}, "samples + validation must be at most 60000"),
    ({"samples": "500"}, "samples must be a valid integer, got '500'"),
    ({"validation": -1}, "validation must be greater than or equal to 0, got -1"),
    ({"validation": 60_000}, "samples + validation must be at most 60000"),
    ({"validation": 0.5}, "validation must be a valid integer, got 0.5"),
    ({"width": 0}, "width must be greater than or equal to 1, got 0"),
    ({"width": 65_537}, "width must be less than or equal to 65536, got 65537"),
    ({"width": True}, "width must be a valid integer, got True"),
    ({"depth": 0}, "depth must be greater than or equal to 1, got 0"),
    ({"depth": 101}, "depth must be less than or equal to 100, got 101"),
    ({"depth": 1.0}, "depth must be a valid integer, got 1.0"),
    ({"activation": "sine"}, "activation must be 'tanh' or 'relu', got 'sine'"),
    ({"activation": 1}, "activation must be 'tanh' or 'relu', got 1"),
    ({"optimizer": "lion"}, "optimizer must be 'sgd', 'adam' or 'adamw', got 'lion'"),
    ({"optimizer": ["sgd"]}, "optimizer must be 'sgd', 'adam' or 'adamw', got ['sgd']"),
    ({"learning_rate": 0}, "learning_rate must be greater than 0, got 0"),
    ({"learning_rate": -0.1}, "learning_rate must be greater than 0, got -0.1"),
    ({"learning_rate": float("nan")}, "learning_rate must be a finite number, got nan"),
    ({"learning_rate": float("inf")}, "learning_rate must be a finite number, got inf"),
    ({"learning_rate": "fast"}, "learning_rate must be a valid number, got 'fast'"),
    ({"momentum": -0.1}, "momentum must be greater than or equal to 0, got -0.1"),
    ({"momentum": 1}, "momentum must be less than 1, got 1"),
    ({"momentum": float("nan")}, "momentum must be a finite number, got nan"),
    ({"l2": -1e-9}, "l2 must be greater than or equal to 0, got -1e-09"),
    ({"l2": float("inf")}, "l2 must be a finite number, got inf"),
    ({"batch_size": 0}, "batch_size must be greater than or equal to 1, got 0"),
    ({"batch_size": 11, "samples": 10}, "batch_size must be at most samples = 10, got 11"),
    ({"epochs": 0}, "epochs must be greater than or equal to 1, got 0"),
    ({"epochs": 1_000_001}, "epochs must be less than or equal to 1000000, got 1000001"),
    ({"seed": -1}, "seed must be greater than or equal to 0, got -1"),
    ({"seed": 2**63}, "seed must be less than 9223372036854775808, got 9223372036854775808"),
    ({"gradients": 1}, "gradients must be a valid boolean, got 1"),
    ({"hold": -1}, "hold must be greater than or equal to 0, got -1"),
    ({"hold": float("inf")}, "hold must be a finite number, got inf"),
    ({"hold": 1, "optimizer": "adam"}, "hold needs the optimizer sgd, got adam"),
    ({"milestone": -1}, "milestone must be greater than or equal to 0, got -1"),
    ({"milestone": 1_000_001}, "milestone must be less than or equal to 1000000, got 1000001"),
    ({"label_noise": -0.1}, "label_noise must be greater than or equal to 0, got -0.1"),
    ({"label_noise": 1.5}, "label_noise must be less than or equal to 1, got 1.5"),
    ({"initial_J": 0}, "initial_J must be greater than 0, got 0"),
    ({"initial_J": 101}, "initial_J must be less than or equal to 100, got 101"),
    ({"trained_map": 1}, "trained_map must be a valid boolean, got 1"),
    ({"trained_map": True, "width": 100}, "trained_map needs tanh and a square first layer, width 784, got tanh and"),
    ({"beta": 2}, "unknown setting 'beta': choose from dataset, samples, validation, width, depth, "),
]


@pytest.mark.parametrize(("bad", "message"), BAD_SETTINGS, ids=str)
def test_a_bad_setting_is_refused_in_one_line(bad, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below, whole start
        parse_config(bad)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_every_field_has_a_bad_value_above():
    assert {name for bad, _ in BAD_SETTINGS for name in bad} >= set(RunConfig.model_fields)


def test_every_bad_setting_is_named_at_once():
    with pytest.raises(ValueError, match=r"^width must be .*; epochs must be .*, got 0$"):
        parse_config({"width": 0, "epochs": 0})


@pytest.mark.parametrize(
    ("optimizer", "rate", "momentum"), [("sgd", 0.01, 0.0), ("adam", 1e-3, 0.9), ("adamw", 1e-3, 0.9)]
)
def test_defaults_by_optimizer(optimizer, rate, momentum):
    config = parse_config({"optimizer": optimizer, "learning_rate": None})
    assert (config.learning_rate, config.momentum) == (rate, momentum)
    assert parse_config({"optimizer": optimizer, "momentum": 0.3}).momentum == 0.3


def test_samples_default_to_all_that_validation_leaves():
    assert parse_config({}).samples == 60_000
    assert parse_config({"validation": 10_000}).samples == 50_000
    assert parse_config({"dataset": "emnist-letters", "validation": 1}).samples == 124_799


# content keys -------------------------------------------------------------------------------------------------------

FINGERPRINT = "f" * 64
FIELDS = {
    "dataset": st.sampled_from(["fashion-mnist", "mnist", "kmnist", "emnist-digits"]),
    "samples": st.integers(1_000, 50_000),
    "validation": st.integers(0, 10_000),
    "width": st.integers(1, 65_536),
    "depth": st.integers(1, 100),
    "activation": st.sampled_from(["tanh", "relu"]),
    "optimizer": st.sampled_from(["sgd", "adam", "adamw"]),
    "learning_rate": st.floats(0, 1e30, exclude_min=True),
    "momentum": st.floats(0, 1, exclude_max=True),
    "l2": st.floats(0, 1e30),
    "batch_size": st.integers(1, 1_000),
    "epochs": st.integers(1, 1_000_000),
    "seed": st.integers(0, 2**63 - 1),
    "gradients": st.booleans(),
    "hold": st.floats(0, 1e30),
    "label_noise": st.floats(0, 1),
    "milestone": st.integers(0, 1_000_000),
    "initial_J": st.none() | st.sampled_from([0.5, 1.0]) | st.floats(0, 100, exclude_min=True),
    "trained_map": st.booleans(),
}


def possible(settings) -> bool:
    if settings.get("trained_map") and (settings.get("width", 784) != 784 or settings.get("activation") == "relu"):
        return False
    return not settings.get("hold") or settings.get("optimizer", "sgd") == "sgd"


SETTINGS = st.fixed_dictionaries({}, optional=FIELDS).filter(possible)


def key_of(settings, fingerprint=FINGERPRINT) -> str:
    return parse_config(settings).key(fingerprint)


def test_the_key_of_the_defaults_is_frozen():
    # Stored runs are found by their key. If this fails, a default or the key's recipe changed: stored runs are lost.
    assert key_of({}) == "9d398c964fb77f09"


def test_the_strategies_cover_every_field():
    assert set(FIELDS) == set(RunConfig.model_fields)


@given(settings=SETTINGS, data=st.data())
def test_the_key_ignores_the_order_of_settings_and_the_epochs(settings, data):
    shuffled = dict(data.draw(st.permutations(list(settings.items()))))
    assert key_of(shuffled | {"epochs": data.draw(FIELDS["epochs"])}) == key_of(settings)


@given(settings=SETTINGS, name=st.sampled_from(sorted(FIELDS)), data=st.data())
def test_the_key_changes_with_any_other_setting(settings, name, data):
    value = data.draw(FIELDS[name].filter(lambda value: possible(settings | {name: value})))
    one, other = parse_config(settings), parse_config(settings | {name: value})
    same = one.model_dump(exclude={"epochs"}) == other.model_dump(exclude={"epochs"})
    assert (one.key(FINGERPRINT) == other.key(FINGERPRINT)) == same


@given(
    settings=SETTINGS,
    fingerprints=st.lists(st.text("0123456789abcdef", min_size=64), min_size=2, max_size=2, unique=True),
)
def test_the_key_changes_with_the_data(settings, fingerprints):
    assert len({key_of(settings, fingerprint) for fingerprint in fingerprints}) == 2


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ({"learning_rate": 1}, {"learning_rate": 1.0}),
        ({"momentum": 0}, {"momentum": 0.0}),
        ({"momentum": 0.0}, {"momentum": -0.0}),
        ({"l2": 2}, {"l2": 2.0}),
        ({}, {"learning_rate": 0.01, "momentum": 0, "samples": 60_000}),
        ({"dataset": "emnist"}, {"dataset": "emnist-balanced"}),
    ],
    ids=str,
)
def test_one_number_has_one_key(one, same):
    assert key_of(one) == key_of(same)


# files --------------------------------------------------------------------------------------------------------------


def run_of(epochs: int = 5, state: str = "finished", reached: int | None = None, **settings) -> Run:
    """A run with made-up numbers; ``reached`` is its last finite epoch."""
    config = parse_config({"samples": 300, "epochs": epochs} | settings)
    reached = epochs if reached is None else reached
    numbers = np.random.default_rng(config.seed).random((reached + 1, 2))
    history = pd.DataFrame({"epoch": np.arange(reached + 1), "J_squared": numbers[:, 0], "test_loss": numbers[:, 1]})
    provenance = {"device": "cpu", "threads": 1, "wall_seconds": 0.25}
    return Run(config, history, Outcome(state, reached, "NaN" if state == "diverged" else ""), provenance)


def same(one: Run, other: Run) -> bool:
    rest = (one.config, one.outcome, one.provenance) == (other.config, other.outcome, other.provenance)
    return rest and one.history.equals(other.history) and list(one.history) == list(other.history)


def assert_refused(path) -> None:
    with pytest.raises(TableError) as caught:
        load_run(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.parquet"


@pytest.mark.parametrize(
    "run", [run_of(), run_of(9, "diverged", 3), run_of(9, "interrupted", 0)], ids=lambda r: r.outcome.state
)
def test_round_trip(path, run):
    save_run(run, path)
    loaded = load_run(path)
    assert same(loaded, run)
    pd.testing.assert_frame_equal(loaded.history, run.history, check_exact=True)


def test_a_run_stopped_before_its_first_epoch(path):
    run = run_of()
    save_run(Run(run.config, pd.DataFrame(), Outcome("interrupted", -1)), path)
    assert load_run(path).history.empty


def test_the_metadata_are_json_for_any_reader(path):
    run = run_of(learning_rate=0.02)
    save_run(run, path)
    metadata = {name.decode(): value for name, value in pq.read_schema(path).metadata.items()}
    assert json.loads(metadata["config"]) == run.config.model_dump()
    assert json.loads(metadata["config"])["learning_rate"] == 0.02
    assert json.loads(metadata["outcome"]) == {
        "state": "finished",
        "epoch": 5,
        "detail": "",
        "J_squared": None,
    }
    assert json.loads(metadata["provenance"]) == run.provenance
    assert pq.read_table(path).column_names == ["epoch", "J_squared", "test_loss"]


def test_missing_folders_are_made(tmp_path):
    save_run(run_of(), tmp_path / "a=1" / "new" / "run.parquet")
    assert same(load_run(tmp_path / "a=1" / "new" / "run.parquet"), run_of())


def test_a_truncated_file(path):
    save_run(run_of(), path)
    whole = path.read_bytes()
    for length in [0, 1, 4, 8, *range(12, len(whole), 97), len(whole) - 8, len(whole) - 1]:
        path.write_bytes(whole[:length])
        assert_refused(path)


def test_a_flipped_bit_is_never_silently_another_run(path):
    run = run_of()
    save_run(run, path)
    whole = path.read_bytes()
    refused = 0
    for position in range(0, len(whole), 3):  # every third byte, which bit wanders
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            loaded = load_run(path)
        except TableError:
            refused += 1
        else:
            assert same(loaded, run)
    assert refused > len(whole) / 6


@pytest.mark.parametrize("name", ["config", "outcome", "provenance", "sha256"])
@pytest.mark.parametrize("change", ["left out", "another value"])
def test_metadata_that_do_not_belong(path, name, change):
    save_run(run_of(), path)
    table = pq.read_table(path)
    metadata = dict(table.schema.metadata)
    if change == "left out":
        del metadata[name.encode()]
    else:
        metadata[name.encode()] = metadata[name.encode()].replace(b"0", b"1") + b" "
    pq.write_table(table.replace_schema_metadata(metadata), path)
    assert_refused(path)


def test_a_history_that_does_not_belong(path):
    save_run(run_of(), path)
    table = pq.read_table(path)
    pq.write_table(table.slice(0, 3), path)  # keeps the metadata
    assert_refused(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.set_column(1, "J_squared", pa.array(table["J_squared"].to_numpy().view(np.int64))),
        lambda table: table.rename_columns(["epoch", "J0", "test_loss"]),
        lambda table: table.select(["epoch", "test_loss", "J_squared"]),
    ],
    ids=["another dtype", "another name", "another order"],
)
def test_the_same_numbers_under_other_names_are_not_the_run(path, change):
    save_run(run_of(), path)
    table = pq.read_table(path)
    pq.write_table(change(table).replace_schema_metadata(table.schema.metadata), path)
    assert_refused(path)


def test_a_run_that_is_cut_has_its_share_of_the_time():
    long = run_of(epochs=9)
    long.provenance["wall_seconds"] = 30.0
    short = cut_run(long, run_of(epochs=4).config)
    assert short.provenance == {"device": "cpu", "threads": 1, "wall_seconds": 15.0}  # 5 of 10 rows
    assert (short.outcome, short.config.epochs) == (Outcome("finished", 4), 4)
    pd.testing.assert_frame_equal(short.history, long.history[:5])
    assert long.provenance["wall_seconds"] == 30.0
    assert same(cut_run(long, long.config), long)
    lost = run_of(epochs=9, state="diverged", reached=3)  # it has no fourth epoch to be cut to
    assert cut_run(lost, short.config).provenance == lost.provenance
    assert cut_run(lost, short.config).outcome == lost.outcome


def test_a_summary_has_each_run_with_its_share_of_its_stacks_time():
    runs = [run_of(seed=4, l2=0.1), run_of(9, "diverged", 3, learning_rate=0.02)]
    for run in runs:
        run.provenance.update(wall_seconds=1_080.0, stack_members=3)
    table = summary(runs)
    assert table.index.tolist() == [4, 0]
    assert table["minutes"].tolist() == [6.0, 6.0]
    assert table["epochs"].tolist() == [5, 3]
    assert table["outcome"].tolist() == ["finished", "diverged"]
    assert (table["l2"].tolist(), table["learning_rate"].tolist()) == ([0.1, 0.0], [0.01, 0.02])


def new_files(monkeypatch, make) -> None:
    """Let ``make`` open what is opened to be a new file."""
    opened = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, mode="r", **options: make(path) if mode == "xb" else opened(path, mode, **options)
    )


def test_a_file_is_synced_before_it_is_renamed_and_its_folder_after(path, monkeypatch):
    """In any other order a power cut may leave an empty file under the name of a whole one, or no file."""
    calls = []
    fsync, replace = os.fsync, os.replace

    class Written(io.FileIO):
        def write(self, content):
            calls.append("write")
            return super().write(content)

    def synced(descriptor):
        target = Path(f"/proc/self/fd/{descriptor}").resolve()
        calls.append("sync the folder" if target == path.parent.resolve() else "sync the file")
        assert target.is_dir() or target.read_bytes()  # not while the content is still in a buffer
        fsync(descriptor)

    new_files(monkeypatch, lambda name: io.BufferedWriter(Written(name, "xb"), 1 << 20))  # as files are
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", lambda *names: calls.append("rename") or replace(*names))
    save_run(run_of(), path)
    assert calls == ["write", "sync the file", "rename", "sync the folder"]


def test_files_that_are_not_runs(path, tmp_path):
    assert_refused(path)  # missing
    assert_refused(tmp_path)  # a folder
    path.write_text("epoch,J_squared\n0,0.25\n", encoding="utf-8")
    assert_refused(path)
    pq.write_table(pa.table({"epoch": [0, 1]}), path)
    assert_refused(path)


FORK = multiprocessing.get_context("fork")  # a child that imports nothing anew


def save_forever(path: Path, saved) -> None:
    while True:
        for seed in (1, 2):
            save_run(run_of(seed=seed, epochs=400), path)
            saved.set()


def test_kill_9_while_saving_leaves_a_whole_file(path):
    runs = [run_of(seed=seed, epochs=400) for seed in (1, 2)]
    save_run(runs[0], path)
    for delay in (0, 0.0013, 0.0047, 0.0111):
        saved = FORK.Event()
        process = FORK.Process(target=save_forever, args=(path, saved))
        process.start()
        assert saved.wait(60)
        time.sleep(delay)
        process.kill()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        loaded = load_run(path)
        assert any(same(loaded, run) for run in runs)
        assert list(path.parent.glob("*.parquet")) == [path]
        assert all(other.suffix != ".parquet" for other in path.parent.iterdir() if other != path)


def assert_save_fails(path, reason: str) -> None:
    """Saving another run fails in one line, leaves the old file as it was and nothing beside it."""
    before = path.read_bytes()
    with pytest.raises(TableError) as caught:
        save_run(run_of(seed=7), path)
    assert str(caught.value) == f"{path} cannot be written: {reason}"
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("open", errno.EACCES),  # a read-only folder, which would not stop root
        ("open", errno.EROFS),
        ("write", errno.ENOSPC),
        ("os.fsync", errno.ENOSPC),
        ("os.fsync", errno.EIO),
        ("os.replace", errno.EACCES),
    ],
)
def test_a_failing_disk(path, monkeypatch, call, code):
    save_run(run_of(), path)

    def fail(*_, **__):
        raise OSError(code, os.strerror(code))

    class Unwritable(io.FileIO):
        write = fail

    if call in ("open", "write"):
        new_files(monkeypatch, fail if call == "open" else lambda name: Unwritable(name, "xb"))
    else:
        monkeypatch.setattr(call, fail)
    assert_save_fails(path, os.strerror(code))


def test_a_write_that_the_system_cuts_short(path):
    save_run(run_of(), path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (1_000, hard)
    )  # bytes: the write itself fails half-way, as on a full disk
    try:
        assert_save_fails(path, os.strerror(errno.EFBIG))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_places_that_cannot_hold_a_file(tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    (tmp_path / "folder.parquet" / "inside").mkdir(parents=True)
    for path in (tmp_path / "file" / "run.parquet", tmp_path / "folder.parquet", tmp_path / f"{'x' * 300}.parquet"):
        with pytest.raises(TableError, match="cannot be written: "):
            save_run(run_of(), path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.parquet"]
