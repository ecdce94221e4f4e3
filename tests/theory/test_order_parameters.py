"""J = sqrt(N) std(W) and J0 = N mean(W) against numpy."""

import numpy as np
import pytest
import torch

from edgechaos_core.theory.order_parameters import order_parameters

TOLERANCE = 1e-12  # relative: two float64 reductions in different orders


@pytest.mark.parametrize("shape", [(5, 5), (784, 30), (30, 784), (3, 20, 7), (2, 3, 11, 4)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_numpy(shape, dtype):
    weight = (torch.randn(shape) * 0.3 + 0.1).to(dtype)
    J, J0 = order_parameters(weight)
    w, fan_in = weight.double().numpy(), shape[-2]
    np.testing.assert_allclose(J, np.sqrt(fan_in) * w.std(axis=(-2, -1)), rtol=TOLERANCE)
    np.testing.assert_allclose(J0, fan_in * w.mean(axis=(-2, -1)), rtol=TOLERANCE)
    assert J.shape == J0.shape == shape[:-2]
    assert J.dtype == J0.dtype == torch.float64


def test_the_fan_in_of_weights_in_out_is_the_second_to_last_axis():
    weight = torch.tensor([[1.0, -1.0, 1.0, -1.0], [-1.0, 1.0, -1.0, 1.0]])  # 2 inputs, 4 outputs, std 1
    J, _ = order_parameters(weight)
    assert float(J) == pytest.approx(2**0.5)


def test_a_constant_matrix_has_no_spread():
    J, J0 = order_parameters(torch.full((8, 3), 0.25))
    assert float(J) == 0
    assert float(J0) == 2


@pytest.mark.parametrize("shape", [(), (7,)])
def test_a_vector_is_refused(shape):
    with pytest.raises(ValueError, match=r"need a matrix \[\.\.\., in, out\], got shape \("):
        order_parameters(torch.ones(shape))
