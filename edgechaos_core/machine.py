"""Where a computation runs: its device, its CPU threads, and what of that is kept with its results."""

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import torch

from edgechaos_core.data import REPOSITORY

_OTHER_REPOSITORY = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")


def parse_device(name: str) -> torch.device:
    """Return the torch device of that name; raise ValueError for an unknown one or one this machine lacks."""
    if name.partition(":")[0] not in ("cpu", "cuda"):  # others lack an operation or float64: refuse them by name
        raise ValueError(f"unknown device {name!r}: choose from cpu, cuda, cuda:1 ...")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"device {name!r} cannot be used here ({reason}): try 'cpu'") from None
    return device


@contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Let torch use that many CPU threads inside; raise ValueError for a count this machine lacks."""
    cores = os.cpu_count() or 1
    if not 1 <= count <= cores:  # torch crashes where the system refuses it a thread
        raise ValueError(f"threads must be between 1 and the {cores} cores of this machine, got {count}")
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def provenance(device: torch.device, *, threads: int, dtype: torch.dtype) -> dict[str, Any]:
    """Return what made a result: code, versions, device, threads, precision, and when it started."""
    return {
        "code_version": _code_version(),
        "torch_version": torch.__version__,
        "python_version": platform.python_version(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu ({platform.machine()})",
        "threads": threads,
        "dtype": str(dtype).removeprefix("torch."),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _code_version() -> str:
    """The package version and, in a git checkout, the commit (``-dirty`` with uncommitted changes)."""
    try:
        command: list[Any] = ["git", "-C", REPOSITORY, "describe", "--always", "--dirty", "--abbrev=12"]
        # A repository that the environment names, as git's hooks do, would be described in place of this one.
        own = {name: value for name, value in os.environ.items() if name not in _OTHER_REPOSITORY}
        commit = subprocess.run(command, capture_output=True, text=True, check=True, env=own).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "no git checkout"
    return f"{version('edgechaos')} ({commit})"
