"""Whether progress bars (tqdm, on stderr) are wanted, and how lengths of time are said."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tqdm import tqdm

PROGRESS_VARIABLE = "EDGECHAOS_PROGRESS"  # "1": show progress bars although stderr is not a terminal


def show_progress() -> bool:
    """Tell whether progress bars are wanted: stderr is a terminal, or the caller relays it to one."""
    return sys.stderr.isatty() or os.environ.get(PROGRESS_VARIABLE) == "1"


@contextmanager
def notes_above_bar(log: logging.Logger) -> Iterator[None]:
    """Let notes of ``log`` on stderr appear above a progress bar instead of in it."""

    class Above(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            with suppress(OSError):  # a terminal that has gone must not take what it watched with it
                tqdm.write(shown.format(record) if shown else record.getMessage(), file=sys.stderr)

    before = log.handlers
    shown = next((handler for handler in before if isinstance(handler, logging.StreamHandler)), None)
    log.handlers = [Above(), *(handler for handler in before if handler is not shown)]
    try:
        yield
    finally:
        log.handlers = before


def number(value: float) -> str:
    """Say a measured number in a table: five decimals, or powers of ten where it is too large or small for them."""
    return f"{value:.3e}" if abs(value) >= 1e4 or 0 < abs(value) < 1e-3 else f"{value:.5f}"


def duration(seconds: float) -> str:
    """Say a length of time in the unit that suits it."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6_000 else f"{seconds / 3_600:.1f} h"
