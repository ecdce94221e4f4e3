"""What is stored is loaded, what is missing is trained once and kept."""

import pytest

from edgechaos_core import sweep
from edgechaos_core.runs import load_run, parse_config, save_run
from edgechaos_core.tables import TableError

SETTINGS = {"samples": 300, "batch_size": 64, "width": 16, "epochs": 2}


def config_of(**settings):
    return parse_config(SETTINGS | settings)


@pytest.fixture
def trained(small, folders, monkeypatch):
    """The stacks that `obtain` trains, in order; data sets are small pieces."""
    stacks, train = [], sweep.train

    def spy(configs, *arguments, **options):
        stacks.append(list(configs))
        return train(configs, *arguments, **options)

    monkeypatch.setattr(sweep, "train", spy)
    monkeypatch.setattr(sweep, "load_dataset", lambda _, *, samples, validation: small(samples, validation))
    return stacks


def test_what_is_missing_is_trained_once_and_kept(trained, folders):
    configs = [config_of(seed=seed) for seed in (0, 1)]
    first = sweep.obtain(configs)
    assert trained == [configs]  # one stack
    assert len(list(folders[1].iterdir())) == 2
    second = sweep.obtain(configs)
    assert trained == [configs]  # nothing more
    for one, other in zip(first, second, strict=True):
        assert one.history.equals(other.history)
        assert (one.config, one.outcome, one.provenance) == (other.config, other.outcome, other.provenance)


def test_a_shorter_request_is_cut_from_the_longer_run(trained):
    long = sweep.obtain([config_of()])[0]
    short = sweep.obtain([config_of(epochs=1)])[0]
    assert len(trained) == 1
    assert short.history.equals(long.history[:2])


def test_a_longer_run_serves_a_shorter_request_of_the_same_call(trained, folders):
    short, long = sweep.obtain([config_of(epochs=1), config_of(epochs=2)])
    assert [[config.epochs for config in stack] for stack in trained] == [[2]]
    assert (len(short.history), len(long.history)) == (2, 3)
    assert [len(load_run(path).history) for path in folders[1].iterdir()] == [3]


def test_stored_only_trains_nothing(trained):
    with pytest.raises(TableError, match=r"no stored run for RunConfig\(.*seed=7"):
        sweep.obtain([config_of(seed=7)], stored_only=True)
    assert trained == []
    sweep.obtain([config_of(seed=7)])
    assert len(sweep.obtain([config_of(seed=7)], stored_only=True)) == 1


def test_committed_runs_are_loaded(trained, folders):
    committed, cached = folders
    run = sweep.obtain([config_of()])[0]
    path = next(cached.iterdir())
    run.provenance["from"] = "committed"
    save_run(run, committed / path.name)
    path.unlink()
    assert sweep.obtain([config_of()])[0].provenance["from"] == "committed"
    assert len(trained) == 1
    assert not any(cached.iterdir())


def test_order_and_duplicates_are_kept(trained):
    a, b, wide = config_of(seed=1), config_of(seed=0), config_of(width=17)
    sweep.obtain([b])
    runs = sweep.obtain([a, wide, b, a])
    assert [run.config for run in runs] == [a, wide, b, a]
    assert runs[0] is runs[3]
    assert trained == [[b], [a], [wide]]  # what differs in shape cannot share a stack


def test_data_sets_of_several_sizes(trained):
    configs = [config_of(), config_of(samples=200), config_of(validation=50)]
    runs = sweep.obtain(configs)
    assert [run.config for run in runs] == configs
    assert len(trained) == 3
    assert "validation_loss" in runs[2].history


def test_retrain_trains_everything_and_stores_nothing(trained, folders):
    sweep.obtain([config_of()])
    stored = {path: path.read_bytes() for path in folders[1].iterdir()}
    runs = sweep.obtain([config_of(), config_of(seed=1)], retrain=True)
    assert trained[1:] == [[config_of(), config_of(seed=1)]]
    assert len(runs) == 2
    assert {path: path.read_bytes() for path in folders[1].iterdir()} == stored


def test_a_diverged_run_is_kept_as_a_result(trained, folders):
    wild = config_of(learning_rate=1e38)
    assert sweep.obtain([wild])[0].outcome.state == "diverged"
    assert load_run(next(folders[1].iterdir())).outcome.state == "diverged"
    assert sweep.obtain([wild])[0].outcome.state == "diverged"
    assert len(trained) == 1


def test_ctrl_c_raises_and_stores_nothing(trained, folders, monkeypatch):
    spy = sweep.train

    def interrupted(configs, *arguments, on_epoch, **options):
        def stop(epoch, rows):
            on_epoch(epoch, rows)
            if epoch == 1:
                raise KeyboardInterrupt

        return spy(configs, *arguments, on_epoch=stop, **options)

    monkeypatch.setattr(sweep, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sweep.obtain([config_of(), config_of(seed=1)])
    assert not folders[1].exists()


def test_nothing_asked_nothing_done(trained):
    assert sweep.obtain([]) == []
    assert trained == []


@pytest.mark.parametrize(("relayed", "shown"), [("1", True), ("", False)])
def test_the_bar_is_shown_where_someone_relays_it(trained, capsys, monkeypatch, relayed, shown):
    monkeypatch.setenv(sweep.PROGRESS_VARIABLE, relayed)
    sweep.obtain([config_of(), config_of(seed=1)])
    assert ("training 2 networks" in capsys.readouterr().err) == shown
