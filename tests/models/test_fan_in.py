"""The fan-in of every kind of layer: against what its units sum in a forward pass, or refused by name."""

import math

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

from edgechaos_core.models.fan_in import weight_to_hold, weights_of
from edgechaos_core.models.moments import CHUNK, moments
from edgechaos_core.theory.order_parameters import order_parameters

EXACT = 1e-12  # relative: two float64 reductions in different orders


class Conv1D(nn.Module):
    """Laid out as Hugging Face's layer of GPT-2: weight [in, out]."""

    def __init__(self, nf: int, nx: int) -> None:
        super().__init__()
        self.nf, self.nx = nf, nx
        self.weight = nn.Parameter(torch.empty(nx, nf))

    def forward(self, x):
        return x @ self.weight


def summed(layer, *size) -> float:
    """The mean number of inputs that an output sums: all weights and inputs 1, no bias; the border left out."""
    with torch.no_grad():
        layer.weight.fill_(1.0)
        out = layer(torch.ones(size))
    inner = out[(0, 0, *(slice(8, 8 + 24) for _ in out.shape[2:]))] if out.ndim > 2 else out
    return float(inner.mean())


@pytest.mark.parametrize(
    ("layer", "size", "fan_in"),
    [
        (lambda: nn.Linear(7, 5, bias=False), (1, 7), 7),
        (lambda: Conv1D(5, 7), (1, 7), 7),
        (lambda: nn.Conv1d(6, 4, 5, bias=False), (1, 6, 50), 30),
        (lambda: nn.Conv2d(6, 4, 3, groups=2, bias=False), (1, 6, 50, 50), 27),
        (lambda: nn.Conv2d(6, 6, 3, groups=6, stride=2, bias=False), (1, 6, 99, 99), 9),
        (lambda: nn.Conv3d(2, 3, (1, 2, 3), bias=False), (1, 2, 40, 40, 40), 12),
        (lambda: nn.ConvTranspose2d(64, 3, 4, bias=False), (1, 64, 50, 50), 1024),
        (lambda: nn.ConvTranspose2d(8, 4, 3, groups=2, bias=False), (1, 8, 50, 50), 36),
        (lambda: nn.ConvTranspose2d(8, 4, 4, stride=2, bias=False), (1, 8, 50, 50), 32),
        (lambda: nn.ConvTranspose2d(8, 4, 3, stride=2, bias=False), (1, 8, 50, 50), 18),  # 2.25 of 9, on average
        (lambda: nn.ConvTranspose1d(3, 2, 6, stride=3, bias=False), (1, 3, 50), 6),
        (lambda: nn.ConvTranspose3d(4, 2, 2, groups=2, bias=False), (1, 4, 40, 40, 40), 16),
    ],
)
def test_a_unit_sums_as_many_inputs_as_the_fan_in(layer, size, fan_in):
    layer = layer()
    (found,) = weights_of(layer)
    assert found.fan_in == fan_in
    assert summed(layer, *size) == pytest.approx(fan_in, rel=1e-6)  # float32
    bare = weight_to_hold(layer.weight)  # looked for in the layer that holds it
    assert (bare.fan_in, bare.tensor is layer.weight) == (fan_in, True)


@pytest.mark.parametrize(
    ("layer", "sizes"),
    [
        (nn.RNN(5, 8, bias=False), {"weight_ih_l0": 5, "weight_hh_l0": 8}),
        (nn.RNNCell(5, 8), {"weight_ih": 5, "weight_hh": 8}),
        (
            nn.LSTM(5, 8, proj_size=3),
            {f"weight_{a}_l0 (gate {g})": n for a, n in (("ih", 5), ("hh", 3)) for g in "ifgo"} | {"weight_hr_l0": 8},
        ),
        (nn.GRU(5, 8), {f"weight_{a}_l0 (gate {g})": n for a, n in (("ih", 5), ("hh", 8)) for g in "rzn"}),
        (nn.LSTMCell(5, 8), {f"weight_{a} (gate {g})": n for a, n in (("ih", 5), ("hh", 8)) for g in "ifgo"}),
        (nn.MultiheadAttention(6, 2), {f"in_proj_weight ({p})": 6 for p in "qkv"}),
        (nn.MultiheadAttention(6, 2, kdim=4, vdim=3), {"q_proj_weight": 6, "k_proj_weight": 4, "v_proj_weight": 3}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_matrices_of_one_layer_are_told_apart(layer, sizes):
    assert {own.name: own.fan_in for own in weights_of(layer)} == sizes


def test_gates_are_measured_one_by_one():
    layer = nn.GRU(5, 400)
    with torch.no_grad():
        for i, scale in enumerate((1.0, 2.0, 3.0)):
            nn.init.normal_(layer.weight_hh_l0[400 * i : 400 * (i + 1)], std=scale / 20)
    J = [own.order_parameters()[0] for own in weights_of(layer) if own.name.startswith("weight_hh")]
    assert pytest.approx([1.0, 2.0, 3.0], rel=0.02) == J  # 160,000 samples each: 5 standard errors are 0.009


def test_complex_weights_have_the_variance_of_both_parts():
    layer = nn.Linear(50, 40, dtype=torch.complex64)
    w = layer.weight.detach().numpy()
    J, J0 = weights_of(layer)[0].order_parameters()
    assert pytest.approx(50 * (w.real.var(dtype=float) + w.imag.var(dtype=float)), rel=1e-6) == J * J
    assert pytest.approx(50 * w.mean(dtype=complex), abs=1e-6) == J0


@pytest.mark.parametrize("wrap", [parametrizations.weight_norm, parametrizations.spectral_norm])
def test_a_parametrized_weight_is_the_one_the_layer_computes_with(wrap):
    layer = wrap(nn.Linear(20, 10, bias=False))
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    (found,) = weights_of(layer)
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())  # nothing has moved
    assert layer.training
    assert layer.parametrizations.weight[0].training
    layer.eval()
    assert found.order_parameters()[0] == pytest.approx(
        math.sqrt(20) * float(layer.weight.detach().double().std(correction=0))
    )
    with pytest.raises(ValueError, match=r"^weight of Parametrized.*Linear is computed from other parameters"):
        weight_to_hold(layer)
    for raw in layer.parametrizations.weight.parameters():
        with pytest.raises(ValueError, match=r"^original.? of Param.*List is not the weight|must be .out, in"):
            weight_to_hold(raw)
    parametrize.remove_parametrizations(layer, "weight")
    assert weight_to_hold(layer).tensor is layer.weight


@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated:FutureWarning")
@pytest.mark.parametrize(
    ("wrap", "raw"),
    [
        (nn.utils.weight_norm, "weight_v"),
        (nn.utils.spectral_norm, "weight_orig"),
        (lambda layer: prune.random_unstructured(layer, "weight", 0.5), "weight_orig"),
    ],
    ids=["weight_norm", "spectral_norm", "prune"],
)
def test_a_weight_that_hooks_compute_is_refused_and_so_is_what_they_compute_it_from(wrap, raw):
    layer = wrap(nn.Linear(20, 10))
    with pytest.raises(ValueError, match=rf"^weight of Linear is computed from .*{raw} before each forward pass"):
        weights_of(layer)
    with pytest.raises(ValueError, match=f"^{raw} of Linear is not the weight, but what the weight is computed from"):
        weight_to_hold(getattr(layer, raw))


def test_a_weight_that_ends_like_one_of_a_hook_is_taken_as_it_is():
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.W_v = nn.Parameter(torch.randn(4, 6))

    layer = Attention()
    assert weight_to_hold(layer.W_v).fan_in == 6


def quantised() -> nn.Module:
    layer = nn.Linear(3, 4)
    layer.weight = nn.Parameter(torch.ones(4, 3, dtype=torch.int8), requires_grad=False)
    return layer


def sparse() -> nn.Module:
    layer = nn.Linear(3, 4)
    layer.weight = nn.Parameter(torch.eye(4, 3).to_sparse())
    return layer


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: nn.Embedding(9, 4), "Embedding looks rows up instead of summing inputs: it has no fan-in"),
        (lambda: nn.EmbeddingBag(9, 4), "EmbeddingBag adds rows up"),
        (lambda: nn.Bilinear(2, 3, 4), "Bilinear multiplies two inputs"),
        (lambda: nn.LayerNorm(9), "the fan-in of torch.nn.modules.normalization.LayerNorm is not known: pass its"),
        (lambda: nn.LazyLinear(4), "weight of LazyLinear has no shape yet: run a batch"),
        (lambda: nn.LazyConvTranspose2d(4, 3), "weight of LazyConvTranspose2d has no shape yet: run a batch"),
        (quantised, "weight of Linear must be floating-point or complex, got torch.int8"),
        (sparse, "weight of Linear must be dense, got torch.sparse_coo"),
        (lambda: nn.Linear(3, 4, device="meta"), "weight of Linear is on the meta device"),
        (lambda: nn.Linear(0, 4), "weight of Linear is empty, of shape"),
        (lambda: 3, "the layer must be a torch.nn.Module or its weight, got int"),
        (lambda: nn.LSTM(5, 8), r"LSTM has several weights, weight_ih_l0 \(gate i\), .*: pass one of its parameters"),
        (lambda: nn.Parameter(torch.randn(4)), r"the weight must be \[out, in, ...\], got shape \(4,\)"),
        (lambda: nn.MultiheadAttention(6, 2), r"one decay cannot steer in_proj_weight \(q\), .* with fan_in=6 J\^2 is"),
    ],
)
def test_refusals(layer, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        weight_to_hold(layer())


@pytest.mark.parametrize(
    "layer", [nn.Embedding(9, 4), nn.Bilinear(2, 3, 4), nn.LSTM(5, 8), nn.MultiheadAttention(6, 2)]
)
def test_a_bare_weight_is_refused_as_its_layer_is(layer):
    weight = next(layer.parameters())
    with pytest.raises(ValueError, match=r"no fan-in|one decay cannot steer"):
        weight_to_hold(weight)
    assert weight_to_hold(weight, fan_in=4).fan_in == 4


def test_a_tied_weight_has_the_fan_in_of_the_layer_that_sums():
    embedding, head = nn.Embedding(9, 4), nn.Linear(4, 9, bias=False)
    head.weight = embedding.weight
    assert weight_to_hold(embedding.weight).fan_in == 4
    assert weight_to_hold(head).tensor is embedding.weight


@pytest.mark.parametrize("fan_in", [0, -1, math.nan, math.inf, True, "4"])
def test_a_fan_in_that_is_none(fan_in):
    with pytest.raises(ValueError, match=r"^fan_in must be a positive number, got "):
        weight_to_hold(nn.Linear(3, 4), fan_in)
    with pytest.raises(ValueError, match=r"^ReLU has no parameter named weight"):
        weight_to_hold(nn.ReLU(), 4)


def test_a_dead_layer_has_no_spread():
    layer = nn.Linear(4, 3)
    nn.init.constant_(layer.weight, 0.25)
    assert weights_of(layer)[0].order_parameters() == pytest.approx((0, 1), abs=EXACT)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.complex64])
@pytest.mark.parametrize("mean", [0.0, 3.0])
def test_moments_in_chunks_are_those_of_the_whole(dtype, mean):
    values = (torch.randn(300, 700, generator=torch.Generator().manual_seed(0)) + mean).to(dtype)  # in four chunks
    values = values * (1 + 0.5j) if dtype.is_complex else values
    J, J0 = order_parameters(values.reshape(1, -1))
    variance, found = moments(values.T)
    assert values.numel() == 300 * 700 > 3 * CHUNK
    assert variance == pytest.approx(float(J) ** 2, rel=1e-12)  # 15 digits, less those that the mean takes
    assert found == pytest.approx(J0.item(), rel=1e-12)
    assert moments(torch.full((10, 10), 0.1))[0] == pytest.approx(0, abs=1e-17)
    assert moments(torch.full((37,), 0.3, dtype=torch.float64))[0] == 0  # rounding alone would have -3e-17
