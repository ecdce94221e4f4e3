"""Where a command writes, and how."""

import json
import math
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgechaos_core.system.places import expanded


def check_out(out: Path, *, force: bool, suffixes: tuple[str, ...], option: str = "--out") -> Path:
    """Return the place to write, ``~`` expanded; refuse, before any work, one that could not be written after it.

    ``option`` is the option that named it.
    """
    out = expanded(out)
    if out.suffix not in suffixes:
        raise ValueError(f"{option} must end in {' or '.join(suffixes)}, got {out}")
    if not out.parent.is_dir():
        raise ValueError(f"{option}: folder {out.parent} does not exist")
    if not os.access(out.parent, os.W_OK):
        raise ValueError(f"{option}: folder {out.parent} is not writable")
    if out.is_dir():
        raise ValueError(f"{option}: {out} is a folder")
    if out.exists() and not force:
        raise ValueError(f"{option}: {out} exists: choose another name, or --force to replace it")
    return out


def tell(message: str) -> None:
    """Say something in one line on stderr; where it cannot be written, what the command does goes on without it."""
    with suppress(OSError):
        print(f"edgechaos: {message}", file=sys.stderr, flush=True)


def json_line(row: Mapping[Any, Any]) -> str:
    """Return one JSON object in one line, floats to their last bit; null where a number is not finite."""
    return json.dumps({name: None if isinstance(x, float) and not math.isfinite(x) else x for name, x in row.items()})
