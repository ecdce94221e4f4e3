"""Probes of many maps at once against a plain simulation of one, a product of Jacobians, and theory."""

from functools import partial

import numpy as np
import pytest
import torch

from edgechaos_core.probes.chaos import SETTLED, asymptotic_distance, lyapunov_exponents
from edgechaos_core.probes.linear_maps import PERTURBATION, GaussianMaps, MatrixMap, draw_maps, draw_starts
from edgechaos_core.theory import meanfield
from edgechaos_core.training.network import ACTIVATIONS

ROUNDING = 1e-12  # of float64, over a hundred neurons and tens of iterations
# Chaos amplifies rounding as it does the perturbation of 1e-4, so their ratio starts at 1e-12 and grows by little in
# the first iterations; after a few hundred the two simulations have nothing but their statistics in common.
CHAOTIC_ROUNDING = 1e-9
ORDER = [(0.5, 0.0), (0.8, -0.6), (0.4, 0.9), (0.5, 2.0), (1.5, 3.0)]  # J, J0; the last two ferromagnetic
CHAOS = [(1.6, 0.0), (2.5, -1.0), (3.0, 1.5), (8.0, 11.2)]
RELU = [(1.0, 0.0), (1.2, -0.5), (0.9, 0.3), (1.5, 0.5)]  # the last grows without bound
CELLS = {"tanh": ORDER + CHAOS, "relu": RELU}

float64 = partial(torch.tensor, dtype=torch.float64)


def drawn(cells, neurons: int, *, dtype=torch.float64, seed: int | None = None):
    """Maps, starts and perturbations of cells (J, J0), all float64 and of one fresh draw."""
    J, J0 = float64(cells).T
    seed = int(np.random.randint(2**31)) if seed is None else seed
    maps, x, perturbation = draw_maps(J, J0, neurons=neurons, seed=seed, device="cpu", dtype=dtype)
    return maps, x.expand(len(cells), -1), perturbation.expand(len(cells), -1)


def matrix(maps: GaussianMaps, cell: int) -> np.ndarray:
    """W of one cell."""
    N = len(maps.Z)
    return float(maps.J0[cell]) / N + float(maps.J[cell]) / np.sqrt(N) * maps.Z.double().numpy()


def phi(a: np.ndarray, activation: str) -> np.ndarray:
    return np.tanh(a) if activation == "tanh" else np.maximum(a, 0)


def trajectories(W, x, perturbation, iterations, activation="tanh") -> tuple[np.ndarray, np.ndarray]:
    """States ``[iterations, N]`` and distances ``[iterations]`` of one map, iteration by iteration."""
    one, other = x.numpy(), (x + perturbation).numpy()
    states, distances = [], []
    for _ in range(iterations):
        one, other = phi(W @ one, activation), phi(W @ other, activation)
        states.append(one)
        distances.append(np.linalg.norm(one - other))
    return np.array(states), np.array(distances)


# the distance -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("iterations", [5, 7, 10])
def test_short_trajectories_equal_a_plain_simulation(iterations, activation):
    maps, x, perturbation = drawn(CELLS[activation], 100)
    options = {"activation": activation, "iterations": iterations, "settle": False}
    distance, state = asymptotic_distance(maps, x, perturbation, **options)
    assert distance.dtype == torch.float64
    for cell in range(len(x)):
        states, distances = trajectories(matrix(maps, cell), x[cell], perturbation[cell], iterations, activation)
        expected = distances[-(iterations // 5) :].mean()
        assert float(distance[cell]) == pytest.approx(expected, rel=CHAOTIC_ROUNDING), cell
        np.testing.assert_allclose(state[cell], states[-1], rtol=CHAOTIC_ROUNDING, atol=1e-10)


def test_long_trajectories_in_order_equal_a_plain_simulation():
    maps, x, perturbation = drawn(ORDER, 100)
    distance, state = asymptotic_distance(maps, x, perturbation, iterations=60, settle=False)
    for cell in range(len(ORDER)):
        states, distances = trajectories(matrix(maps, cell), x[cell], perturbation[cell], 60)
        assert float(distance[cell]) == pytest.approx(distances[-12:].mean(), rel=1e-9, abs=ROUNDING), cell
        np.testing.assert_allclose(state[cell], states[-1], rtol=1e-9, atol=ROUNDING)


def test_the_distance_in_chaos_equals_that_of_a_plain_simulation_on_average():
    cells = [(J, J0) for J in (2.0, 3.0) for J0 in (0.0, 1.0)]
    maps, x, perturbation = drawn(cells, 400)
    distance, _ = asymptotic_distance(maps.take(torch.arange(4)), x, perturbation, iterations=300)
    for cell in range(4):
        _, distances = trajectories(matrix(maps, cell), x[cell], perturbation[cell], 300)
        # Both are means over 60 iterations of a norm over 400 components, of other parts of one attractor.
        assert float(distance[cell]) == pytest.approx(distances[-60:].mean(), rel=0.15), cell


@pytest.mark.parametrize(
    ("J", "J0", "draws", "tolerance"),
    [
        (2.0, 0.0, 1, 0.15),  # one draw of 1,000 neurons wavers by 2%
        (4.0, -2.0, 1, 0.15),
        (20.0, 32.0, 5, 0.35),  # in the ferromagnetic phase by 12%: the mean of W, and so u, differs from draw to draw
    ],
)
def test_the_distance_in_chaos_is_that_of_theory(J, J0, draws, tolerance):
    N, distances = 1_000, []
    for _ in range(draws):
        maps, x, perturbation = drawn([(J, J0)], N, dtype=torch.float32)
        x = x + 1  # both of a pair then end at u > 0, where there are two such u
        distances.append(float(asymptotic_distance(maps, x, perturbation, iterations=400)[0]))
    expected = meanfield.asymptotic_distance(J, J0) * N**0.5
    assert np.mean(distances) == pytest.approx(expected, rel=tolerance)


def test_a_cell_that_settles_early_is_one_that_would_have_settled():
    order = [(1 / y, x / y) for x, y in zip(np.random.uniform(-0.9, 0.9, 6), np.random.uniform(1.3, 2, 6))]
    magnet = [(1 / y, x / y) for x, y in zip(np.random.uniform(1.5, 2, 6), np.random.uniform(0.8, 1.5, 6))]
    maps, x, perturbation = drawn(order + magnet + CHAOS[:3], 400)
    early, _ = asymptotic_distance(maps, x, perturbation, iterations=300)
    late, _ = asymptotic_distance(maps, x, perturbation, iterations=300, settle=False)
    assert (early == 0).tolist() == [True] * 12 + [False] * 3
    assert (late < SETTLED * 400**0.5).tolist() == [True] * 12 + [False] * 3
    torch.testing.assert_close(early[12:], late[12:], rtol=0.15, atol=0)  # batches of other sizes round differently


def test_a_settled_cell_keeps_its_state_of_then():
    maps, x, perturbation = drawn([(0.5, 2.0), (0.5, 0.0), (2.0, 0.0)], 100)
    _, state = asymptotic_distance(maps, x, perturbation, iterations=100)
    for cell in range(2):
        states, distances = trajectories(matrix(maps, cell), x[cell], perturbation[cell], 100)
        looks = range(4, 80, 5)  # after iterations 5, 10, ...
        then = next(t for t in looks if distances[t] < SETTLED * 100**0.5)
        assert then < 60
        np.testing.assert_allclose(state[cell], states[then], rtol=1e-9, atol=ROUNDING)


def test_tiny_states_stay_finite():
    maps, x, perturbation = drawn([(0.5, 0.0), (0.1, 0.05)], 1_000, dtype=torch.float32)
    distance, state = asymptotic_distance(maps, x, perturbation, iterations=1_000, settle=False)
    assert (distance == 0).all()
    assert (state == 0).all()  # not denormal
    exponents = lyapunov_exponents(maps, state)[:, 0]
    assert exponents.tolist() == pytest.approx([np.log(0.5), np.log(0.1)], abs=0.05)


def test_relu_beyond_its_limit():
    maps, x, perturbation = drawn([(4.0, 0.0), (0.5, 0.0), (2.5, 3.0)], 100, dtype=torch.float32)
    for iterations in (5, 36, 500):
        distance, state = asymptotic_distance(maps, x, perturbation, activation="relu", iterations=iterations)
        assert distance[1] < 1e-3
        assert state[1].isfinite().all()
        grown = state[[0, 2]].isnan().all(dim=1).tolist()
        assert grown == distance[[0, 2]].isnan().tolist() == [iterations > 5] * 2
    exponents = lyapunov_exponents(maps, state, activation="relu")[:, 0]
    assert exponents.isnan().tolist() == [True, False, True]


@pytest.mark.parametrize("settle", [True, False])
@pytest.mark.parametrize("iterations", [5, 6, 9, 24, 25, 101, 500])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_progress_of_the_distance_adds_up(activation, iterations, settle):
    maps, x, perturbation = drawn(ORDER + CHAOS, 20, dtype=torch.float32)  # of relu's, some settle, some grow
    calls = []
    options = {"activation": activation, "iterations": iterations, "settle": settle}
    asymptotic_distance(maps, x, perturbation, on_progress=calls.append, **options)
    assert sum(calls) == len(x) * iterations
    assert min(calls) > 0


# Lyapunov exponents -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("leading", [1, 4])
def test_exponents_equal_those_of_a_product_of_jacobians(leading, activation):
    N, seed, measure = 60, int(np.random.randint(1_000)), 8
    maps, x, _ = drawn(CHAOS[:3], N)
    options = {"activation": activation, "leading": leading, "align": 0, "measure": measure, "seed": seed}
    exponents = lyapunov_exponents(maps, x, **options)
    assert exponents.shape == (3, leading)
    tangents = np.random.default_rng([seed, 4]).standard_normal((leading, N)).T
    for cell in range(3):
        W = matrix(maps, cell)
        product = np.linalg.qr(tangents)[0]
        for state in trajectories(W, x[cell], 0 * x[cell], measure, activation)[0]:
            product = (1 - state**2 if activation == "tanh" else state > 0)[:, None] * (W @ product)
        growth = np.log(np.abs(np.diag(np.linalg.qr(product)[1]))) / measure
        np.testing.assert_allclose(exponents[cell], np.sort(growth)[::-1], atol=CHAOTIC_ROUNDING)


def test_exponents_at_rest_are_those_of_the_eigenvalues():
    N, measure = 12, 4_000
    W = torch.randn(N, N, dtype=torch.float64) / N**0.5
    rest = torch.zeros(1, N, dtype=torch.float64)
    exponents = lyapunov_exponents(MatrixMap(W), rest, leading=N, align=500, measure=measure)[0]
    assert float(exponents.sum()) == pytest.approx(float(torch.linalg.slogdet(W)[1]), abs=1e-9)
    # A pair of complex eigenvalues turns a vector on an ellipse: its log length wavers by a few, over all iterations.
    # Moduli that nearly coincide take longer than that to part, and differ by as little.
    moduli = torch.linalg.eigvals(W).abs().log().sort(descending=True).values
    torch.testing.assert_close(exponents, moduli, rtol=0, atol=10 / measure)


def test_one_exponent_is_among_many():
    maps, x, perturbation = drawn(ORDER + CHAOS, 60)
    _, x = asymptotic_distance(maps, x, perturbation, iterations=50)
    one, four = (lyapunov_exponents(maps, x, leading=leading, align=10, measure=10) for leading in (1, 4))
    assert ((one - four).abs().min(dim=1).values < 1e-6).all()  # the first vector does not feel the others
    assert (four.diff(dim=1) <= 0).all()


THEORY = [(0.5, 0.0), (0.7, -0.5), (2.0, 0.0), (4.0, 2.0), (1.5, -1.0), (8.0, 12.0), (1.5, 3.0)]


def test_exponents_of_large_maps_are_those_of_theory():
    draws = []
    for _ in range(4):
        maps, x, perturbation = drawn(THEORY, 1_000, dtype=torch.float32)
        _, state = asymptotic_distance(maps, x, perturbation, iterations=200)
        draws.append(lyapunov_exponents(maps, state)[:, 0].numpy())
    error = np.mean(draws, axis=0) - [meanfield.fixed_point(J, J0).largest_exponent for J, J0 in THEORY]
    assert np.abs(error[:5]).max() < 0.03  # one draw of 1,000 neurons wavers by 0.01
    assert np.abs(error[5:]).max() < 0.2  # in the ferromagnetic phase by 0.06


def test_negating_every_second_state_turns_the_map_of_a_ratio_into_that_of_its_opposite():
    maps, x, perturbation = drawn(ORDER + CHAOS, 60)
    opposite = GaussianMaps(-maps.Z, maps.J, -maps.J0)
    options = {"iterations": 8, "settle": False}
    (distance, _), (other, _) = (asymptotic_distance(each, x, perturbation, **options) for each in (maps, opposite))
    torch.testing.assert_close(other, distance, rtol=CHAOTIC_ROUNDING, atol=0)
    few = {"leading": 4, "align": 2, "measure": 6}
    exponents, others = (lyapunov_exponents(each, x, **few) for each in (maps, opposite))
    torch.testing.assert_close(others, exponents, rtol=0, atol=CHAOTIC_ROUNDING)


def test_exponents_at_a_ratio_are_those_at_its_opposite():
    """At J0/J = -1.25 and 1.25, whose W share no more than their distribution, on both sides of the edge."""
    J = [1.5, 1.5, 3.0, 3.0, 6.0, 6.0]
    cells, draws = [(each, sign * 1.25 * each) for each, sign in zip(J, [-1, 1] * 3)], []
    for _ in range(6):
        maps, x, perturbation = drawn(cells, 700, dtype=torch.float32)
        _, state = asymptotic_distance(maps, x, perturbation, iterations=200)
        draws.append(lyapunov_exponents(maps, state)[:, 0].numpy())
    mean = np.mean(draws, axis=0)
    assert mean[0::2] == pytest.approx(mean[1::2], abs=0.2)  # one draw of 700 neurons wavers by 0.06
    assert mean == pytest.approx([meanfield.fixed_point(*cell).largest_exponent for cell in cells], abs=0.15)
    assert (np.sign(mean) == [-1, -1, 1, 1, 1, 1]).all()


def test_exponents_of_relu_are_those_of_theory():
    cells, draws = [(1.0, 0.0), (2**0.5, 0.0), (2.0, 0.0), (1.2, -0.6)], []  # the third grows without bound
    for _ in range(4):
        maps, x, _ = drawn(cells, 1_000, dtype=torch.float32)
        draws.append(lyapunov_exponents(maps, x, activation="relu")[:, 0].numpy())
    mean = np.mean(draws, axis=0)
    assert np.diff(mean[:3]) == pytest.approx([np.log(2) / 2] * 2, abs=0.01)  # homogeneous, up to rounding
    assert mean[1] == pytest.approx(0, abs=0.06)  # half the units are active; one draw wavers by 0.02
    assert mean[3] == pytest.approx(meanfield.fixed_point(1.2, -0.6, "relu").lyapunov_exponent, abs=0.06)


def test_dead_and_infinite_states():
    W = torch.zeros(5, 5)
    assert lyapunov_exponents(MatrixMap(W), torch.ones(2, 5)).tolist() == [[-np.inf]] * 2
    assert lyapunov_exponents(MatrixMap(W), torch.full((1, 5), torch.nan)).isnan().all()


@pytest.mark.parametrize("align", [0, 3])
def test_the_progress_of_exponents_adds_up(align):
    maps, x, _ = drawn(ORDER, 20)
    calls = []
    lyapunov_exponents(maps, x, align=align, measure=7, on_progress=calls.append)
    assert sum(calls) == len(x) * (align + 7)


# maps and draws -----------------------------------------------------------------------------------------------------


def test_one_given_matrix_equals_the_gaussian_map_of_it():
    maps, x, _ = drawn(CHAOS[-1:] * 3, 50)
    given = MatrixMap(torch.from_numpy(matrix(maps, 0)))
    x, perturbation = draw_starts(3, 50, seed=1, dtype=torch.float64)
    torch.testing.assert_close(given(x), maps(x), rtol=ROUNDING, atol=ROUNDING)
    pairs = torch.stack([x, x + perturbation])
    out = torch.empty_like(pairs)
    for one in (maps, given, given.take(torch.tensor([1, 2]))):
        torch.testing.assert_close(one(pairs, out=out)[0], maps(x), rtol=ROUNDING, atol=ROUNDING)
    ours, theirs = (asymptotic_distance(which, x, perturbation, iterations=8)[0] for which in (given, maps))
    torch.testing.assert_close(ours, theirs, rtol=CHAOTIC_ROUNDING, atol=0)
    ours, theirs = (lyapunov_exponents(which, x, leading=2, align=0, measure=8) for which in (given, maps))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=CHAOTIC_ROUNDING)


def test_each_cell_has_its_own_map():
    maps, x, _ = drawn(ORDER + CHAOS, 40)
    expected = np.stack([matrix(maps, cell) @ x[cell].numpy() for cell in range(len(x))])
    np.testing.assert_allclose(maps(x.contiguous()), expected, rtol=0, atol=ROUNDING)
    keep = torch.tensor([5, 0])
    np.testing.assert_allclose(maps.take(keep)(x[keep]), expected[[5, 0]], rtol=0, atol=ROUNDING)


def test_a_draw_depends_on_seed_draw_and_neurons_alone():
    def draw(cells=2, dtype=torch.float64, **changed):
        options = {"neurons": 30, "seed": 5, "draw": 1, "device": "cpu", "dtype": dtype} | changed
        return draw_maps(torch.rand(cells) + 1, torch.rand(cells), **options)

    maps, x, perturbation = draw()
    again, *starts = draw(cells=4)
    assert torch.equal(maps.Z, again.Z)
    assert all(torch.equal(one, other) for one, other in zip((x, perturbation), starts))
    for other in (draw(seed=6), draw(draw=2)):
        assert not (maps.Z == other[0].Z).any()
        assert not (x == other[1]).any()
    assert [len(part) for part in (draw(neurons=31)[0].Z, *draw(neurons=31)[1:])] == [31] * 3
    single = draw(dtype=torch.float32)
    assert {part.dtype for part in (single[0].Z, single[0].J, single[0].J0, *single[1:])} == {torch.float32}
    assert torch.equal(single[0].Z.double(), maps.Z)  # the same map in either precision
    assert torch.equal(single[1], x.float())


def test_drawn_numbers_are_standard_normal():
    maps, x, perturbation = drawn([(1.0, 0.0)], 1_000)
    for sample, size in ((maps.Z, 1), (x[0], 1), (perturbation[0], PERTURBATION)):
        sigmas = 5 / sample.numel() ** 0.5  # of the mean, and of the standard deviation times sqrt 2
        assert abs(float(sample.mean())) < sigmas * size
        assert float(sample.std()) == pytest.approx(size, rel=sigmas)


def test_starts_depend_on_the_seed_alone():
    one, same, other = (draw_starts(3, 20, seed=seed, dtype=torch.float64) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, same))
    assert not any((a == b).any() for a, b in zip(one, other))
    assert one[0].shape == one[1].shape == (3, 20)
    assert float(one[1].std()) == pytest.approx(PERTURBATION, rel=0.5)
    assert draw_starts(3, 20, seed=1)[0].dtype == torch.float32


# bad input ----------------------------------------------------------------------------------------------------------


def test_bad_input_is_refused():
    maps, x, perturbation = drawn(ORDER, 10)
    distance, exponents = partial(asymptotic_distance, maps), partial(lyapunov_exponents, maps, x)
    choices = ", ".join(ACTIVATIONS)
    shapes = "a matrix [N, N] and states [cells, N] are needed, got [10, 10] and "
    cases = [
        (lambda: distance(x, perturbation, activation="sine"), f"unknown activation 'sine': choose from {choices}"),
        (lambda: exponents(activation="sine"), f"unknown activation 'sine': choose from {choices}"),
        (lambda: distance(x, perturbation, iterations=4), "iterations must be at least 5, got 4"),
        (lambda: distance(x[0], x[0]), shapes + "[10]"),
        (lambda: distance(x[:, 1:], x[:, 1:]), shapes + "[5, 9]"),
        (lambda: lyapunov_exponents(maps, x[0]), shapes + "[10]"),
        (
            lambda: lyapunov_exponents(MatrixMap(torch.zeros(10, 9)), x),
            "a matrix [N, N] and states [cells, N] are needed, got [10, 9] and [5, 10]",
        ),
        (lambda: distance(x, perturbation[:2]), "x and perturbation must agree in shape, got [5, 10] and [2, 10]"),
        (lambda: distance(x[:2], perturbation[:2]), "J, J0 and x must have one row a cell, got 5, 5 and 2"),
        (
            lambda: distance(x.float(), perturbation.float()),
            "matrix and states must both be float32 or float64, got torch.float64 and torch.float32",
        ),
        (lambda: exponents(leading=0), "leading must be between 1 and the 10 components, got 0"),
        (lambda: exponents(leading=11), "leading must be between 1 and the 10 components, got 11"),
        (lambda: exponents(align=-1), "align must be at least 0 and measure at least 1, got -1 and 50"),
        (lambda: exponents(measure=0), "align must be at least 0 and measure at least 1, got 25 and 0"),
    ]
    for call, message in cases:
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below, whole
            call()
        assert str(caught.value) == message
