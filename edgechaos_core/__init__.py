"""Training neural networks at the edge of chaos: the code behind the executable paper, and a tool for your own models.

What most users need is named here and loaded when it is first used, so that ``import edgechaos_core`` costs next to
nothing and ``from edgechaos_core import EdgeDecay`` needs torch and NumPy alone. The folders hold the rest, a step of
the argument each: `theory`, `probes`, `training`, `store`, `sweeps`, `analysis`, `experiments`, `guideline`,
`models`, `claims`, `book`; each says in its own words what belongs there.

>>> from edgechaos_core import edge_of_chaos
>>> round(edge_of_chaos(1.25), 5)
0.46865
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgechaos_core.book.figures.inspection import plot_inspection, plot_layers_on_map
    from edgechaos_core.experiments.protocols import protocol
    from edgechaos_core.guideline.decay_formula import Network, committed_formula, guide
    from edgechaos_core.images.datasets import load_dataset
    from edgechaos_core.models.controller import EdgeDecay
    from edgechaos_core.models.initialisation import initialise_at_edge
    from edgechaos_core.models.inspection import inspect
    from edgechaos_core.probes.chaos import lyapunov_exponents
    from edgechaos_core.probes.diagram import DiagramConfig, simulated_edge
    from edgechaos_core.probes.linear_maps import MatrixMap, draw_starts
    from edgechaos_core.probes.simulation import simulate
    from edgechaos_core.store.runs import Run, RunConfig, load_run, parse_config, save_run
    from edgechaos_core.store.store import Store, open_store
    from edgechaos_core.sweeps.options import How
    from edgechaos_core.sweeps.sweep import obtain, sweep
    from edgechaos_core.theory.edges import edge_of_chaos
    from edgechaos_core.theory.meanfield import asymptotic_distance, fixed_point
    from edgechaos_core.theory.order_parameters import order_parameters
    from edgechaos_core.training.trainer import train

__version__ = "0.1.0"

_ROOMS = {
    "book.figures.inspection": "plot_inspection plot_layers_on_map",
    "experiments.protocols": "protocol",
    "guideline.decay_formula": "Network committed_formula guide",
    "images.datasets": "load_dataset",
    "models.controller": "EdgeDecay",
    "models.initialisation": "initialise_at_edge",
    "models.inspection": "inspect",
    "probes.chaos": "lyapunov_exponents",
    "probes.diagram": "DiagramConfig simulated_edge",
    "probes.linear_maps": "MatrixMap draw_starts",
    "probes.simulation": "simulate",
    "store.runs": "Run RunConfig load_run parse_config save_run",
    "store.store": "Store open_store",
    "sweeps.options": "How",
    "sweeps.sweep": "obtain sweep",
    "theory.edges": "edge_of_chaos",
    "theory.meanfield": "asymptotic_distance fixed_point",
    "theory.order_parameters": "order_parameters",
    "training.trainer": "train",
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names.split()}

__all__ = [
    "DiagramConfig",
    "EdgeDecay",
    "EdgechaosError",
    "How",
    "Interrupted",
    "MatrixMap",
    "Network",
    "Run",
    "RunConfig",
    "Store",
    "asymptotic_distance",
    "committed_formula",
    "draw_starts",
    "edge_of_chaos",
    "fixed_point",
    "guide",
    "initialise_at_edge",
    "inspect",
    "load_dataset",
    "load_run",
    "lyapunov_exponents",
    "obtain",
    "open_store",
    "order_parameters",
    "parse_config",
    "plot_inspection",
    "plot_layers_on_map",
    "protocol",
    "save_run",
    "simulate",
    "simulated_edge",
    "sweep",
    "train",
]


class Interrupted(Exception):  # noqa: N818 - not an error
    """A command was interrupted; the message says what of it is kept."""


class EdgechaosError(Exception):
    """Something outside the caller's arguments failed (a file, the network, a build); the message says what to do."""


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value  # the next time it is found without this function
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
