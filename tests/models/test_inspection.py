"""`inspect`: each kind of weight told truly or refused by name, held against theory, the model untouched."""

import math
import random
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
import torchvision
from scipy.special import erf, ndtr
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from edgechaos_core import edge_of_chaos, initialise_at_edge, inspect
from edgechaos_core.models.activation_edges import curves, edge_J_squared
from edgechaos_core.theory.meanfield import fixed_point
from edgechaos_core.theory.quadrature import Smooth

QUADRATURE = 1e-6  # relative: a curve of 161 lengths, interpolated
WIDE = 0.1  # relative: growth of a layer of 1,000 units against infinite width, on 64 samples


def density(x):
    return np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)


KNOWN = {
    "tanh": lambda x: (np.tanh(x), 1 - np.tanh(x) ** 2),
    "ReLU": lambda x: (np.maximum(x, 0), (x > 0) * 1.0),
    "GELU": lambda x: (x * ndtr(x), ndtr(x) + x * density(x)),
    "erf": lambda x: (erf(x), 2 / np.sqrt(np.pi) * np.exp(-(x**2))),
    "LeakyReLU": lambda x: (np.where(x > 0, x, 0.1 * x), np.where(x > 0, 1, 0.1)),
}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def rows(model, sample, *args, **options):
    return {row.name: row for row in inspect(model, sample, *args, **options)}


@pytest.mark.parametrize(
    ("name", "edge"),
    [("tanh", 1.0), ("ReLU", 2.0), ("erf", math.pi / 4), ("LeakyReLU", 2 / 1.01)],
)
def test_the_edge_without_biases_is_the_known_one(name, edge):
    assert edge_J_squared(curves(KNOWN[name])) == pytest.approx(edge, rel=QUADRATURE)
    if name != "LeakyReLU":
        phi = name.lower() if name in {"tanh", "ReLU"} else Smooth(*(lambda x, i=i: KNOWN[name](x)[i] for i in (0, 1)))
        assert edge == pytest.approx(edge_of_chaos(0.0, phi) ** -2, rel=QUADRATURE)


@pytest.mark.parametrize("variance", [0.0013, 0.05, 0.3])
def test_the_edge_with_biases_is_where_chi_of_the_iterated_length_is_one(variance):
    averages = curves(KNOWN["tanh"])
    edge = edge_J_squared(averages, variance)
    z, w = np.polynomial.hermite_e.hermegauss(101)
    length = 1.0
    for _ in range(2_000):
        length = edge * w @ np.tanh(math.sqrt(length) * z) ** 2 / w.sum() + variance
    chi = edge * w @ (1 - np.tanh(math.sqrt(length) * z) ** 2) ** 2 / w.sum()
    assert chi == pytest.approx(1, abs=1e-3)  # interpolated between lengths 12% apart


def test_gelu_runs_away_above_its_edge_and_dies_below():
    edge = math.sqrt(edge_J_squared(curves(KNOWN["GELU"])))
    phi = Smooth(lambda x: KNOWN["GELU"](x)[0], lambda x: KNOWN["GELU"](x)[1])
    assert fixed_point(0.98 * edge, 0.0, phi).chi < 1
    length = 1.0
    for _ in range(60):
        z = np.random.default_rng(0).standard_normal(100_000)
        length = float(np.mean(KNOWN["GELU"](1.02 * edge * math.sqrt(length) * z)[0] ** 2))
    assert length > 10


@pytest.mark.parametrize(
    ("module", "function", "name", "chi"),
    [
        (nn.ReLU, torch.relu, "ReLU", 0.5),
        (lambda: nn.ReLU(inplace=True), functional.relu_, "ReLU", 0.5),
        (nn.Tanh, torch.tanh, "tanh", None),
        (nn.GELU, functional.gelu, "GELU", None),
        (nn.SiLU, lambda x: x * torch.sigmoid(x), "SiLU", None),
        (
            lambda: nn.GELU(approximate="tanh"),
            lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * torch.pow(x, 3.0)))),
            "GELU",
            None,
        ),
        (nn.LeakyReLU, functional.leaky_relu, "LeakyReLU", (1 + 1e-4) / 2),
        (nn.Identity, lambda x: x, "none", 1.0),
    ],
)
def test_modules_and_functions_are_seen_alike_and_growth_is_chi(module, function, name, chi):
    class Net(nn.Module):
        def __init__(self, act):
            super().__init__()
            self.fc, self.act = nn.Linear(1000, 1000), act

        def forward(self, x):
            return self.act(self.fc(x))

    sample = torch.randn(64, 1000)
    one = Net(module())
    other = Net(None)
    other.act = function
    other.load_state_dict(one.state_dict())
    (a,), (b,) = inspect(one, sample), inspect(other, sample)
    assert (a.activation, b.activation.removesuffix(" (tanh)")) == (name, name)  # GPT-2's, written out
    assert a.growth == pytest.approx(b.growth, rel=1e-6)
    assert a.edge == pytest.approx(b.edge, rel=1e-12)
    assert a.edge > 0
    assert a.growth_from_input == a.growth
    if chi is not None:
        assert a.growth**2 == pytest.approx(chi * a.J_squared, rel=WIDE)


def test_phases_are_told():
    model = nn.Sequential(*[each for _ in range(3) for each in (nn.Linear(400, 400, bias=False), nn.ReLU())])
    for index, J_squared in ((0, 1.0), (2, 2.0), (4, 4.0)):
        nn.init.normal_(model[index].weight, std=math.sqrt(J_squared / 400))
    assert [row.phase for row in inspect(model, torch.randn(8, 400))] == ["order", "edge", "chaos"]


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(64, 64), nn.Linear(64, 64)
        self.norm = nn.LayerNorm(64)

    def forward(self, x):
        return self.b(self.norm(self.a(x))) + x


def test_norms_and_residuals_are_told():
    found = rows(Residual(), torch.randn(5, 64))
    assert (found["a.weight"].scale_free, found["a.weight"].phase) == (True, "not defined")
    assert not found["a.weight"].steerable
    assert "normalisation" in found["a.weight"].why_not
    assert (found["b.weight"].activation, found["b.weight"].steerable) == ("residual sum", True)
    assert math.isnan(found["b.weight"].edge)


class Llama(nn.Module):
    """Root-mean-square normalisation as language models write it out, in float32 whatever the model's precision."""

    def __init__(self, cast):
        super().__init__()
        self.fc, self.act, self.weight, self.cast = nn.Linear(400, 400), nn.Tanh(), nn.Parameter(torch.ones(400)), cast

    def forward(self, x):
        x = self.fc(x)
        x = x.float() if self.cast else x
        return self.act(self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)))


def test_a_normalisation_written_out_is_one_also_in_its_own_precision():
    cast, sample = Llama(True), torch.randn(16, 400)
    plain = Llama(False)
    plain.load_state_dict(cast.state_dict())
    (a,), (b,) = inspect(cast, sample), inspect(plain, sample)
    assert (a.activation, a.scale_free, b.activation, b.scale_free) == ("tanh", True, "tanh", True)
    assert a.growth == pytest.approx(b.growth, rel=0.02)  # float32, and differences drawn of a thousandth


NAMES = {
    **{nn.ELU: "ELU", nn.Sigmoid: "sigmoid", nn.Hardtanh: "hardtanh", nn.Mish: "Mish", nn.Hardswish: "hardswish"},
    **{nn.Hardsigmoid: "hardsigmoid", nn.Softplus: "softplus", nn.PReLU: "PReLU", nn.LogSigmoid: "logsigmoid"},
}


@pytest.mark.parametrize(("module", "name"), NAMES.items())
def test_an_activation_has_its_own_name_and_edge(module, name):
    model = nn.Sequential(nn.Linear(200, 200, bias=False), module())
    (row,) = inspect(model, torch.randn(64, 200))
    assert row.activation == name

    def phi(x):
        at = torch.from_numpy(x).requires_grad_()
        value = module().double()(at)
        return value.detach().numpy(), torch.autograd.grad(value.sum(), at)[0].numpy()

    assert row.edge == pytest.approx(edge_J_squared(curves(phi)), rel=QUADRATURE, nan_ok=True)


def test_sines_have_their_own_names():
    class Wave(nn.Module):
        def __init__(self, wave):
            super().__init__()
            self.fc, self.wave = nn.Linear(8, 8), wave

        def forward(self, x):
            return self.wave(self.fc(x))

    assert [inspect(Wave(wave), torch.randn(4, 8))[0].activation for wave in (torch.sin, torch.cos)] == ["sin", "cos"]


@pytest.mark.parametrize(
    ("clamp", "name", "edge"),
    [
        (lambda x: x.clamp_min(0), "ReLU", 2),
        (lambda x: x.clamp(min=0), "ReLU", 2),
        (lambda x: torch.clamp(x, 0, 6), "ReLU6", None),
        (lambda x: x.clamp(-1, 1), "clamp", None),
        (lambda x: x.clamp_min(-0.5), "clamp", None),
    ],
)
def test_a_clamp_at_zero_is_a_relu_and_others_are_not(clamp, name, edge):
    class Clamped(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(8, 8)

        def forward(self, x):
            return clamp(self.fc(x))

    (row,) = inspect(Clamped(), torch.randn(4, 8))
    assert row.activation == name
    assert edge is None or row.edge == pytest.approx(edge, rel=1e-6)


@pytest.mark.parametrize(
    ("module", "name"),
    [(nn.SELU, "SELU"), (nn.ReLU6, "ReLU6"), (lambda: nn.Softmax(-1), "softmax"), (nn.GLU, "unknown")],
)
def test_relatives_of_activations_are_told_apart(module, name):
    (row,) = inspect(nn.Sequential(nn.Linear(8, 8), module()), torch.randn(4, 8))
    assert row.activation == name


@pytest.mark.parametrize(
    ("model", "sample"),
    [
        (nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64)), torch.ones(16, 64)),
        (nn.Sequential(nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 1)), torch.ones(16, 3, 8, 8)),
    ],
    ids=["addmm", "convolution"],
)
def test_between_two_weights_in_a_row_is_no_activation(model, sample):
    rows = inspect(model, sample)
    assert [(row.activation, row.edge) for row in rows] == [("none", 1.0)] * 2


def test_batch_norm_undoes_the_scale_in_training_alone():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    (train,), (evaluate,) = inspect(model, torch.randn(2, 3, 8, 8)), inspect(model.eval(), torch.randn(2, 3, 8, 8))
    assert (train.scale_free, evaluate.scale_free) == (True, False)


def test_attention_apart():
    for dims in ({}, {"kdim": 6, "vdim": 6}):
        attention = nn.MultiheadAttention(8, 2, batch_first=True, **dims)
        other = torch.randn(2, 5, 6 if dims else 8)
        found = rows(attention, (torch.randn(2, 5, 8), other, other))
        names = ["q_proj_weight", "k_proj_weight", "v_proj_weight"]
        names = names if dims else [f"in_proj_weight ({each})" for each in "qkv"]
        assert list(found) == [*names, "out_proj.weight"]
        assert all(row.growth > 0 for row in found.values())
        assert [found[name].activation for name in names] == ["attention"] * 3


@pytest.mark.parametrize(
    ("layer", "name", "parts"),
    [(nn.MultiheadAttention(8, 2), "in_proj_weight", "qkv"), (nn.LSTM(8, 8), "weight_ih_l0", "ifgo")],
    ids=["attention", "gates"],
)
def test_differences_grow_in_each_part_of_a_tensor_by_its_own_rows(layer, name, parts):
    x = torch.randn(6, 3, 8)
    sample = (x, x, x) if parts == "qkv" else x

    def growths() -> dict[str, float]:
        return {row.name[-2]: row.growth for row in inspect(layer, sample) if row.name.startswith(f"{name} (")}

    before = growths()
    with torch.no_grad():
        getattr(layer, name)[8:16] *= 3  # of k, and of gate f
    after = growths()
    ratios = [after[part] / before[part] for part in parts]
    assert ratios == pytest.approx([1, 3, *[1] * (len(parts) - 2)], rel=0.01)  # float32, differences of a thousandth


def test_recurrent_layers_gate_by_gate():
    found = rows(nn.LSTM(4, 5, 2, bidirectional=True), torch.randn(6, 2, 4))
    assert len(found) == 2 * 2 * 2 * 4
    assert {row.activation for row in found.values()} == {"sigmoid", "tanh"}
    assert all(row.growth > 0 for row in found.values())
    assert found["weight_hh_l0 (gate g)"].activation == "tanh"
    assert rows(nn.RNN(4, 5, bias=False), torch.randn(6, 2, 4))["weight_hh_l0"].edge == pytest.approx(1, rel=1e-4)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_large_models_are_measured_in_their_own_precision(monkeypatch, kind):
    model, sample = kind(16, 8), torch.randn(5, 3, 16)
    double = inspect(model, sample)
    monkeypatch.setattr("edgechaos_core.models.forward.DOUBLE_UP_TO", 0)
    single = inspect(model, sample)
    assert [row.growth for row in single] == pytest.approx([row.growth for row in double], rel=0.01)  # steps of 1e-3


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.fc, self.head = nn.Embedding(10, 8), nn.Linear(8, 8), nn.Linear(8, 10, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x):
        return self.head(torch.relu(self.fc(self.embed(x))))


def test_embeddings_tied_weights_and_groups():
    model = Tied()
    optimizer = torch.optim.SGD(
        [{"params": [model.embed.weight], "weight_decay": 0.5}, {"params": model.fc.parameters()}], lr=0.1
    )
    found = rows(model, torch.arange(10), optimizer)
    assert found["head.weight"].growth > 0
    assert "no fan-in" in found["embed.weight"].why_not
    assert found["head.weight"].why_not == "it is the same parameter as embed.weight"
    assert (found["head.weight"].group, found["head.weight"].weight_decay) == (0, 0.5)
    assert (found["fc.weight"].group, found["fc.weight"].steerable) == (1, True)
    assert found["fc.weight"].growth > 0
    left_out = rows(model, torch.arange(10), torch.optim.SGD([model.embed.weight], lr=0.1))["fc.weight"]
    assert left_out.why_not == "it is in no group of the optimizer"


def quantised():
    return torch.ao.nn.quantized.dynamic.Linear(3, 2)


@pytest.mark.parametrize(
    ("model", "why", "measured"),
    [
        (lambda: nn.LazyLinear(2), "no shape yet", False),
        (lambda: nn.Linear(3, 2, device="meta"), "meta device", False),
        (lambda: parametrizations.weight_norm(nn.Linear(3, 2)), "computed", True),
        (lambda: nn.Linear(3, 2).requires_grad_(False), "frozen", True),
        (lambda: nn.Bilinear(3, 3, 2), "multiplies two inputs", False),
    ],
)
def test_what_cannot_be_steered_says_why(model, why, measured):
    model = model()
    sample = (torch.ones(4, 3),) * (2 if isinstance(model, nn.Bilinear) else 1)
    (row,) = inspect(model, sample)
    assert (why in row.why_not, row.steerable, row.J_squared > 0) == (True, False, measured)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")  # torch's own, of quantisation
def test_a_quantised_weight_is_refused_by_name():
    (row,) = inspect(nn.Sequential(quantised()), torch.randn(4, 3))
    assert "quantised" in row.why_not


def test_conv1d_of_hugging_face_is_laid_out_in_out():
    class Conv1D(nn.Module):
        def __init__(self):
            super().__init__()
            self.nf, self.weight, self.bias = 4, nn.Parameter(torch.randn(6, 4)), nn.Parameter(torch.zeros(4))

        def forward(self, x):
            return torch.addmm(self.bias, x, self.weight)

    (row,) = inspect(Conv1D(), torch.randn(7, 6))
    assert (row.fan_in, row.steerable, row.activation) == (6, True, "none")


@pytest.mark.parametrize(
    "name", ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]
)
def test_convolutions(name):
    (row,) = inspect(getattr(nn, name)(3, 4, 3), torch.randn(2, 3, *[7] * int(name[-2])))
    assert row.growth > 0
    assert row.activation == "none"


def snapshot(model):
    return {
        "state": {name: value.clone() for name, value in model.state_dict().items()},
        "modes": [module.training for module in model.modules()],
        "grads": [p.grad.clone() for p in model.parameters()],
        "hooks": [(list(m._forward_hooks), list(m._forward_pre_hooks)) for m in model.modules()],
        "random": (
            random.getstate(),
            str((np.random.get_state()[1].tolist(), np.random.get_state()[2])),
            torch.get_rng_state(),
        ),
        "identity": [id(p) for p in model.parameters()],
    }


def test_nothing_of_the_model_is_touched():
    class Restless(nn.Module):
        def forward(self, x):
            return x + random.random() * np.random.rand() * torch.rand(1).to(x)

    model = nn.Sequential(
        nn.Embedding(9, 6, max_norm=0.1), nn.Linear(6, 6), nn.BatchNorm1d(6), Restless(), nn.Dropout(), nn.Linear(6, 2)
    )
    model[4].eval()
    model[1].register_forward_hook(lambda *_: None)
    model(torch.arange(9)).sum().backward()
    with torch.no_grad():
        model[0].weight.mul_(10)  # max_norm would shrink it in a pass
    before = snapshot(model)
    inspect(model, torch.arange(9))
    after = snapshot(model)
    for name in ("modes", "hooks", "identity"):
        assert before[name] == after[name]
    assert before["random"][:2] == after["random"][:2]
    assert torch.equal(before["random"][2], after["random"][2])
    torch.testing.assert_close(after["state"], before["state"], rtol=0, atol=0)
    torch.testing.assert_close(after["grads"], before["grads"], rtol=0, atol=0)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_random_numbers_of_cuda_stay():
    model = nn.Sequential(nn.Linear(4, 4), nn.RReLU()).cuda()
    before = torch.cuda.get_rng_state()
    inspect(model, torch.randn(3, 4, device="cuda"))
    assert torch.equal(torch.cuda.get_rng_state(), before)


@pytest.mark.parametrize(("name", "size"), [("resnet18", 64), ("vit_b_16", 224), ("convnext_tiny", 64)])
def test_every_weight_of_torchvision_is_named(name, size):
    model = getattr(torchvision.models, name)(weights=None)
    table = inspect(model, torch.randn(1, 3, size, size))
    named = {row.name.split(" (")[0] for row in table}
    assert named == {name for name, p in model.named_parameters() if p.ndim > 1}
    assert all(row.growth > 0 for row in table if row.J_squared > 0)
    assert all(row.why_not for row in table if not row.steerable)


def test_every_weight_of_an_lstm_network_is_named():
    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.lstm = nn.Embedding(100, 32), nn.LSTM(32, 64, 2, batch_first=True, bidirectional=True)
            self.head = nn.Linear(128, 9)

        def forward(self, x):
            return self.head(self.lstm(self.words(x))[0])

    model = Tagger()
    table = inspect(model, torch.randint(100, (2, 12)))
    assert {row.name.split(" (")[0] for row in table} == {name for name, p in model.named_parameters() if p.ndim > 1}
    assert [row.name for row in table if row.name.startswith("lstm.weight_hh_l1_reverse")] == [
        f"lstm.weight_hh_l1_reverse (gate {gate})" for gate in "ifgo"
    ]
    assert all(row.growth > 0 for row in table if row.J_squared > 0)
    assert [row.name for row in table if row.steerable] == ["head.weight"]


def test_pytorchs_default_is_told_where_it_is_below_the_edge():
    model = nn.Sequential(nn.Linear(300, 300), nn.GELU(), nn.Linear(300, 300), nn.LayerNorm(300))
    (note,) = inspect(model, torch.randn(8, 300)).notes
    assert note.startswith("1 of 2 weights have PyTorch's default start, J^2 = 1/3.")
    assert re.search(r"their edge is at J\^2 = 2\.1\d* where GELU follows\.", note)
    initialise_at_edge(model, torch.randn(8, 300))
    assert inspect(model, torch.randn(8, 300)).notes == []


def test_the_edges_told_of_pytorchs_default_are_those_of_the_table():
    layers = [nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64, bias=False), nn.ReLU()]
    for bias, value in ((layers[0].bias, 0.05), (layers[2].bias, 0.1)):
        nn.init.constant_(bias, value)
    model, sample = nn.Sequential(*layers), torch.randn(64, 64)
    table = inspect(model, sample)
    near, far, relu = (cells.split()[7] for cells in str(table).splitlines()[1:4])
    assert float(near) < float(far)
    assert "3 of 3 weights have PyTorch's default start" in table.notes[0]
    assert f"their edge is at J^2 = {near} to {far} where tanh follows, {relu} where ReLU follows." in table.notes[0]


def test_what_is_told_of_initialise_at_edge_is_what_it_does():
    model, sample = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh()), torch.randn(64, 64)
    (note,) = inspect(model, sample).notes
    assert "sets these biases to 0 unless told otherwise" in note
    report = initialise_at_edge(model, sample)
    assert not any(layer.bias.any() for layer in (model[0], model[2]))
    assert [row.edge for row in report.table] == pytest.approx([1, 1])  # no longer what the note had with biases
    assert all(row.J_squared > row.edge for row in report.table)  # lengths have not shrunk to nothing on the sample
    assert report.growth_from_input == pytest.approx(1, abs=0.2)


def test_the_table_prints_and_converts():
    table = inspect(nn.Sequential(nn.Linear(3, 2), nn.Tanh()), torch.randn(4, 3))
    head, row = str(table).splitlines()
    assert head.index("kind") == row.index("Linear")
    assert row.split()[:4] == ["0.weight", "Linear", "2x3", "3"]
    assert row.split()[-4:] == ["no", "-", "-", "yes"]  # scale_free, group, weight_decay, steerable
    assert "<th>J_squared</th>" in table._repr_html_()
    assert table.to_dict("records")[0]["shape"] == (2, 3)
    assert list(table.to_frame().columns) == list(table.to_dict()[0])
    with pytest.raises(ValueError, match="'records'"):
        table.to_dict("list")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, torch.ones(1)), "must be a torch.nn.Module, got int"),
        ((nn.Linear(3, 2), None), "the sample must be a tensor"),
        ((nn.Linear(3, 2), torch.full((3,), math.nan)), "must be finite"),
        ((nn.Linear(3, 2), torch.ones(3, device="meta")), "on the meta device"),
        ((nn.Linear(3, 2), torch.ones(4)), "does not take the sample"),
        ((nn.Linear(3, 2), torch.ones(3), "sgd"), "must be a torch.optim.Optimizer"),
    ],
)
def test_bad_input_meets_one_line(arguments, message):
    with pytest.raises(ValueError, match=message) as raised:
        inspect(*arguments)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("more", [torch.relu, lambda y: torch.relu(y).neg()], ids=["another", "one more"])
def test_a_model_that_computes_otherwise_nearby_is_refused(more):
    class Deciding(nn.Linear):
        def forward(self, x):
            y = super().forward(x)
            return y.neg() if bool(x[0, 0] == 1) else more(y)

    with pytest.raises(ValueError, match="computes otherwise for a sample that differs a little"):
        inspect(Deciding(8, 8), torch.ones(16, 8))


def test_torch_and_numpy_suffice():
    program = (
        "import sys\nfor name in ('pandas', 'scipy'): sys.modules[name] = None\n"
        "import torch; from edgechaos_core import initialise_at_edge, inspect\n"
        "model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Tanh())\n"
        "initialise_at_edge(model, torch.randn(32, 8)); print(inspect(model, torch.randn(4, 8))[0].activation)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert (done.stdout, done.stderr) == ("tanh\n", "")


def test_growth_below_rounding_is_no_measurement_and_the_edge_is_set_all_the_same():
    layers = [each for _ in range(60) for each in (nn.Linear(64, 64), nn.Tanh())]
    model, sample = nn.Sequential(*layers), torch.randn(32, 64)
    table = inspect(model, sample)
    growths = [row.growth for row in table]
    first = next(i for i, growth in enumerate(growths) if math.isnan(growth))
    assert 30 < first < 45
    assert all(map(math.isnan, growths[first:]))
    assert max(growths[1:first]) < 0.65  # 0.54 to 0.6 by automatic differentiation
    assert all(math.isnan(row.growth_from_input) for row in table[first:])
    assert f"from {table[first].name} on, at {60 - first} of 60 weights" in table.notes[0]
    assert re.search(r"below 1e-(9|10)", str(table).splitlines()[first + 1])
    assert initialise_at_edge(model, sample).growth_from_input == pytest.approx(1, abs=0.2)
    assert inspect(model, sample).below == {}
