"""Estimates of B11 on made-up runs whose drift and noise are known."""

import numpy as np
import pandas as pd
import pytest

from edgechaos_core.analysis.scaling import scale_factor
from edgechaos_core.claims.estimates import noisy_growth
from edgechaos_core.store.runs import Outcome, Run, parse_config

STEPS, RATE, SIZE, SAMPLES = 1_875, 0.04, 32, 60_000
EXACT = 1e-9
Halves = tuple[float, float]


def run_of(
    l2: float, drifts: tuple[float, float], noises: tuple[float, float], *, off: float = 1.0, seed: int = 0
) -> Run:
    """100 epochs in two halves: J^2 grows by drift and noise (in units of c), ``off`` times, less what decay takes.

    In the first half the training loss is 0.25, in the second half it is lower. Without decay J^2 passes the edge
    before the second half.
    """
    settings = {"learning_rate": 0.02, "momentum": 0.5, "batch_size": SIZE, "gradients": True}
    config = parse_config(settings | {"l2": l2, "seed": seed, "epochs": 99})
    half = np.arange(100) >= 50
    drift, noise = np.where(half, drifts[1], drifts[0]), np.where(half, noises[1], noises[0])
    scale = scale_factor(config)
    J_squared = [0.4]
    for at in range(99):
        J_squared.append(J_squared[-1] * (1 - 4 * l2 * SAMPLES * scale) + off * scale * (drift[at] + noise[at]))
    history = pd.DataFrame(
        {
            "epoch": np.arange(100),
            "J_squared": J_squared,
            "train_loss": np.where(half, 0.1, 0.25),
            "drift": drift * scale / (STEPS * RATE),
            "gradient": 0.0,
            "noise": noise * scale / (STEPS * RATE**2) * SIZE,
        }
    )
    return Run(config, history, Outcome("finished", 99))


def test_the_share_of_the_noise_is_that_of_what_decay_adds():
    free = [run_of(0.0, (6, 1), (5, 1), seed=seed) for seed in range(3)]
    decayed = [run_of(3e-4, (7, 10), (8, 6), seed=seed) for seed in range(3)]
    at_loss = noisy_growth.noise_in_rise_at_equal_loss([*free, *decayed])
    assert (at_loss.value, at_loss.n) == (pytest.approx((8 - 5) / (15 - 11), rel=EXACT), 3)
    at_edge = noisy_growth.noise_in_rise_at_edge([*decayed, *free])
    assert at_edge.value == pytest.approx((6 - 5) / (16 - 11), rel=EXACT)


def test_the_share_is_paired_by_seed():
    free = [run_of(0.0, (6, 1), (5 + seed, 1), seed=seed) for seed in range(4)]
    decayed = [run_of(3e-4, (7, 1), (8 + seed, 1), seed=seed) for seed in range(3)]
    found = noisy_growth.noise_in_rise_at_equal_loss([*free, *decayed])
    assert (found.n, found.low, found.high) == (3, pytest.approx(0.75), pytest.approx(0.75))


@pytest.mark.parametrize("which", range(3))
def test_the_worst_prediction_is_told_whichever_strength_it_is_of(which):
    strengths = (0.0, 9e-5, 3e-4)
    off = [1 / 0.8 if place == which else 1 / 1.1 for place in range(3)]
    settings = [(l2, off[place], seed) for place, l2 in enumerate(strengths) for seed in (0, 1)]
    runs = [run_of(l2, (7, 7), (6, 6), off=factor, seed=seed) for l2, factor, seed in settings]
    found = noisy_growth.worst_prediction(runs)
    assert (found.value, found.n) == (pytest.approx(0.8, rel=0.01), 2)


def test_what_decay_takes_off_is_no_part_of_the_growth():
    """J^2 falls under strong decay, and drift and noise are told all the same."""
    runs = [run_of(l2, (7, 7), (6, 6), seed=0) for l2 in (0.0, 1e-3)]
    assert runs[1].history["J_squared"].iloc[-1] < 0.4
    assert noisy_growth.worst_prediction(runs).value == pytest.approx(1, rel=1e-6)
