"""What comes between a weight and its activation, and behind: taken into account, or refused by name."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, prune

from edgechaos_core import EdgeDecay, inspect


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


class Made(nn.Module):
    """A linear layer and a function of it, or of its input and weight."""

    def __init__(self, forward, *, bias=False, **modules):
        super().__init__()
        self.l, self.f = nn.Linear(64, 64, bias=bias), forward
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x):
        return self.f(self, x)


def only(forward, **options):
    return inspect(Made(forward, **options), torch.randn(32, 64))[0]


@pytest.mark.parametrize(
    ("forward", "activation", "edge"),
    [
        (lambda m, x: torch.tanh(m.l(x) / 16), "tanh", 256),
        (lambda m, x: torch.tanh(torch.tensor(3.0) * m.l(x)), "tanh", 1 / 9),
        (lambda m, x: torch.sin(30 * m.l(x)), "sin", 1 / 900),
        (lambda m, x: 1.7159 * torch.tanh(m.l(x) * (2 / 3)), "tanh", (1.7159 * 2 / 3) ** -2),
        (lambda m, x: torch.relu(m.l(x).div_(2)) / 3, "ReLU", 72),
        (lambda m, x: m.l(x) / 4, "none", 16),
    ],
)
def test_a_constant_factor_before_or_behind_an_activation_moves_the_edge(forward, activation, edge):
    row = only(forward)
    assert (row.activation, row.steerable) == (activation, True)
    assert row.edge == pytest.approx(edge, rel=1e-4)


def test_growth_is_measured_over_the_factors_too():
    plain, behind = only(lambda m, x: torch.tanh(m.l(x))), only(lambda m, x: 3 * torch.tanh(m.l(x)))
    assert behind.growth > plain.growth
    assert behind.growth_from_input == behind.growth


def test_what_is_added_before_an_activation_counts_as_a_bias():
    own = Made(lambda m, x: torch.tanh(m.l(x)), bias=True)
    written = Made(lambda m, x: torch.tanh(functional.linear(x, m.l.weight) + m.l.bias), bias=True)
    a, b = (inspect(each, torch.randn(32, 64))[0] for each in (own, written))
    nn.init.constant_(own.l.bias, 0.5)
    nn.init.zeros_(written.l.bias)
    written.f = lambda m, x: torch.tanh(m.l(x) + 0.5)
    c, d = (inspect(each, torch.randn(32, 64))[0] for each in (own, written))
    assert min(a.edge, b.edge) > 1.01
    assert c.edge == pytest.approx(d.edge, rel=1e-9)
    assert c.edge > a.edge


@pytest.mark.parametrize(
    ("forward", "why"),
    [
        (lambda m, x: functional.linear(x, m.l.weight / 8), "computes its weight from it"),
        (lambda m, x: torch.tanh(x @ functional.normalize(m.l.weight).T), "computes its weight from it"),
        (lambda m, x: torch.tanh(torch.linspace(0.1, 2, 64) * m.l(x)), "unit by unit, before tanh"),
        (lambda m, x: functional.tanhshrink(m.l(x)), "made of tanh and sub"),
        (lambda m, x: torch.relu(m.l(x)) ** 2, "made of ReLU and pow"),
        (lambda m, x: torch.tanh(torch.relu(m.l(x))), "made of ReLU and tanh"),
        (lambda m, x: torch.tanh(m.l(x)) + 1, "made of tanh and add"),
    ],
)
def test_what_the_parameter_alone_does_not_tell_is_refused_by_name(forward, why):
    row = only(forward)
    assert why in row.why_not
    assert (row.steerable, row.phase, math.isnan(row.edge)) == (False, "not defined", True)


@pytest.mark.parametrize(
    "forward",
    [
        lambda m, x: torch.tanh(functional.linear(x, m.l.weight.clone().t().contiguous().T)),
        lambda m, x: torch.tanh(m.l(x)).flatten().view(-1, 64) + x,
        lambda m, x: m.o(functional.layer_norm(torch.tanh(m.l(x)), (64,))) + x,
        lambda m, x: torch.cat([torch.tanh(m.l(x)), x], -1).neg(),
    ],
)
def test_what_leaves_weights_and_values_as_they_are_is_no_reason(forward):
    row = only(forward, o=nn.Linear(64, 64))
    assert (row.activation, row.edge, row.why_not) == ("tanh", pytest.approx(1, rel=1e-4), "")


def test_the_target_of_a_scaled_weight_is_its_own_edge():
    model = Made(lambda m, x: torch.tanh(m.l(x) / 16))
    edge = EdgeDecay.for_model(model, torch.optim.SGD(model.parameters(), lr=0.1), sample=torch.randn(32, 64))
    assert edge.report()[0].target == pytest.approx(256, rel=1e-4)


def test_a_weight_that_the_pass_does_not_use_says_so_and_is_steered_by_name_alone():
    model, sample = Made(lambda m, x: m.l(x), unused=nn.ModuleList([nn.Linear(8, 8)])), torch.randn(8, 64)
    row = inspect(model, sample)[1]
    assert (row.steerable, row.why_not) == (False, "the sample's pass does not use it")
    for target, steered in ((1.0, ["l.weight"]), ({"unused.0.weight": 1.0}, ["unused.0.weight"])):
        edge = EdgeDecay.for_model(model, torch.optim.SGD(model.parameters(), lr=0.1), target, sample=sample)
        assert list(edge.layers) == steered


def test_a_weight_that_is_applied_several_times_says_so():
    def forward(m, x):
        return torch.tanh(m.l(torch.tanh(m.l(torch.tanh(m.l(x))))))

    notes = inspect(Made(forward), torch.randn(8, 64)).notes
    assert notes[0] == "l.weight is applied 3 times in a pass: growth is that of its first use."
    assert not any("applied" in note for note in inspect(nn.RNN(4, 4), torch.randn(5, 2, 4)).notes)


def test_a_parametrization_keeps_its_own_reason():
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(64, 64)), nn.Tanh())
    (row,) = inspect(model, torch.randn(8, 64))
    assert row.why_not == "it is computed from other parameters, which decay need not scale"


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # torch's own, of weight_norm
@pytest.mark.parametrize(
    ("hook", "sources"),
    [
        (nn.utils.weight_norm, "weight_g and weight_v"),
        (nn.utils.spectral_norm, "weight_orig"),
        (lambda layer: prune.l1_unstructured(layer, "weight", 0.3), "weight_orig"),
    ],
)
def test_what_older_hooks_compute_a_weight_from_says_so(hook, sources):
    rows = inspect(nn.Sequential(hook(nn.Linear(16, 16)), nn.Tanh()), torch.randn(8, 16))
    assert {f"weight of Linear is computed from {sources} before each forward pass" in row.why_not for row in rows} == {
        True
    }
