"""How far stored runs of a grid go."""

import pandas as pd

from edgechaos_core.store.runs import Outcome, Run, parse_config
from edgechaos_core.store.store import open_store, put_run
from edgechaos_core.sweeps.horizon import stored_horizon
from edgechaos_core.sweeps.sweep import wanted


def test_the_horizon_is_the_longest_that_all_settings_have(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGECHAOS_STORE", str(tmp_path))
    own = {"samples": 100, "width": 16}
    grid = [parse_config(own | {"l2": l2, "seed": seed}) for l2 in (0.0, 1e-4, 2e-4) for seed in range(4)]
    assert stored_horizon(grid) is None
    for l2, lengths in {0.0: (9, 9, 9, 2), 1e-4: (5, 7, 8, 9)}.items():
        for seed, epochs in enumerate(lengths):
            config = parse_config(own | {"l2": l2, "seed": seed, "epochs": epochs})
            history = pd.DataFrame({"epoch": range(epochs + 1), "J_squared": 0.25})
            run = Run(config, history, Outcome("finished", epochs), {"wall_seconds": 1.0})
            put_run(open_store(), run, wanted([config])[0].key)
    assert stored_horizon(grid) == 7  # of the three longest seeds each; nothing is stored of the third
    assert stored_horizon(grid[:4]) == 9
    assert stored_horizon(grid, fewest=4) == 2
