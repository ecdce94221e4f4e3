"""The map of a trained first layer: against what is known of random matrices, and against planted structure."""

import math

import pytest
import torch

from edgechaos_core.probes.linear_maps import MatrixMap
from edgechaos_core.store.run_tables import in_short
from edgechaos_core.store.runs import parse_config
from edgechaos_core.training import trained_map
from edgechaos_core.training.network import initialise
from edgechaos_core.training.trained_map import map_columns, without_outliers
from edgechaos_core.training.trainer import train

N = 300  # radii and exponents of so small a random matrix scatter by a few percent


def square(*seeds: int, J: float) -> "torch.Tensor":
    return initialise(seeds, inputs=N, width=N, initial_J=J)


@pytest.mark.parametrize(("J", "chaotic"), [(0.5, False), (2.0, True)])
def test_a_random_matrix_is_its_own_control(J, chaotic):
    columns = map_columns(square(0, 1, J=J), [0, 1], epoch=0)
    assert columns["outliers"].tolist() == [0, 0]
    assert columns["eigenvalues_outside"].tolist() == [0, 0]
    for kind in ("", "_shuffled", "_bulk"):
        assert columns[f"spectral_radius{kind}"].numpy() == pytest.approx([J, J], rel=0.1)
        assert ((columns[f"lyapunov{kind}"] > 0) == chaotic).all()
        assert ((columns[f"distance{kind}"] > 0) == chaotic).all()
    if not chaotic:  # tangents then follow the matrix alone: at most its radius, reached slowly
        assert columns["lyapunov"].numpy() == pytest.approx(columns["spectral_radius"].log().numpy(), abs=0.05)


def test_a_planted_direction_is_an_outlier_of_w_alone():
    stack = square(0, J=0.5)
    direction = torch.randn(N, generator=torch.Generator().manual_seed(0))
    stack.hidden[0][0] += 3.0 * torch.outer(direction, direction) / direction.square().sum()
    columns = {name: float(column) for name, column in map_columns(stack, [0], epoch=0).items()}
    assert columns["outliers"] == columns["eigenvalues_outside"] == 1
    assert columns["spectral_radius"] == pytest.approx(3.0 + 0.5**2 / 3.0, rel=0.05)  # Tao 2013: near the planted one
    J = float(stack.hidden[0].double().std()) * math.sqrt(N)
    assert columns["spectral_radius_shuffled"] == pytest.approx(J, rel=0.1)
    assert columns["spectral_radius_bulk"] == pytest.approx(0.5, rel=0.1)


def test_tangents_are_drawn_by_the_seed():
    """In order all starts have ended at 0, but for 1e-9 in an exponent: nothing else is left to chance."""
    one, other, again = map_columns(square(0, 0, 0, J=0.5), [1, 2, 1], epoch=0)["lyapunov"].tolist()
    assert one == again
    assert abs(one - other) > 1e-4


def test_the_map_is_that_of_the_layer_and_not_of_its_transpose(monkeypatch):
    maps = []

    def spy(matrix):
        maps.append(MatrixMap(matrix))
        return maps[-1]

    monkeypatch.setattr(trained_map, "MatrixMap", spy)
    stack = square(0, J=1.0)
    x = torch.randn(1, N, generator=torch.Generator().manual_seed(1))
    map_columns(stack, [0], epoch=0)
    # One step, which does not amplify rounding: distances after hundreds of them would not tell the two apart.
    assert torch.allclose(maps[0](x), x @ stack.hidden[0][0], atol=1e-5)
    assert not torch.allclose(maps[0](x), x @ stack.hidden[0][0].T, atol=0.1)


def test_removing_outliers_keeps_what_is_within_the_bulk():
    W = square(0, J=1.0).hidden[0][0]
    same, none = without_outliers(W)
    assert none == 0
    assert torch.allclose(same, W, atol=1e-6)


def test_weights_that_are_not_finite_have_no_map():
    stack = square(0, J=1.0)
    stack.hidden[0][0, 0, 0] = math.inf
    columns = map_columns(stack, [0], epoch=0)
    assert "lyapunov" in columns
    assert all(math.isnan(float(column)) for column in columns.values())


def test_a_run_measures_its_map_and_is_otherwise_the_same(small):
    settings = {"samples": 100, "batch_size": 50, "epochs": 1}
    plain, measured = (
        train([parse_config(settings | more)], small(100, test=100))[0] for more in ({}, {"trained_map": True})
    )
    assert set(measured.history) - set(plain.history) >= {"lyapunov", "lyapunov_shuffled", "outliers"}
    assert measured.history[list(plain.history)].equals(plain.history)


@pytest.mark.parametrize("settings", [{"width": 100}, {"activation": "relu"}])
def test_only_a_square_tanh_layer_has_a_map(settings):
    with pytest.raises(ValueError, match="trained_map needs tanh and a square first layer, width 784"):
        parse_config(settings | {"trained_map": True})


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("depth", [1, 3])
def test_initial_j_is_that_of_every_hidden_layer(activation, depth):
    stack = initialise([0, 1], inputs=400, width=300, depth=depth, activation=activation, initial_J=1.5)
    for weight in stack.hidden:
        J = weight.double().std(dim=(1, 2)) * math.sqrt(weight.shape[1])
        assert J.numpy() == pytest.approx([1.5, 1.5], rel=0.02)
    published = initialise([0, 1], inputs=400, width=300, depth=depth, activation=activation)
    assert torch.equal(published.output, stack.output)
    if activation == "tanh":  # the same numbers, scaled
        assert all(torch.allclose(3 * ours, theirs) for ours, theirs in zip(published.hidden, stack.hidden))


def test_the_published_start_has_one_key():
    plain = parse_config({})
    assert parse_config({"initial_J": 0.5}) == plain
    assert "initial_J" not in plain.model_dump(exclude_defaults=True)
    keys = {parse_config({"initial_J": J}).key("data") for J in (None, 0.5, 0.6, 1.0)}
    assert len(keys) == 3
    relu = {"activation": "relu"}
    assert parse_config(relu | {"initial_J": 0.5}).key("data") != parse_config(relu).key("data")


@pytest.mark.parametrize("value", [0.0, -1.0, 101.0, math.nan, True, "1"])
def test_an_impossible_start_is_refused(value):
    with pytest.raises(ValueError, match="initial_J"):
        parse_config({"initial_J": value})


def test_a_deep_networks_row_in_short():
    row = {"epoch": 1, "J_squared": 1.0, "J0": 0.1, "J_squared_2": 2.0, "J0_2": 0.2, "J_squared_3": 4.0, "J0_3": 0.3}
    short = in_short(row | {"test_loss": 0.5})
    assert list(short) == ["epoch", "J_squared", "J0", "J_squared_last", "J0_last", "J_squared_mean", "test_loss"]
    assert short["J_squared_last"] == 4.0
    assert short["J0_last"] == 0.3
    assert short["J_squared_mean"] == pytest.approx(2.0)
    one_layer = {"epoch": 1, "J_squared": 1.0, "J0": 0.1, "test_loss": 0.5}
    assert in_short(one_layer) == one_layer
