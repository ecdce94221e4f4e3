"""`inspect` leaves no trace: shared modules, state that modules keep themselves, other modes and devices."""

import math
from collections import deque
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import nn

from edgechaos_core import EdgeDecay, initialise_at_edge, inspect


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


class Aliased(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.BatchNorm1d(8), nn.Linear(8, 8))
        self.head = self.net[3]
        self.net.append(self.net[2])
        self.kept = [self.head.weight, self.net[0]]

    def forward(self, x):
        return self.head(self.net(x))


class Failing(Aliased):
    def forward(self, x):
        super().forward(x)
        raise RuntimeError("after all")


def tensors(model):
    named = (*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False))
    return {name: (id(each), each.dtype, each.requires_grad, each.clone()) for name, each in named}


def attach(model, sample):
    return EdgeDecay.for_model(model, torch.optim.SGD(model.parameters(), lr=0.1), sample=sample)


@pytest.mark.parametrize("look", [inspect, attach, initialise_at_edge])
@pytest.mark.parametrize("kind", [Aliased, Failing])
def test_modules_with_several_names_keep_their_tensors(kind, look):
    model = kind()
    before = tensors(model)
    if kind is Failing:
        with pytest.raises(ValueError, match="after all"):
            look(model, torch.randn(16, 8))
    else:
        look(model, torch.randn(16, 8))
    after = tensors(model)
    assert {name: each[:3] for name, each in after.items()} == {name: each[:3] for name, each in before.items()}
    if look is not initialise_at_edge or kind is Failing:
        assert all(torch.equal(after[name][3], each[3]) for name, each in before.items())
    assert model.kept[0] is model.head.weight
    assert model.kept[1] is model.net[0]


def test_a_shared_block_is_one_weight_that_can_be_steered():
    shared = nn.Linear(8, 8)
    (row,) = inspect(nn.Sequential(shared, nn.Tanh(), shared), torch.randn(16, 8))
    assert row.steerable
    assert row.activation == "tanh"


@dataclass
class Memory:
    seen: list = field(default_factory=list)


class Keeping(nn.Module):
    """Keeps the last state, a count, what it saw, and generators of its own."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(8, 8)
        self.state, self.count = None, 0
        self.mean, self.array, self.memory = torch.zeros(8), np.zeros(1), Memory()
        self.last, self.by_name = deque([1], maxlen=1), {"calls": [torch.ones(1)]}
        self.generators = (torch.Generator().manual_seed(0), np.random.default_rng(0))

    def forward(self, x):
        noise = torch.randn(x.shape, generator=self.generators[0], dtype=x.dtype)
        self.state = self.cell(x + float(self.generators[1].random()) * noise, self.state)
        self.mean.mul_(0.9).add_(0.1 * self.state.mean(0).to(self.mean))
        self.count += 1
        self.array += 1
        self.memory.seen.append(x)
        self.last.append(x)
        self.by_name["calls"][0].add_(1)
        return self.state

    def kept(self):
        held = (self.state, self.count, self.mean.tolist(), self.array.tolist(), list(self.memory.seen))
        own = (list(self.last), self.by_name["calls"][0].tolist(), self.generators[0].get_state().tolist())
        return held, own, self.generators[1].bit_generator.state


def test_what_modules_keep_themselves_stays_and_both_passes_start_from_it():
    model, sample = Keeping(), torch.randn(16, 8)
    before, own = model.kept(), model.mean
    rows = inspect(model, sample)
    assert model.kept() == before
    assert model.mean is own
    assert all(row.growth < 10 for row in rows if not math.isnan(row.growth))  # of noise that differs it would be 1e5
    model(sample)
    state = model.state
    inspect(model, sample)
    assert model.state is state
    assert model(sample).dtype == torch.float32


def test_a_hook_that_removes_itself_in_the_pass_is_there_afterwards():
    model = nn.Linear(8, 8)
    handle = model.register_forward_hook(lambda *_: handle.remove())
    inspect(model, torch.randn(16, 8))
    assert len(model._forward_hooks) == 1


def test_inspect_works_in_inference_mode():
    with torch.inference_mode():
        made_inside = nn.Sequential(nn.Linear(8, 8), nn.ELU(0.77))
        (row,) = inspect(made_inside, torch.randn(16, 8))
        report = initialise_at_edge(made_inside, torch.randn(16, 8))
    assert row.edge > 0
    assert report.growth_from_input == pytest.approx(1, rel=0.2)


def test_inspect_works_under_another_default_device():
    model, sample = nn.Sequential(nn.Linear(8, 8), nn.Tanh()), torch.randn(16, 8)
    plain = inspect(model, sample)
    with torch.device("meta"):
        assert (row := inspect(model, sample)[0]).edge == plain[0].edge
        assert row.growth == plain[0].growth
        assert initialise_at_edge(model, sample).growth_from_input == pytest.approx(1, rel=0.2)


class Pooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.linear = nn.Embedding(30, 16), nn.Linear(16, 16)

    def forward(self, tokens, mask):
        hidden = torch.tanh(self.linear(self.embedding(tokens)))
        return (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def test_a_floating_mask_of_tokens_is_not_changed():
    model, tokens = Pooled(), torch.randint(30, (16, 7))
    whole = inspect(model, (tokens, torch.ones(16, 7, dtype=torch.long)))
    floating = inspect(model, (tokens, torch.ones(16, 7)))
    assert floating[1].growth == whole[1].growth > 0
    assert "1 floating-point tensor(s) of the sample are taken as masks" in str(floating)
    assert "masks" not in str(whole)


@pytest.mark.parametrize("far", [-torch.inf, -1e9, torch.finfo(torch.float32).min])
def test_a_mask_that_is_added_is_not_changed(far):
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 1)
    mask = torch.full((5, 5), far).triu(1)
    x = torch.randn(16, 5, 16)
    assert [row.growth for row in inspect(encoder, (x, mask))] == pytest.approx(
        [row.growth for row in inspect(encoder, (x, mask < 0))]
    )
    with pytest.raises(ValueError, match="must be finite, but for masks"):
        inspect(encoder, mask)


def test_whole_numbers_that_nothing_looks_up_say_why_no_growth_is_measured():
    class Pixels(nn.Linear):
        def forward(self, x):
            return super().forward(x.to(self.weight.dtype) / 255)

    table = inspect(Pixels(10, 8), torch.randint(255, (16, 10), dtype=torch.uint8))
    assert "no embedding looks its whole numbers up" in str(table)
    assert math.isnan(table[0].growth)
