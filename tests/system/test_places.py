"""Where things are: what variables and paths of a user's mean, and what there is without a home folder."""

import os
import pwd
from pathlib import Path

import pytest

from edgechaos_core import EdgechaosError
from edgechaos_core.store.store import open_store
from edgechaos_core.store.tables import read_metadata, read_table, write_table, write_whole
from edgechaos_core.sweeps.options import How
from edgechaos_core.sweeps.sweep import sweep
from edgechaos_core.system import places
from tests.store.test_runs import run_of

FOLDERS = {"EDGECHAOS_STORE": places.store_folder, "EDGECHAOS_DATA": places.downloads_folder}


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in (*FOLDERS, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_the_documented_places(home, monkeypatch):
    assert places.cache_folder() == home / ".cache" / "edgechaos"
    assert places.store_folder() == home / ".cache" / "edgechaos" / "runs"
    assert places.downloads_folder() == home / ".cache" / "edgechaos" / "datasets"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "elsewhere"))
    assert places.diagrams_folder() == home / "elsewhere" / "edgechaos" / "phase-diagrams"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # to be ignored, says the standard
    assert places.cache_folder() == home / ".cache" / "edgechaos"


@pytest.mark.parametrize("variable", FOLDERS)
def test_a_folder_that_a_variable_names(home, monkeypatch, variable):
    monkeypatch.setenv(variable, "~/x")
    assert FOLDERS[variable]() == home / "x"
    assert places.variables() == {variable: str(home / "x")}
    monkeypatch.chdir(home)
    monkeypatch.setenv(variable, "here/y")
    assert FOLDERS[variable]() == home / "here" / "y"
    monkeypatch.setenv(variable, "")
    assert FOLDERS[variable]().is_relative_to(home / ".cache")
    monkeypatch.setenv(variable, "~nobody-of-this-name/x")
    with pytest.raises(EdgechaosError, match=f"{variable}: ~nobody-of-this-name/x: there is no such home folder"):
        FOLDERS[variable]()


@pytest.mark.parametrize("value", [None, "", "relative"])
def test_without_a_home_folder(home, monkeypatch, value):
    def nobody(_):
        raise KeyError

    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.delenv("HOME")
    if value is not None:
        monkeypatch.setenv("HOME", value)
    with pytest.raises(EdgechaosError, match="no home folder to keep runs and downloads in: set XDG_CACHE_HOME"):
        open_store()
    with pytest.raises(ValueError, match="~/x: there is no such home folder"):
        places.expanded(Path("~/x"))


def test_a_store_at_home_serves_what_it_holds(home, monkeypatch, folders):
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("EDGECHAOS_STORE", "~/x")
    monkeypatch.chdir(home)
    config = run_of().config.model_copy(update={"samples": 300, "batch_size": 100, "width": 8, "epochs": 1})
    first = sweep([config], open_store(), How(backend="serial"))
    monkeypatch.setattr("edgechaos_core.sweeps.sweep.serial", None)  # nothing is left to train
    again = sweep([config], open_store(), How(backend="serial"))
    assert again[0].provenance == first[0].provenance
    assert not (home / "~").exists()


def test_a_table_whose_name_begins_with_a_tilde(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path("~x.parquet")
    write_table(run_of().history, {"name": "value"}, path)
    assert read_table(path)[1] == {"name": "value"}
    assert read_metadata(path)["name"] == "value"


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_files_honour_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        write_whole(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o666 & ~mask
