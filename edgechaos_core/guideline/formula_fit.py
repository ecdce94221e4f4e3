"""Fit the guideline's formula to runs with decay, and keep it: ``python -m edgechaos_core.guideline.formula_fit``."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import stats

from edgechaos_core.analysis import published
from edgechaos_core.analysis.by_setting import strength_text
from edgechaos_core.analysis.intervals import DASH, Estimate, shown
from edgechaos_core.analysis.scaling import predicted_constant, scale_factor, settled
from edgechaos_core.experiments.protocols import protocol
from edgechaos_core.guideline.decay_formula import HORIZON, NEAR, Formula, terms
from edgechaos_core.store.runs import Run
from edgechaos_core.store.tables import write_whole
from edgechaos_core.sweeps.sweep import committed
from edgechaos_core.system.places import GUIDELINE

NEAR_EDGE = (0.4, 2.5)  # J^2 at the end of runs that the formula is fitted to
SPARE = 3  # runs more than terms that a fit needs
FEWEST = 5_000  # samples of a run that the formula is fitted to
FEWEST_LEFT_OUT = 3  # networks that the others predict, for an interval


def calibration_runs() -> list[Run]:
    """Return the committed runs that the formula is fitted to; raises TableError where one is missing."""
    return committed(protocol("calibration"))


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


def shown_points(runs: Sequence[Run]) -> pd.DataFrame:
    """Return `points` as a page shows them: a row a setting, J² at the end averaged over seeds."""
    table = points(runs).assign(**{"λ": lambda own: own["l2"].map(strength_text)})
    names = {"samples": "S", "width": "width", "speed": "speed s", "λ": "λ"}
    groups = table.sort_values(["samples", "width", "speed", "l2"]).groupby(list(names), sort=False)
    ends = groups.agg(**{"J² at the end": ("J_squared", "mean"), "seeds": ("seed", "size")}).round(3)
    return ends.rename_axis(list(names.values()))


def noise_share(runs: Sequence[Run]) -> str:
    """Return in words the least and largest share of the noise in drift and noise together; a dash without runs."""
    shares = [share for run in runs if math.isfinite(share := predicted_constant(run)["share"])]
    return f"{100 * min(shares):.0f} to {100 * max(shares):.0f}%" if shares else DASH


def numbers(formula: Formula, calibrating: Sequence[Run], gradients: Sequence[Run]) -> dict[str, str]:
    """Return in words what a page says of a formula, the runs behind it, and those whose gradients were measured."""
    c = published.constant()
    middle, low, high = formula.l2(60_000, 784, 1.0)
    errors = np.expm1(list(formula.left_out.values()))
    beyond = terms(4_000, 784, 1.0)  # fewer samples than any run of the fit has
    return {
        "c": f"{c:.3g}",
        "formula_l2": strength_text(c / (4 * published.SAMPLES)),
        "noise_share": noise_share(gradients),
        "l2_edge": strength_text(middle),
        "l2_interval": f"{strength_text(low)} to {strength_text(high)}",
        "l2_small": strength_text(formula.l2(10_000, 784, 1.0)[0]),
        "l2_nearest": strength_text(formula.l2(4_000, 784, 1.0)[0]),
        "l2_beyond": strength_text(math.exp(sum(formula.coefficients[name] * x for name, x in beyond.items()))),
        "few_fitted": ", ".join(f"{settled(run):.2f}" for run in calibrating if run.config.samples == FEWEST) or DASH,
        "runs": str(formula.runs),
        "scatter": f"{100 * formula.scatter:.1f}",
        "missed": f"{100 * errors.min():+.0f} to {100 * errors.max():+.0f}%",
        "off_factor": f"{math.exp(formula.half):.2f}",
        "off_J2": "{:.2f} to {:.2f}".format(*formula.ends(1.0)),
        **_networks(formula, calibrating),
        "p_speed": shown(power_of_speed(calibrating)),
        "p_width": f"{formula.coefficients['ln w']:.2f}",
    }


def _networks(formula: Formula, calibrating: Sequence[Run]) -> dict[str, str]:
    """How many networks the formula is fitted to, and those whose errors it cannot tell, in words."""
    table = points(near_edge(calibrating))[["samples", "width"]].drop_duplicates().sort_values(["samples", "width"])
    names = [_network(*own) for own in table.itertuples(index=False)]
    undetermined = [name for name in names if name not in formula.left_out]
    return {"networks": str(len(names)), "undetermined": "; ".join(undetermined) or DASH}


def _network(samples: Any, width: Any) -> str:  # noqa: ANN401 - a number, of which pandas only knows that it can be a key
    return f"S {samples:,}, width {width:,}"


def shown_coefficients(formula: Formula) -> pd.DataFrame:
    """Return the coefficients with the half widths of their 95% intervals, by term."""
    half = np.sqrt(np.diag(formula.covariance)) * formula.t
    table = {"coefficient": list(formula.coefficients.values()), "±": half}
    return pd.DataFrame(table, index=list(formula.coefficients)).round(3)


def shown_errors(formula: Formula) -> pd.DataFrame:
    """Return in words the errors of lambda for networks left out of the fit."""
    errors = {network: f"{100 * math.expm1(error):+.1f}%" for network, error in formula.left_out.items()}
    return pd.DataFrame({"error of λ": errors}).rename_axis("network left out")


def near_edge(runs: Sequence[Run]) -> list[Run]:
    """Return the runs with decay that end near the edge, with J^2 in `NEAR_EDGE`."""
    return [run for run in runs if run.config.l2 > 0 and NEAR_EDGE[0] <= settled(run) <= NEAR_EDGE[1]]


def calibrate(runs: Sequence[Run]) -> Formula:
    """Fit ``ln lambda`` to its `terms` by ordinary least squares, on the runs that end `near_edge`.

    A term that the runs cannot tell from those before it is left out (its coefficient and covariance are 0). The
    interval is that of `left_out`, as errors of networks that the formula has not seen. Raises ValueError where there
    are fewer than three runs more than terms, or fewer than three networks that the others predict.
    """
    decayed = near_edge(runs)
    table = points(decayed)
    columns = ["samples", "width", "J_squared"]
    x = pd.DataFrame([terms(*row) for row in table[columns].itertuples(index=False)] if decayed else [])
    names = [str(name) for name in x.columns]
    used: list[str] = []
    for name in names:
        if np.linalg.matrix_rank(x[[*used, name]].to_numpy()) > len(used):
            used.append(name)
    if len(decayed) < len(used) + SPARE:
        raise ValueError(
            f"a formula of {len(used)} terms needs {len(used) + SPARE} runs with decay that end with J^2 between "
            f"{NEAR_EDGE[0]} and {NEAR_EDGE[1]}, got {len(decayed)}"
        )
    fit = sm.OLS(np.log(table["l2"].to_numpy()), x[used].to_numpy()).fit()
    errors = left_out(table, x[used])
    if len(errors) < FEWEST_LEFT_OUT:
        raise ValueError(
            f"the interval of a formula needs {FEWEST_LEFT_OUT} networks (S, width) that the fit to the others "
            f"predicts, got {len(errors)}"
        )
    mean_square = float(np.mean([np.mean(np.square(own)) for own in errors.values()]))
    places = [names.index(name) for name in used]
    coefficients, covariance = np.zeros(x.shape[1]), np.zeros((x.shape[1], x.shape[1]))
    coefficients[places], covariance[np.ix_(places, places)] = fit.params, fit.cov_params()
    return Formula(
        coefficients=dict(zip(names, map(float, coefficients), strict=True)),
        covariance=tuple(tuple(map(float, row)) for row in covariance),
        scatter=float(math.sqrt(fit.scale)),
        t=float(stats.t.ppf(0.975, fit.df_resid)),
        runs=len(decayed),
        within={name: (float(table[name].min()), float(table[name].max())) for name in [*columns, "speed"]},
        left_out={network: float(np.mean(own)) for network, own in errors.items()},
        half=float(stats.t.ppf(0.975, len(errors)) * math.sqrt(mean_square)),
        way=_way(decayed),
    )


def left_out(table: pd.DataFrame, x: pd.DataFrame) -> dict[str, list[float]]:
    """Return the errors of ln lambda of each network's runs by the fit to all others, with the same terms ``x``.

    A network (S and width) without which the other runs do not determine every term is not among them.
    """
    errors = {}
    log_l2 = np.log(table["l2"].to_numpy())
    for (samples, width), own in table.groupby(["samples", "width"]):
        apart = table.index.isin(own.index)
        others = x[~apart].to_numpy()
        if np.linalg.matrix_rank(others) < x.shape[1]:
            continue
        coefficients = np.linalg.lstsq(others, log_l2[~apart], rcond=None)[0]
        errors[_network(samples, width)] = (x[apart].to_numpy() @ coefficients - log_l2[apart]).tolist()
    return errors


def power_of_speed(runs: Sequence[Run]) -> Estimate:
    """Return the power of the scale factor s that the formula's residuals leave, with its 95% interval.

    The formula has none: by the law it must be 0.
    """
    decayed, formula = near_edge(runs), calibrate(runs)
    table = points(decayed)
    x = pd.DataFrame([terms(*row) for row in table[["samples", "width", "J_squared"]].itertuples(index=False)])
    used = [name for name, value in formula.coefficients.items() if value]
    fit = sm.OLS(np.log(table["l2"].to_numpy()), x[used].assign(s=np.log(table["speed"])).to_numpy()).fit()
    low, high = fit.conf_int(0.05)[-1]
    return Estimate(float(fit.params[-1]), float(low), float(high), len(decayed))


def _way(runs: Sequence[Run]) -> tuple[float, float, float]:
    """Fit the rescaled steps after which J^2 is near where it ends to powers of S and width, those that vary.

    On the runs that end at the edge and are as long as the formula's horizon, if there are any: others take another
    time, and in a shorter run J^2 is sooner near where it happens to end.
    """
    rows, ways = [], []
    for run in [run for run in runs if abs(settled(run) - 1) <= NEAR and _lasts(run)] or runs:
        epoch = max(int(np.argmax(run.history["J_squared"].to_numpy() >= (1 - NEAR) * settled(run))), 1)
        own = terms(run.config.samples, run.config.width, 1.0)
        rows.append([1.0, own["ln S"], own["ln w"]])
        ways.append(math.log(epoch * run.config.samples * scale_factor(run.config)))
    intercept, *powers = np.linalg.lstsq(np.array(rows), np.array(ways), rcond=None)[0]  # 0 for what does not vary
    return float(intercept), float(powers[0]), float(powers[1])


def _lasts(run: Run) -> bool:
    steps = run.config.epochs * run.config.samples * scale_factor(run.config)
    return steps >= 0.99 * HORIZON  # epochs are whole


def main() -> None:
    """Fit the formula to the committed runs, and keep it."""
    fitted = json.dumps(asdict(calibrate(calibration_runs())), indent=1, ensure_ascii=False)
    write_whole(GUIDELINE, f"{fitted}\n".encode())
    print(GUIDELINE)


if __name__ == "__main__":
    main()
