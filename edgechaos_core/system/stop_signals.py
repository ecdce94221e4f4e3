"""What asks a command to stop: Ctrl-C, SIGTERM, and the end of its terminal (SIGHUP, which Windows has not).

All three do the same: they raise KeyboardInterrupt in the main thread, or ask training to stop at the next mini-batch.
What was ignored when the command started stays ignored, as nohup and ``&`` in scripts want it.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

_received: list[int] = []


def listen() -> None:
    """From now on, let what asks to stop raise KeyboardInterrupt."""
    _received.clear()
    for number in heeded():
        signal.signal(number, _interrupt)


def heeded() -> list[signal.Signals]:
    """Return the signals that stop this process, without those it was started to ignore."""
    return [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]


def let_go() -> None:
    """Let the next signal end this process at once: there is nothing left to keep."""
    for number in heeded():
        signal.signal(number, signal.SIG_DFL)


def received() -> int | None:
    """Return the number of the signal that came last, None if none did."""
    return _received[-1] if _received else None


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Turn the first of these signals into a request to stop, which the yielded call tells of; a second interrupts."""
    asked = threading.Event()
    # Python lets the main thread alone set handlers.
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def ask(number: int, _: FrameType | None) -> None:
        _received.append(number)
        asked.set()
        for each in before:
            signal.signal(each, _interrupt)

    before = {number: signal.signal(number, ask) for number in heeded()}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, _: FrameType | None) -> None:
    _received.append(number)
    raise KeyboardInterrupt
