"""Where the jobs of a sweep run: in this process or in worker processes; on a Ray cluster by ray_backend.py.

A backend takes jobs from the left of a deque until it is empty and nothing is under way, and tells through two
callbacks how far each has come and how it ended; the latter may put further jobs into the deque. When it is left by
Ctrl-C (or another signal of stop_signals.py), every job under way has written a checkpoint, and a second one does not
wait for that; on Ray tasks are cancelled where they are, and their last checkpoint stands.
"""

import json
import logging
import os
import selectors
import signal
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Literal, get_args

from edgechaos_core.sweeps.jobs import Ended, Job, work
from edgechaos_core.system.clean_environment import PYTHON, environment
from edgechaos_core.system.stop_signals import asked_to_stop

BackendName = Literal["processes", "serial", "ray"]
BACKENDS: tuple[BackendName, ...] = get_args(BackendName)
_PATIENCE = 60.0  # seconds that a worker has to write its checkpoint when told to stop

OnAdvance = Callable[[Job, int], object]
OnEnd = Callable[[Job, Ended], object]

_log = logging.getLogger("edgechaos")


def serial(pending: deque[Job], on_advance: OnAdvance, on_end: OnEnd) -> None:
    """Work on one job after another in this process."""
    with asked_to_stop() as stop:
        while pending:
            job = pending.popleft()
            ended = work(job, on_advance=lambda steps, job=job: on_advance(job, steps), stop=stop)  # type: ignore[misc]
            on_end(job, ended)
            # only now: the job has written its checkpoint
            if stop():
                raise KeyboardInterrupt


def processes(pending: deque[Job], on_advance: OnAdvance, on_end: OnEnd, *, workers: int) -> None:
    """Work on up to ``workers`` jobs at a time, each in a process of its own."""
    idle: list[_Worker] = []
    active: list[_Worker] = []

    def hear(worker: _Worker, message: dict[str, Any]) -> None:
        job = worker.job
        if "log" in message:
            _log.warning("%s", message["log"])
        elif "advance" in message and job is not None:
            on_advance(job, message["advance"])
        elif job is not None:
            worker.job = None
            active.remove(worker)
            if message["ended"] != "died":
                idle.append(worker)
            on_end(job, Ended(message["ended"], message["detail"], tuple(message["members"])))
        elif worker in idle:  # it died with nothing to do
            idle.remove(worker)

    with selectors.DefaultSelector() as selector:
        try:
            while pending or active:
                while pending and len(active) < workers:
                    worker = idle.pop() if idle else _Worker(selector)
                    active.append(worker)
                    worker.begin(pending.popleft())
                for ready, _ in selector.select():
                    for message in ready.data.messages():
                        hear(ready.data, message)
        finally:
            _stop([*active, *idle])


class _Worker:
    """A worker process, the job it has, and what it says."""

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self.selector, self.rest = selector, b""
        # A file: of a pipe that nobody reads, a talkative library would fill the buffer and stand still.
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process; see close
        self.job: Job | None = None
        self.process = subprocess.Popen(
            # A command and not multiprocessing, which would run the caller's script or notebook again in each worker,
            # or fork the threads of torch.
            [*PYTHON, "-m", "edgechaos_core.sweeps.worker_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            env=environment(OMP_NUM_THREADS="1"),  # threads beyond those asked for would only wait
            start_new_session=True,  # Ctrl-C on the terminal reaches the parent alone
        )
        assert self.process.stdin is not None and self.process.stdout is not None  # noqa: PT018 - for the type checker
        self.input, self.output = self.process.stdin, self.process.stdout
        selector.register(self.output, selectors.EVENT_READ, self)

    def begin(self, job: Job) -> None:
        """Hand over a job; if the process has died, the end of its output tells."""
        self.job = job
        with suppress(BrokenPipeError):
            self.input.write(f"{job.to_json()}\n".encode())
            self.input.flush()

    def messages(self) -> Iterator[dict[str, Any]]:
        """Yield what the process has said by now; the last message of one that died is its end."""
        content = os.read(self.output.fileno(), 1 << 16)  # what is there by now: readline would wait for a whole line
        *lines, self.rest = (self.rest + content).split(b"\n")
        for line in lines:
            yield json.loads(line)
        if not content:
            code = self.process.wait()
            self.errors.seek(0)
            said = self.errors.read().decode(errors="replace").strip().splitlines()
            how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
            self.close()
            detail = f"its worker died, {how}" + (f": {said[-1]}" if said else "")
            yield {"ended": "died", "detail": detail, "members": []}

    def close(self) -> None:
        """Let go of the process's files; the end of its input tells it to stop."""
        self.selector.unregister(self.output)
        for file in (self.input, self.output, self.errors):
            with suppress(BrokenPipeError):
                file.close()


def _stop(workers: list[_Worker]) -> None:
    """End worker processes, each with a checkpoint of what it is at; at once if interrupted while they write it."""
    try:
        # all are told before one is waited for: they write their checkpoints side by side
        for worker in workers:
            with suppress(BrokenPipeError):
                worker.input.close()
        for worker in workers:
            # Its output is read to the end, as a full pipe would keep it from ending.
            threading.Thread(target=worker.output.read, daemon=True).start()
            worker.process.wait(timeout=_PATIENCE)
    except (KeyboardInterrupt, subprocess.TimeoutExpired):
        _log.warning("stopped without waiting for checkpoints: the last ones stand")
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.wait()
            worker.close()
