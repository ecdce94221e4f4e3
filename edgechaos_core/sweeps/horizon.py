"""How far the stored runs of a grid go: the epochs that a page can show of all its settings."""

from collections.abc import Sequence

from edgechaos_core.analysis.by_setting import setting_of
from edgechaos_core.analysis.intervals import FEWEST
from edgechaos_core.store.runs import RunConfig
from edgechaos_core.store.store import open_store, stored_epochs
from edgechaos_core.sweeps.sweep import wanted


def stored_horizon(configs: Sequence[RunConfig], fewest: int = FEWEST) -> int | None:
    """Return the most epochs that stored runs of every setting have, whatever number the configs ask for.

    Of each setting ``fewest`` seeds must be so long, or all that are stored where they are fewer. Settings of which
    nothing is stored are left out; None where that are all. Raises what `wanted` raises.
    """
    store = open_store()
    lengths: dict[str, list[int]] = {}
    for run in wanted(configs):
        if epochs := stored_epochs(store, run):
            lengths.setdefault(setting_of(run.config), []).append(epochs)
    return min((sorted(own)[-min(fewest, len(own))] for own in lengths.values()), default=None)
