"""The headline numbers once more, by another way: pandas and NumPy on the files of data/, nothing of the package.

Every quantity is worked out here from its sentence in data/claims.yaml. Only the places of the bootstrap's draws are
agreed upon (`draws`), so that the intervals can be compared digit by digit. Run as a program it prints the numbers:
``python tests/claims/second_opinion.py``.
"""

import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet

RUNS = Path(__file__).resolve().parents[2] / "data" / "runs"
PLAIN = {"dataset": "fashion-mnist", "samples": 60_000, "validation": 0, "width": 784, "depth": 1, "activation": "tanh"}
PLAIN |= {"optimizer": "sgd", "l2": 0.0, "hold": 0.0, "label_noise": 0.0, "milestone": 0, "gradients": False}
PLAIN |= {"trained_map": False, "initial_J": None}
FIG2 = {"learning_rate": 0.02, "momentum": 0.5, "batch_size": 32}
# Student's t, two-sided 95%, from a printed table, by degrees of freedom.
STUDENT = {2: 4.302653, 3: 3.182446, 4: 2.776445, 5: 2.570582, 6: 2.446912, 7: 2.364624, 8: 2.306004, 9: 2.262157}
FIG6_EPOCHS = 250  # as far as all strengths of Fig. 6 are committed; the paper's is 501

Numbers = tuple[float, float | None, float | None, int]  # value, low, high, n


def files() -> list[dict]:
    """Every committed run: its settings, and its history under "history"."""
    found = []
    for path in sorted(RUNS.glob("*.parquet")):
        settings = json.loads(pyarrow.parquet.read_schema(path).metadata[b"config"])
        found.append(settings | {"path": path})
    return found


def chosen(rows: list[dict], **settings: object) -> list[dict]:
    """Those with these settings and otherwise the plain ones, with their histories, by seed."""
    wanted = PLAIN | settings
    own = [row for row in rows if all(row.get(name, PLAIN.get(name)) == value for name, value in wanted.items())]
    own = [row | {"history": pd.read_parquet(row["path"])} for row in own]
    return sorted(own, key=lambda row: row["seed"])


def student(values: list[float]) -> Numbers:
    n, mean = len(values), float(np.mean(values))
    if n < 3:
        return mean, None, None, n
    half = STUDENT[n - 1] * float(np.std(values, ddof=1)) / n**0.5
    return mean, mean - half, mean + half, n


def draws(n: int) -> np.ndarray:
    return np.random.default_rng(0).integers(n, size=(1_999, n))


def quantiles(value: float, values: list[float], n: int) -> Numbers:
    ordered = np.sort([one for one in values if np.isfinite(one)])
    if n < 3 or len(ordered) < 0.9 * len(values):
        return value, None, None, n
    ends = []
    for share in (0.025, 0.975):  # linear between order statistics
        place = share * (len(ordered) - 1)
        below = int(place)
        ends.append(float(ordered[below] + (place - below) * (ordered[below + 1] - ordered[below])))
    return value, ends[0], ends[1], n


def fig2_place(rows: list[dict]) -> Numbers:
    """C2: J at the least test loss; the vertex of a parabola through the stretch that is within 10% of the least."""
    places = []
    for row in chosen(rows, **FIG2, epochs=501):
        history = row["history"]
        loss, J = history["test_loss"].to_numpy(), history["J_squared"].to_numpy() ** 0.5
        near = [place for place, value in enumerate(loss) if value <= 1.1 * loss.min()]
        stretch = slice(near[0], near[-1] + 1)
        bend, slope, _ = np.polynomial.Polynomial.fit(J[stretch], loss[stretch], 2).convert().coef[::-1]
        places.append(-slope / (2 * bend))
    return student(places)


def slopes(rows: list[dict]) -> pd.DataFrame:
    """A of each of Fig. 3's settings that passes J^2 = 1, seeds averaged; columns eta, alpha, B, A, c."""
    published = pd.read_csv(RUNS.parent / "published" / "fig3_slopes.csv", comment="#")
    table = []
    for eta, alpha, size in sorted({*zip(published["learning_rate"], published["momentum"], published["batch_size"])}):
        own = []
        for row in chosen(rows, learning_rate=eta, momentum=alpha, batch_size=size):
            J_squared = row["history"]["J_squared"].to_numpy()
            if J_squared.max() > 1:
                before = row["history"][: next(place for place, value in enumerate(J_squared) if value > 1)]
                fit = before[before["J_squared"] >= 0.3]
                own.append(np.polyfit(fit["epoch"], fit["J_squared"], 1)[0])
        if own:
            A = float(np.mean(own))
            table.append({"eta": eta, "alpha": alpha, "B": size, "A": A, "c": A * (1 - alpha) * size / eta})
    return pd.DataFrame(table)


def exponent(table: pd.DataFrame, varied: str) -> Numbers:
    """C4-C6: slope of ln A against ln of eta, 1/(1 - alpha) or 1/B, over the settings that vary it alone."""
    base = {"eta": 0.01, "alpha": 0.0, "B": 32}
    own = table[np.logical_and.reduce([table[name] == value for name, value in base.items() if name != varied])]
    power = {"eta": own["eta"], "alpha": 1 / (1 - own["alpha"]), "B": 1 / own["B"]}[varied]
    log_x, log_A = np.log(power.to_numpy()), np.log(own["A"].to_numpy())

    def fit(places: np.ndarray) -> float:
        if len(set(places.tolist())) == 1:
            return np.nan
        return float(np.cov(log_x[places], log_A[places])[0, 1] / np.var(log_x[places], ddof=1))

    n = len(own)
    return quantiles(fit(np.arange(n)), [fit(places) for places in draws(n)], n)


def constant(table: pd.DataFrame) -> Numbers:
    """C7: the mean of c over settings."""
    c = table["c"].to_numpy()
    return quantiles(float(c.mean()), [float(c[places].mean()) for places in draws(len(c))], len(c))


def path_at_edge(rows: list[dict]) -> Numbers:
    """C8: J^2 over that of Fig. 2's run of the same seed where that is 1; the setting farthest from 1."""
    base = {row["seed"]: row["history"] for row in chosen(rows, **FIG2)}
    estimates = []
    for size in (8, 16, 64, 128):
        ratios = []
        for row in chosen(rows, learning_rate=0.000625 * size, momentum=0.5, batch_size=size):
            if row["seed"] in base and row["history"]["J_squared"].max() > 1:
                reference, own = base[row["seed"]]["J_squared"].to_numpy(), row["history"]["J_squared"].to_numpy()
                after = next(epoch for epoch, value in enumerate(reference) if value > 1)
                share = (1 - reference[after - 1]) / (reference[after] - reference[after - 1])
                ratios.append(float((1 - share) * own[after - 1] + share * own[after]))
        estimates.append(student(ratios))
    return max(estimates, key=lambda estimate: abs(np.log(estimate[0])))


def with_decay(rows: list[dict]) -> dict[float, dict[int, tuple[float, float]]]:
    """J^2 and accuracy over the last tenth of the first 250 epochs of Fig. 6's runs, by lambda and seed."""
    table: dict[float, dict[int, tuple[float, float]]] = {}
    for l2 in (1e-5, 5e-5, 9e-5, 1.5e-4, 3e-4, 5e-4, 1e-3):
        for row in chosen(rows, **FIG2, l2=l2):
            history = row["history"].head(FIG6_EPOCHS + 1)
            if len(history) <= FIG6_EPOCHS:
                continue
            end = history.tail(round(len(history) / 10))
            table.setdefault(l2, {})[row["seed"]] = (end["J_squared"].mean(), end["test_accuracy"].mean())
    return table


def decay_place(rows: list[dict]) -> Numbers:
    """C11: J at the best accuracy, of a parabola through the four best strengths, one height a seed."""
    table = with_decay(rows)
    all_have = set.intersection(*map(set, table.values()))
    best = sorted(table, key=lambda l2: -np.mean([table[l2][seed][1] for seed in all_have]))[:4]
    seeds = sorted(set.intersection(*(set(table[l2]) for l2 in best)))

    def top(drawn: list[int]) -> float:
        # One column a drawn seed (its height), then J and J^2.
        design, wanted = [], []
        for place, seed in enumerate(drawn):
            for l2 in best:
                J = table[l2][seed][0] ** 0.5
                design.append([float(place == other) for other in range(len(drawn))] + [J, J**2])
                wanted.append(table[l2][seed][1])
        *_, slope, bend = np.linalg.lstsq(np.array(design), np.array(wanted), rcond=None)[0]
        place = -slope / (2 * bend)
        used = [table[l2][seed][0] ** 0.5 for l2 in best for seed in drawn]
        return float(place) if bend < 0 and min(used) <= place <= max(used) else np.nan

    n = len(seeds)
    return quantiles(top(seeds), [top([seeds[place] for place in places]) for places in draws(n)], n)


def edge_strength(rows: list[dict]) -> Numbers:
    """lambda at which J^2 at the end is 1, between the two strengths around it on logarithmic scales."""
    table = with_decay(rows)
    seeds = sorted(set.intersection(*map(set, table.values())))

    def passage(drawn: list[int]) -> float:
        ends = [(l2, np.log(np.mean([table[l2][seed][0] for seed in drawn]))) for l2 in sorted(table)]
        for (weak, high), (strong, low) in itertools.pairwise(ends):
            if high >= 0 > low:
                return float(weak * (strong / weak) ** (high / (high - low)))
        return np.nan

    n = len(seeds)
    return quantiles(passage(seeds), [passage([seeds[place] for place in places]) for places in draws(n)], n)


def headline() -> dict[str, Numbers]:
    """Each headline number: its value, the ends of its 95% interval (None where n is below 3), and n."""
    rows = files()
    table = slopes(rows)
    return {
        "C2, J at the least test loss": fig2_place(rows),
        "C4, exponent of eta": exponent(table, "eta"),
        "C5, exponent of 1/(1 - alpha)": exponent(table, "alpha"),
        "C6, exponent of 1/B": exponent(table, "B"),
        "C7, c": constant(table),
        "C8, J² at the edge": path_at_edge(rows),
        "C11, J at the best accuracy": decay_place(rows),
        "lambda*": edge_strength(rows),
    }


def shown(value: float, low: float | None, high: float | None, n: int) -> str:
    """A number as the scorecard prints it, and one digit more."""
    return f"{value:.4g}" + ("" if low is None else f" [{low:.4g}, {high:.4g}]") + f", n = {n}"


if __name__ == "__main__":
    for name, numbers in headline().items():
        print(f"{name}: {shown(*numbers)}")
