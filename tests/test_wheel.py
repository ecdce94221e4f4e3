"""The wheel, installed in an empty environment and used from another folder: the tool without the repository.

The environment borrows, by links, the packages that the wheel requires and what these require, and no other: what a
command needs beyond them is missing here as it is for a user.
"""

import os
import re
import subprocess
import sys
import sysconfig
import venv
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from edgechaos_core.book.downloads import write_wheel

BIN = "Scripts" if os.name == "nt" else "bin"


def plainly_required(wanted: list[str] | None) -> list[str]:
    """The names of what is required here, without any extra."""
    parts = map(Requirement, wanted or [])
    return [part.name for part in parts if not part.marker or part.marker.evaluate({"extra": ""})]


def required(names: list[str]) -> set[str]:
    """The installed distributions that these require, themselves included."""
    found, left = set(), list(names)
    while left:
        name = re.sub(r"[-_.]+", "-", left.pop()).lower()
        if name in found:
            continue
        try:
            wanted = plainly_required(metadata.requires(name))
        except metadata.PackageNotFoundError:  # of another system, or optional
            continue
        found.add(name)
        left += wanted
    return found


def borrow(names: set[str], folder: Path) -> None:
    """Link into ``folder`` what the distributions have put beside one another."""
    for name in names:
        for file in metadata.files(name) or []:
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (folder / top).exists():
                (folder / top).symlink_to(metadata.distribution(name).locate_file(top))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel that the book offers, of the committed and uncommitted files."""
    return write_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A command line in an environment that has the wheel and what it requires; the folder is another, and empty."""
    place, here = tmp_path_factory.mktemp("environment"), tmp_path_factory.mktemp("elsewhere")
    venv.create(place, with_pip=False)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(place)}))
    command = [sys.executable, "-m", "pip", "--python", str(place / BIN / "python"), "install", "--quiet", "--no-deps"]
    subprocess.run([*command, wheel], check=True, capture_output=True)
    (own,) = metadata.distributions(name="edgechaos", path=[str(packages)])
    borrow(required(plainly_required(own.requires)), packages)
    home = {"HOME": str(here / "home"), "XDG_CACHE_HOME": str(here / "cache"), "OMP_NUM_THREADS": "1"}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("EDGECHAOS_", "PYTHON"))}
    offline = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")

    def run(*words: str, program: str = "edgechaos") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [place / BIN / program, *words],
            cwd=here,
            env=kept | home | offline,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    return run


def test_it_carries_the_records_and_not_the_images(installed, wheel):
    assert wheel.stat().st_size < 10e6
    code = "from edgechaos_core.system import places; print(places.in_checkout(), places.CLAIMS.is_file(), places.DATA)"
    done = installed("-c", code, program="python")
    assert done.stdout.startswith("False True "), done.stderr
    assert "site-packages" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--version"], "edgechaos "),
        (["guide", "--learning-rate", "0.02", "--momentum", "0.5", "--batch-size", "32"], "lambda"),
        (["edge", "--ratio", "1.25"], "0.468653"),
        (["phase-diagram", "--neurons", "50", "--rows", "2", "--columns", "2", "--out", "map.parquet"], ""),
        (["phase-diagram", "--neurons", "50", "--rows", "2", "--columns", "2", "--out", "map.png"], ""),
        (["runs", "list"], "finished"),
        (["sweep", "fig3", "--dry-run"], "28 runs, 28 of them stored"),
        (["train", "--help"], "--initial-J"),
    ],
    ids=lambda words: words[0] if isinstance(words, list) else "",
)
def test_a_command(installed, words, said):
    done = installed(*words)
    assert done.returncode == 0, done.stderr
    assert said in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "--epochs", "1"], "fashion-mnist could not be downloaded"),
        (["book"], "the book's sources are in the repository"),
        (["book", "--chapter", "search", "--help-parameters"], "the book's sources are in the repository"),
    ],
    ids=lambda words: words[0] if isinstance(words, list) else "",
)
def test_what_is_out_of_reach_is_told_in_a_line(installed, words, said):
    done = installed(*words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    assert said in done.stderr


def test_a_missing_extra_is_named(installed):
    code = (
        "from edgechaos_core.experiments.hyperparameter_search import search; from edgechaos_core import parse_config\n"
        "search(parse_config({'validation': 10}), {'l2': (1e-6, 1e-3)})"
    )
    done = installed("-c", code, program="python")
    assert "pip install 'edgechaos[search]'" in done.stderr
