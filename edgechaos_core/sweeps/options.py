"""How a sweep trains: where its jobs run, on which device, how many at a time."""

import os
from dataclasses import dataclass

from edgechaos_core.sweeps.backends import BACKENDS, BackendName
from edgechaos_core.sweeps.jobs import CHECKPOINT_SECONDS
from edgechaos_core.system.machine import cpu_threads, parse_device


@dataclass(frozen=True)
class How:
    """How a sweep trains: ``backend`` None is serial on a GPU and worker processes, one a core, on a CPU.

    ``stack_members`` None sizes stacks to the device; ``checkpoint_seconds`` is what a killed process loses at most;
    ``address`` is that of a Ray cluster (None: one of this machine's own).
    """

    backend: BackendName | None = None
    device: str = "cpu"
    threads: int = 1
    workers: int | None = None
    stack_members: int | None = None
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    address: str | None = None

    def __post_init__(self) -> None:
        if self.backend is not None and self.backend not in BACKENDS:
            raise ValueError(f"unknown backend {self.backend!r}: choose from {', '.join(BACKENDS)}")
        if self.address is not None and self.backend != "ray":
            raise ValueError("address is that of a Ray cluster: it needs the backend 'ray'")
        for name in ("threads", "workers", "stack_members"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not self.checkpoint_seconds >= 0:
            raise ValueError(f"checkpoint_seconds must be at least 0, got {self.checkpoint_seconds}")
        if self.backend == "ray" and self.workers is not None:
            raise ValueError(
                "workers are for the backend 'processes': Ray trains as many stacks as its nodes have room"
            )
        if self.backend != "ray":  # the nodes of a cluster have devices and cores of their own
            parse_device(self.device)
            with cpu_threads(self.threads):
                pass  # only to hear whether this machine has so many

    @property
    def chosen_backend(self) -> BackendName:
        """The backend in force."""
        return self.backend or ("serial" if self.device.startswith("cuda") else "processes")

    @property
    def chosen_workers(self) -> int:
        """The number of stacks trained at a time."""
        return 1 if self.chosen_backend == "serial" else self.workers or max(all_cores() // self.threads, 1)


def all_cores() -> int:
    """Return the number of CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
