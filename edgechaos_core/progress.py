"""Whether progress bars (tqdm, on stderr) are wanted."""

import os
import sys

PROGRESS_VARIABLE = "EDGECHAOS_PROGRESS"  # "1": show progress bars although stderr is not a terminal


def show_progress() -> bool:
    """Tell whether progress bars are wanted: stderr is a terminal, or the caller relays it to one."""
    return sys.stderr.isatty() or os.environ.get(PROGRESS_VARIABLE) == "1"
