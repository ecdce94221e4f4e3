"""What lies around: nothing in the current folder, the home or the environment changes a result, or runs at all."""

import json
import os
import subprocess
from pathlib import Path

import nbformat
import pytest

from edgechaos_core import EdgechaosError
from edgechaos_core.book import build as book
from edgechaos_core.book import kernels
from edgechaos_core.store.runs import parse_config
from edgechaos_core.sweeps.options import How
from edgechaos_core.sweeps.sweep import obtain
from edgechaos_core.system import machine
from edgechaos_core.system.clean_environment import environment
from tests.book.test_book import notebook_of
from tests.book.test_notebooks import run_nbval

TRAP = "import os, pathlib; pathlib.Path(os.environ['EDGECHAOS_TRAP']).touch()\n"
SHOWN = """
import hashlib, io, locale, random, sys
import pandas as pd
import matplotlib.pyplot as plt

print(pd.DataFrame({"a long name": [1 / 3, 1e-7], "another long name": [2 / 3, 1e7], "a third one": 1.0}))
plt.rcParams["svg.hashsalt"] = "edgechaos"
fig, ax = plt.subplots()
ax.plot([1, 2], label="one")
ax.legend()
picture = io.StringIO()
fig.savefig(picture, format="svg", metadata={"Date": None})
print(hashlib.sha256(picture.getvalue().encode()).hexdigest())
print(plt.get_backend(), hash("edge"), locale.getpreferredencoding(), sys.executable, sys.flags.utf8_mode)
print(sorted(name for name in globals() if name.startswith("left")))
pd.DataFrame({"value": [0.123456789]})
"""


@pytest.fixture
def surroundings(tmp_path, monkeypatch):
    """A folder that is the current one, and the file that a trap in it leaves if it is run."""
    folder, trap = tmp_path / "current", tmp_path / "trap"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("EDGECHAOS_TRAP", str(trap))
    return folder, trap


def printed(folder: Path) -> str:
    """Execute a chapter and return what it says."""
    outputs = nbformat.read(book.execute("chapters/x", notebook_of(SHOWN), {}, folder), as_version=4).cells[-1].outputs
    return "".join(output.get("text") or output["data"]["text/plain"] for output in outputs)


@pytest.fixture(scope="module")
def calm(tmp_path_factory) -> str:
    return printed(tmp_path_factory.mktemp("calm"))


# sweeps -------------------------------------------------------------------------------------------------------------


def test_modules_in_the_current_folder_are_not_run_by_workers(surroundings, folders, monkeypatch):
    here, trap = surroundings
    modules(here, monkeypatch)
    config = parse_config({"samples": 300, "batch_size": 64, "width": 16, "epochs": 1})
    assert obtain([config], how=How(backend="processes", workers=1))[0].outcome.state == "finished"
    assert not trap.exists()


def test_a_store_named_from_the_current_folder_stays_where_it_was(surroundings, monkeypatch):
    monkeypatch.setenv("EDGECHAOS_STORE", "runs")
    assert environment()["EDGECHAOS_STORE"] == str(surroundings[0] / "runs")


def test_folders_of_modules_are_kept_as_far_as_they_are_absolute(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", "/one", "two", "/three", ""]))
    assert environment()["PYTHONPATH"] == os.pathsep.join(["/one", "/three"])
    monkeypatch.setenv("PYTHONPATH", "")
    assert "PYTHONPATH" not in environment()


def test_another_git_repository_in_the_environment_is_not_taken_for_this_one(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    known = machine._code_version()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    assert machine._code_version() == known


# chapters -----------------------------------------------------------------------------------------------------------


def modules(here, monkeypatch):
    for name in ("pandas", "random", "hashlib"):
        (here / f"{name}.py").write_text(TRAP, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", os.pathsep)


def kernelspec(here, monkeypatch):
    monkeypatch.setenv("JUPYTER_PATH", str(here))
    (here / "kernels/python3").mkdir(parents=True)
    mine = {"argv": ["touch", os.environ["EDGECHAOS_TRAP"]], "display_name": "mine", "language": "python"}
    (here / "kernels/python3/kernel.json").write_text(json.dumps(mine), encoding="utf-8")


def start_up(here, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(here / "ipython"))
    startup = here / "ipython/profile_default/startup"
    startup.mkdir(parents=True)
    (startup / "first.py").write_text(
        TRAP + "left = 1\nimport pandas\npandas.options.display.precision = 1\n", encoding="utf-8"
    )


def ipython_config(here, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(here / "ipython"))
    (here / "ipython/profile_default").mkdir(parents=True)
    lines = "c.InteractiveShellApp.exec_lines = ['left = 1']\nc.InteractiveShell.ast_node_interactivity = 'all'\n"
    (here / "ipython/profile_default/ipython_config.py").write_text(TRAP + lines, encoding="utf-8")


def machine_config(here, monkeypatch):
    """What an administrator has put beside IPython; the folder is the environment's own, so only its name is set."""
    (here / "etc/startup").mkdir(parents=True)
    (here / "etc/startup/first.py").write_text(TRAP, encoding="utf-8")
    (here / "etc/ipython_config.py").write_text(TRAP, encoding="utf-8")
    launch = kernels._LAUNCH.replace(
        "application.SYSTEM", f"application.SYSTEM_CONFIG_DIRS.append({str(here / 'etc')!r})\napplication.SYSTEM", 1
    )
    monkeypatch.setattr(kernels, "_LAUNCH", launch)


def python_startup(here, monkeypatch):
    (here / "mine.py").write_text(TRAP + "left = 1\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONSTARTUP", str(here / "mine.py"))


def matplotlibrc_here(here, monkeypatch):
    (here / "matplotlibrc").write_text("axes.grid: True\nlines.linewidth: 5\n", encoding="utf-8")


def matplotlibrc_named(here, monkeypatch):
    (here / "mine").write_text("axes.grid: True\nlines.linewidth: 5\n", encoding="utf-8")
    monkeypatch.setenv("MATPLOTLIBRC", str(here / "mine"))


def matplotlibrc_at_home(here, monkeypatch):
    (here / "matplotlibrc").write_text("axes.grid: True\nlines.linewidth: 5\n", encoding="utf-8")
    monkeypatch.setenv("MPLCONFIGDIR", str(here))
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")


def backend(here, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "pdf")


def long_tmpdir(here, monkeypatch):
    folder = here / ("t" * max(102 - len(str(here)), 1))
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))


def shell(here, monkeypatch):
    """A narrow terminal, a locale without UTF-8 and a fixed order of sets."""
    own = {"COLUMNS": "20", "LINES": "3", "LC_ALL": "POSIX", "LANG": "tr_TR", "PYTHONUTF8": "0", "PYTHONHASHSEED": "7"}
    for name, value in own.items():
        monkeypatch.setenv(name, value)


TRAPS = [modules, kernelspec, start_up, machine_config, python_startup]
CASES = {
    "traps": TRAPS,
    "settings of IPython": [ipython_config, backend, long_tmpdir],
    "settings of matplotlib": [matplotlibrc_here, matplotlibrc_named, shell],
    "settings of matplotlib at home": [matplotlibrc_at_home],
}


@pytest.mark.parametrize("case", CASES)
def test_a_chapter_says_the_same_whatever_lies_around(case, calm, surroundings, tmp_path, monkeypatch):
    here, trap = surroundings
    for prepare in CASES[case]:
        prepare(here, monkeypatch)
    assert printed(tmp_path / "executed") == calm
    assert not trap.exists()


def test_without_a_short_folder_there_is_one_line_to_say_so(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", "/" + 200 * "t")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(kernels, "_SHORT", (str(tmp_path / "missing"),))
    with pytest.raises(EdgechaosError, match="at most 70 bytes: set TMPDIR to one"):
        kernels.short_folder()


def test_nbval_checks_in_the_same_kernel(surroundings, tmp_path, monkeypatch):
    here, trap = surroundings
    for prepare in (start_up, python_startup, kernelspec, modules):
        prepare(here, monkeypatch)
    source = "import ipykernel.connect as c; print(c.get_connection_info(unpack=True)['transport'])"
    notebook = notebook_of(f"# NBVAL_CHECK_OUTPUT\n{source}")
    notebook.cells[-1].execution_count = 1
    notebook.cells[-1].outputs = [nbformat.v4.new_output("stream", name="stdout", text="ipc\n")]
    result = run_nbval(notebook, tmp_path, "standard")
    assert result.returncode == 0, result.stdout
    assert not trap.exists()
