"""Faults at random instants and at every instant: what a sweep must survive with nothing lost, torn or done twice.

``python -m tests.faults.torture`` runs all of it and prints counts, with ``--few`` a little (test_torture.py). A sweep
is run in a forked process, so that it can be killed; its store is then compared, run by run and bit by bit, with one
that was left in peace.
"""

import argparse
import errno
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from edgechaos_core.store import reservations
from edgechaos_core.store.catalogue import entries
from edgechaos_core.store.checkpoints import load_checkpoint
from edgechaos_core.store.runs import Run, RunConfig, load_run, parse_config
from edgechaos_core.store.store import Store
from edgechaos_core.store.tables import TableError
from edgechaos_core.sweeps import jobs
from edgechaos_core.sweeps import sweep as sweeps
from edgechaos_core.sweeps.options import How
from edgechaos_core.sweeps.sweep import sweep
from tests.waiting import PATIENCE

FORK = multiprocessing.get_context("fork")
SETTINGS = {"samples": 300, "batch_size": 64, "epochs": 4}
CONFIGS = [parse_config(SETTINGS | {"width": width, "seed": seed}) for width in (16, 24) for seed in (0, 1)]
TOLD, NEVER_CAME = 3, 4  # exit codes: the fault was told in a line, the n-th operation never came
EAGER = How(backend="serial", checkpoint_seconds=0.0)  # a checkpoint after every mini-batch


def reference() -> dict[RunConfig, Run]:
    """The runs of a sweep left in peace, by config."""
    torch.set_num_threads(1)  # a forked process has none of the threads that its parent would wait for
    sweeps.wanted(CONFIGS)  # the data are loaded once, here: forked processes have them too
    with tempfile.TemporaryDirectory() as folder:
        assert in_child(lambda: sweep(CONFIGS, Store(Path(folder)), EAGER)) == 0
        return {run.config: run for run in map(load_run, Path(folder).glob("*.parquet"))}


def in_child(call: Callable[[], object], kill_after: float | None = None) -> int:
    """Run a call in a forked process, perhaps killed after some seconds; return its exit code."""
    process = FORK.Process(target=_quietly, args=(call,))
    process.start()
    process.join(kill_after if kill_after is not None else PATIENCE)
    if process.is_alive():
        assert kill_after is not None, "the process hangs"
        process.kill()
        process.join()
    assert process.exitcode is not None
    return process.exitcode


def _quietly(call: Callable[[], object]) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    call()


def check(store: Store, wanted: dict[RunConfig, Run], *, complete: bool) -> None:
    """Assert that every stored run is whole and bitwise the reference, and if ``complete`` that none is missing."""
    found = [load_run(path) for path in store.folder.glob("*.parquet")]
    for run in found:
        assert run.history.equals(wanted[run.config].history)
    if complete:
        assert {run.config for run in found} == set(wanted)
        assert {entry.state for entry in entries(store)} == {"finished"}
        reservations.tidy(store)  # as the next sweep that has something to train does
        assert not list(store.folder.rglob(".*")), "half-written files are left"
        assert not (store.folder / "conflicts").exists()
        assert not list((store.folder / "reservations").iterdir())


def kills_at_random(count: int, wanted: dict[RunConfig, Run]) -> str:
    """SIGKILL at random instants, each sweep going on where the last was killed."""
    kills = finished = 0
    store, scratch = None, None
    span = 1.0
    with tqdm(total=count, desc="kills at random instants", disable=not sys.stderr.isatty()) as bar:
        while kills < count or store is not None:
            if store is None:
                scratch = tempfile.TemporaryDirectory()
                store = Store(Path(scratch.name))
            clock = time.perf_counter()
            code = in_child(partial(sweep, CONFIGS, store, EAGER), random.uniform(0, span) if kills < count else None)
            assert code in (0, -signal.SIGKILL)
            check(store, wanted, complete=code == 0)
            if code == 0:
                span = max(time.perf_counter() - clock, 0.2)
                finished, store = finished + 1, None
                scratch.cleanup()
            else:
                kills += 1
                bar.update()
    return f"{kills} kills at random instants, {finished} sweeps brought to their end by then"


def faults_at_every_operation(
    kind: str, wanted: dict[RunConfig, Run], *, every: int = 1, fail: Callable[[], object] | None = None
) -> str:
    """Kill (or ``fail``) a sweep at its n-th write, sync or rename, for every n; then let it go on in peace."""
    half = CONFIGS[:2]  # one stack
    number = places = survived = 0
    bar = tqdm(desc=kind, unit="place", disable=not sys.stderr.isatty())
    while True:
        number += every
        with tempfile.TemporaryDirectory() as folder:
            store = Store(Path(folder))
            code = in_child(partial(_sweep_with_fault, store, number, fail))
            assert code in (0, TOLD, NEVER_CAME) if fail else code in (-signal.SIGKILL, NEVER_CAME)
            check(store, wanted, complete=False)
            if code == NEVER_CAME:
                check(store, {config: wanted[config] for config in half}, complete=True)
                bar.close()
                return f"{kind} at each of {places} writes, syncs and renames, {survived} survived without another try"
            survived += code == 0
            assert in_child(partial(sweep, half, store, EAGER)) == 0
            check(store, {config: wanted[config] for config in half}, complete=True)
        places += 1
        bar.update()


def _sweep_with_fault(store: Store, number: int, fail: Callable[[], object] | None) -> None:
    """Sweep half the configs, one stack, with a fault at the n-th operation; the exit code says how it went."""
    counted = 0

    def faulty(operation: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            nonlocal counted
            counted += 1
            if counted == number:
                fail() if fail else os.kill(os.getpid(), signal.SIGKILL)
            return operation(*arguments, **options)

        return call

    opened = Path.open

    def file(path: Path, mode: str = "r", **options: object) -> object:
        made = opened(path, mode, **options)
        if "x" in mode:  # a new file, as `write_whole` makes
            made.write = faulty(made.write)
        return made

    Path.open = file
    os.fsync = faulty(os.fsync)
    Path.replace = faulty(Path.replace)
    try:
        sweep(CONFIGS[:2], store, EAGER)
    except (TableError, sweeps.SweepError):
        sys.exit(TOLD)
    sys.exit(0 if counted >= number else NEVER_CAME)


def no_space() -> None:
    """Fail as a full disk does."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def damage_everywhere(regions: int) -> str:
    """Flip a bit in, or cut, each region of a run file and of a checkpoint; the sweep must do that one again."""
    noticed = harmless = 0
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        how = replace(EAGER, stack_members=1)  # a run done again alone is then bitwise the same
        assert in_child(lambda: sweep(CONFIGS[:2], store, how)) == 0
        wanted = {run.config: run for run in map(load_run, store.folder.glob("*.parquet"))}
        run_file = next(store.folder.glob("*.parquet"))
        config = load_run(run_file).config
        checkpoint = jobs.stack_file(store, sweeps.wanted([config]))
        whole = {path: path.read_bytes() for path in (run_file, checkpoint)}
        for region in tqdm(range(2 * regions), desc="damage", disable=not sys.stderr.isatty()):
            for path, content in whole.items():
                at = min(int((region // 2 + random.random()) / regions * len(content)), len(content) - 1)
                flipped = content[:at] + bytes([content[at] ^ (1 << random.randrange(8))]) + content[at + 1 :]
                path.write_bytes(flipped if region % 2 else content[:at])
                try:
                    read = load_run(path) if path == run_file else load_checkpoint(path)
                except TableError:
                    noticed += 1
                else:
                    same = read.history.equals(wanted[config].history) if path == run_file else False
                    assert same, f"damage at byte {at} of {path.name} goes unnoticed"
                    harmless += 1
                path.write_bytes(content)
        run_file.write_bytes(whole[run_file][:-9])
        checkpoint.write_bytes(whole[checkpoint][:-9])
        assert in_child(lambda: sweep(CONFIGS[:2], store, how)) == 0
        check(store, wanted, complete=True)
        assert len(list((store.folder / "damaged").iterdir())) == 2
    return f"{noticed} damaged files noticed, {harmless} flips in bytes that nothing depends on"


def many_processes(count: int, wanted: dict[RunConfig, Run]) -> str:
    """Several processes on one grid at once: every stack is trained once, by one of them."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("a+", encoding="utf-8") as log:
        store = Store(Path(folder))

        def one() -> None:
            train = jobs.train

            def noted(configs: list[RunConfig], *arguments: object, **options: object) -> list[Run]:
                os.write(log.fileno(), b"".join(f"{config.width} {config.seed}\n".encode() for config in configs))
                return train(configs, *arguments, **options)

            jobs.train = noted
            sweeps._BUSY_SECONDS = 0.05
            sweep(CONFIGS, store, How(backend="serial", stack_members=1))

        processes = [FORK.Process(target=_quietly, args=(one,)) for _ in range(count)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(PATIENCE)
        assert [process.exitcode for process in processes] == [0] * count
        log.seek(0)
        trained = log.read().split("\n")[:-1]
        assert sorted(trained) == sorted({f"{config.width} {config.seed}" for config in CONFIGS}), trained
        found = {run.config: run for run in map(load_run, store.folder.glob("*.parquet"))}
        assert set(found) == set(wanted)
    return f"{count} processes on one grid of {len(CONFIGS)}: {len(trained)} networks trained"


DRIVER = """
import sys, pathlib, ray
from tests.faults.torture import LONG
from edgechaos_core.store.store import Store
from edgechaos_core.sweeps.options import How
from edgechaos_core.sweeps.sweep import sweep
sweep(LONG, Store(pathlib.Path(sys.argv[2])), How(backend="ray", address=sys.argv[1], checkpoint_seconds=0.2))
"""
LONG = [parse_config({"samples": 2_000, "width": 32, "epochs": 150, "seed": seed, "depth": depth})
        for depth in (1, 2, 3) for seed in (0, 1)]  # fmt: skip


def ray_cluster() -> str:
    """Remove a node of three in mid-sweep, then kill the driver of another sweep and finish that serially."""
    import ray
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with tempfile.TemporaryDirectory() as folder:
        stores = [Store(Path(folder, name)) for name in ("peace", "node", "driver")]
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        ray.init(address=cluster.address, log_to_driver=False)
        how = How(backend="ray", checkpoint_seconds=0.2)
        sweeping = threading.Thread(target=lambda: sweep(LONG, stores[1], how))
        sweeping.start()
        _wait(lambda: len(list(stores[1].checkpoints.glob("*.safetensors"))) >= 3)
        cluster.remove_node(nodes[1], allow_graceful=False)
        removed_at = len(list(stores[1].folder.glob("*.parquet")))
        sweeping.join(PATIENCE)
        assert not sweeping.is_alive()
        ray.shutdown()

        command = [sys.executable, "-c", DRIVER, cluster.address, str(stores[2].folder)]
        driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _wait(lambda: len(list(stores[2].checkpoints.glob("*.safetensors"))) >= 2)
        time.sleep(1)
        driver.kill()
        driver.wait()
        killed_at = len(list(stores[2].folder.glob("*.parquet")))
        cluster.shutdown()
        serial = How(backend="serial", checkpoint_seconds=0.2)
        assert in_child(lambda: sweep(LONG, stores[2], serial)) == 0
        assert in_child(lambda: sweep(LONG, stores[0], serial)) == 0
        runs = [{run.config: run for run in map(load_run, store.folder.glob("*.parquet"))} for store in stores]
        assert set(runs[0]) == set(LONG)
        for other in runs[1:]:
            assert set(other) == set(LONG)
            assert all(run.history.equals(other[config].history) for config, run in runs[0].items())
        total = len(LONG)
    assert removed_at < total, "the node was removed after the end"
    assert killed_at < total, "the driver was killed after the end"
    return (
        f"Ray: a node of 3 removed with {removed_at} of {total} runs done, the driver killed with {killed_at} done and "
        "its sweep finished serially: all equal"
    )


def _wait(condition: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def main() -> None:
    """Run everything and print counts."""
    parser = argparse.ArgumentParser(description="Torture sweeps.")
    parser.add_argument("--few", action="store_true", help="a tenth of it, and no Ray cluster: what `make test` runs")
    few = parser.parse_args().few
    wanted = reference()
    parts: list[Callable[[], str]] = [
        lambda: kills_at_random(20 if few else 200, wanted),
        lambda: faults_at_every_operation("kill", wanted, every=7 if few else 1),
        lambda: faults_at_every_operation("full disk", wanted, every=7 if few else 1, fail=no_space),
        lambda: damage_everywhere(8 if few else 100),
        lambda: many_processes(8, wanted),
    ]
    for part in parts if few else [*parts, ray_cluster]:
        clock = time.perf_counter()
        print(f"{part()} ({time.perf_counter() - clock:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
