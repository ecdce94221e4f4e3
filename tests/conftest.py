"""Fixtures shared by the unit tests: the real data set loaded once, small pieces of it, and a private cache.

Every process of the tests computes with one thread: networks as small as theirs wait for a second thread longer than
they compute, the more so as tests run side by side. The variables reach the processes that tests start; they are read
when torch is loaded, so they are set before.
"""

import os
from collections.abc import Callable

os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")

import pytest
import torch

from edgechaos_core.images.datasets import Dataset, Split, load_dataset

# Sums in another order and other vector instructions: what another processor does. Read when a process starts.
OTHER_ROUNDING = {"MKL_CBWR": "COMPATIBLE", "ATEN_CPU_CAPABILITY": "default"}


# `make test` has two processes: what takes longest begins first, so that neither is left alone at the end.
LONGEST = ("book/test_quick_notebooks", "book/test_notebooks", "book/test_browser", "cli", "sweeps", "test_wheel")
ONE_BY_ONE = LONGEST[:2]  # a chapter a test; tests of any other file share what its fixtures make, and a process


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return next((n for n, start in enumerate(LONGEST) if item.nodeid.startswith(f"tests/{start}")), len(LONGEST))

    items.sort(key=place)
    for item in items:
        if place(item) >= len(ONE_BY_ONE):
            item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


@pytest.fixture(autouse=True)
def one_thread():
    """One thread in this process, however torch was loaded and whatever a test before has set."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def other_rounding() -> dict[str, str]:
    """Variables with which a process rounds as on another processor."""
    return OTHER_ROUNDING


@pytest.fixture(scope="session", autouse=True)
def _commands_are_not_warned():
    """Of files opened in the locale's encoding these tests warn, but not the commands they start, on stderr."""
    os.environ.pop("PYTHONWARNDEFAULTENCODING", None)


@pytest.fixture(scope="session")
def fashion() -> Dataset:
    return load_dataset("fashion-mnist")


@pytest.fixture(scope="session")
def small(fashion: Dataset) -> Callable[..., Dataset]:
    """A piece of Fashion-MNIST: 1,200 test images, so that evaluation in batches of 1,000 has a ragged end."""

    def piece(samples: int = 300, validation: int = 0, test: int = 1_200) -> Dataset:
        images, labels = fashion.train.images, fashion.train.labels
        held_out = Split(images[-validation:], labels[-validation:]) if validation else None
        kept, tested = (
            Split(images[:samples], labels[:samples]),
            Split(fashion.test.images[:test], fashion.test.labels[:test]),
        )
        return Dataset(fashion.name, fashion.classes, kept, held_out, tested, fingerprint="a piece")

    return piece


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Empty (committed, cached) folders of runs, in place of the real ones."""
    committed = tmp_path / "committed"
    monkeypatch.setattr("edgechaos_core.store.store.COMMITTED_RUNS", committed)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("EDGECHAOS_STORE", raising=False)
    return committed, tmp_path / "cache" / "edgechaos" / "runs"
