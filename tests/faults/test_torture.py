"""A little of torture.py with every test run; `make torture` runs all of it."""

import subprocess
import sys

from edgechaos_core.system.places import REPOSITORY


def test_a_little_torture():
    command = [sys.executable, "-m", "tests.faults.torture", "--few"]  # it forks, which a process with threads must not
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, encoding="utf-8", check=False, timeout=600)
    assert result.returncode == 0, result.stderr
    parts = ("kills at random", "kill at each", "full disk at each", "damaged files noticed", "8 processes on one grid")
    assert all(part in line for part, line in zip(parts, result.stdout.splitlines(), strict=True)), result.stdout
