"""What a Python process of ours is shielded from: whatever a user's shell, home and current folder hold for others.

Sweeps' workers, chapters' kernels and jupyter-book run in `environment`. None of what it leaves out may change a
result: search paths of Python that depend on the current folder, start-up files, settings of Jupyter and matplotlib,
the locale, the width of the terminal.
"""

import os
import sys
from pathlib import Path

from edgechaos_core.system.places import variables

# What names begin with.
_OTHERS = ("PYTHON", "PYTEST", "IPYTHON", "IPYKERNEL", "JPY_", "JUPYTER", "MPL", "MATPLOTLIB", "LC_")
_NAMES = {"LANG", "LANGUAGE", "COLUMNS", "LINES", "DOCUTILSCONFIG", "FORCE_COLOR"}

PYTHON = [sys.executable, "-P"]  # this very interpreter, without the current folder among its modules


def environment(**own: str) -> dict[str, str]:
    """Return this process's environment without what could change a result, and with ``own`` variables.

    Of PYTHONPATH, which may be how torch and others are found, absolute folders are kept: an empty one in it, as
    ``PYTHONPATH=$PYTHONPATH:/some/folder`` often leaves, is the current folder.
    """
    kept = {name: value for name, value in os.environ.items() if name not in _NAMES and not name.startswith(_OTHERS)}
    kept |= variables()
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if absolute := os.pathsep.join(path for path in paths if Path(path).is_absolute()):
        kept["PYTHONPATH"] = absolute
    # A fixed hash seed: sets have the same order in every execution, and outputs that show one are compared.
    kept |= {"PYTHONSAFEPATH": "1", "PYTHONUTF8": "1", "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
    return kept | own
