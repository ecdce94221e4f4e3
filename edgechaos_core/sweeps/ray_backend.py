"""The jobs of a sweep on a Ray cluster: a backend as those of backends.py, for those who have Ray installed."""

import logging
import os
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edgechaos_core import EdgechaosError
from edgechaos_core.sweeps.backends import OnAdvance, OnEnd
from edgechaos_core.sweeps.jobs import Ended, Job, work
from edgechaos_core.system.places import variables


def ray_tasks(pending: deque[Job], on_advance: OnAdvance, on_end: OnEnd, *, address: str | None) -> None:
    """Work on the jobs as Ray tasks, one a job, on the cluster at ``address`` (None: one of this machine's own).

    Tasks whose node or process died are tried again by Ray, three times. The store must be on a file system that all
    nodes share. Raises ValueError where Ray is not installed, EdgechaosError where the cluster cannot be reached.
    """
    try:
        import ray
    except ImportError:
        raise ValueError("backend 'ray' needs Ray: pip install 'edgechaos[ray]', or choose another backend") from None
    with _connected(ray, address):
        task, progress = _remotes(ray)
        jobs: dict[int, Job] = {}
        active: dict[Any, int] = {}
        try:
            while pending or active:
                while pending:
                    job = pending.popleft()
                    number = len(jobs)
                    jobs[number] = job
                    needs = {"num_cpus": job.threads, "num_gpus": int(job.device.startswith("cuda"))}
                    _check_resources(ray.nodes(), needs)  # type: ignore[no-untyped-call]
                    active[task.options(**needs).remote(job.to_json(), number, progress)] = number
                ready, _ = ray.wait(list(active), timeout=0.5)  # and no longer, as progress is asked for in between
                for number, steps in ray.get(progress.take.remote()).items():
                    on_advance(jobs[number], steps)
                for reference in ready:
                    job = jobs[active.pop(reference)]
                    on_end(job, _ended(ray, reference))
        finally:
            for reference in active:
                ray.cancel(reference)


@contextmanager
def _connected(ray: Any, address: str | None) -> Iterator[None]:  # noqa: ANN401 - Ray's module
    """Be connected to a cluster within; a connection that was there before is used, and stays."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if ray.is_initialized():
        yield
        return
    try:
        _knock(address)
        os.environ |= variables()  # Ray's processes have a working folder of their own
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=None)
    except (OSError, RuntimeError, ValueError) as error:
        raise EdgechaosError(f"no Ray cluster at {address!r} ({_first_line(error)})") from error
    try:
        yield
    finally:
        ray.shutdown()


def _remotes(ray: Any) -> tuple[Any, Any]:  # noqa: ANN401 - Ray's module, its remote function and its actor's handle
    """The task that works on a job, and the actor that counts, on this node, how far each job has come."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # Made here and not at the top, as Ray need not be installed; without a CPU, which a stack may have then.
    @ray.remote(num_cpus=0)
    class Progress:
        """Counts the epochs done of every job."""

        def __init__(self) -> None:
            self.done: dict[int, int] = {}

        def add(self, number: int, steps: int) -> None:
            self.done[number] = self.done.get(number, 0) + steps

        def take(self) -> dict[int, int]:
            done, self.done = self.done, {}
            return done

    @ray.remote(max_retries=3)  # type: ignore[untyped-decorator]
    def task(text: str, number: int, progress: Any) -> tuple[Any, ...]:  # noqa: ANN401 - an actor's handle
        ended = work(Job.from_json(text), on_advance=lambda steps: progress.add.remote(number, steps))
        return ended.state, ended.detail, ended.members

    # On this node, which lives as long as the sweep: with another node the count would be lost.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return task, Progress.options(scheduling_strategy=here).remote()  # type: ignore[attr-defined]


def _check_resources(nodes: list[dict[str, Any]], needs: dict[str, int]) -> None:
    """Raise EdgechaosError if no node has what a task needs: Ray would wait for one to join, without a word."""
    have = [node["Resources"] for node in nodes if node["Alive"]]
    if not any(one.get("CPU", 0) >= needs["num_cpus"] and one.get("GPU", 0) >= needs["num_gpus"] for one in have):
        wanted = f"{needs['num_cpus']} CPUs and {needs['num_gpus']} GPUs"
        raise EdgechaosError(f"no node of the Ray cluster has {wanted}, which a stack needs: other threads or device?")


def _knock(address: str | None) -> None:
    """Raise OSError unless something listens at HOST:PORT: Ray itself would wait for minutes."""
    host, _, port = (address or "").removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def _ended(ray: Any, reference: Any) -> Ended:  # noqa: ANN401 - Ray's module and reference
    try:
        return Ended(*ray.get(reference))
    except ray.exceptions.OutOfMemoryError as error:
        return Ended("out of memory", _first_line(error))
    except ray.exceptions.RayError as error:
        return Ended("died", f"{type(error).__name__}: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
