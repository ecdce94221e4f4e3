"""`initialise_at_edge`: a small difference neither grows nor dies, and what must not be changed is left alone."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from edgechaos_core import initialise_at_edge


def deep(activation, depth, width=256):
    torch.manual_seed(1)
    return nn.Sequential(*[each for _ in range(depth) for each in (nn.Linear(width, width), activation())])


def growths(model, x):
    """Of each sample, in float64, a difference drawn anew."""
    model, x = copy.deepcopy(model).double(), x.double()
    difference = 1e-6 * torch.randn(x.shape, dtype=torch.float64)
    with torch.no_grad():
        return (model(x + difference) - model(x)).norm(dim=1) / difference.norm(dim=1)


@pytest.mark.parametrize("depth", [20, 50])
@pytest.mark.parametrize(("activation", "biases"), [(nn.Tanh, 0.0), (nn.ReLU, 0.0), (nn.GELU, 0.173)])
def test_a_difference_neither_grows_nor_dies(activation, biases, depth):
    model = deep(activation, depth)
    before = growths(model, torch.randn(64, 256))
    initialise_at_edge(model, torch.randn(128, 256), bias_variance=biases)
    fresh = growths(model, torch.randn(256, 256))
    assert before.median() < 1e-3  # PyTorch's own start is deep in order
    assert 0.5 < fresh.square().mean().sqrt() < 2
    assert 0.5 < fresh.median() < 2


@pytest.mark.parametrize(
    ("activation", "J_squared", "default", "then"),
    [
        (nn.Tanh, 1.0, 1.2e-5, (0.12, 0.27)),
        (nn.ReLU, 2.0, 6.0**-10, (0.6, 1.6)),  # chi = J^2 / 2 a layer, 1/6 where J^2 = 1/3
        (nn.GELU, 2.0, 1.9e-11, (0.01, 0.7)),  # below its edge, by how much goes with the draw
    ],
)
def test_what_twenty_layers_do_to_a_difference_by_default_and_at_round_numbers(activation, J_squared, default, then):
    model, x = deep(activation, 20), torch.randn(256, 256)
    for layer in model[::2]:
        nn.init.zeros_(layer.bias)
    assert growths(model, x).square().mean().sqrt() == pytest.approx(default, rel=0.3)  # width 256 is not infinite
    for layer in model[::2]:
        nn.init.normal_(layer.weight, std=math.sqrt(J_squared / 256))
    assert then[0] < growths(model, x).square().mean().sqrt() < then[1]


def test_theory_alone_lets_tanh_die_out():
    model = deep(nn.Tanh, 20)
    report = initialise_at_edge(model, torch.randn(64, 256), measured=False)
    assert report.growth_from_input < 0.4
    assert [row.J_squared for row in report.rows] == pytest.approx([1.0] * 20, rel=1e-5)  # float32


def test_weights_are_rescaled_and_biases_are_zero():
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))
    nn.init.orthogonal_(model[0].weight)
    before = model[0].weight.detach().clone()
    report = initialise_at_edge(model, torch.randn(64, 64))
    centred = before - before.mean()
    ratio = (model[0].weight / centred).detach()
    assert ratio.std() / ratio.mean().abs() < 1e-3  # float32, small weights
    assert not model[0].bias.any()
    assert [round(row.growth, 1) for row in report.rows] == [1.0, 1.0]
    assert "J^2" in str(report)


def test_biases_can_stay():
    model = nn.Sequential(nn.Linear(16, 16), nn.Tanh())
    before = model[0].bias.detach().clone()
    initialise_at_edge(model, torch.randn(64, 16), bias_variance=None)
    assert torch.equal(model[0].bias, before)


def test_a_constant_weight_is_drawn_from_the_seed():
    drawn = []
    for seed in (0, 0, 1):
        model = nn.Sequential(nn.Linear(16, 16), nn.Tanh())
        nn.init.zeros_(model[0].weight)
        initialise_at_edge(model, torch.randn(64, 16, generator=torch.Generator().manual_seed(0)), seed=seed)
        drawn.append(model[0].weight.detach().clone())
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_what_must_stay_is_left_alone_with_the_reason():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.pretrained, self.frozen = nn.Linear(8, 8), nn.Linear(8, 8).requires_grad_(False)
            self.normed, self.norm = nn.Linear(8, 8), nn.LayerNorm(8)
            self.computed = parametrizations.weight_norm(nn.Linear(8, 8))
            self.a, self.b = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
            self.b.weight = self.a.weight
            self.unused, self.free = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x):
            x = self.norm(self.normed(torch.relu(self.frozen(torch.relu(self.pretrained(x))))))
            return self.free(torch.relu(self.b(torch.relu(self.a(self.computed(x))))))

    model = Net()
    before = copy.deepcopy(model.state_dict())
    report = initialise_at_edge(model, torch.randn(64, 8), keep=["pretrained"])
    left = {row.name: row.left for row in report.rows}
    expected = {
        "pretrained.weight": "kept as pretrained",
        "frozen.weight": "frozen",
        "normed.weight": "normalisation",
        "computed.weight": "computed",
        "a.weight": "same parameter as b.weight",
        "b.weight": "same parameter as a.weight",
        "unused.weight": "does not use it",
        "free.weight": "",
    }
    assert {name: why in left[name] for name, why in expected.items()} == dict.fromkeys(expected, True)
    assert left["free.weight"] == ""
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"free.weight", "free.bias"}


def test_bad_input_meets_one_line_and_changes_nothing():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match="keep names 'encoder'"):
        initialise_at_edge(model, torch.randn(8, 4), keep=["encoder"])
    with pytest.raises(ValueError, match="collection of names"):
        initialise_at_edge(model, torch.randn(8, 4), keep="0")
    for bad in (math.nan, "a"):
        with pytest.raises(ValueError, match="bias_variance must be"):
            initialise_at_edge(model, torch.randn(8, 4), bias_variance=bad)
    with pytest.raises(ValueError, match="does not take the sample"):
        initialise_at_edge(model, torch.randn(8, 5))
    dead = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    nn.init.constant_(dead[0].bias, -100.0)
    state = copy.deepcopy(dead.state_dict())
    with pytest.raises(ValueError, match="is lost on the way"):
        initialise_at_edge(dead, torch.randn(8, 4), bias_variance=None)
    for old, new in ((before, model.state_dict()), (state, dead.state_dict())):
        torch.testing.assert_close(new, old, rtol=0, atol=0)


@pytest.mark.parametrize(("variance", "typical"), [(0.0, False), (0.173, True)])
def test_the_report_says_when_the_median_sample_is_not_at_the_edge(variance, typical):
    torch.manual_seed(1)
    model = nn.Sequential(*[layer for _ in range(50) for layer in (nn.Linear(128, 128), nn.GELU())])
    report = initialise_at_edge(model, torch.randn(64, 128), bias_variance=variance)
    first = str(report).splitlines()[0]
    assert (0.5 <= report.median <= 2) is typical
    assert ("in the median sample" in first) is ("bias_variance=0.173 for GELU, 0.555 for SiLU" in first) is not typical
