"""Fit the guideline's formula to runs with decay, and keep it: ``python -m edgechaos_core.calibration``."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import stats

from edgechaos_core.guideline import COMMITTED, Formula, terms
from edgechaos_core.protocols import protocol
from edgechaos_core.runs import Run
from edgechaos_core.scaling import scale_factor, settled
from edgechaos_core.sweep import obtain

NEAR_EDGE = (0.4, 2.5)  # J^2 at the end of runs that the formula is fitted to
CLOSE = 0.95  # of where J^2 settles: it is there


def calibration_runs() -> list[Run]:
    """Return the stored runs that the committed formula is fitted to; raises TableError where one is missing."""
    return obtain(protocol("calibration"), stored_only=True)


def points(runs: Sequence[Run]) -> pd.DataFrame:
    """Return one row a run: samples, width, speed, l2, seed, and J_squared over the last tenth of its epochs."""
    return pd.DataFrame(
        [
            {
                "samples": run.config.samples,
                "width": run.config.width,
                "speed": scale_factor(run.config),
                "l2": run.config.l2,
                "seed": run.config.seed,
                "J_squared": settled(run),
            }
            for run in runs
        ]
    )


def calibrate(runs: Sequence[Run]) -> Formula:
    """Fit ``ln lambda`` to its `terms` by ordinary least squares, on runs with decay that end near the edge.

    A term that the runs cannot tell from those before it is left out (its coefficient and covariance are 0). Raises
    ValueError where fewer than three runs more than terms end with J^2 in `NEAR_EDGE`.
    """
    decayed = [run for run in runs if run.config.l2 > 0 and NEAR_EDGE[0] <= settled(run) <= NEAR_EDGE[1]]
    table = points(decayed)
    columns = ["samples", "width", "speed", "J_squared"]
    x = pd.DataFrame([terms(*row) for row in table[columns].itertuples(index=False)] if decayed else [])
    names = [str(name) for name in x.columns]
    used: list[str] = []
    for name in names:
        if np.linalg.matrix_rank(x[[*used, name]].to_numpy()) > len(used):
            used.append(name)
    if len(decayed) < len(used) + 3:
        raise ValueError(
            f"a formula of {len(used)} terms needs {len(used) + 3} runs with decay that end with J^2 between "
            f"{NEAR_EDGE[0]} and {NEAR_EDGE[1]}, got {len(decayed)}"
        )
    fit = sm.OLS(np.log(table["l2"].to_numpy()), x[used].to_numpy()).fit()
    places = [names.index(name) for name in used]
    coefficients, covariance = np.zeros(x.shape[1]), np.zeros((x.shape[1], x.shape[1]))
    coefficients[places], covariance[np.ix_(places, places)] = fit.params, fit.cov_params()
    return Formula(
        coefficients=dict(zip(names, map(float, coefficients), strict=True)),
        covariance=tuple(tuple(map(float, row)) for row in covariance),
        scatter=float(math.sqrt(fit.scale)),
        t=float(stats.t.ppf(0.975, fit.df_resid)),
        runs=len(decayed),
        within={name: (float(table[name].min()), float(table[name].max())) for name in columns},
        turns=float(np.median([_turns(run) for run in decayed])),
    )


def _turns(run: Run) -> float:
    epoch = int(np.argmax(run.history["J_squared"].to_numpy() >= CLOSE * settled(run)))
    return 4 * run.config.l2 * run.config.samples * scale_factor(run.config) * epoch


if __name__ == "__main__":
    COMMITTED.write_text(json.dumps(asdict(calibrate(calibration_runs())), indent=1) + "\n")
    print(COMMITTED)
