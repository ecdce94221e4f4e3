"""The quick book, executed once in a run of the tests: the chapters' tests and the browser's look at the same pages."""

import os
from pathlib import Path

import nbformat
import pytest
from filelock import FileLock

from edgechaos_core.book import build as book
from edgechaos_core.book import chapters
from edgechaos_core.book.parameter_values import chapter_parameters


class QuickBook:
    """Pages executed when they are first asked for, by whichever of the tests' processes that is, and the site of them.

    They are executed under the rounding of another processor: standard pages are run under this one's.
    """

    def __init__(self, folder: Path, rounding: dict[str, str]) -> None:
        self.folder, self.rounding = folder, rounding
        self.locks = folder / "locks"
        self.locks.mkdir(parents=True, exist_ok=True)

    def execute(self, page: str) -> nbformat.NotebookNode:
        """Return a page as executed; raises BookError where it fails."""
        source = chapters.read_notebook(page)
        assert source is not None, f"{page} has no code"
        stage = self.folder / "executed" / "quick"  # where build_book looks for it
        with pytest.MonkeyPatch.context() as patch, FileLock(self.locks / Path(page).name):
            for name, value in self.rounding.items():
                patch.setenv(name, value)
            done = book.execute(page, source, chapter_parameters(page, "quick", {}), stage)
        return nbformat.read(done, as_version=4)

    def site(self) -> Path:
        """Return the folder of the built pages."""
        for page in chapters.documents():  # all of them before the build, which clears what is half executed
            if chapters.read_notebook(page) is not None:
                self.execute(page)
        with pytest.MonkeyPatch.context() as patch, FileLock(self.locks / "site"):
            patch.setattr(book, "BUILD", self.folder)
            return book.build_book("quick").parent


@pytest.fixture(scope="session")
def quick_book(tmp_path_factory, other_rounding) -> QuickBook:
    """The same in all processes of pytest-xdist, whose folders lie side by side."""
    own = tmp_path_factory.getbasetemp()
    return QuickBook((own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "quick-book", other_rounding)
