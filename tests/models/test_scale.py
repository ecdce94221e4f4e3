"""Whether a weight's scale changes anything: what is told, held against the model with the weight multiplied."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from edgechaos_core import EdgeDecay, inspect

FREE = 1e-6  # relative change of what the model returns, in float64, with a weight and its bias multiplied


class Made(nn.Module):
    def __init__(self, forward, *, bias=False):
        super().__init__()
        self.w, self.a, self.b = (nn.Linear(16, 16, bias=bias) for _ in range(3))
        self.f, self.position = forward, nn.Parameter(torch.randn(16))
        self.batch, self.layer = nn.BatchNorm1d(16, eps=1e-15), nn.LayerNorm(16, eps=1e-15)
        self.rms, self.out = nn.RMSNorm(16, eps=1e-15), nn.Linear(16, 3)

    def forward(self, x):
        return self.f(self, x)


def squares(x):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-15)


NETWORKS = {
    "layer norm": lambda m, x: m.out(m.layer(m.w(x))),
    "RMS norm": lambda m, x: m.out(m.rms(m.w(x))),
    "written out": lambda m, x: m.out(squares(m.w(x))),
    "normalize": lambda m, x: m.out(functional.normalize(m.w(x), dim=-1)),
    "ReLU, batch norm": lambda m, x: m.out(m.batch(torch.relu(m.w(x)))),
    "LeakyReLU, pool, batch norm": lambda m, x: m.out(
        m.batch(functional.max_pool1d(functional.leaky_relu(m.w(x)), 2).repeat(1, 2))
    ),
    "two linear, layer norm": lambda m, x: m.out(m.layer(m.a(m.w(x)))),
    "tanh, layer norm": lambda m, x: m.out(m.layer(torch.tanh(m.w(x)))),
    "cat, layer norm": lambda m, x: m.layer(torch.cat([m.w(x)[:, :8], m.a(x)[:, :8]], -1)),
    "cat of one, layer norm": lambda m, x: m.layer(torch.cat([m.w(x)[:, 8:], m.w(x)[:, :8]], -1)),
    "position, layer norm": lambda m, x: m.out(m.layer(m.w(x) + m.position)),
    "position first, layer norm": lambda m, x: m.out(m.layer(m.position + m.w(x))),
    "residual, layer norm": lambda m, x: m.out(m.layer(m.w(x) + x)),
    "own residual, layer norm": lambda m, x: m.out(m.layer((y := m.w(x)) + torch.relu(m.a(y)))),
    "square, layer norm": lambda m, x: m.out(m.layer(m.w(x) * m.w(x))),
    "norm on one way alone": lambda m, x: m.out(m.layer(y := m.w(x)) + y),
    "attention": lambda m, x: m.out(torch.softmax(m.w(x) @ m.a(x).T, -1) @ x),
    "attention, normalised": lambda m, x: m.out(torch.softmax(m.layer(m.w(x)) @ m.a(x).T, -1) @ x),
    "values": lambda m, x: m.out(m.layer(torch.softmax(m.a(x) @ x.T, -1) @ m.w(x))),
    "gate, layer norm": lambda m, x: m.out(m.layer(m.w(x) * torch.sigmoid(m.a(x)))),
    "no norm": lambda m, x: m.out(m.w(x)),
    "divided by itself": lambda m, x: m.out(1 / m.w(x)),
    "clamp, layer norm": lambda m, x: m.out(m.layer(m.w(x).clamp(-0.1, 0.1))),
}


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_scale_free_is_what_multiplying_the_weight_and_its_bias_shows(name, bias):
    torch.manual_seed(0)
    model, sample = Made(NETWORKS[name], bias=bias), torch.randn(16, 16)
    told = next(row.scale_free for row in inspect(model, sample) if row.name == "w.weight")
    double = copy.deepcopy(model).double()
    with torch.no_grad():
        before = double(sample.double())
        for parameter in double.w.parameters():
            parameter.mul_(2)
        after = double(sample.double())
    assert told == bool((after - before).abs().max() < FREE * before.abs().max())


def test_batch_normalisation_in_evaluation_is_told_of():
    model = nn.Sequential(nn.Linear(16, 16, bias=False), nn.BatchNorm1d(16), nn.Tanh(), nn.Linear(16, 3)).eval()
    table, optimizer = inspect(model, torch.randn(16, 16)), torch.optim.SGD(model.parameters(), lr=0.1)
    assert table.free_in_training == ["0.weight"]
    assert "batch normalisation follows 0.weight, in evaluation mode" in table.notes[0]
    with pytest.warns(UserWarning, match=r"EdgeDecay: batch normalisation follows 0\.weight"):
        EdgeDecay.for_model(model, optimizer, sample=torch.randn(16, 16)).close()
    assert inspect(model.train(), torch.randn(16, 16)).free_in_training == []
