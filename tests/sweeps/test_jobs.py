"""One piece of work: what it trains, when it writes a checkpoint, where it goes on from, and what it tells."""

import itertools
import math

import pytest

from edgechaos_core.images.datasets import Dataset
from edgechaos_core.store.checkpoints import load_checkpoint, save_checkpoint
from edgechaos_core.store.runs import Wanted, parse_config
from edgechaos_core.store.store import Store, find_run, put_run
from edgechaos_core.store.tables import TableError
from edgechaos_core.sweeps import jobs
from edgechaos_core.sweeps.jobs import Ended, Job, stack_file, work
from edgechaos_core.training.trainer import train

# Epochs are 5 batches, the last of 44 samples.
SETTINGS = {"samples": 300, "batch_size": 64, "width": 8, "epochs": 3}
BATCHES = 5


def configs_of(**settings):
    return tuple(parse_config(SETTINGS | {"seed": seed} | settings) for seed in (0, 1))


def wanted(configs, fingerprint: str = "a piece") -> tuple[Wanted, ...]:
    return tuple(Wanted(config, fingerprint) for config in configs)


@pytest.fixture
def data(small, monkeypatch) -> Dataset:
    own = small()
    monkeypatch.setattr(jobs, "dataset_of", lambda *_: own)
    return own


@pytest.fixture
def trained(monkeypatch) -> list[tuple[list[int], bool]]:
    """Seeds of the stacks that are trained, and whether they go on from a checkpoint, in order."""
    stacks = []

    def spy(configs, *arguments, start, **options):
        stacks.append(([config.seed for config in configs], start is not None))
        return train(configs, *arguments, start=start, **options)

    monkeypatch.setattr(jobs, "train", spy)
    return stacks


@pytest.fixture
def written(monkeypatch) -> list[tuple[int, int]]:
    """Epoch and mini-batch of every checkpoint that is written."""
    places = []

    def spy(checkpoint, path):
        places.append((checkpoint.epoch, checkpoint.batch))
        save_checkpoint(checkpoint, path)

    monkeypatch.setattr(jobs, "save_checkpoint", spy)
    return places


def stop_after(questions: int):
    """Say stop from the n-th question on."""
    asked = itertools.count(1)
    return lambda: next(asked) > questions


def test_a_begun_stack_goes_on_whole_though_a_member_was_stored_meanwhile(tmp_path, data, trained):
    store, configs = Store(tmp_path), configs_of()
    assert work(Job(wanted(configs), store), stop=stop_after(8)) == Ended("interrupted")
    whole = train(configs, data)
    put_run(store, whole[0], wanted(configs)[0].key)
    advanced: list[int] = []
    assert work(Job(wanted(configs), store), on_advance=advanced.append) == Ended("done")
    assert trained == [([0, 1], False), ([0, 1], True)]
    for config, run in zip(configs, whole, strict=True):
        assert find_run(store, Wanted(config, data.fingerprint)).history.equals(run.history)
    assert sum(advanced) == 2 * 3


def test_a_stack_that_was_not_begun_trains_what_is_missing(tmp_path, data, trained):
    store, configs = Store(tmp_path), configs_of()
    put_run(store, train(configs, data)[0], wanted(configs)[0].key)
    advanced: list[int] = []
    assert work(Job(wanted(configs), store), on_advance=advanced.append) == Ended("done")
    assert trained == [([1], False)]
    assert sum(advanced) == 2 * 3
    advanced.clear()
    assert work(Job(wanted(configs), store), on_advance=advanced.append) == Ended("done")
    assert (len(trained), advanced) == (1, [6])


@pytest.mark.parametrize(
    ("seconds", "places"),
    [
        (math.inf, [(4, 0)]),  # the end alone
        (
            0.0,
            [(1, 0), *((epoch, batch) for epoch in (1, 2, 3) for batch in range(1, BATCHES)), (2, 0), (3, 0), (4, 0)],
        ),
        (3.0, [(1, 2), (2, 0), (2, 3), (3, 1), (3, 4), (4, 0)]),  # at every third question
    ],
)
def test_checkpoints_are_written_as_often_as_asked_for(tmp_path, data, written, monkeypatch, seconds, places):
    """By a clock that shows a second more whenever it is looked at: once after every mini-batch and epoch."""
    ticks = itertools.count()
    monkeypatch.setattr(jobs.time, "monotonic", lambda: float(next(ticks)))
    assert work(Job(wanted(configs_of()), Store(tmp_path), checkpoint_seconds=seconds)) == Ended("done")
    assert sorted(written) == sorted(places)


def test_work_that_is_stopped_writes_where_it_is(tmp_path, data, written):
    store, configs = Store(tmp_path), configs_of()
    assert work(Job(wanted(configs), store), stop=lambda: True) == Ended("interrupted")
    assert written == [(1, 0)]
    kept = load_checkpoint(stack_file(store, wanted(configs)))
    assert (kept.epoch, kept.batch, kept.configs) == (1, 0, configs)


@pytest.mark.parametrize("questions", [15, 16])  # the sixteenth is after the last epoch, the next as its end is kept
def test_a_stop_that_comes_with_the_end_changes_nothing(tmp_path, data, questions):
    store, configs = Store(tmp_path), configs_of()
    assert work(Job(wanted(configs), store), stop=stop_after(questions)) == Ended("done")
    assert all(find_run(store, Wanted(config, data.fingerprint)) for config in configs)


def test_a_run_that_cannot_be_stored_fails_alone(tmp_path, data, monkeypatch):
    store, configs = Store(tmp_path), configs_of()

    def put(own, run, key):
        if run.config.seed == 1:
            raise TableError("no room")
        return put_run(own, run, key)

    monkeypatch.setattr(jobs, "put_run", put)
    assert work(Job(wanted(configs), store)) == Ended("failed", "no room", (1,))
    assert find_run(store, Wanted(configs[0], data.fingerprint)) is not None
    notes = [path.stem for path in (store.folder / "failed").iterdir()]
    assert notes == [configs[1].key(data.fingerprint)]


def test_a_run_that_cannot_be_stored_is_told_by_its_place_in_the_job(tmp_path, data, monkeypatch):
    store, configs = Store(tmp_path), configs_of()
    put_run(store, train(configs, data)[0], wanted(configs)[0].key)  # so the second is trained alone

    def put(*_):
        raise TableError("no room")

    monkeypatch.setattr(jobs, "put_run", put)
    assert work(Job(wanted(configs), store)) == Ended("failed", "no room", (1,))


def test_a_checkpoint_that_the_job_names_is_that_of_its_own_data_and_members(tmp_path, data, small, trained):
    store, configs = Store(tmp_path), configs_of()
    assert work(Job(wanted(configs), store), stop=stop_after(8)) == Ended("interrupted")
    path = stack_file(store, wanted(configs))
    named = path.rename(tmp_path / "named.safetensors")
    others = tuple(config.model_copy(update={"seed": config.seed + 1}) for config in configs)  # one is not in it
    assert work(Job(wanted(others), store, checkpoint=named), stop=lambda: True) == Ended("interrupted")
    assert trained[1:] == [([1, 2], False)]
    assert work(Job(wanted(configs[1:]), store, checkpoint=named)) == Ended("done")
    assert trained[2:] == [([1], True)]
    kept = load_checkpoint(named)
    save_checkpoint(type(kept)(**vars(kept) | {"fingerprint": "other data"}), named)
    assert work(Job(wanted(configs[:1]), store, checkpoint=named)) == Ended("done")
    assert trained[3:] == [([0], False)]


def test_a_job_for_other_data_than_lie_here_fails(tmp_path, data, trained):
    """On a node of a cluster a folder of the same name may hold something else."""
    ended = work(Job(wanted(configs_of(), "other data"), Store(tmp_path)))
    assert (ended.state, ended.members, trained) == ("failed", (0, 1), [])
    assert "is not the fashion-mnist that the sweep was planned with" in ended.detail


def test_a_stack_file_depends_on_members_order_and_data(tmp_path):
    store, (one, other) = Store(tmp_path), configs_of()
    files = {
        stack_file(store, wanted(*own))
        for own in (((one, other), "a"), ((other, one), "a"), ((one,), "a"), ((one,), "b"))
    }
    assert len(files) == 4
    assert {file.parent for file in files} == {store.checkpoints}
    longer = one.model_copy(update={"epochs": 99})
    assert stack_file(store, wanted([longer])) == stack_file(store, wanted([one]))  # it goes on from there


def test_a_job_is_a_line_of_json(tmp_path):
    store = Store(tmp_path, (tmp_path / "a", tmp_path / "b"))
    job = Job(wanted(configs_of()), store, "cuda:1", 2, 7.5, tmp_path / "c", 3)
    assert "\n" not in job.to_json()
    for own in (job, Job(wanted(configs_of()), Store(tmp_path))):
        assert Job.from_json(own.to_json()) == own
    assert job.steps == 6
