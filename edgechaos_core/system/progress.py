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
    """Say a measured number in a table: five decimals, or powers of ten where it is too large or small for them.

    >>> [number(value) for value in (0, 1e-3, -9.99e-4, 9999.5, -1e4)]
    ['0.00000', '0.00100', '-9.990e-04', '9999.50000', '-1.000e+04']
    """
    return f"{value:.3e}" if abs(value) >= 1e4 or 0 < abs(value) < 1e-3 else f"{value:.5f}"


def duration(seconds: float) -> str:
    """Say a length of time in the unit that suits it.

    >>> [duration(seconds) for seconds in (99, 100, 5_999, 6_000)]
    ['99 s', '2 min', '100 min', '1.7 h']
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6_000 else f"{seconds / 3_600:.1f} h"
