"""A worker process: jobs come in as lines of JSON, what becomes of them goes out likewise.

Started by backends.py with ``-m edgechaos_core.sweeps.worker_process``. It stops with a checkpoint when its input ends,
which it also does if the process that started it dies, or on SIGTERM or SIGHUP.
"""

import json
import logging
import os
import queue
import signal
import sys
import threading
from typing import Any

from edgechaos_core.sweeps.jobs import Job, work
from edgechaos_core.system import stop_signals


def main() -> None:
    """Work on one job after another until the input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no answer
    stopping = threading.Event()
    jobs: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    for number in stop_signals.heeded():
        signal.signal(number, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer

    # The input ends with the parent, whatever ends that, kill -9 included: no worker is left over.
    def read() -> None:
        for line in sys.stdin:
            jobs.put(line)
        stopping.set()
        jobs.put(None)  # wakes the loop below where it waits for a job

    def say(**message: Any) -> None:  # noqa: ANN401 - JSON
        try:
            print(json.dumps(message), file=answers)
        except BrokenPipeError:
            stopping.set()

    class Relay(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(log=record.getMessage())

    logging.getLogger("edgechaos").addHandler(Relay())
    threading.Thread(target=read, daemon=True).start()
    while (line := jobs.get()) is not None and not stopping.is_set():
        ended = work(Job.from_json(line), on_advance=lambda steps: say(advance=steps), stop=stopping.is_set)
        say(ended=ended.state, detail=ended.detail, members=ended.members)


if __name__ == "__main__":
    main()
