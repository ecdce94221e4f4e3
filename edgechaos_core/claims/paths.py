"""Estimates of claims C8 to C10, one function a part of data/claims.yaml: runs compared with Fig. 2's of the same seed.

Paths are compared at equal rescaled time, ``epoch eta / ((1 - alpha) B)``, J^2 being linear between epochs.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from edgechaos_core.analysis.intervals import Estimate, estimates_of, over_seeds
from edgechaos_core.analysis.rescaling import EDGE, best_epoch, compare, farthest, parts_at, rescaled_time
from edgechaos_core.analysis.scaling import scale_factor
from edgechaos_core.claims.optima import apart, of_one_setting, of_settings, off_one, worst
from edgechaos_core.store.runs import Run, RunConfig


def _is_fig2(config: RunConfig) -> bool:
    return (config.learning_rate, config.momentum, config.batch_size) == (0.02, 0.5, 32)


Comparison = Callable[[Run, Run], float]  # of a run and the base's of the same seed


def settings_over_base(base: Sequence[Run], runs: Sequence[Run], comparisons: Sequence[str]) -> pd.DataFrame:
    """Compare settings with a base setting, seed by seed; one row a setting, slow ones first.

    The index is η, α and B; ``speed`` is the scale factor over the base's, and each of the ``comparisons`` (names in
    `COMPARISONS`) a column of estimates over seeds, nan without a seed in common. Raises ValueError for other names.
    """
    if unknown := [name for name in comparisons if name not in COMPARISONS]:
        raise ValueError(f"unknown comparison {unknown[0]!r}: choose from {', '.join(COMPARISONS)}")
    own_base, rows = of_one_setting(base), {}
    unit = scale_factor(base[0].config)
    for seeds in of_settings(runs) if runs else []:
        config = next(iter(seeds.values())).config
        found = {name: _over_base_setting(own_base, seeds, COMPARISONS[name]) for name in comparisons}
        rows[config.learning_rate, config.momentum, config.batch_size] = {"speed": scale_factor(config) / unit} | found
    index = pd.MultiIndex.from_tuples(rows, names=["η", "α", "B"]) if rows else None
    table = pd.DataFrame(list(rows.values()), index=index, columns=["speed", *comparisons])
    return table.sort_values("speed", kind="stable")


def path_table(reference: Sequence[Run], runs: Sequence[Run]) -> pd.DataFrame:
    """Compare the paths of settings with the reference's, as C8 and C9 do, a row a setting (`settings_over_base`).

    Besides, ``parts at J²``: the reference's J^2 from which on they differ by more than two seeds of the reference do.
    """
    table = settings_over_base(reference, runs, PATHS)
    parts = {place: over_seeds([parts_at(reference, run) for run in own]) for place, own in _by_place(runs).items()}
    table["parts at J²"] = pd.Series(parts, dtype=object)
    return table


def _by_place(runs: Sequence[Run]) -> dict[tuple[float, float, int], list[Run]]:
    found: dict[tuple[float, float, int], list[Run]] = {}
    for run in runs:
        config = run.config
        found.setdefault((config.learning_rate, config.momentum, config.batch_size), []).append(run)
    return found


def path_numbers(equal: pd.DataFrame, others: pd.DataFrame) -> dict[str, float]:
    """Return what a page tells of two tables of `path_table`, settings of equal and of other scale factors; percent.

    ``equal_edge`` and ``equal_end``: by how much J^2 of the worst setting is off where the reference's is 1, and at
    the end. ``ordered`` and ``beyond``: largest distance up to the edge and beyond it, from ``_low`` to ``_high``;
    ``slowest``: how much slower than the reference the slowest is; ``parts``: J^2 from which on that differs.
    """

    def values(table: pd.DataFrame, name: str) -> "pd.Series[float]":
        return pd.Series([estimate.value for estimate in estimates_of(table, name).values()], dtype=float)

    edge, end = (100 * (values(equal, name) - 1).abs() for name in PATHS[:2])
    ordered, beyond = (100 * values(others, name) for name in PATHS[2:])
    return {
        "equal_edge": edge.max(),
        "equal_end": end.max(),
        "ordered_low": ordered.min(),
        "ordered_high": ordered.max(),
        "beyond_low": beyond.min(),
        "beyond_high": beyond.max(),
        "slowest": 1 / others["speed"].min(),
        "parts": values(others, "parts at J²").iloc[0],
        "parted_equal": float(values(equal, "parts at J²").notna().sum()),
    }


def _over_base_setting(base: Mapping[int, Run], seeds: Mapping[int, Run], compared: Comparison) -> Estimate:
    """One setting compared with the base, seed by seed; nan without a seed in common."""
    return over_seeds([compared(run, base[seed]) for seed, run in seeds.items() if seed in base] or [math.nan])


def _over_base(runs: Sequence[Run], compared: Comparison, off: Callable[[float], float]) -> Estimate:
    """The worst setting of runs compared with Fig. 2's setting, seed by seed; nan for one without a seed in common."""
    base, others = apart(runs, _is_fig2)
    return worst([_over_base_setting(base, seeds, compared) for seeds in others], off)


def path_at_edge(runs: Sequence[Run]) -> Estimate:
    """C8: J^2 over that of Fig. 2's run of the same seed where that is 1, at the same rescaled time, worst setting."""
    return _over_base(runs, _at_edge, off_one)


def path_at_end(runs: Sequence[Run]) -> Estimate:
    """C8: J^2 over that of Fig. 2's run of the same seed at the last rescaled time of both, worst setting."""
    return _over_base(runs, _at_end, off_one)


def _ratio(run: Run, base: Run, time: float) -> float:
    """J^2 of a run over the base's at a rescaled time, both linear between epochs."""
    own, other = (
        float(np.interp(time, rescaled_time(one), one.history["J_squared"].to_numpy(dtype=float)))
        for one in (run, base)
    )
    return own / other


def _last_time(run: Run, base: Run) -> float:
    return min(float(rescaled_time(run)[-1]), float(rescaled_time(base)[-1]))


def _at_end(run: Run, base: Run) -> float:
    return _ratio(run, base, _last_time(run, base))


def _at_edge(run: Run, base: Run) -> float:
    """nan where the base does not pass J^2 = 1 while the run lasts."""
    J_squared, times = base.history["J_squared"].to_numpy(dtype=float), rescaled_time(base)
    beyond = np.flatnonzero(J_squared > EDGE)
    if not beyond.size or beyond[0] == 0:
        return math.nan
    pair = slice(beyond[0] - 1, beyond[0] + 1)
    passed = float(np.interp(EDGE, J_squared[pair], times[pair]))
    return _ratio(run, base, passed) if passed <= _last_time(run, base) else math.nan


def distance_in_order(runs: Sequence[Run]) -> Estimate:
    """C9: largest relative distance from Fig. 2's path of the same seed up to its J^2 = 1, worst setting."""
    return _over_base(runs, _in_order, abs)


def distance_beyond_less_in_order(runs: Sequence[Run]) -> Estimate:
    """C9: largest relative distance beyond J^2 = 1, less that up to it, of the setting where this is least."""
    return _over_base(runs, lambda run, base: _beyond(run, base) - _in_order(run, base), lambda value: -value)


def _in_order(run: Run, base: Run) -> float:
    return farthest(compare(base, run), ordered=True)


def _beyond(run: Run, base: Run) -> float:
    return farthest(compare(base, run), ordered=False)


def best_loss_over_base(runs: Sequence[Run]) -> Estimate:
    """C10: test loss at the least validation loss over that of Fig. 2's setting, same seed, worst setting."""
    return _over_base(runs, _best_loss, off_one)


def _best_loss(run: Run, base: Run) -> float:
    return float(best_epoch(run)["test_loss"] / best_epoch(base)["test_loss"])


def best_accuracy_less_base(runs: Sequence[Run]) -> Estimate:
    """C10: points of test accuracy there less those of Fig. 2's setting, same seed, worst setting."""
    return _over_base(runs, _best_accuracy, abs)


def _best_accuracy(run: Run, base: Run) -> float:
    return 100 * float(best_epoch(run)["test_accuracy"] - best_epoch(base)["test_accuracy"])


# What a page shows of each setting; the claims are judged on the worst of them.
COMPARISONS: dict[str, Comparison] = {
    "J² where the base's is 1": _at_edge,
    "J² at the end over the base's": _at_end,
    "up to the edge": _in_order,
    "beyond the edge": _beyond,
    "loss over the base's": _best_loss,
    "points of accuracy": _best_accuracy,
}
PATHS = list(COMPARISONS)[:4]  # of C8 and C9
BESTS = list(COMPARISONS)[4:]  # of C10
