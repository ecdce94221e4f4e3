"""Where a computation runs: its device, its CPU threads, and what of that is kept with its results."""

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from edgechaos_core.system.places import REPOSITORY


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


@contextmanager
def no_subnormals() -> Iterator[None]:
    """Let this thread count numbers below 1.2e-38 (float32) as zero inside, where the processor can.

    Arithmetic on such numbers is up to a hundred times slower. The moments of Adam fall to them wherever a gradient
    stays zero, as all of a dead ReLU unit's do, and rounding keeps them there: 0.9 times the least is itself again.
    """
    before = bool(torch.tensor([1e-38]) * 0.1 == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def provenance(device: torch.device, *, threads: int, dtype: torch.dtype) -> dict[str, Any]:
    """Return what made a result: code, versions, device, processor, threads, precision, and when it started.

    ``instruction_set`` is the one that torch's own kernels use (``AVX2``, ``AVX512``, ``DEFAULT`` ...), with
    ``MKL_CBWR`` where that binds the matrix products of MKL to another: it decides the order of sums, hence rounding.
    Runs of 2026-11-26 and before name neither processor nor instruction set.
    """
    return {
        "code_version": _code_version(),
        "torch_version": torch.__version__,
        "python_version": platform.python_version(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu ({platform.machine()})",
        "processor": processor(),
        "instruction_set": instruction_set(),
        "threads": threads,
        "dtype": str(dtype).removeprefix("torch."),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@cache
def processor() -> str:
    """Return the processor's model name as the system has it, or its architecture where the system has none."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, names), platform.processor() or platform.machine())


def instruction_set() -> str:
    """Return the instruction set in force on the CPU."""
    bound = os.environ.get("MKL_CBWR")
    return torch.backends.cpu.get_cpu_capability() + (f", MKL_CBWR={bound}" if bound else "")


@cache  # the code that runs is the one that was loaded, whatever is committed meanwhile
def _code_version() -> str:
    return f"{version('edgechaos')} ({commit_of(REPOSITORY)})"


def commit_of(folder: Path) -> str:
    """Return the commit that is checked out in a folder (``-dirty`` with uncommitted changes), or why it is unknown.

    ``folder`` has to be the top of the checkout: one that merely lies inside another repository is none of its commits.

    Of the committed runs, 155 of 272 say "no git checkout", all but the first of those started on 2026-11-24 from 18:10
    on. Up to then any failure of git was written down in these words, so which it was cannot be told any more. Between
    18:04 and 18:11 one run named a commit while others did not, so git was installed, and two copies of the code were
    at work. A working tree copied without its repository is the likeliest cause; a checkout of another user, which git
    refuses as of "dubious ownership", would have left the same words. What commit they ran is not recorded: their
    numbers are what can be checked, by training them again (verify.py).
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}  # GIT_DIR: another
    # its words are compared below; and it must not write the index of a checkout that others work in
    environment |= {"LC_ALL": "C", "GIT_CEILING_DIRECTORIES": str(folder.parent), "GIT_OPTIONAL_LOCKS": "0"}
    command: list[str | Path] = ["git", "-c", f"safe.directory={folder}", "-C", folder]  # whoever owns it, it is run
    command += ["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, env=environment, timeout=60)
    except FileNotFoundError:
        return "commit unknown: git is not installed"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"commit unknown: git could not be run: {error}"
    if done.returncode == 0:
        return done.stdout.strip()
    reason = next(iter(done.stderr.splitlines()), f"git ended with {done.returncode}").removeprefix("fatal: ")
    if reason.startswith("not a git repository (or any"):
        return "commit unknown: not a git checkout"
    return f"commit unknown: {reason}"
