"""Where a command writes."""

import os
from pathlib import Path

from edgechaos_core.places import expanded


def check_out(out: Path, *, force: bool, suffixes: tuple[str, ...]) -> Path:
    """Return the place to write, ``~`` expanded; refuse, before any work, one that could not be written after it."""
    out = expanded(out)
    if out.suffix not in suffixes:
        raise ValueError(f"--out must end in {' or '.join(suffixes)}, got {out}")
    if not out.parent.is_dir():
        raise ValueError(f"--out: folder {out.parent} does not exist")
    if not os.access(out.parent, os.W_OK):
        raise ValueError(f"--out: folder {out.parent} is not writable")
    if out.is_dir():
        raise ValueError(f"--out: {out} is a folder")
    if out.exists() and not force:
        raise ValueError(f"--out: {out} exists: choose another name, or --force to replace it")
    return out
