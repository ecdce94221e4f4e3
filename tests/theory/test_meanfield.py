"""Mean-field theory against arbitrary precision, adaptive quadrature, plain iteration and closed forms."""

from decimal import Decimal

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import erf

from edgechaos_core.theory.edges import _edge_by_search, edge_of_chaos, relu_limit
from edgechaos_core.theory.fixed_points import FixedPoint
from edgechaos_core.theory.meanfield import START, asymptotic_distance, fixed_point, fixed_points
from edgechaos_core.theory.quadrature import TANH, Averages, Smooth, averages

# What is promised. At the smallest 1/J, 0.02, chi is 2,500 times an average, hence the tighter bound for averages.
ACCURACY = 1e-10
AVERAGE_ACCURACY = 1e-14
ADAPTIVE = 1e-12  # what the adaptive quadrature, asked for a tenth of it, holds


def random_cell() -> tuple[float, float]:
    """J and J0 anywhere in the phase diagram."""
    inverse_J, ratio = np.random.uniform(0.02, 3), np.random.uniform(-1, 2)
    return 1 / inverse_J, ratio / inverse_J


def random_input() -> tuple[float, float]:
    """m and s anywhere that the phase diagram leads to, 1/J evenly in its logarithm."""
    J, ratio, (u, q) = np.exp(np.random.uniform(-1, np.log(50))), np.random.uniform(-1, 2), np.random.uniform(0, 1, 2)
    return ratio * J * u * np.sqrt(q), J * np.sqrt(q)


def adaptive(function, m: float, s: float) -> float:
    """``E function(z, m + s z)`` by scipy's adaptive quadrature, told where tanh is steep."""
    steep = [z for k in (-20, -6, -2, 0, 2, 6, 20) if -10 < (z := (k - m) / s) < 10]

    def integrand(z: float) -> float:
        return float(function(z, m + s * z)) * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)

    return quad(integrand, -10, 10, points=steep or None, epsabs=ADAPTIVE / 10, epsrel=1e-11, limit=500)[0]


def precise(function, m: float, s: float) -> float:
    """``E function(z, m + s z)`` to 30 digits."""
    with mpmath.workdps(30):
        m, s = mpmath.mpf(m), mpmath.mpf(s)
        steep = [z for k in (-30, -10, -3, -1, 0, 1, 3, 10, 30) if -12 < (z := (k - m) / s) < 12]
        return float(mpmath.quad(lambda z: function(z, m + s * z) * mpmath.npdf(z), sorted([-12, *steep, 12])))


def integrands(tanh, sech) -> Averages:
    """What `averages` averages, as functions of z and a = m + s z."""
    return Averages(
        f=lambda z, a: tanh(a),
        ff=lambda z, a: tanh(a) ** 2,
        dd=lambda z, a: sech(a) ** 4,
        d=lambda z, a: sech(a) ** 2,
        zd=lambda z, a: z * sech(a) ** 2,
        fd=lambda z, a: tanh(a) * sech(a) ** 2,
        zfd=lambda z, a: z * tanh(a) * sech(a) ** 2,
    )


IN_DOUBLES = integrands(np.tanh, lambda a: 1 / np.cosh(min(abs(a), 300)))
IN_MPMATH = integrands(mpmath.tanh, mpmath.sech)

# Smooth activations of a user: one in closed form, odd, of slope 1 at 0; one with no symmetry.
ERF = Smooth(lambda a: erf(np.sqrt(np.pi) / 2 * a), lambda a: np.exp(-np.pi / 4 * a**2))
ERF_BEND = Smooth(ERF.function, ERF.derivative, lambda a: -np.expm1(-np.pi / 4 * a**2))
SHIFTED = Smooth(lambda a: np.tanh(a + 0.3), lambda a: TANH.derivative(a + 0.3))
KINKED = [Smooth(np.abs, np.sign), Smooth(lambda a: np.maximum(a, 0), lambda a: 1.0 * (a > 0))]


# averages -----------------------------------------------------------------------------------------------------------


def test_averages_equal_integrals_to_30_digits():
    for m, s in [*(random_input() for _ in range(4)), (100.0, 50.0), (-3.0, 1e-3), (0.0, 50.0)]:
        expected = [precise(function, m, s) for function in IN_MPMATH]
        assert averages(m, s, TANH) == pytest.approx(expected, rel=0, abs=AVERAGE_ACCURACY), (m, s)


def test_averages_equal_adaptive_quadrature():
    for m, s in [random_input() for _ in range(40)]:
        expected = [adaptive(function, m, s) for function in IN_DOUBLES]
        assert averages(m, s, TANH) == pytest.approx(expected, rel=0, abs=ADAPTIVE), (m, s)


def test_averages_of_a_cube_are_moments():
    m, s = np.random.uniform(0.1, 2, 2)
    second, fourth = m**2 + s**2, m**4 + 6 * m**2 * s**2 + 3 * s**4
    third, fifth = m**3 + 3 * m * s**2, m**5 + 10 * m**3 * s**2 + 15 * m * s**4
    sixth = m**6 + 15 * m**4 * s**2 + 45 * m**2 * s**4 + 15 * s**6
    expected = [third, sixth, 9 * fourth, 3 * second, 6 * m * s, 3 * fifth, 15 * s * fourth]  # E z g(z) = E g'(z)
    assert averages(m, s, Smooth(lambda a: a**3, lambda a: 3 * a**2)) == pytest.approx(expected, rel=1e-11)


# fixed points -------------------------------------------------------------------------------------------------------


def linearised(u: float, q: float, J: float, J0: float) -> tuple[np.ndarray, np.ndarray, float]:
    """By adaptive quadrature: what one iteration adds to (u, q), its Jacobian, and chi."""
    f, ff, dd, d, zd, fd, zfd = (adaptive(function, J0 * u, J * np.sqrt(q)) for function in IN_DOUBLES)
    by_u, by_q = np.array([J0 * d, 2 * J0 * fd]), np.array([zd, 2 * zfd]) * J / (2 * np.sqrt(q))
    return np.array([f - u, ff - q]), np.stack([by_u, by_q], axis=1), J**2 * dd


def test_fixed_points_are_exact_to_ten_digits():
    for J, J0 in [random_cell() for _ in range(30)]:
        point = fixed_point(J, J0)
        if max(J, abs(J0)) < 1:
            assert (point.u, point.q, point.chi) == (0, 0, J**2)
            continue
        residual, jacobian, chi = linearised(point.u, point.q, J, J0)
        newton_step = np.linalg.solve(np.eye(2) - jacobian, residual)
        assert np.abs(newton_step).max() < ACCURACY, (J, J0)
        assert point.chi == pytest.approx(chi, rel=ACCURACY, abs=ACCURACY), (J, J0)
        modes = sorted(np.abs(np.linalg.eigvals(jacobian)), reverse=True)
        assert point.modes == pytest.approx(modes, abs=1e-5), (J, J0)  # a square root of rounding where they coincide


def iterated(J: float, J0: float, iterations: int) -> tuple[float, float]:
    """Where u and q are after that many iterations, by sums over a grid that resolves tanh at any J up to 50."""
    z = np.linspace(-9, 9, 4_001)
    weights = np.exp(-(z**2) / 2) / np.exp(-(z**2) / 2).sum()
    u, q = START
    for _ in range(iterations):
        f = np.tanh(J0 * u + J * np.sqrt(q) * z)
        u, q = weights @ f, weights @ f**2
    return u, q


def test_the_fixed_point_is_the_one_that_the_published_start_leads_to():
    tested = 0
    while tested < 12:
        J, J0 = random_cell()
        point = fixed_point(J, J0)
        if point.q == 0 or max(point.modes) > 0.97:  # of the latter: comes to rest too slowly to wait for
            continue
        tested += 1
        assert iterated(J, J0, 1_500) == pytest.approx((point.u, point.q), abs=ACCURACY), (J, J0)


def test_a_fixed_point_is_taken_where_rounding_moves_the_iteration_off_again():
    point = fixed_point(1.25, 3.5)
    assert (point.u, point.q) == pytest.approx((0.9733089095, 0.9578410424), abs=1e-10)


def test_every_cell_has_a_stable_fixed_point():
    for J, J0 in [random_cell() for _ in range(60)]:
        assert fixed_point(J, J0).stable, (J, J0)
        assert fixed_point(J, abs(J0), SHIFTED).stable, (J, J0)


PHASES = [
    (0.5, 0.0, "order, u = 0"),
    (0.5, -0.9, "order, u = 0"),
    (1.0, 0.0, "order, u = 0"),
    (1.0, 1.0, "order, u = 0"),
    (1.0, -1.0, "order, u = 0"),
    (0.5, 1.1, "order, u != 0"),
    (1.5, 2.5, "order, u != 0"),
    (1.5, 0.0, "chaos"),
    (1.5, -1.5, "chaos"),
    (8.0, 11.2, "chaos"),
    (0.5, -1.1, "order, u alternates"),
    (0.5, -3.0, "order, u alternates"),
    (1.5, -2.5, "order, u alternates"),
    (8.0, -11.2, "chaos"),
]


@pytest.mark.parametrize(("J", "J0", "phase"), PHASES)
def test_phases(J, J0, phase):
    point = fixed_point(J, J0)
    assert point.phase == phase
    assert point.stable
    if phase == "order, u = 0":
        assert (point.u, point.q, point.chi) == (0, 0, J**2)


@pytest.mark.parametrize(("J", "J0"), [(0.5, 1.1), (1.8, 2.8), (8.0, 11.2)])
def test_the_mean_alternates_at_a_negative_ratio(J, J0):
    """The published start is iterated at -J0 as it stands: u ends alternating between two values of one size."""
    early, late = iterated(J, -J0, 1_500), iterated(J, -J0, 1_501)
    point = fixed_point(J, -J0)
    assert point.period == 2
    assert early == pytest.approx((point.u, point.q), abs=ACCURACY)
    assert late == pytest.approx((-point.u, point.q), abs=ACCURACY)
    jacobians = [linearised(u, point.q, J, -J0)[1] for u in (point.u, -point.u)]
    modes = sorted(np.abs(np.linalg.eigvals(jacobians[1] @ jacobians[0])) ** 0.5, reverse=True)  # of one iteration
    assert point.modes == pytest.approx(modes, abs=1e-5)
    assert point.chi == pytest.approx(linearised(point.u, point.q, J, -J0)[2], rel=ACCURACY)
    assert point.largest_exponent == fixed_point(J, J0).largest_exponent
    assert asymptotic_distance(J, -J0) == pytest.approx(asymptotic_distance(J, J0), rel=1e-14)  # mirrored sums round
    cycle = [each for each in fixed_points(J, -J0) if each.period == 2]
    assert [each.u for each in cycle] == pytest.approx([-point.u, point.u], abs=ACCURACY)
    resting = [each.u for each in fixed_points(J, -J0) if each.period == 1]
    assert resting == pytest.approx([0] * (1 if J < 1 else 2), abs=ACCURACY)


def test_a_falling_activation_alternates_where_a_rising_one_rests():
    """-tanh(W x) is tanh(-W x)."""
    falling = Smooth(lambda a: -np.tanh(a), lambda a: -TANH.derivative(a))
    for J0 in (2.8, -2.8):
        rising, ours = fixed_point(1.8, -J0), fixed_point(1.8, J0, falling)
        assert (ours.u, ours.q, ours.period) == (pytest.approx(rising.u), pytest.approx(rising.q), rising.period)


def test_an_activation_without_symmetry_comes_to_no_rest_where_its_mean_alternates():
    point = fixed_point(1.5, -8, SHIFTED)
    assert point.phase == "undefined"
    assert np.isnan([point.u, point.q, point.chi, *point.modes, point.largest_exponent]).all()
    assert np.isnan(asymptotic_distance(1.5, -8, SHIFTED))


@pytest.mark.parametrize(("J", "J0"), [(1.8, 2.8), (8.0, 11.2)])
def test_the_branches_of_the_ferromagnetic_phase(J, J0):
    minus, one, other, plus = fixed_points(J, J0)
    zero, symmetric = sorted([one, other], key=lambda point: point.q)
    assert (zero.u, zero.q, zero.chi, zero.modes) == (0, 0, J**2, (max(J**2, J0), min(J**2, J0)))
    assert (symmetric.u, symmetric.q) == pytest.approx((0, fixed_point(J, 0).q), abs=ACCURACY)  # no mean to act on
    assert (plus.u, plus.q, plus.chi) == pytest.approx((-minus.u, minus.q, minus.chi), abs=ACCURACY)
    reached = fixed_point(J, J0)
    assert reached.u > 0.1
    assert (plus.u, plus.q, plus.chi) == pytest.approx((reached.u, reached.q, reached.chi), abs=ACCURACY)
    assert [point.stable for point in (minus, zero, symmetric, plus)] == [True, False, False, True]


def test_order_has_one_fixed_point_and_chaos_without_a_mean_two():
    assert [(point.u, point.q) for point in fixed_points(0.7, 0.5)] == [(0, 0)]
    zero, chaotic = sorted(fixed_points(2, 0.5), key=lambda point: point.q)
    assert (zero.q, zero.stable, chaotic.stable, chaotic.phase) == (0, False, True, "chaos")


def test_exponents():
    chaotic = fixed_point(3, 0)
    assert chaotic.lyapunov_exponent == 0.5 * np.log(chaotic.chi) > 0
    assert chaotic.largest_exponent == chaotic.lyapunov_exponent
    mean = fixed_point(0.5, 0.9)  # differences that move the mean fade as 0.9^t, all others as 0.5^t
    assert mean.lyapunov_exponent == pytest.approx(np.log(0.5))
    assert mean.largest_exponent == pytest.approx(np.log(0.9))
    assert FixedPoint(0, 0, 0, (0, 0)).largest_exponent == -np.inf


@pytest.mark.parametrize(("J", "J0"), [(8192, 1.2 * 8192), (1e-6, 1.5)])
def test_the_far_corners(J, J0):
    point = fixed_point(J, J0)
    residual, jacobian, chi = linearised(point.u, point.q, J, J0)
    assert np.abs(np.linalg.solve(np.eye(2) - jacobian, residual)).max() < ACCURACY
    assert point.chi == pytest.approx(chi, abs=ACCURACY, rel=1e-6)  # J^2 of 7e7 times an average


# the edge -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [-1, -0.6, 0, 0.5, 1])
def test_the_edge_is_straight_where_the_mean_is_small(ratio):
    assert edge_of_chaos(ratio) == 1


@pytest.mark.parametrize(("ratio", "known"), [(1.25, 0.46865), (1.5, 0.27503), (1.75, 0.15923)])
def test_known_edges(ratio, known):
    assert edge_of_chaos(ratio) == pytest.approx(known, abs=0.5e-5 + 1e-12)  # an independent solver's, to 5 digits


def test_201_gauss_hermite_nodes_do_not_find_the_edge():
    z, weights = np.polynomial.hermite_e.hermegauss(201)
    weights /= weights.sum()

    def excess(inverse_J: float, ratio: float) -> float:
        J, (u, q) = 1 / inverse_J, START
        for _ in range(400):
            f = np.tanh(J * (ratio * u + np.sqrt(q) * z))
            u, q = weights @ f, weights @ f**2
        return J**2 * weights @ (1 - np.tanh(J * (ratio * u + np.sqrt(q) * z)) ** 2) ** 2 - 1

    gentle, steep = brentq(excess, 0.4, 0.6, args=(1.25,)), brentq(excess, 0.12, 0.25, args=(1.75,))
    assert gentle == pytest.approx(edge_of_chaos(1.25), abs=1e-6)  # the same equations
    assert steep == pytest.approx(0.1724, abs=5e-5)
    assert abs(steep - edge_of_chaos(1.75)) > 1e-3


@pytest.mark.parametrize("low", [1, 1.25, 1.5, 1.75])
def test_the_edge_is_where_chi_is_one(low):
    ratio = np.random.uniform(low, low + 0.25)
    edge = edge_of_chaos(ratio)
    assert edge == pytest.approx(_edge_by_search(ratio, TANH), rel=0, abs=ACCURACY)
    point = fixed_point(1 / edge, ratio / edge)
    assert linearised(point.u, point.q, 1 / edge, ratio / edge)[2] == pytest.approx(1, abs=1e-8)  # chi is steep in 1/J
    below, above = (fixed_point(1 / x, ratio / x).phase for x in (edge * (1 - 1e-7), edge * (1 + 1e-7)))
    assert (below, above) == ("chaos", "order, u != 0")


def test_the_edge_over_a_whole_diagram():
    ratios = np.linspace(-1, 2, 151)
    edges = np.array([edge_of_chaos(ratio) for ratio in ratios])
    assert (edges[ratios <= 1] == 1).all()
    assert (np.diff(edges[ratios >= 1]) < 0).all()
    assert 0.08 < edges[-1] < 0.1
    assert 1e-3 < edge_of_chaos(3) < edges[-1]


def test_the_edge_leaves_one_as_a_square_root():
    for excess in [10 ** np.random.uniform(-16, -1) for _ in range(30)]:
        exact = (1 + excess) - 1
        bend = 1 - edge_of_chaos(1 + excess)
        # Expanded in s: 1/J = 1 - s^2 and ratio = 1 + s^4, up to relative corrections of s^2.
        assert bend == pytest.approx(np.sqrt(exact), rel=np.sqrt(exact), abs=1e-15), excess


def precise_edge(ratio: Decimal) -> mpmath.mpf:
    """1/J where u, q and chi = 1 hold to 30 digits, for a ratio between 1 and 1.3: by Newton's method with 40 digits.

    Sums over equidistant nodes err by exp(-pi^2 / (s spacing)), which is 1e-34 or less: s is below 0.4 up to 1.02.
    """
    with mpmath.workdps(40):
        ratio, fine = mpmath.mpf(str(ratio)), 4 if ratio < 1.02 else 16
        z = [mpmath.mpf(k) / fine for k in range(-14 * fine, 14 * fine + 1)]
        weights = [mpmath.npdf(each) / fine for each in z]

        def at(cubed, log_s):
            s = mpmath.exp(log_s)
            m = cubed * s**3
            f = [mpmath.tanh(m + s * each) for each in z]
            u, q, dd = (mpmath.fdot(weights, row) for row in (f, [a**2 for a in f], [(1 - a**2) ** 2 for a in f]))
            return s, m, u, q, dd

        def residuals(cubed, log_s):
            s, m, u, q, dd = at(cubed, log_s)
            J = s / mpmath.sqrt(q)
            return [(J**2 * dd - 1) / s**4, (m / u / J / ratio - 1) / s**4]

        root = mpmath.findroot(residuals, (1.1, mpmath.log(ratio - 1) / 4), tol=1e-44)
        s, _, _, q, _ = at(*root)
        return mpmath.sqrt(q) / s


NEAR_ONE = ["1.01", "1.0001", "1.000001", "1.00000001", "1.000000000001", "1.25"]


@pytest.mark.parametrize("ratio", NEAR_ONE)
def test_the_edge_is_right_to_its_last_digits(ratio):
    """At 1.000001 the eleventh digit was wrong, at 1.00000001 the ninth."""
    ratio, rounding = Decimal(ratio), 4e-15  # 1.1e-15 was seen: processors sum in orders of their own
    expected = float(precise_edge(ratio))
    assert edge_of_chaos(ratio) == edge_of_chaos(-ratio) == pytest.approx(expected, rel=0, abs=rounding)
    as_float = float(precise_edge(Decimal(float(ratio))))  # all the digits that the float has
    assert edge_of_chaos(float(ratio)) == pytest.approx(as_float, rel=0, abs=rounding)


@pytest.mark.parametrize("ratio", ["1", "0.99999999", "0.99", "-1", "1e-999999999"])
def test_the_edge_is_one_up_to_a_ratio_of_one(ratio):
    assert edge_of_chaos(Decimal(ratio)) == 1


@pytest.mark.parametrize("zeros", [19, 25, 39])
def test_the_edge_beyond_a_ratio_that_no_float_holds(zeros):
    bend = 1 - edge_of_chaos(Decimal(f"1.{'0' * zeros}1"))
    assert bend == pytest.approx(10 ** (-(zeros + 1) / 2), abs=1e-15)


@pytest.mark.parametrize("activation", ["tanh", ERF], ids=["tanh", "erf"])
def test_the_edge_where_the_mean_alternates_is_that_of_the_opposite_ratio(activation):
    for ratio in (1.1, np.random.uniform(1, 4)):
        assert edge_of_chaos(-ratio, activation) == edge_of_chaos(ratio, activation) < 1
    if activation == "tanh":
        assert edge_of_chaos(-1.1) == pytest.approx(0.6628, abs=0.5e-4)
    edge = edge_of_chaos(-1.4, activation)
    assert fixed_point(1.001 / edge, -1.4 * 1.001 / edge, activation).phase == "chaos"
    assert fixed_point(0.999 / edge, -1.4 * 0.999 / edge, activation).phase == "order, u alternates"


def test_an_activation_that_is_odd_but_for_rounding_is_taken_as_odd():
    logistic = Smooth(lambda a: 2 / (1 + np.exp(-2 * a)) - 1, TANH.derivative)
    assert edge_of_chaos(-1.3, logistic) == pytest.approx(edge_of_chaos(1.3), abs=ACCURACY)
    assert not SHIFTED.odd


@pytest.mark.parametrize("activation", [ERF, Smooth(TANH.function, TANH.derivative)], ids=["erf", "tanh"])
def test_the_edge_near_one_of_an_activation_without_its_bend(activation):
    for excess in (1e-2, 1e-5, 1e-8, 1e-12):
        exact = ERF_BEND if activation is ERF else TANH
        error = edge_of_chaos(1 + excess, activation) - edge_of_chaos(1 + excess, exact)
        assert abs(error) < 1e-15 + 4e-16 / np.sqrt(excess), excess


# activations of a user ----------------------------------------------------------------------------------------------


def test_erf_in_closed_form():
    assert edge_of_chaos(0.5, ERF) == 1
    ratio = 1.3
    edge = edge_of_chaos(ratio, ERF)
    J, J0 = 1 / edge, ratio / edge
    point = fixed_point(J, J0, ERF)
    m, s = J0 * point.u, J * np.sqrt(point.q)
    assert point.u == pytest.approx(erf(np.sqrt(np.pi) / 2 * m / np.sqrt(1 + np.pi / 2 * s**2)), abs=ACCURACY)
    assert point.q == pytest.approx(adaptive(lambda z, a: ERF.function(a) ** 2, m, s), abs=ACCURACY)
    spread = 1 + np.pi * s**2
    assert J**2 * np.exp(-np.pi / 2 * m**2 / spread) / np.sqrt(spread) == pytest.approx(1, abs=1e-8)
    assert point.u > 0.1  # on the branch that the start leads to
    assert edge < edge_of_chaos(1.2, ERF) < 1


def test_an_activation_that_does_not_vanish_at_zero():
    edge = edge_of_chaos(0.5, SHIFTED)
    point = fixed_point(1 / edge, 0.5 / edge, SHIFTED)
    m, s = 0.5 / edge * point.u, np.sqrt(point.q) / edge
    assert point.u == pytest.approx(adaptive(lambda z, a: np.tanh(a + 0.3), m, s), abs=ACCURACY)
    assert point.q == pytest.approx(adaptive(lambda z, a: np.tanh(a + 0.3) ** 2, m, s), abs=ACCURACY)
    chi = adaptive(lambda z, a: np.cosh(min(abs(a + 0.3), 300)) ** -4, m, s) / edge**2
    assert chi == pytest.approx(1, abs=1e-8)
    assert 0.1 < edge < 1
    assert 0 < point.u < 1


@pytest.mark.parametrize("ask", [fixed_point, fixed_points, asymptotic_distance], ids=lambda ask: ask.__name__)
@pytest.mark.parametrize("kinked", KINKED, ids=["abs", "relu"])
def test_a_kinked_activation_is_refused(ask, kinked):
    with pytest.raises(ValueError, match=r"^averages of the activation do not converge \(.*\): it must be smooth$"):
        ask(1.2, 0.5, kinked)
    with pytest.raises(ValueError, match=r"it must be smooth$"):
        edge_of_chaos(0.5, kinked)


# ReLU ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [-3, -1, 0, 0.4, 2])
def test_relu_equals_its_iteration(ratio):
    ratio += np.random.uniform(-0.1, 0.1)
    J, u = 0.7, START[0]
    z, step = np.linspace(-10, 10, 200_001, retstep=True)
    weights = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * step
    for _ in range(60):
        a = J * (ratio * u + z)
        h = np.maximum(a, 0)
        growth, active = weights @ h**2, weights @ (a > 0)
        u = weights @ h / np.sqrt(growth)  # homogeneous: q is set back to 1
    grid = 1e-6  # the sum's step of 1e-4 meets a kink, for `active` a jump
    assert relu_limit(ratio) == pytest.approx(np.sqrt(growth) / J, abs=grid)
    point = fixed_point(J, ratio * J, "relu")
    if growth < 1:
        assert point.chi == pytest.approx(J**2 * active, abs=1e-4)
        assert (point.u, point.q, point.stable) == (0, 0, True)
        assert point.modes == pytest.approx((np.sqrt(growth), 0), abs=grid)  # of a length, as u is
    else:
        assert point.phase == "undefined"


def test_relu_comes_to_no_rest_where_its_direction_alternates():
    for ratio, phase in ((-4.2, "order, u = 0"), (-4.4, "undefined"), (-30, "undefined")):
        assert fixed_point(1, ratio, "relu").phase == phase


def test_the_edge_of_relu():
    assert edge_of_chaos(0, "relu") == relu_limit(0) == pytest.approx(1 / np.sqrt(2), abs=1e-15)
    assert np.isnan(edge_of_chaos(1e-3, "relu"))
    for ratio in (4, -4):
        assert 0 < relu_limit(ratio) < 4.5
    ratio = np.random.uniform(-2, -0.1)
    edge, limit = edge_of_chaos(ratio, "relu"), relu_limit(ratio)
    assert limit < edge
    assert fixed_point(1 / edge, ratio / edge, "relu").chi == pytest.approx(1, abs=1e-12)
    assert fixed_point(1 / limit * 0.999, ratio / limit * 0.999, "relu").phase == "chaos"
    assert fixed_point(1 / limit * 1.001, ratio / limit * 1.001, "relu").phase == "undefined"
    assert fixed_points(1 / limit * 1.001, ratio / limit * 1.001, "relu") == ()


# the distance -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("J", "J0"), [(1.5, 0.0), (4.0, 2.0), (2.0, -1.0)])
def test_the_overlap_is_lost_where_the_mean_is_zero(J, J0):
    assert asymptotic_distance(J, J0) == pytest.approx(np.sqrt(2 * iterated(J, 0, 1_500)[1]), abs=ACCURACY)


@pytest.mark.parametrize(("J", "J0"), [(8.0, 11.2), (3.0, 4.0)])
def test_the_distance_in_ferromagnetic_chaos(J, J0):
    z = np.linspace(-8, 8, 201)
    weights = np.exp(-(z**2) / 2) / np.exp(-(z**2) / 2).sum()
    u, q = iterated(J, J0, 1_000)
    c = q * (1 - 1e-4)
    for _ in range(300):  # a pair of inputs of correlation c / q
        one, other = z[:, None], c / q * z[:, None] + np.sqrt(1 - (c / q) ** 2) * z
        h = [np.tanh(J0 * u + J * np.sqrt(q) * which) for which in (one, other)]
        c = weights @ (h[0] * h[1]) @ weights
    assert c < 0.95 * q
    assert asymptotic_distance(J, J0) == pytest.approx(np.sqrt(2 * (q - c)), abs=1e-6)  # 201 nodes resolve no more


def test_the_distance_is_zero_in_order_and_grows_from_the_edge():
    assert [asymptotic_distance(*cell) for cell in ((0.5, 0), (1, 0), (1, 1), (0.5, 2), (1.5, 2.5))] == [0] * 5
    edge = edge_of_chaos(1.4)
    distances = [asymptotic_distance(1 / x, 1.4 / x) for x in edge * np.array([1 - 1e-9, 0.999, 0.99, 0.9])]
    assert distances == sorted(distances)
    assert distances[0] < 1e-3 < distances[1] < 0.05 < distances[3]
    assert asymptotic_distance(1, 0, "relu") == asymptotic_distance(1.9, -1.9, "relu") == 0  # chaos that dies out
    assert np.isnan(asymptotic_distance(1, 1, "relu"))


# bad input ----------------------------------------------------------------------------------------------------------

BAD_CELLS = [
    (0, 1, "tanh", "J must be between 1e-06 and 8192, got 0"),
    (-1, 1, "relu", "J must be between 1e-06 and 8192, got -1"),
    (8193, 1, ERF, "J must be between 1e-06 and 8192, got 8193"),
    (np.nan, 1, "tanh", "J must be between 1e-06 and 8192, got nan"),
    (np.inf, 1, "relu", "J must be between 1e-06 and 8192, got inf"),
    (1, np.nan, ERF, "J0 must be finite, got nan"),
    (1, -np.inf, "tanh", "J0 must be finite, got -inf"),
    (1, 1, "sine", "unknown activation 'sine': choose from tanh, relu, or give a Smooth"),
    (1, 1, None, "unknown activation None: choose from tanh, relu, or give a Smooth"),
]


@pytest.mark.parametrize("ask", [fixed_point, fixed_points, asymptotic_distance], ids=lambda ask: ask.__name__)
@pytest.mark.parametrize(("J", "J0", "activation", "message"), BAD_CELLS, ids=lambda value: str(value)[:20])
def test_a_bad_cell_is_refused(ask, J, J0, activation, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below, whole
        ask(J, J0, activation)
    assert str(caught.value) == message


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 4.001, -5])
def test_a_bad_ratio_is_refused(bad):
    for ask in (edge_of_chaos, relu_limit):
        with pytest.raises(ValueError, match=rf"^the ratio J0/J must be between -4 and 4, got {bad}$"):
            ask(bad)
    with pytest.raises(ValueError, match="unknown activation 'sine': choose from tanh, relu, or give a Smooth"):
        edge_of_chaos(0.5, "sine")
