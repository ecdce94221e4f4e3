"""The kernel that executes a chapter: this very interpreter, in a room of its own.

The room is an empty folder with a short path: the kernel's working directory, the place of its sockets and of all
start-up files and settings that IPython and Jupyter would look for, of which there are none.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager, KernelManager
from traitlets import Dict, Unicode

from edgechaos_core import EdgechaosError
from edgechaos_core.system.clean_environment import PYTHON, environment
from edgechaos_core.system.places import BUILD

MATPLOTLIB = BUILD / "matplotlib"  # kept, as matplotlib takes seconds to look for fonts anew
ONE_BLAS_THREAD = "1"  # on a busy machine its threads wait for each other a hundredfold
_LONGEST = 70  # bytes of a folder in which sockets are made: with their names they may have 104 (Linux: 108)
_SHORT = ("/tmp", "/var/tmp", "/dev/shm")

# IPython would also read the settings and start-up files of the machine and of the virtual environment.
_LAUNCH = """
from IPython.core import application
application.SYSTEM_CONFIG_DIRS.clear()
application.ENV_CONFIG_DIRS.clear()
from ipykernel.kernelapp import launch_new_instance
launch_new_instance()
"""


class ShieldedKernelManager(KernelManager):
    """A manager of one kernel in a ``room``, with ``variables`` beside those that `environment` leaves.

    It listens on sockets in its room: TCP would be open to other users of the machine.
    """

    room = Unicode(help="an empty folder, of `kernel_room`").tag(config=True)
    variables = Dict(help="environment variables of the kernel's own").tag(config=True)

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - those of KernelManager
        super().__init__(**options)
        # Left alone, sockets are numbered from 1 in the working directory: of chapters executed at once in one folder,
        # 11 of 16 failed on each other's.
        self.transport, self.ip, self.connection_file = "ipc", f"{self.room}/kernel", f"{self.room}/kernel.json"

    @property
    def kernel_spec(self) -> KernelSpec:
        """The kernel's command: kernels that others have installed, under whatever name, are not asked for."""
        command = [*PYTHON, "-c", _LAUNCH, "-f", "{connection_file}"]
        return KernelSpec(argv=command, display_name="Python 3", language="python")

    async def _async_pre_start_kernel(self, **options: Any) -> tuple[list[str], dict[str, Any]]:  # noqa: ANN401
        places = dict.fromkeys(
            ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"), self.room
        )
        own = {"MPLCONFIGDIR": str(MATPLOTLIB), "OPENBLAS_NUM_THREADS": ONE_BLAS_THREAD}
        # matplotlib and Python's modules would also be looked for in the working directory
        options |= {"cwd": self.room, "env": environment(**places, **own, **self.variables)}
        return await super()._async_pre_start_kernel(**options)


class ShieldedAsyncKernelManager(ShieldedKernelManager, AsyncKernelManager):
    """The same for papermill, whose client is asynchronous."""


@contextmanager
def kernel_room() -> Iterator[str]:
    """Yield an empty folder of a short path, which is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="edgechaos-", dir=short_folder(), ignore_cleanup_errors=True) as room:
        yield room


def short_folder() -> str:
    """Return a writable folder whose path leaves room for the name of a socket; EdgechaosError where there is none."""
    for folder in (tempfile.gettempdir(), os.environ.get("XDG_RUNTIME_DIR", ""), *_SHORT):
        if Path(folder).is_absolute() and len(os.fsencode(folder)) <= _LONGEST and os.access(folder, os.W_OK | os.X_OK):
            return folder
    raise EdgechaosError(
        f"a chapter's kernel needs a writable folder whose path has at most {_LONGEST} bytes: set TMPDIR to one"
    )
