"""The command ``edgechaos``: every refusal is one line on stderr, and whatever stops it ends it with its own exit code.

Exit codes: 0 done, 1 something outside the command's arguments failed, 2 bad arguments, 3 training diverged, 128 + n
stopped by signal n with what was done kept (130 Ctrl-C, 143 SIGTERM, 129 SIGHUP).

The commands are imported inside `main`, so that Ctrl-C is answered from the first moment on.
"""

import os
import signal
import sys
from typing import NoReturn

from edgechaos_core.system import stop_signals

FAILED, BAD_ARGUMENTS = 1, 2


def main() -> NoReturn:
    """Run the command line and exit: errors are one line each, never a traceback."""
    _open_standard_streams()
    stop_signals.listen()
    try:
        code = _run()
        sys.stdout.flush()  # at exit a full disk would be told in lines of Python's own
    except BrokenPipeError:  # a reader that had enough: nothing to tell
        _silence(1)
        sys.exit(FAILED)
    except Exception as error:
        _refuse(*_answer(error))
    except KeyboardInterrupt:
        _refuse("interrupted", _stopped())
    sys.exit(code)


def _run() -> int:
    import logging

    from edgechaos_core.cli.app import app
    from edgechaos_core.system.places import variables

    notes = logging.StreamHandler()
    notes.setFormatter(logging.Formatter("edgechaos: %(message)s"))
    logging.getLogger("edgechaos").handlers = [notes]
    os.environ |= variables()  # kernels and workers may have other working folders
    code = app(standalone_mode=False, prog_name="edgechaos")  # however it was started
    if code == 128 + signal.SIGINT:  # typer's answer to Ctrl-C where a command has none of its own
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0


def _answer(error: Exception) -> tuple[str, int]:
    """What to say of an error, and the exit code; an error of ours that nobody foresaw is raised again."""
    from typer import Abort
    from typer.exceptions import TyperException

    from edgechaos_core import EdgechaosError, Interrupted

    if isinstance(error, Interrupted):
        said, code = str(error), _stopped()
    elif isinstance(error, EdgechaosError):
        said, code = str(error), FAILED
    elif isinstance(error, Abort) or stop_signals.received() is not None:  # which libraries turn into errors of theirs
        said, code = "interrupted", _stopped()
    elif isinstance(error, TyperException):
        said, code = error.format_message(), error.exit_code
    elif isinstance(error, ValueError):
        said, code = str(error), BAD_ARGUMENTS
    elif isinstance(error, OSError):
        said, code = str(error), FAILED
    elif isinstance(error, (MemoryError, RuntimeError)) and _out_of_memory(error):
        said, code = f"out of memory: try smaller settings ({error})", FAILED
    else:
        raise error
    return said, code


def _out_of_memory(error: Exception) -> bool:
    from edgechaos_core.sweeps.jobs import out_of_memory

    return out_of_memory(error)  # torch's allocators raise RuntimeError


def _stopped() -> int:
    return 128 + (stop_signals.received() or signal.SIGINT)


def _refuse(message: str, code: int) -> NoReturn:
    stop_signals.let_go()
    try:
        print(f"edgechaos: {' '.join(message.split())}", file=sys.stderr, flush=True)
    except OSError:  # the terminal has gone, or the disk is full: the exit code is all that can be told
        _silence(2)
    try:
        sys.stdout.flush()
    except OSError:
        _silence(1)
    sys.exit(code)


def _silence(number: int) -> None:
    """Put the null device in place of an output that cannot be written: Python tries again to flush it at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, number)
    os.close(null)


def _open_standard_streams() -> None:
    """Put the null device in place of standard streams that are closed.

    Otherwise the next file that is opened takes the number of one, and what is printed goes into that file.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))
