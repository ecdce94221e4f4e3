"""Where things are: the checkout and what it ships, the user's cache, store and downloads.

The user's own are under the cache folder of the platform (on Linux ``~/.cache/edgechaos``, XDG_CACHE_HOME honoured)
unless a variable names another folder. A path that a user gives is expanded and made absolute here, once: libraries
disagree on ``~`` (pyarrow expands it, Python does not), and other processes have other working folders.
"""

import os
from pathlib import Path

import platformdirs

from edgechaos_core import EdgechaosError

PACKAGE = Path(__file__).resolve().parent.parent
REPOSITORY = PACKAGE.parent  # where the package is a checkout's, see `in_checkout`
# A wheel carries the records of data/ (not the images) inside the package; a checkout has them beside it.
DATA = PACKAGE / "data" if (PACKAGE / "data").is_dir() else REPOSITORY / "data"
COMMITTED_RUNS = DATA / "runs"
COMMITTED_DIAGRAMS = DATA / "phase-diagrams"
PUBLISHED = DATA / "published"
GUIDELINE = DATA / "guideline.json"
CLAIMS = DATA / "claims.yaml"
EPOCH_SECONDS = DATA / "epoch-seconds.csv"
STARTS = DATA / "starts.csv"
FIVE_NETWORKS = DATA / "five-networks.parquet"
REFERENCES = REPOSITORY / "tests" / "frozen"
BUILD = REPOSITORY / "_build"


def in_checkout() -> bool:
    """Tell whether the package is that of a checkout, with the book's sources beside it, and not an installed wheel."""
    return (REPOSITORY / "_toc.yml").is_file() and DATA.parent == REPOSITORY


STORE_VARIABLE = "EDGECHAOS_STORE"
DATA_VARIABLE = "EDGECHAOS_DATA"


def expanded(path: Path) -> Path:
    """Return a path with a leading ``~`` or ``~user`` replaced by that home folder; ValueError where there is none."""
    home = os.environ.get("HOME")
    try:
        # An empty or relative HOME would make of ~/x a folder of the root or of the working folder.
        if os.name == "posix" and home is not None and not home.startswith("/") and path.parts[:1] == ("~",):
            raise RuntimeError
        return path.expanduser()
    except RuntimeError:
        raise ValueError(f"{path}: there is no such home folder, give the path in full") from None


def cache_folder() -> Path:
    """Return the user's cache folder for this project; EdgechaosError where there is no home folder to have it in."""
    try:
        return platformdirs.user_cache_path("edgechaos", appauthor=False)
    except RuntimeError:
        raise EdgechaosError(
            "there is no home folder to keep runs and downloads in: set XDG_CACHE_HOME (or HOME) to an absolute path"
        ) from None


def store_folder() -> Path:
    """Return the folder of the user's runs, absolute: ``EDGECHAOS_STORE`` or in the cache."""
    return _named(STORE_VARIABLE) or cache_folder() / "runs"


def downloads_folder() -> Path:
    """Return the folder of downloaded images, absolute: ``EDGECHAOS_DATA`` or in the cache."""
    return _named(DATA_VARIABLE) or cache_folder() / "datasets"


def diagrams_folder() -> Path:
    """Return the folder of the user's phase diagrams, absolute."""
    return cache_folder() / "phase-diagrams"


def variables() -> dict[str, str]:
    """Return the variables that name folders, absolute, for a process that may have another working folder."""
    return {name: str(folder) for name in (STORE_VARIABLE, DATA_VARIABLE) if (folder := _named(name)) is not None}


def _named(variable: str) -> Path | None:
    """The folder that a variable names; None where it is not set or empty."""
    value = os.environ.get(variable)
    try:
        return expanded(Path(value)).absolute() if value else None
    except ValueError as error:
        raise EdgechaosError(f"{variable}: {error}") from None
