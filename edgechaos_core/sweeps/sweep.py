"""From a grid of configs to their runs: what is stored is loaded, what is missing is trained and stored.

A sweep plans stacks (plan.py), hands them to a backend (backends.py) and looks at the store until every run is there or
has failed; whatever ends it in between, the same sweep goes on from the checkpoints.
"""

import logging
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from edgechaos_core import EdgechaosError
from edgechaos_core.images.files import DataError
from edgechaos_core.store.reservations import tidy
from edgechaos_core.store.runs import Run, RunConfig, Wanted, peek_run
from edgechaos_core.store.store import Store, check_writable, committed_store, find_run, open_store
from edgechaos_core.store.tables import TableError
from edgechaos_core.sweeps.backends import processes, serial
from edgechaos_core.sweeps.jobs import Ended, Job, dataset_of, failed, stack_file
from edgechaos_core.sweeps.options import How
from edgechaos_core.sweeps.plan import Plan, make_plan, source
from edgechaos_core.sweeps.ray_backend import ray_tasks
from edgechaos_core.system.places import COMMITTED_RUNS
from edgechaos_core.system.progress import notes_above_bar, show_progress

_ATTEMPTS = 3  # at a job whose process died
_ON_A_GPU = 64  # members of a stack on a GPU of unknown size
_BUSY_SECONDS = 1.0  # between looks at runs that another process trains

_log = logging.getLogger("edgechaos")


class SweepError(EdgechaosError):
    """Some runs of a sweep failed; the message tells the first. The others are stored."""


def obtain(
    configs: Sequence[RunConfig], *, retrain: bool = False, stored_only: bool = False, how: How | None = None
) -> list[Run]:
    """Return one run per config, in order.

    Stored runs are loaded (a longer run serves a shorter request); the rest are trained behind a progress bar and kept
    in the user's store. ``retrain`` trains everything anew and keeps nothing; ``stored_only`` trains nothing and raises
    TableError naming the first run that is missing. Ctrl-C while training ends with KeyboardInterrupt, and the next
    call goes on from there. Raises SweepError where a run fails, and what `load_dataset` raises.

    >>> from edgechaos_core import obtain, protocol
    >>> run = obtain(protocol("fig2"))[0]  # committed: nothing is trained
    >>> run.history["J_squared"].iloc[[0, -1]].round(2).tolist()
    [0.25, 3.98]
    """
    if retrain:
        with tempfile.TemporaryDirectory() as scratch:
            return sweep(configs, Store(Path(scratch)), how or How())
    store = open_store()
    if not stored_only:
        return sweep(configs, store, how or How())
    return _all_found(wanted(configs), store)


def committed(configs: Sequence[RunConfig]) -> list[Run]:
    """Return one run per config, in order, of the repository's own; raises TableError for one it has not."""
    return _all_found(wanted(configs), committed_store())


def available(configs: Sequence[RunConfig]) -> list[Run]:
    """Return the runs of a grid that are stored, in order; train nothing. Raises what `load_dataset` raises."""
    store = open_store()
    found = [find_run(store, run) for run in wanted(configs)]
    return [run for run in found if run is not None]


def sweep(configs: Sequence[RunConfig], store: Store, how: How, *, trusting: bool = True) -> list[Run]:
    """Train what a store lacks of a grid, store it, and return one run per config, in order; errors as for `obtain`.

    Files whose metadata say that they answer a config are believed at first; ``trusting`` False reads them all before.
    """
    asked = wanted(configs)
    failures: dict[str, tuple[RunConfig, str]] = {}
    plan = plan_sweep(asked, store, how, trusting=trusting)
    if plan.stacks:
        check_writable(store)
    with notes_above_bar(_log), _bar(plan) as bar:
        while plan.stacks:
            busy, done = _run(plan, store, how, bar, failures)
            left = [run for run in asked if run.key not in failures]
            plan = plan_sweep(left, store, how, trusting=trusting)
            lost = [member for stack in plan.stacks for member in stack.members if member.key in done]
            if lost and not trusting:
                where = f"{lost[0].config!r} was trained but is not in {store.folder}"
                raise SweepError(f"{where}: on a cluster, do all nodes share that folder?")
            trusting = trusting and not lost  # read whole from now on
            bar.update(max((bar.total or 0) - plan.epochs - bar.n, 0))  # others may have trained some
            if busy and plan.stacks:
                time.sleep(_BUSY_SECONDS)
    if bar.total:
        tidy(store)
    if failures:
        config, reason = next(iter(failures.values()))
        raise SweepError(f"{len(failures)} of {len(configs)} runs failed, e.g. {config!r}: {reason}")
    found = {run: find_run(store, run) for run in dict.fromkeys(asked)}
    unread = [run.config for run, stored in found.items() if stored is None]
    if unread and not trusting:
        raise SweepError(f"{unread[0]!r} was trained but cannot be read back from {store.folder}")
    if unread:  # its file is damaged behind its metadata: read them all
        return sweep(configs, store, how, trusting=False)
    return [stored for run in asked if (stored := found[run]) is not None]


def _all_found(asked: Sequence[Wanted], store: Store) -> list[Run]:
    runs = [find_run(store, run) for run in asked]
    for one, run in zip(asked, runs, strict=True):
        if run is None:
            raise TableError(
                f"no stored run for {one.config!r}: look in {', '.join(map(str, store.layers or [store.folder]))}"
            )
    return [run for run in runs if run is not None]


def wanted(configs: Sequence[RunConfig]) -> list[Wanted]:
    """Return configs with what identifies their runs; raises what `load_dataset` raises."""
    prints = {origin: dataset_of(*origin).fingerprint for origin in dict.fromkeys(map(source, configs))}
    return [Wanted(config, prints[source(config)]) for config in configs]


def wanted_to_plan(configs: Sequence[RunConfig]) -> list[Wanted]:
    """Return what `wanted` does, where the data are out of reach as the committed runs' provenance tells of them.

    Enough to plan with, not to train. Raises DataError where no committed run names the data either.
    """
    try:
        return wanted(configs)
    except DataError:
        runs = [peek_run(path) for path in COMMITTED_RUNS.glob("*.parquet")]
        known = {source(run.config): str(run.provenance["data_sha256"]) for run in runs}
        if not set(map(source, configs)) <= set(known):
            raise
        return [Wanted(config, known[source(config)]) for config in configs]


def plan_sweep(asked: Sequence[Wanted], store: Store, how: How, *, trusting: bool = True) -> Plan:
    """Plan what `sweep` would train."""
    size, device = how.stack_members, how.device
    if how.chosen_backend == "ray":  # the memory of its nodes is not known here: what does not fit is split
        size, device = size or (_ON_A_GPU if device.startswith("cuda") else None), "cpu"
    return make_plan(asked, store, device=device, stack_members=size, trusting=trusting)


def _bar(plan: Plan) -> "tqdm[Any]":
    title = f"training {plan.runs - plan.stored:,} network{'s' if plan.runs - plan.stored > 1 else ''}"
    return tqdm(total=plan.epochs, unit="epoch", desc=title, disable=not (plan.stacks and show_progress()))


def _run(
    plan: Plan, store: Store, how: How, bar: "tqdm[Any]", failures: dict[str, tuple[RunConfig, str]]
) -> tuple[bool, set[str]]:
    """Run a plan's stacks once, splitting those that do not fit in memory, and note failures by key.

    Tell whether another process has some of them, and the keys of those reported done.
    """
    pending = deque(
        Job(stack.members, store, how.device, how.threads, how.checkpoint_seconds, stack.checkpoint)
        for stack in plan.stacks
    )
    begun = {stack.members: len(stack.members) * stack.epoch for stack in plan.stacks}
    busy, done = False, set[str]()

    def on_advance(job: Job, steps: int) -> None:
        known = min(begun.get(job.members, 0), steps)
        begun[job.members] = begun.get(job.members, 0) - known
        bar.update(steps - known)

    def on_end(job: Job, ended: Ended) -> None:
        nonlocal busy
        busy |= ended.state == "busy"
        if ended.state == "done":
            done.update(member.key for member in job.members)
        if ended.state in ("out of memory", "died") and len(job.members) > 1:
            _log.warning("a stack of %d (%s): split in two", len(job.members), ended.detail)
            own, middle = stack_file(store, job.members), len(job.members) // 2
            checkpoint = own if own.exists() else job.checkpoint
            halves = (job.members[middle:], job.members[:middle])
            pending.extendleft(replace(job, members=half, checkpoint=checkpoint) for half in halves)
        elif ended.state == "died" and job.attempt < _ATTEMPTS:
            _log.warning("%s: tried again", ended.detail)
            pending.appendleft(replace(job, attempt=job.attempt + 1))
        elif ended.state in ("out of memory", "died"):
            failed(job, EdgechaosError(ended.detail))
            failures.update({member.key: (member.config, ended.detail) for member in job.members})
        elif ended.state == "failed":
            lost = [job.members[number] for number in ended.members]
            failures.update({member.key: (member.config, ended.detail) for member in lost})

    match how.chosen_backend:
        case "serial":
            serial(pending, on_advance, on_end)
        case "processes":
            processes(pending, on_advance, on_end, workers=min(how.chosen_workers, len(pending)))
        case "ray":
            ray_tasks(pending, on_advance, on_end, address=how.address)
    return busy, done
