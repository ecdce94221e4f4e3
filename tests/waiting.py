"""Waiting for what other processes do: for the event itself, however slow the machine is."""

import os
import select
import subprocess
import time
from collections.abc import Callable, Iterable

PATIENCE = 600  # seconds after which a process hangs; below the limit of a whole test, so that it says what hung


def wait_for(condition: Callable[[], object], process: "subprocess.Popen[str] | subprocess.Popen[bytes]") -> None:
    """Wait until a condition holds that a running process brings about; fail where that process ends without it."""
    end = time.monotonic() + PATIENCE
    while not condition():
        ended = process.poll()
        assert ended is None or condition(), f"the process ended, {ended}, before what was waited for"
        assert time.monotonic() < end, "the process hangs"
        time.sleep(0.02)


def wait_for_end(pids: Iterable[int]) -> None:
    """Wait until processes, which need not be children of this one, have ended."""
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            assert select.select([handle], [], [], PATIENCE)[0], f"process {pid} goes on"
        finally:
            os.close(handle)
