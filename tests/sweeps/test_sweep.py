"""What is stored is loaded, what is missing is trained once and kept, whatever happens in between."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from subprocess import PIPE
from types import SimpleNamespace

import pytest

from edgechaos_core.store import reservations
from edgechaos_core.store.catalogue import entries
from edgechaos_core.store.runs import Outcome, Wanted, load_run, parse_config, save_run
from edgechaos_core.store.store import Store, find_run
from edgechaos_core.store.tables import TableError
from edgechaos_core.sweeps import backends, jobs, ray_backend, sweep
from edgechaos_core.sweeps.jobs import Ended, Job
from edgechaos_core.sweeps.options import How
from edgechaos_core.sweeps.plan import make_plan
from edgechaos_core.sweeps.sweep import SweepError, available, obtain
from edgechaos_core.system import progress
from edgechaos_core.training.stacking import members_that_fit, stack_memory
from tests.waiting import PATIENCE, wait_for, wait_for_end

SETTINGS = {"samples": 300, "batch_size": 64, "width": 16, "epochs": 2}
SERIAL = How(backend="serial")
PROCESSES = How(backend="processes", workers=2)


def config_of(**settings):
    return parse_config(SETTINGS | settings)


@pytest.fixture
def trained(folders, monkeypatch):
    """The stacks that are trained in this process, in order."""
    stacks, train = [], jobs.train

    def spy(configs, *arguments, **options):
        stacks.append(list(configs))
        return train(configs, *arguments, **options)

    monkeypatch.setattr(jobs, "train", spy)
    return stacks


def files(folder):
    return sorted(folder.glob("*.parquet"))


# obtaining runs -----------------------------------------------------------------------------------------------------


def test_what_is_missing_is_trained_once_and_kept(trained, folders):
    configs = [config_of(seed=seed) for seed in (0, 1)]
    first = obtain(configs, how=SERIAL)
    assert trained == [configs]  # one stack
    assert len(files(folders[1])) == 2
    second = obtain(configs, how=SERIAL)
    assert trained == [configs]  # nothing more
    for one, other in zip(first, second, strict=True):
        assert one.history.equals(other.history)
        assert (one.config, one.outcome, one.provenance) == (other.config, other.outcome, other.provenance)


def test_a_shorter_request_is_cut_from_the_longer_run(trained):
    long = obtain([config_of()], how=SERIAL)[0]
    short = obtain([config_of(epochs=1)], how=SERIAL)[0]
    assert len(trained) == 1
    assert short.history.equals(long.history[:2])


def test_a_longer_run_serves_a_shorter_request_of_the_same_call(trained, folders):
    short, long = obtain([config_of(epochs=1), config_of(epochs=2)], how=SERIAL)
    assert [[config.epochs for config in stack] for stack in trained] == [[2]]
    assert (len(short.history), len(long.history)) == (2, 3)
    assert [len(load_run(path).history) for path in files(folders[1])] == [3]


def test_more_epochs_go_on_where_the_run_ended(trained, folders):
    obtain([config_of(seed=seed) for seed in (0, 1)], how=SERIAL)
    told = []
    longer = [config_of(seed=seed, epochs=5) for seed in (0, 1)]
    plan = make_plan(sweep.wanted(longer), Store(folders[1]))
    assert [(stack.epoch, stack.checkpoint is not None) for stack in plan.stacks] == [(2, True)]
    assert plan.epochs == 6
    runs = obtain(longer, how=SERIAL)
    assert [part["wall_seconds"] >= 0 for part in runs[0].provenance["earlier"]] == [True]
    anew = obtain(longer, retrain=True, how=SERIAL)
    assert all(one.history.equals(other.history) for one, other in zip(runs, anew, strict=True))
    assert not told


def test_stored_only_trains_nothing(trained):
    with pytest.raises(TableError, match=r"no stored run for RunConfig\(.*seed=7"):
        obtain([config_of(seed=7)], stored_only=True)
    assert trained == []
    obtain([config_of(seed=7)], how=SERIAL)
    assert len(obtain([config_of(seed=7)], stored_only=True)) == 1


def test_available_are_the_stored_runs_in_order(trained):
    obtain([config_of(seed=7), config_of(seed=2)], how=SERIAL)
    trained.clear()
    assert [run.config.seed for run in available([config_of(seed=seed) for seed in (2, 5, 7)])] == [2, 7]
    assert available([]) == trained == []


def test_committed_runs_are_loaded(trained, folders):
    committed, own = folders
    run = obtain([config_of()], how=SERIAL)[0]
    path = files(own)[0]
    run.provenance["from"] = "committed"
    save_run(run, committed / path.name)
    path.unlink()
    assert obtain([config_of()], how=SERIAL)[0].provenance["from"] == "committed"
    assert len(trained) == 1
    assert files(own) == []


def test_order_and_duplicates_are_kept(trained):
    a, b, wide = config_of(seed=1), config_of(seed=0), config_of(width=17)
    obtain([b], how=SERIAL)
    runs = obtain([a, wide, b, a], how=SERIAL)
    assert [run.config for run in runs] == [a, wide, b, a]
    assert trained == [[b], [wide], [a]]  # what differs in shape cannot share a stack; most work first


def test_data_sets_of_several_sizes(trained):
    configs = [config_of(), config_of(samples=200), config_of(validation=50)]
    runs = obtain(configs, how=SERIAL)
    assert [run.config for run in runs] == configs
    assert len(trained) == 3
    assert "validation_loss" in runs[2].history


def test_retrain_trains_everything_and_stores_nothing(trained, folders):
    obtain([config_of()], how=SERIAL)
    stored = {path: path.read_bytes() for path in folders[1].iterdir() if path.is_file()}
    runs = obtain([config_of(), config_of(seed=1)], retrain=True, how=SERIAL)
    assert trained[1:] == [[config_of(), config_of(seed=1)]]
    assert len(runs) == 2
    assert {path: path.read_bytes() for path in folders[1].iterdir() if path.is_file()} == stored


def test_a_diverged_run_is_a_result(trained, folders):
    wild, tame = config_of(learning_rate=1e38), config_of()
    one, other = obtain([wild, tame], how=SERIAL)
    assert (one.outcome.state, other.outcome.state) == ("diverged", "finished")
    assert one.outcome.J_squared == one.history["J_squared"].iloc[-1]
    assert {load_run(path).outcome.state for path in files(folders[1])} == {"diverged", "finished"}
    assert obtain([wild, tame], how=SERIAL)[0].outcome == one.outcome
    assert len(trained) == 1
    alone = obtain([tame, config_of(seed=9)], retrain=True, how=SERIAL)[0]
    assert other.history.drop(columns="test_accuracy").to_numpy() == pytest.approx(
        alone.history.drop(columns="test_accuracy").to_numpy(), abs=1e-4
    )


def test_nothing_asked_nothing_done(trained):
    assert obtain([]) == []
    assert trained == []


@pytest.mark.parametrize(("relayed", "shown"), [("1", True), ("", False)])
def test_the_bar_is_shown_where_someone_relays_it(trained, capsys, monkeypatch, relayed, shown):
    monkeypatch.setenv(progress.PROGRESS_VARIABLE, relayed)
    obtain([config_of(), config_of(seed=1)], how=SERIAL)
    printed = capsys.readouterr().err
    assert ("training 2 networks" in printed) == shown
    assert ("4/4 [" in printed) == shown


BAD_HOW = [
    ({"backend": "threads"}, "unknown backend 'threads': choose from processes, serial, ray"),
    ({"address": "auto"}, "address is that of a Ray cluster: it needs the backend 'ray'"),
    ({"workers": 0}, "workers must be at least 1, got 0"),
    ({"threads": 0}, "threads must be at least 1, got 0"),
    (
        {"backend": "ray", "workers": 2},
        "workers are for the backend 'processes': Ray trains as many stacks as its nodes have room",
    ),
    ({"stack_members": 0}, "stack_members must be at least 1, got 0"),
    ({"checkpoint_seconds": -1.0}, "checkpoint_seconds must be at least 0, got -1.0"),
    ({"checkpoint_seconds": float("nan")}, "checkpoint_seconds must be at least 0, got nan"),
    ({"device": "gpu"}, "unknown device 'gpu': choose from cpu, cuda, cuda:1 ..."),
]


@pytest.mark.parametrize(("bad", "message"), BAD_HOW)
def test_a_bad_way_is_refused(bad, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below, whole
        How(**bad)
    assert str(caught.value) == message


# planning -----------------------------------------------------------------------------------------------------------


def plan_of(configs, store, **options):
    return make_plan([Wanted(config, "data") for config in configs], store, **options)


def test_stacks_share_shapes_and_have_most_work_first(tmp_path):
    configs = [config_of(seed=seed, **own) for own in ({}, {"width": 20}, {"epochs": 50}) for seed in range(3)]
    plan = plan_of(configs, Store(tmp_path), stack_members=2)
    assert (plan.runs, plan.stored) == (6, 0)  # the longer runs serve the shorter requests
    assert [len(stack.members) for stack in plan.stacks] == [2, 1, 2, 1]
    assert [stack.members[0].config.epochs for stack in plan.stacks] == [50, 50, 2, 2]


def test_a_stack_fits_its_device():
    paper = parse_config({})
    assert members_that_fit(paper, "cpu") == 1
    assert members_that_fit(config_of(width=8), "cpu") > 8
    one, two = stack_memory(paper, 1), stack_memory(paper, 2)
    weights = 4 * (784 * 784 + 785 * 10)
    assert two - one > weights
    assert one > 4 * 784 * 70_000 + weights  # the data set, as float32


# what goes wrong ----------------------------------------------------------------------------------------------------


def test_a_stack_too_large_for_memory_is_split(trained, monkeypatch, caplog):
    spy = jobs.train

    def small_memory(configs, *arguments, **options):
        if len(configs) > 1:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return spy(configs, *arguments, **options)

    monkeypatch.setattr(jobs, "train", small_memory)
    configs = [config_of(seed=seed) for seed in range(3)]
    assert [run.config for run in obtain(configs, how=SERIAL)] == configs
    assert sorted(len(stack) for stack in trained) == [1, 1, 1]
    assert caplog.text.count("split in two") == 2


def test_one_network_too_large_for_memory_fails_alone(trained, folders, monkeypatch):
    spy = jobs.train

    def small_memory(configs, *arguments, **options):
        if configs[0].width > 16:
            raise MemoryError
        return spy(configs, *arguments, **options)

    monkeypatch.setattr(jobs, "train", small_memory)
    with pytest.raises(SweepError, match=r"1 of 2 runs failed, e.g. RunConfig\(.*width=17.*MemoryError"):
        obtain([config_of(width=17), config_of()], how=SERIAL)
    assert {entry.state for entry in entries(Store(folders[1]))} == {"finished", "failed"}
    monkeypatch.setattr(jobs, "train", spy)
    assert len(obtain([config_of(width=17), config_of()], how=SERIAL)) == 2
    assert {entry.state for entry in entries(Store(folders[1]))} == {"finished"}


def test_a_bug_is_told_with_its_place_and_takes_nothing_with_it(trained, folders, monkeypatch):
    spy = jobs.train

    def buggy(configs, *arguments, **options):
        return spy(configs, *arguments, **options) if configs[0].width == 16 else [*configs][99]

    monkeypatch.setattr(jobs, "train", buggy)
    with pytest.raises(SweepError, match=r"IndexError: list index out of range \(at test_sweep.py:\d+\)"):
        obtain([config_of(width=17), config_of()], how=SERIAL)
    assert len(files(folders[1])) == 1


def test_a_contradiction_fails_its_run_alone(trained, folders):
    run = obtain([config_of()], how=SERIAL)[0]
    path = files(folders[1])[0]
    run.history["J_squared"] *= 1.1
    save_run(run, path)
    for checkpoint in (folders[1] / "checkpoints").iterdir():
        checkpoint.unlink()
    with pytest.raises(SweepError, match=r"1 of 2 runs failed.*holds another result for the same settings"):
        obtain([config_of(epochs=3), config_of(epochs=3, seed=1)], how=SERIAL)
    assert load_run(path).history.equals(run.history)
    assert len(files(folders[1] / "conflicts")) == 1
    assert len(files(folders[1])) == 2


def test_a_store_that_cannot_be_written_stops_before_training(trained, monkeypatch):
    monkeypatch.setenv("EDGECHAOS_STORE", "/proc/nowhere")
    with pytest.raises(TableError, match="set EDGECHAOS_STORE to another folder"):
        obtain([config_of()], how=SERIAL)
    assert trained == []


def test_a_disk_that_fills_up_loses_no_finished_run(trained, folders, monkeypatch, caplog):
    obtain([config_of()], how=SERIAL)
    kept = {path: path.read_bytes() for path in files(folders[1])}
    fsync = os.fsync

    def full(descriptor):
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        if "safetensors" in name or name.endswith("parquet") or ".parquet." in name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SweepError, match="cannot be written: No space left on device"):
        obtain([config_of(seed=1)], how=SERIAL)
    assert "training goes on without a checkpoint" in caplog.text
    assert {path: path.read_bytes() for path in files(folders[1])} == kept
    monkeypatch.setattr(os, "fsync", fsync)
    assert len(obtain([config_of(seed=1)], how=SERIAL)) == 1
    assert not list(folders[1].rglob(".*"))


def test_a_damaged_checkpoint_is_set_aside_and_its_stack_begins_anew(trained, folders, caplog):
    obtain([config_of(epochs=1)], how=SERIAL)
    checkpoint = next((folders[1] / "checkpoints").iterdir())
    content = bytearray(checkpoint.read_bytes())
    content[-1] ^= 1
    checkpoint.write_bytes(content)
    longer = obtain([config_of(epochs=3)], how=SERIAL)[0]
    assert "its stack begins anew" in caplog.text
    assert (folders[1] / "damaged" / checkpoint.name).read_bytes() == content
    assert longer.history.equals(obtain([config_of(epochs=3)], retrain=True, how=SERIAL)[0].history)


def test_a_damaged_run_alone_is_done_again(trained, folders, caplog):
    configs = [config_of(seed=seed, width=width) for seed, width in ((0, 16), (1, 17))]
    obtain(configs, how=SERIAL)
    path = next(path for path in files(folders[1]) if load_run(path).config.width == 17)
    path.write_bytes(path.read_bytes()[:-1])
    obtain(configs, how=SERIAL)
    assert trained[2:] == [[configs[1]]]
    assert str(path) in caplog.text
    assert load_run(path).config == configs[1]


def test_a_committed_run_damaged_behind_its_metadata_is_done_again(trained, folders, caplog):
    run = obtain([config_of()], how=SERIAL)[0]
    own = files(folders[1])[0]
    committed = folders[0] / own.name
    save_run(run, committed)
    content = bytearray(committed.read_bytes())
    content[8] ^= 1  # in the first page
    committed.write_bytes(content)
    own.unlink()
    again = obtain([config_of()], how=SERIAL)[0]
    assert again.history.equals(run.history)
    assert f"git checkout -- {committed}" in caplog.text
    assert committed.read_bytes() == content
    assert own.exists()


def test_only_half_written_files_of_ours_are_tidied_away(trained, folders):
    obtain([config_of()], how=SERIAL)
    own = files(folders[1])[0].name
    foreign = [folders[1] / name for name in (".bashrc", ".config.json", "x/.0123456789abcdef.parquet.abc")]
    ours = [folders[1] / f".{own}.x1_yz", folders[1] / ".probe.x1_yz"]
    ours += [folders[1] / "checkpoints" / f".{own[:16]}.safetensors.ab12"]
    for path in [*foreign, *ours]:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    obtain([config_of(seed=1)], how=SERIAL)
    assert all(path.exists() for path in foreign)
    assert not any(path.exists() for path in ours)


def test_kept_checkpoints_are_pruned_to_their_share(trained, folders, monkeypatch):
    monkeypatch.setattr(reservations, "KEPT_BYTES", 0)
    obtain([config_of()], how=SERIAL)
    assert list((folders[1] / "checkpoints").iterdir()) == []


# Ctrl-C and other processes -----------------------------------------------------------------------------------------


def interrupt_soon(monkeypatch, at_epoch: int, times: int = 1) -> None:
    """Send this process SIGINT when training comes to an epoch."""
    spy = jobs.train

    def interrupted(*arguments, on_epoch, **options):
        def watch(epoch, rows):
            on_epoch(epoch, rows)
            if epoch == at_epoch:
                for _ in range(times):
                    signal.raise_signal(signal.SIGINT)

        return spy(*arguments, on_epoch=watch, **options)

    monkeypatch.setattr(jobs, "train", interrupted)


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_and_the_same_again(trained, folders, monkeypatch, times):
    configs = [config_of(seed=seed, epochs=6) for seed in (0, 1)]
    spy = jobs.train
    interrupt_soon(monkeypatch, at_epoch=3, times=times)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        obtain(configs, how=SERIAL)
    assert signal.getsignal(signal.SIGINT) == handler
    assert files(folders[1]) == []
    if times == 1:
        assert [entry.state for entry in entries(Store(folders[1]))] == ["interrupted"] * 2
    monkeypatch.setattr(jobs, "train", spy)
    resumed = obtain(configs, how=SERIAL)
    assert ("earlier" in resumed[0].provenance) == (times == 1)
    for one, other in zip(resumed, obtain(configs, retrain=True, how=SERIAL), strict=True):
        assert one.history.equals(other.history)


def test_runs_that_another_process_trains_are_waited_for(trained, folders, monkeypatch):
    config = config_of()
    store = Store(folders[1])
    key = sweep.wanted([config])[0].key
    inside, leave, looks = threading.Event(), threading.Event(), []

    def other_process():
        with reservations.reserved(store, [key]) as ours:
            assert ours
            inside.set()
            leave.wait(PATIENCE)

    def look(seconds):
        assert trained == []
        looks.append(seconds)
        if len(looks) == 3:
            leave.set()
            thread.join()

    monkeypatch.setattr(sweep.time, "sleep", look)
    thread = threading.Thread(target=other_process)
    thread.start()
    assert inside.wait(PATIENCE)
    assert jobs.work(Job(tuple(sweep.wanted([config])), store)) == Ended("busy")
    obtain([config], how=SERIAL)
    assert looks == [sweep._BUSY_SECONDS] * 3
    assert len(trained) == 1


def test_worker_processes_give_the_same_runs(folders):
    configs = [config_of(seed=seed, width=width) for seed in (0, 1) for width in (16, 24)]
    by_workers, alone = obtain(configs, how=PROCESSES), obtain(configs, retrain=True, how=SERIAL)
    assert [run.config for run in by_workers] == configs
    for one, other in zip(by_workers, alone, strict=True):
        assert one.history.equals(other.history)


def test_a_killed_worker_is_replaced(folders, monkeypatch, caplog):
    """The first worker kills itself as if the kernel had; its job is tried again."""
    from edgechaos_core.sweeps import backends

    begin, killed = backends._Worker.begin, []

    def begin_and_die(worker, job):
        begin(worker, job)
        if not killed:
            killed.append(worker.process.pid)
            worker.process.kill()

    monkeypatch.setattr(backends._Worker, "begin", begin_and_die)
    run = obtain([config_of()], how=PROCESSES)[0]
    assert run.outcome.state == "finished"
    assert "its worker died, signal SIGKILL: tried again" in caplog.text


def test_the_last_words_of_a_dead_worker_are_told(folders, monkeypatch, caplog):
    """What the first worker is given is no job: it ends with a traceback."""
    from edgechaos_core.sweeps import backends

    begin, given = backends._Worker.begin, []

    def begin_with_nonsense(worker, job):
        if not given:
            worker.input.write(b"{}\n")
        given.append(job)
        begin(worker, job)

    monkeypatch.setattr(backends._Worker, "begin", begin_with_nonsense)
    assert obtain([config_of()], how=PROCESSES)[0].outcome.state == "finished"
    assert "its worker died, exit code 1: KeyError: 'store': tried again" in caplog.text


SCRIPT = """
import sys
from edgechaos_core.store.runs import parse_config
from edgechaos_core.sweeps.options import How
from edgechaos_core.sweeps.sweep import obtain
configs = [parse_config({"samples": 2000, "width": 32, "epochs": 4000, "seed": seed}) for seed in (0, 1)]
obtain(configs, how=How(backend="processes", workers=2, stack_members=1, checkpoint_seconds=0.2))
"""


def workers_of(pid: int) -> list[int]:
    return [
        int(child)
        for child in subprocess.run(
            ["pgrep", "-P", str(pid)], capture_output=True, encoding="utf-8", check=False
        ).stdout.split()
    ]


@pytest.mark.parametrize("end", ["SIGINT", "SIGKILL"])
def test_a_sweep_that_is_ended_leaves_checkpoints_and_no_workers(folders, end):
    parent = subprocess.Popen([sys.executable, "-c", SCRIPT], stderr=subprocess.PIPE)
    begun = folders[1] / "checkpoints"
    wait_for(lambda: len(list(begun.glob("*.safetensors"))) == 2, parent)
    children = workers_of(parent.pid)
    assert len(children) == 2
    parent.send_signal(signal.Signals[end])
    parent.communicate(timeout=PATIENCE)
    wait_for_end(children)
    states = entries(Store(folders[1]))
    assert [entry.state for entry in states] == ["interrupted"] * 2
    assert all(entry.epoch >= 0 for entry in states)
    config = states[0].run.config.model_copy(update={"epochs": states[0].epoch})
    again = obtain([config], how=SERIAL)[0]  # from the checkpoint
    assert again.outcome.state == "finished"
    assert find_run(Store(folders[1]), Wanted(config, again.provenance["data_sha256"])) is not None


def test_the_ray_backend_gives_the_same_runs(folders, monkeypatch):
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    configs = [config_of(seed=seed, width=width) for seed in (0, 1) for width in (16, 24)]
    on_ray = obtain(configs, how=How(backend="ray"))
    for one, other in zip(on_ray, obtain(configs, retrain=True, how=SERIAL), strict=True):
        assert one.history.equals(other.history)
    with pytest.raises(sweep.EdgechaosError, match=r"no Ray cluster at '127.0.0.1:1'"):
        obtain([config_of(seed=5)], how=How(backend="ray", address="127.0.0.1:1"))


def test_without_ray_its_backend_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        ValueError, match=r"^backend 'ray' needs Ray: pip install 'edgechaos\[ray\]', or choose another"
    ):
        ray_backend.ray_tasks(deque(), lambda *_: None, lambda *_: None, address=None)


@pytest.mark.parametrize("there", [False, True])
def test_ray_sends_nobody_statistics_and_a_connection_of_the_users_own_stays(monkeypatch, there):
    monkeypatch.setattr(os, "environ", {"EDGECHAOS_STORE": "somewhere"})  # Ray reads its settings there
    calls = []
    ray = SimpleNamespace(
        is_initialized=lambda: there,
        init=lambda **how: calls.append((how["address"], dict(os.environ))),
        shutdown=lambda: calls.append("shutdown"),
    )
    with ray_backend._connected(ray, None):
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
    if there:
        assert calls == []
    else:
        (address, seen), last = calls
        assert (address, last) == (None, "shutdown")
        assert Path(seen["EDGECHAOS_STORE"]).is_absolute()
    os.environ["RAY_USAGE_STATS_ENABLED"] = "1"  # as the user wants it
    with ray_backend._connected(ray, None):
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "1"


def test_a_node_of_a_ray_cluster_must_have_all_that_a_stack_needs():
    _check_resources = ray_backend._check_resources

    def node(alive: bool = True, **resources: float) -> dict[str, object]:
        return {"Alive": alive, "Resources": resources}

    enough = [node(memory=1e9), node(CPU=2.0, GPU=1.0)]
    _check_resources(enough, {"num_cpus": 2, "num_gpus": 1})
    _check_resources([node(CPU=1.0)], {"num_cpus": 1, "num_gpus": 0})
    _check_resources([node(GPU=1.0)], {"num_cpus": 0, "num_gpus": 1})
    for nodes, cpus, gpus in [
        ([], 0, 0),
        ([node(memory=1e9)], 1, 0),  # a resource that is not named is not there
        ([node(CPU=4.0)], 1, 1),
        (enough, 3, 0),
        ([node(CPU=2.0), node(GPU=1.0)], 1, 1),  # on two nodes
        ([node(alive=False, CPU=4.0)], 1, 0),
    ]:
        with pytest.raises(sweep.EdgechaosError, match=f"no node of the Ray cluster has {cpus} CPUs and {gpus} GPUs"):
            _check_resources(nodes, {"num_cpus": cpus, "num_gpus": gpus})


def test_runs_reported_done_that_are_not_there_end_the_sweep(trained, folders, monkeypatch):
    def elsewhere(pending, on_advance, on_end):
        while pending:
            on_end(pending.popleft(), Ended("done"))

    monkeypatch.setattr(sweep, "serial", elsewhere)
    with pytest.raises(SweepError, match=r"was trained but is not in .*: on a cluster, do all nodes share that folder"):
        obtain([config_of()], how=SERIAL)


def test_stored_runs_are_read_from_a_store_that_cannot_be_written(trained, folders, monkeypatch):
    run = obtain([config_of()], how=SERIAL)[0]
    folders[0].mkdir()
    files(folders[1])[0].rename(folders[0] / files(folders[1])[0].name)
    monkeypatch.setenv("EDGECHAOS_STORE", "/proc/nowhere")
    assert obtain([config_of()], how=SERIAL)[0].history.equals(run.history)


def test_a_run_whose_process_dies_is_given_up_after_three_attempts(folders, monkeypatch):
    attempts = []

    def dying(pending, on_advance, on_end):
        while pending and len(attempts) < 9:
            job = pending.popleft()
            attempts.append(job.attempt)
            on_end(job, Ended("died", "its worker died"))

    monkeypatch.setattr(sweep, "serial", dying)
    with pytest.raises(SweepError, match="its worker died"):
        obtain([config_of()], how=SERIAL)
    assert len(attempts) == 3


def test_a_stack_is_interrupted_though_one_of_it_has_diverged(folders, monkeypatch):
    ends = [SimpleNamespace(outcome=Outcome(state, 0)) for state in ("diverged", "interrupted")]
    monkeypatch.setattr(jobs, "train", lambda *_, **__: ends)
    members = tuple(sweep.wanted([config_of(seed=seed) for seed in (0, 1)]))
    assert jobs.work(Job(members, Store(folders[1]))) == Ended("interrupted")


def test_an_error_about_memory_is_not_always_want_of_it():
    assert jobs.out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert jobs.out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"))
    assert jobs.out_of_memory(MemoryError())
    assert not jobs.out_of_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))


def test_of_finished_checkpoints_the_oldest_go_first_and_no_more_than_must(folders, monkeypatch):
    for seed in range(3):
        obtain([config_of(seed=seed)], how=SERIAL)
    store = Store(folders[1])
    _, *others = store.checkpoints.glob("*.safetensors")
    for path in others:
        os.utime(path, (2e9, 2e9))
    reservations.tidy(store)
    assert len(list(store.checkpoints.iterdir())) == 3  # far below what is kept
    monkeypatch.setattr(reservations, "KEPT_BYTES", sum(path.stat().st_size for path in others))
    reservations.tidy(store)
    assert set(store.checkpoints.iterdir()) == set(others)


@pytest.mark.parametrize(("before", "epochs"), [(2, 4), (0, 1)])
def test_a_finished_checkpoint_is_kept_until_its_runs_are_stored(trained, folders, monkeypatch, before, epochs):
    if before:
        obtain([config_of(epochs=before)], how=SERIAL)
    put_run = jobs.put_run
    monkeypatch.setattr(reservations, "KEPT_BYTES", 0)
    monkeypatch.setattr(jobs, "put_run", lambda *_: (_ for _ in ()).throw(TableError("no space")))
    with pytest.raises(SweepError, match="no space"):
        obtain([config_of(epochs=epochs)], how=SERIAL)
    monkeypatch.setattr(jobs, "put_run", put_run)
    store = Store(folders[1])
    reservations.tidy(store)
    assert len(list(store.checkpoints.iterdir())) == 1
    obtain([config_of(epochs=epochs)], how=SERIAL)
    reservations.tidy(store)
    assert list(store.checkpoints.iterdir()) == []


def test_a_worker_that_does_not_end_is_killed(monkeypatch, caplog):
    monkeypatch.setattr(backends, "_PATIENCE", 0.01)
    did = []

    def wait(timeout=None):
        did.append("wait")
        if timeout is not None:
            raise subprocess.TimeoutExpired("worker", timeout)

    process = SimpleNamespace(wait=wait, kill=lambda: did.append("kill"))
    backends._stop([SimpleNamespace(input=io.BytesIO(), output=io.BytesIO(), process=process, close=did.clear)])
    assert did == []  # closed at the end
    assert caplog.messages == ["stopped without waiting for checkpoints: the last ones stand"]


@pytest.mark.parametrize(("device", "gpus"), [("cuda", 1), ("cuda:1", 1), ("cpu", 0)])
def test_a_stack_on_any_gpu_needs_one_of_ray(folders, monkeypatch, device, gpus):
    asked = []

    def check(_, needs):
        asked.append(needs)
        raise ValueError("seen")

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(nodes=list, is_initialized=lambda: True))
    monkeypatch.setattr(ray_backend, "_remotes", lambda _: (None, None))
    monkeypatch.setattr(ray_backend, "_check_resources", check)
    job = Job((Wanted(config_of(), "data"),), Store(folders[1]), device=device, threads=3)
    with pytest.raises(ValueError, match="seen"):
        ray_backend.ray_tasks(deque([job]), lambda *_: None, lambda *_: None, address=None)
    assert asked == [{"num_cpus": 3, "num_gpus": gpus}]


def test_what_a_library_prints_in_a_worker_is_no_answer():
    program = """
from types import SimpleNamespace
from edgechaos_core.sweeps import worker_process
from edgechaos_core.sweeps.jobs import Ended
worker_process.Job = SimpleNamespace(from_json=str)
worker_process.work = lambda *_, **__: print("chatter", flush=True) or Ended("done")
worker_process.main()
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdin=PIPE, stdout=PIPE, stderr=PIPE, encoding="utf-8")
    process.stdin.write("a job\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    rest, said = process.communicate(timeout=PATIENCE)
    assert (json.loads(answer), rest) == ({"ended": "done", "detail": "", "members": []}, "")
    assert said.splitlines() == ["chatter"]
