"""The named grids: the protocols of Zhang et al., arXiv 2107.09437, figure by figure, and what the book adds."""

from collections.abc import Callable
from typing import Any

from edgechaos_core.analysis import published
from edgechaos_core.analysis.scaling import epochs_to_pass
from edgechaos_core.store.runs import parse_config

Grid = list[dict[str, Any]]

_FIG2 = {"learning_rate": 0.02, "batch_size": 32, "momentum": 0.5, "epochs": 501}


def _fig3() -> Grid:
    rows = published.slopes().drop(columns="A").drop_duplicates().to_dict("records")
    return [{str(name): value for name, value in row.items()} | {"epochs": 50} for row in rows]


def _fig3_edge() -> Grid:
    """Fig. 3's settings, each trained until J^2 has passed 1."""
    return [row | {"epochs": epochs_to_pass(parse_config(row))} for row in _fig3()]


def _fig4() -> Grid:
    return [{**_FIG2, "learning_rate": 0.000625 * size, "batch_size": size} for size in (8, 16, 32, 64, 128)]


def _fig5() -> Grid:
    rows = [(501, 0.02, 0.5), (1001, 0.01, 0.5), (2001, 0.01, 0.0), (4001, 0.005, 0.0), (8001, 0.0025, 0.0)]
    return [{**_FIG2, "epochs": epochs, "learning_rate": rate, "momentum": momentum} for epochs, rate, momentum in rows]


def _fig6() -> Grid:
    return [{**_FIG2, "l2": l2} for l2 in (0.0, 1e-5, 5e-5, 9e-5, 1.5e-4, 3e-4, 5e-4, 1e-3)]


def _relu_adam() -> Grid:
    common = {"activation": "relu", "optimizer": "adam", "learning_rate": 0.001, "batch_size": 32, "epochs": 201}
    return [{**common, "l2": l2} for l2 in (0.0, 1e-6, 1e-5, 4e-5, 1e-4, 3e-4, 5e-4, 1e-3)]


def _payoff() -> Grid:
    """Fig. 2's setting and what is slower, as fast and faster, with a validation split to choose the best epoch on."""
    rows = [
        *[(80, 0.02, 0.5, 32), (80, 0.005, 0.5, 8), (80, 0.08, 0.5, 128), (80, 0.32, 0.5, 512), (140, 0.01, 0.5, 32)],
        *[(50, 0.04, 0.5, 32), (30, 0.08, 0.5, 32), (20, 0.16, 0.5, 32), (15, 0.32, 0.5, 32), (10, 0.64, 0.5, 32)],
        *[(50, 0.02, 0.75, 32), (25, 0.02, 0.9, 32), (15, 0.02, 0.95, 32), (15, 0.02, 0.98, 32), (10, 0.02, 0.99, 32)],
        *[(30, 0.32, 0.5, 128), (25, 0.08, 0.9, 128), (25, 0.32, 0.9, 512)],
    ]
    names = ("epochs", "learning_rate", "momentum", "batch_size")
    return [dict(zip(names, row, strict=True)) | {"validation": 10_000} for row in rows]


def _gradients() -> Grid:
    """Settings of Fig. 3 that pass the edge soon, with what their gradients predict measured on the way."""
    rows = [(110, 0.02, 0.0, 32), (48, 0.05, 0.0, 32), (22, 0.1, 0.0, 32)]
    rows += [(28, 0.01, 0.9, 32), (16, 0.01, 0.95, 32), (32, 0.01, 0.0, 4)]
    names = ("epochs", "learning_rate", "momentum", "batch_size")
    return [dict(zip(names, row, strict=True)) | {"gradients": True} for row in rows]


def _decay_gradients() -> Grid:
    """Fig. 2's setting without decay to beyond the edge, and with two strengths, so measured too."""
    lengths = {0.0: 80, 9e-5: 250, 3e-4: 110}
    return [{**_FIG2, "l2": l2, "epochs": epochs, "gradients": True} for l2, epochs in lengths.items()]


def _calibration() -> Grid:
    """Runs with decay that the guideline's formula is fitted to (formula_fit.py), each to 20,000 rescaled steps."""
    fig6 = [{**_FIG2, "l2": l2, "seed": seed, "epochs": 250} for l2 in (5e-5, 9e-5, 1.5e-4) for seed in range(3)]
    rows = [(60_000, 784, 133, 9e-5), (20_000, 784, 400, 6e-5), (5_000, 784, 1_600, 2e-5)]
    rows += [(20_000, 256, 400, 2e-4), (20_000, 1_024, 400, 5e-5), (60_000, 256, 133, 2.5e-4)]
    rows += [(60_000, 1_024, 133, 6e-5)]
    names = ("samples", "width", "epochs", "l2")
    twice = {"learning_rate": 0.02, "momentum": 0.75, "batch_size": 32, "seed": 0}
    return fig6 + [twice | dict(zip(names, row, strict=True)) for row in rows]


# Settings that the guideline's formula is not fitted to, each with lambda as `edgechaos guide` answers, to 4%, as one
# pilot run with it (seed 0) corrects the answer, to 2%, and epochs of 10,000 rescaled steps.
_UNSEEN: list[tuple[float, float, int, dict[str, Any]]] = [
    (2.7e-5, 1.9e-5, 400, {"samples": 10_000}),
    (7e-5, 8e-5, 134, {"samples": 30_000}),
    (1.7e-4, 1.8e-4, 67, {"width": 392}),
    (3.8e-5, 3.1e-5, 67, {"width": 1_568}),
    (8.1e-5, 8.2e-5, 134, {"learning_rate": 0.08, "momentum": 0.5, "batch_size": 128}),
    (8.1e-5, 8.2e-5, 54, {"learning_rate": 0.005, "momentum": 0.8, "batch_size": 8}),
    (8.1e-5, 8.1e-5, 67, {"learning_rate": 0.08, "momentum": 0.0}),
    (9.3e-6, 4.3e-6, 1_000, {"dataset": "mnist-5k"}),
]
_UNSEEN_BASE = {"learning_rate": 0.02, "momentum": 0.75, "batch_size": 32}


def _unseen() -> Grid:
    """Train unseen settings with the formula's decay to 20,000 rescaled steps, and steered to J^2 = 1 to 10,000."""
    decayed = [_UNSEEN_BASE | own | {"l2": l2, "epochs": 2 * epochs} for l2, _, epochs, own in _UNSEEN]
    return decayed + [_UNSEEN_BASE | own | {"hold": 1.0, "epochs": epochs} for _, _, epochs, own in _UNSEEN]


def _piloted() -> Grid:
    """Train them with the decay that a pilot run of seed 0 corrected, from another seed."""
    return [_UNSEEN_BASE | own | {"l2": l2, "epochs": 2 * epochs, "seed": 1} for _, l2, epochs, own in _UNSEEN]


# What the ways of chapter `search` and the noisy labels are trained at: 2.5 times the speed of Fig. 6. Longer runs
# go on at a tenth of the learning rate.
CONTEST = {"learning_rate": 0.02, "momentum": 0.8, "batch_size": 32, "epochs": 48, "milestone": 48}
SLOW_EPOCHS = 10  # epochs after the milestone
GUIDED_L2 = 8e-5  # what `edgechaos guide` answers for it, to 4%
RIVALS: dict[str, dict[str, Any]] = {
    "formula": {"l2": GUIDED_L2},
    "controller": {"hold": 1.0},
    "no decay": {"l2": 0.0},
    "usual weight_decay 1e-4": {"l2": 5e-5},
    "usual weight_decay 5e-4": {"l2": 2.5e-4},
}


def _contest() -> Grid:
    """Rivals of a search, on all samples, one of them not slowed, and the runs that early stopping is judged by."""
    every = {"epochs": CONTEST["epochs"] + SLOW_EPOCHS}
    grid = [CONTEST | every | decay for decay in RIVALS.values()]
    grid += [CONTEST | every | RIVALS["formula"] | {"milestone": 0}, CONTEST | {"validation": 10_000, "milestone": 0}]
    return grid


NOISY_WAYS = {way: RIVALS[way] for way in ("no decay", "formula", "controller")}


def _noisy() -> Grid:
    """Shuffled labels without decay, with the formula's and with the controller's."""
    return [CONTEST | {"label_noise": share} | decay for share in (0.0, 0.2, 0.4) for decay in NOISY_WAYS.values()]


def _noisy_long() -> Grid:
    """The larger share of them, five times as long."""
    return [CONTEST | {"label_noise": 0.4, "milestone": 0, "epochs": 240} | decay for decay in NOISY_WAYS.values()]


# The tests of chapters `reason` and `deeper`: is J = 1 the reason for the least test loss? Hypotheses, measures and
# bounds stand in data/claims.yaml. An optimum is located on a validation split, never on test data.
JUDGED = {**_FIG2, "validation": 10_000}
STARTS = (0.1, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)  # J before training
HELD = (0.3, 0.5, 0.7, 1.0, 1.4, 2.0)  # J^2
DEPTHS = (1, 2, 4, 8, 16, 32, 50)
DEEP_STARTS = (0.5, 3**-0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0)  # J; PyTorch's default start has J^2 = 1/3
_SPEEDS = ((0.5, 160), (0.8, 64), (0.9, 32))  # momentum, epochs: 1, 2.5 and 5 times Fig. 2's speed, as far
DEEP = {"width": 256, "samples": 10_000, "learning_rate": 0.01, "momentum": 0.5, "batch_size": 32, "epochs": 10}


def _start() -> Grid:
    """Fig. 2's setting from other values of J."""
    return [JUDGED | {"epochs": 80, "initial_J": J} for J in STARTS]


def _speed() -> Grid:
    """A quarter to four times Fig. 2's speed, through eta and through B, as long in rescaled time or longer.

    Longer where fast: five times the speed was known to have its least loss at J = 1.23 to 1.47, and 20 epochs at four
    times it end at J = 1.13.
    """
    lengths = {0.25: 320, 0.5: 160, 1: 80, 2: 60, 4: 60}
    through_rate = [JUDGED | {"learning_rate": 0.02 * factor, "epochs": own} for factor, own in lengths.items()]
    sizes = [JUDGED | {"batch_size": round(32 / factor), "epochs": own} for factor, own in lengths.items()]
    return through_rate + sizes  # the paper's own speed is in both, and one run


def _hold_at() -> Grid:
    """J^2 held at other places and not held at all, at three speeds, then ten epochs at a tenth of the rate."""
    ways: list[dict[str, Any]] = [*({"hold": target} for target in HELD), {"hold": 0.0}]
    return [
        JUDGED | {"momentum": momentum, "milestone": epochs, "epochs": epochs + SLOW_EPOCHS} | way
        for momentum, epochs in _SPEEDS
        for way in ways
    ]


def _trained_map() -> Grid:
    """The map of the trained first layer along training, at three speeds."""
    return [
        _FIG2 | {"momentum": momentum, "epochs": epochs * 3 // 4, "trained_map": True} for momentum, epochs in _SPEEDS
    ]


def _depth() -> Grid:
    """Deep tanh networks from many starts: which of them learn at all in ten epochs."""
    return [DEEP | {"depth": depth, "initial_J": J} for depth in DEPTHS for J in DEEP_STARTS]


def _adamw() -> Grid:
    """Fig. 2's network under AdamW, with the decoupled decays that people use (PyTorch's weight_decay is 2 l2)."""
    common = {"optimizer": "adamw", "learning_rate": 0.001, "batch_size": 32, "epochs": 40, "validation": 10_000}
    return [common | {"l2": l2} for l2 in (0.0, 0.005, 0.05, 0.15, 0.5)]


def _mnist() -> Grid:
    """Fig. 2's setting on MNIST: the path, its optimum, and J^2 held at the edge."""
    return [JUDGED | {"dataset": "mnist", "epochs": 160} | way for way in ({"hold": 0.0}, {"hold": 1.0})]


def _sizes() -> Grid:
    """Fig. 2's setting at other widths and on fewer images; longer on few, whose epochs have few steps."""
    widths = [JUDGED | {"epochs": 80, "width": width} for width in (196, 392, 784, 1_568)]
    lengths = {25_000: 120, 12_500: 200, 6_250: 320}
    return widths + [JUDGED | {"epochs": epochs, "samples": samples} for samples, epochs in lengths.items()]


PROTOCOLS: dict[str, Callable[[], Grid]] = {
    "fig2": lambda: [dict(_FIG2)],
    "fig3": _fig3,
    "fig3-edge": _fig3_edge,
    "fig4": _fig4,
    "fig5": _fig5,
    "fig6": _fig6,
    "relu-adam": _relu_adam,
    "gradients": _gradients,
    "decay-gradients": _decay_gradients,
    "payoff": _payoff,
    "calibration": _calibration,
    "unseen": _unseen,
    "piloted": _piloted,
    "contest": _contest,
    "noisy": _noisy,
    "noisy-long": _noisy_long,
    "start": _start,
    "speed": _speed,
    "hold-at": _hold_at,
    "trained-map": _trained_map,
    "depth": _depth,
    "sizes": _sizes,
    "adamw": _adamw,
    "mnist": _mnist,
}
