"""The run store: layers, what serves what, damage, contradiction, two writers, listing, reading, reservations."""

import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from edgechaos_core.store import store as stores
from edgechaos_core.store.catalogue import entries, read_store, whole_key
from edgechaos_core.store.checkpoints import Checkpoint, save_checkpoint
from edgechaos_core.store.reservations import reserved
from edgechaos_core.store.runs import Outcome, Run, Wanted, load_run, save_run
from edgechaos_core.store.store import (
    ConflictError,
    Store,
    check_writable,
    disagreement,
    find_run,
    open_store,
    put_run,
    stored_epochs,
)
from edgechaos_core.store.tables import TableError
from tests.store.test_runs import FINGERPRINT, run_of, same
from tests.waiting import PATIENCE

FORK = multiprocessing.get_context("fork")  # a child needs nothing but the files


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "own", (tmp_path / "committed",))


def file_of(folder: Path, run: Run) -> Path:
    return folder / f"{run.config.key(FINGERPRINT)}.parquet"


def put(store: Store, run: Run) -> Path:
    return put_run(store, run, run.config.key(FINGERPRINT))


def keep(folder: Path, run: Run) -> Path:
    path = file_of(folder, run)
    save_run(run, path)
    return path


# finding a stored run -----------------------------------------------------------------------------------------------


def test_where_the_store_is(folders, monkeypatch, tmp_path):
    committed, cached = folders
    assert open_store() == Store(cached, (committed,))
    monkeypatch.setenv("EDGECHAOS_STORE", str(tmp_path / "elsewhere"))
    assert open_store() == Store(tmp_path / "elsewhere", (committed,))


def test_nothing_stored_is_none(store):
    assert find_run(store, Wanted(run_of().config, FINGERPRINT)) is None


def test_committed_runs_come_before_own_ones(store):
    keep(store.folder, Run(run_of().config, run_of(seed=9).history, Outcome("finished", 5), {"from": "own"}))
    assert find_run(store, Wanted(run_of().config, FINGERPRINT)).provenance == {"from": "own"}
    keep(store.layers[0], run_of())
    assert same(find_run(store, Wanted(run_of().config, FINGERPRINT)), run_of())


def test_a_longer_run_serves_a_shorter_request(store):
    long, short = run_of(epochs=8), run_of(epochs=3)
    keep(store.folder, long)
    found = find_run(store, Wanted(short.config, FINGERPRINT))
    assert found.config == short.config
    assert found.outcome == Outcome("finished", 3)
    pd.testing.assert_frame_equal(found.history, long.history[:4])


def test_a_shorter_run_does_not_serve_a_longer_request(store):
    keep(store.layers[0], run_of(epochs=3))
    wanted = run_of(epochs=8).config
    assert find_run(store, Wanted(wanted, FINGERPRINT)) is None
    keep(store.folder, run_of(epochs=8))
    assert same(find_run(store, Wanted(wanted, FINGERPRINT)), run_of(epochs=8))


@pytest.mark.parametrize(
    ("asked", "state", "rows"), [(2, "finished", 3), (4, "finished", 5), (5, "diverged", 5), (99, "diverged", 5)]
)
def test_a_diverged_run_serves_any_length(store, asked, state, rows):
    keep(store.layers[0], run_of(epochs=8, state="diverged", reached=4))
    found = find_run(store, Wanted(run_of(epochs=asked).config, FINGERPRINT))
    assert found.outcome.state == state
    assert len(found.history) == rows
    assert found.config.epochs == asked


def test_how_many_epochs_are_stored_is_told_by_the_longest_run(store):
    wanted = Wanted(run_of(epochs=1).config, FINGERPRINT)
    assert stored_epochs(store, wanted) == 0
    keep(store.layers[0], run_of(epochs=3))
    assert stored_epochs(store, wanted) == 3
    keep(store.folder, run_of(epochs=9, state="diverged", reached=2))  # it serves the nine epochs that were asked for
    assert stored_epochs(store, wanted) == 9
    file_of(store.folder, run_of()).write_bytes(b"damaged")
    assert stored_epochs(store, wanted) == 3


def test_other_data_finds_nothing(store):
    keep(store.layers[0], run_of())
    assert find_run(store, Wanted(run_of().config, "0" * 64)) is None


# damage -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0.0, 0.02, 0.3, 0.5, 0.7, 0.9, 0.999])
@pytest.mark.parametrize("how", ["flipped", "cut"])
def test_a_damaged_own_file_is_set_aside_and_counts_as_missing(store, caplog, how, place):
    path = keep(store.folder, run_of())
    content = bytearray(path.read_bytes())
    at = int(place * len(content))
    if how == "flipped":
        content[at] ^= 1
    else:
        del content[at:]
    path.write_bytes(content)
    found = find_run(store, Wanted(run_of().config, FINGERPRINT))
    if found is not None:  # a bit that nothing depends on, such as padding
        assert same(found, run_of())
        return
    assert not path.exists()
    aside = store.folder / "damaged" / path.name
    assert aside.read_bytes() == content
    assert str(path) in caplog.text
    assert str(aside) in caplog.text
    put(store, run_of())
    assert same(find_run(store, Wanted(run_of().config, FINGERPRINT)), run_of())


def test_a_damaged_file_is_left_where_it_is_unless_it_is_to_be_mended(store, caplog):
    path = keep(store.folder, run_of())
    path.write_bytes(path.read_bytes()[:-1])
    assert find_run(store, Wanted(run_of().config, FINGERPRINT), mend=False) is None
    assert path.exists()
    assert caplog.text == ""
    assert find_run(store, Wanted(run_of().config, FINGERPRINT)) is None
    assert not path.exists()


def test_files_set_aside_keep_out_of_each_others_way(store):
    for content in (b"one", b"two", b"three"):
        store.folder.mkdir(exist_ok=True)
        file_of(store.folder, run_of()).write_bytes(content)
        assert find_run(store, Wanted(run_of().config, FINGERPRINT)) is None
    assert sorted(path.read_bytes() for path in (store.folder / "damaged").iterdir()) == [b"one", b"three", b"two"]


def test_a_damaged_committed_file_is_named_and_left_alone(store, caplog):
    path = keep(store.layers[0], run_of())
    path.write_bytes(path.read_bytes()[:-1])
    assert find_run(store, Wanted(run_of().config, FINGERPRINT)) is None
    assert f"git checkout -- {path}" in caplog.text
    own = put(store, run_of())
    assert own.parent == store.folder
    assert same(find_run(store, Wanted(run_of().config, FINGERPRINT)), run_of())
    assert path.exists()


# storing ------------------------------------------------------------------------------------------------------------


def test_a_stored_run_is_left_alone_by_a_shorter_or_equal_one(store):
    long = run_of(epochs=8)
    path = put(store, long)
    before = path.stat()  # whose time of access moves as the file is read
    short = Run(run_of(epochs=3).config, long.history[:4], Outcome("finished", 3), {"wall_seconds": 9})
    assert put(store, short) == path
    assert put(store, long) == path
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_longer_run_takes_the_place_of_a_shorter_one(store):
    long = run_of(epochs=8)
    put(store, Run(run_of(epochs=3).config, long.history[:4], Outcome("finished", 3)))
    assert same(load_run(put(store, long)), long)


def test_what_is_committed_is_not_stored_again(store):
    committed = keep(store.layers[0], run_of())
    assert put(store, run_of()) == committed
    assert list(store.folder.glob("*.parquet")) == []


def changed(run: Run, **columns: float) -> Run:
    history = run.history.copy()
    for name, factor in columns.items():
        history.loc[2, name] *= factor
    return Run(run.config, history, run.outcome, run.provenance)


@pytest.mark.parametrize("layer", ["own", "committed"])
@pytest.mark.parametrize(
    "other",
    [
        changed(run_of(), J_squared=1.01),
        changed(run_of(), test_loss=1.3),
        changed(run_of(), test_loss=np.nan),
        run_of(state="diverged", reached=3),
        run_of(epochs=9, state="diverged", reached=3),
    ],
    ids=["J^2", "loss", "nan", "diverged", "diverged, longer"],
)
def test_a_contradiction_is_refused_and_both_are_kept(store, layer, other):
    path = keep(store.folder if layer == "own" else store.layers[0], run_of())
    before = path.read_bytes()
    if other.outcome.state == "diverged":
        other = Run(other.config, run_of().history[:4], other.outcome, other.provenance)
    with pytest.raises(ConflictError) as caught:
        put(store, other)
    kept = list((store.folder / "conflicts").iterdir())
    assert len(kept) == 1
    assert same(load_run(kept[0]), other)
    assert path.read_bytes() == before
    assert all(str(name) in str(caught.value) for name in (path, kept[0]))
    with pytest.raises(ConflictError):
        put(store, other)
    assert list((store.folder / "conflicts").iterdir()) == kept


def test_every_contradiction_is_kept_once(store):
    put(store, run_of())
    others = [changed(run_of(), J_squared=factor) for factor in (1.01, 1.02)]
    for other in (*others, *others):
        with pytest.raises(ConflictError):
            put(store, other)
    kept = [load_run(path) for path in (store.folder / "conflicts").iterdir()]
    assert len(kept) == 2
    assert all(any(same(one, other) for one in kept) for other in others)


def test_rounding_is_no_contradiction(store):
    put(store, run_of())
    put(store, changed(run_of(), J_squared=1 + 1e-6, test_loss=1 + 1e-6))
    assert same(find_run(store, Wanted(run_of().config, FINGERPRINT)), run_of())


# By how much a value of 0.25 may be off: 50 times the tolerances of store.py, for long training.
ALLOWED = {
    "J_squared": 50e-5 * 0.25,
    "J_squared_2": 50e-5 * 0.25,
    "J_squared_3": 50e-5 * 0.25,
    "J0": 50e-4,
    "J0_2": 50e-4,
    "train_loss": 50e-4,
    "validation_loss": 50e-4,
    "test_accuracy": 50 * 5e-4,
    "shuffled_accuracy": 50 * 5e-4,
    "lambda": 50e-3 * (0.25 + 1e-5),
}


@pytest.mark.parametrize("tolerance", [50, 1])
@pytest.mark.parametrize("column", ALLOWED)
def test_what_counts_as_rounding_depends_on_the_column(column, tolerance):
    one = run_of()
    one.history[column] = 0.25
    off = ALLOWED[column] * tolerance / 50
    for times, agrees in ((0.99, True), (1.01, False), (-0.99, True), (-1.01, False)):
        history = one.history.copy()
        history.loc[3, column] += times * off
        found = disagreement(one, Run(one.config, history, one.outcome), tolerance=tolerance)
        assert (found is None) == agrees
        assert agrees or found == f"{column} 0.25 against {history[column][3]:.6g} at epoch 3"


def test_a_lambda_near_nothing_is_compared_absolutely():
    one = run_of()
    one.history["lambda"] = 0.0
    near, far = (Run(one.config, one.history.assign(**{"lambda": own}), one.outcome) for own in (4.9e-7, 5.1e-7))
    assert disagreement(one, near) is None
    assert disagreement(one, far) == "lambda 0 against 5.1e-07 at epoch 0"


def test_an_interrupted_run_is_no_result(store):
    with pytest.raises(ValueError, match="checkpoint"):
        put(store, run_of(state="interrupted", reached=2))


@pytest.mark.parametrize("folder", ["/proc/edgechaos", "file/store"])
def test_a_store_that_cannot_be_written_is_said_before_training(tmp_path, folder):
    (tmp_path / "file").touch()
    bad = Store(tmp_path / folder)
    for call in (lambda: check_writable(bad), lambda: put(bad, run_of())):
        with pytest.raises(TableError) as caught:
            call()
        assert str(bad.folder) in str(caught.value)
        assert "EDGECHAOS_STORE" in str(caught.value)
        assert "\n" not in str(caught.value)


def write_many(folder: Path, seed: int, count: int) -> None:
    own = Store(folder)
    for epochs in np.random.default_rng(seed).integers(1, 30, count):
        whole = run_of(epochs=30)
        config = run_of(epochs=int(epochs)).config
        put(own, Run(config, whole.history[: epochs + 1], Outcome("finished", int(epochs))))


def test_eight_writers_of_one_run_leave_the_longest(store):
    processes = [FORK.Process(target=write_many, args=(store.folder, seed, 20)) for seed in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 8
    longest = max(int(np.random.default_rng(seed).integers(1, 30, 20).max()) for seed in range(8))
    assert [len(load_run(path).history) - 1 for path in store.folder.glob("*.parquet")] == [longest]
    assert {path.name for path in store.folder.iterdir()} <= {"lock", file_of(store.folder, run_of()).name}


# listing and reading ------------------------------------------------------------------------------------------------


def test_a_listing_shows_every_state_once(store):
    finished, diverged = run_of(seed=1), run_of(seed=2, state="diverged", reached=3)
    keep(store.layers[0], finished)
    put(store, diverged)
    damaged = keep(store.folder, run_of(seed=3))
    damaged.write_bytes(b"PAR1")
    configs = (run_of(seed=4).config, finished.config)
    rows = [[{"epoch": 0, "J_squared": 0.25}], [{"epoch": 0, "J_squared": 0.25}]]
    begun = Checkpoint(configs, FINGERPRINT, 1, 7, rows, [None, None], {"weight.0": torch.zeros(2, 3)}, {"threads": 1})
    save_checkpoint(begun, store.checkpoints / "0.safetensors")
    stores.note_failure(store, Wanted(run_of(seed=5).config, FINGERPRINT), "no luck")
    listed = {entry.key: entry for entry in entries(store)}
    states = {seed: listed[run_of(seed=seed).config.key(FINGERPRINT)] for seed in range(1, 6)}
    assert [entry.state for entry in states.values()] == ["finished", "diverged", "damaged", "interrupted", "failed"]
    assert [entry.epoch for entry in states.values()] == [5, 3, -1, 0, -1]
    assert [entry.committed for entry in states.values()] == [True, False, False, False, False]
    assert states[5].detail == "no luck"
    assert str(damaged) in states[3].detail
    assert len(listed) == 5


def test_a_failure_is_forgotten_when_its_run_is_stored(store):
    stores.note_failure(store, Wanted(run_of().config, FINGERPRINT), "no luck")
    put(store, run_of())
    assert [entry.state for entry in entries(store)] == ["finished"]


def test_the_whole_store_is_one_tidy_table(store):
    runs = [run_of(seed=1), run_of(seed=2, epochs=3), run_of(seed=3, state="diverged", reached=2, l2=0.1)]
    held = run_of(seed=4, hold=1.0, l2=1e-5)
    held.history["lambda"] = 7e-5  # what was in force stands beside what it began with
    runs.append(held)
    keep(store.layers[0], runs[0])
    for run in runs[1:]:
        put(store, run)
    table = read_store(store)
    assert len(table) == sum(len(run.history) for run in runs)
    for run in runs:
        own = table[table["key"] == run.config.key(FINGERPRINT)]
        pd.testing.assert_frame_equal(own[list(run.history)].reset_index(drop=True), run.history)
        assert set(own["seed"]) == {run.config.seed}
        assert (set(own["l2"]), set(own["hold"])) == ({run.config.l2}, {run.config.hold})
        assert set(own["outcome"]) == {run.outcome.state}
    key = runs[1].config.key(FINGERPRINT)
    assert set(read_store(store, [key])["key"]) == set(read_store(store, [key[:8]])["key"]) == {key}
    with pytest.raises(ValueError, match="no stored run has a key that begins with '0123'"):
        read_store(store, ["0123"])


def test_a_run_that_ended_by_itself_is_shown_before_a_longer_one(store):
    lost, long = run_of(epochs=8, state="diverged", reached=4), run_of(epochs=8)
    keep(store.layers[0], long)
    keep(store.folder, lost)
    assert [(entry.state, entry.epoch, entry.committed) for entry in entries(store)] == [("diverged", 4, False)]
    assert len(read_store(store)) == 5


def test_what_is_finished_is_not_listed_as_begun(store):
    keep(store.folder, run_of())
    rows = [[{"epoch": 0, "J_squared": 0.25}]]
    begun = Checkpoint((run_of().config,), FINGERPRINT, 1, 7, rows, [None], {"weight.0": torch.zeros(1, 3)})
    save_checkpoint(begun, store.checkpoints / "0.safetensors")
    assert [(entry.state, entry.epoch) for entry in entries(store)] == [("finished", 5)]


def test_the_beginning_of_a_key():
    keys = ["ab12", "ab34", "cd56"]
    assert whole_key("ab1", keys) == whole_key("ab12", keys) == "ab12"
    with pytest.raises(ValueError, match=r"^2 stored runs have a key that begins with 'ab'"):
        whole_key("ab", keys)
    for beginning in ("", "x", "ab123"):  # an empty one is no key, though one run alone begins so
        with pytest.raises(ValueError, match=f"^no stored run has a key that begins with '{beginning}'"):
            whole_key(beginning, keys[:1])


def test_an_empty_store(store):
    assert entries(store) == []
    none = read_store(store)
    keep(store.folder, run_of())
    assert len(none) == 0
    assert none.columns.tolist() == [name for name in read_store(store) if name in none]
    assert {"key", "seed", "outcome", "epoch"} < set(none)


def test_reading_a_damaged_file_names_it(store):
    path = keep(store.folder, run_of())
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(TableError, match=path.name):
        read_store(store)


# reservations -------------------------------------------------------------------------------------------------------


def test_reserved_once_at_a_time(store):
    with reserved(store, ["a", "b"]) as first:
        with reserved(store, ["b", "c"]) as second, reserved(store, ["d"]) as third:
            assert (first, second, third) == (True, False, True)
        with reserved(store, ["c", "d"]) as fourth:
            assert fourth
    with reserved(store, ["a", "b"]) as again:
        assert again
    assert list((store.folder / "reservations").iterdir()) == []


def hold(folder: Path, ready) -> None:
    with reserved(Store(folder), ["a"]):
        ready.set()
        signal.pause()


def test_a_killed_process_holds_nothing(store):
    ready = FORK.Event()
    process = FORK.Process(target=hold, args=(store.folder, ready))
    process.start()
    assert ready.wait(PATIENCE)
    with reserved(store, ["a"]) as while_alive:
        assert not while_alive
    os.kill(process.pid, signal.SIGKILL)
    process.join(PATIENCE)
    with reserved(store, ["a"]) as afterwards:
        assert afterwards


def test_a_store_emptied_meanwhile_is_as_good_as_new(store):
    with reserved(store, ["a"]) as free:
        assert free
        shutil.rmtree(store.folder / "reservations")
    with reserved(store, ["a"]) as again:
        assert again


def test_a_clock_that_goes_back_changes_nothing(store, monkeypatch):
    put(store, run_of(epochs=3))
    monkeypatch.setattr(time, "time", lambda: 0.0)
    for path in store.folder.glob("*"):
        os.utime(path, (4e9, 4e9))  # files from the future
    with reserved(store, ["a"]) as free:
        assert free
    assert find_run(store, Wanted(run_of(epochs=2).config, FINGERPRINT)) is not None
    put(store, run_of(seed=7))
    assert [entry.state for entry in entries(store)] == ["finished", "finished"]


def test_the_longer_of_two_files_is_shown(store):
    long = run_of(epochs=8)
    keep(store.layers[0], Run(run_of(epochs=3).config, long.history[:4], Outcome("finished", 3)))
    put(store, long)
    assert [(entry.epoch, entry.committed) for entry in entries(store)] == [(8, False)]
    assert len(read_store(store)) == 9
    file_of(store.layers[0], long).write_bytes(b"PAR1")
    assert [entry.state for entry in entries(store)] == ["finished"]
    assert len(read_store(store)) == 9


def test_a_damaged_note_of_a_failure_is_listed(store):
    stores.note_failure(store, Wanted(run_of().config, FINGERPRINT), "no luck")
    next((store.folder / "failed").iterdir()).write_text("{", encoding="utf-8")
    assert [entry.state for entry in entries(store)] == ["damaged"]
