"""Whether progress bars (tqdm, on stderr) are wanted, and how lengths of time are said."""

import os
import sys

PROGRESS_VARIABLE = "EDGECHAOS_PROGRESS"  # "1": show progress bars although stderr is not a terminal


def show_progress() -> bool:
    """Tell whether progress bars are wanted: stderr is a terminal, or the caller relays it to one."""
    return sys.stderr.isatty() or os.environ.get(PROGRESS_VARIABLE) == "1"


def duration(seconds: float) -> str:
    """Say a length of time in the unit that suits it."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6_000 else f"{seconds / 3_600:.1f} h"
