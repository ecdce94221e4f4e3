"""`EdgeDecay.for_model`: groups, targets and statuses of whole models, and real training that it holds."""

import copy
import json
import math

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, lr_scheduler

from edgechaos_core import EdgeDecay, inspect
from edgechaos_core.models.parameter_groups import split_groups

KINDS = {
    "sgd": lambda p, **more: SGD(p, lr=0.05, momentum=0.5, **more),
    "adam": lambda p, **more: Adam(p, lr=0.002, **more),
    "adamw": lambda p, **more: AdamW(p, lr=0.002, **more),
}


def network(J: float = 0.6, size: int = 48) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(size, size), nn.Tanh(), nn.Linear(size, size), nn.ReLU(), nn.Linear(size, 10, bias=False)
    )
    for layer in model[::2]:
        nn.init.normal_(layer.weight, std=J / size**0.5)
    return model


def sample(size: int = 48) -> torch.Tensor:
    return torch.randn(32, size, generator=torch.Generator().manual_seed(1))


def train(model, optimizer, steps: int = 20) -> None:
    """Labels at random: the weights grow to learn them by heart."""
    generator = torch.Generator().manual_seed(2)
    images = torch.randn(64, 48, generator=generator)
    labels = torch.randint(10, (64,), generator=generator)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()


def statuses(edge) -> dict[str, str]:
    return {row.name: row.status for row in edge.report()}


# parameter groups ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [False, True])
def test_each_weight_gets_a_group_with_all_options_and_the_state_stays(named):
    model = network()
    parameters = list(model.named_parameters() if named else model.parameters())
    optimizer = AdamW(
        [
            {"params": parameters[:3], "lr": torch.tensor(0.003), "betas": (0.8, 0.9), "mine": ["kept"]},
            {"params": parameters[3:], "weight_decay": 0.25},
        ],
        foreach=False,
    )
    train(model, optimizer)
    moments = {id(p): state["exp_avg"] for p, state in optimizer.state.items()}
    EdgeDecay.for_model(model, optimizer, sample=sample())
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    assert len(groups) == 5
    alone = [groups[id(model[i].weight)] for i in (0, 2, 4)]
    assert all(len(group["params"]) == 1 for group in alone)
    assert [group["betas"] for group in alone] == [(0.8, 0.9), (0.8, 0.9), (0.9, 0.999)]
    assert [group["weight_decay"] for group in alone] == [0.01, 0.01, 0.25]
    assert alone[0]["mine"] == ["kept"]
    assert alone[0]["lr"] == 0.003
    assert alone[0]["lr"] is not groups[id(model[0].bias)]["lr"]
    assert {id(p): state["exp_avg"] for p, state in optimizer.state.items()} == moments
    if named:
        assert all(group["param_names"] for group in optimizer.param_groups)
        assert alone[1]["param_names"] == ["2.weight"]
    train(model, optimizer)


def test_a_weight_that_has_a_group_keeps_it():
    model = network()
    optimizer = SGD([{"params": [p]} for p in model.parameters()], lr=0.1)
    before = [id(group) for group in optimizer.param_groups]
    EdgeDecay.for_model(model, optimizer, sample=sample())
    assert [id(group) for group in optimizer.param_groups] == before


SCHEDULERS = {
    "lambda": lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 0.5**epoch),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, 5),
    "one cycle": lambda o: lr_scheduler.OneCycleLR(o, 0.2, total_steps=8),
    "cyclic": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.1, step_size_up=2),
    "plateau": lambda o: lr_scheduler.ReduceLROnPlateau(o, patience=0),
    "sequence": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.ConstantLR(o, 0.3, 2), lr_scheduler.ExponentialLR(o, 0.5)], [2]
    ),
}


@pytest.mark.parametrize("make", SCHEDULERS.values(), ids=SCHEDULERS)
@pytest.mark.filterwarnings("ignore:The epoch parameter")  # torch's own, of SequentialLR
def test_schedulers_that_were_made_before_go_on_in_all_groups(make):
    model, twin = network(), network()
    optimizer, other = (SGD(m.parameters(), lr=0.1, momentum=0.5) for m in (model, twin))
    scheduler, reference = make(optimizer), make(other)
    split_groups(optimizer, [model[0].weight, model[2].weight], [scheduler])
    for _ in range(5):
        train(model, optimizer, 1)
        train(twin, other, 1)
        for each in (scheduler, reference):
            each.step(*[1.0] * isinstance(each, lr_scheduler.ReduceLROnPlateau))
        rates = [group["lr"] for group in optimizer.param_groups]
        assert len(rates) == 3
        assert rates == pytest.approx([other.param_groups[0]["lr"]] * 3)


def test_a_scheduler_that_is_not_named_is_refused_before_anything_is_split():
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    lr_scheduler.StepLR(optimizer, 2)
    with pytest.raises(ValueError, match=r"make it afterwards, or pass it as schedulers=\[scheduler\]"):
        EdgeDecay.for_model(model, optimizer, sample=sample())
    assert len(optimizer.param_groups) == 1


def test_a_plateau_scheduler_that_is_not_named_changes_the_rate_of_all_groups_and_is_measured():
    model = network(J=1.8)
    optimizer = SGD(model.parameters(), lr=0.1)
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0)  # which does not touch the optimizer
    edge = EdgeDecay.for_model(model, optimizer, sample=sample())
    train(model, optimizer, 6)
    for _ in range(2):
        plateau.step(1.0)  # the second is no improvement
    train(model, optimizer, 4)
    assert {group["lr"] for group in optimizer.param_groups} == {0.05}
    rates = [layer.state_dict()["rates"] for layer in edge.layers.values()]
    assert rates == pytest.approx([6 * 0.1 + 4 * 0.05] * 3)
    edge.step()  # with nothing to warn of
    assert "rate left behind" not in statuses(edge).values()


def first_group(optimizer, rate: float) -> None:
    optimizer.param_groups[0]["lr"] = rate


def all_groups(optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def old_groups(optimizer, rate: float) -> None:
    """A scheduler that keeps a rate for each group that it found when it was made."""
    for group, own in zip(optimizer.param_groups, [rate, rate]):
        group["lr"] = own


@pytest.mark.parametrize("change", [first_group, old_groups])
def test_a_learning_rate_that_is_changed_in_the_old_groups_alone_is_told_once(change):
    model = network()
    biases = [model[0].bias, model[2].bias]
    weights = [each.weight for each in model[::2]]
    optimizer = SGD([{"params": [biases[0], *weights]}, {"params": [biases[1]]}], lr=0.05)
    edge = EdgeDecay.for_model(model, optimizer, sample=sample())
    train(model, optimizer)
    edge.step()
    change(optimizer, 0.01)
    train(model, optimizer)
    said = r"^EdgeDecay of 0.weight, 2.weight, 4.weight: the learning rate of its group stays 0.05, while that of the "
    with pytest.warns(UserWarning, match=said + "group it was taken from went from 0.05 to 0.01") as told:
        edge.step()
    assert len(told) == 1
    assert set(statuses(edge).values()) == {"rate left behind"}
    change(optimizer, 0.001)
    train(model, optimizer)
    edge.step()  # told once


@pytest.mark.parametrize("tensor", [False, True])
def test_whoever_changes_the_rate_of_all_groups_is_believed(tensor):
    model = network(J=1.8)
    rate = torch.tensor(0.01) if tensor else 0.01
    optimizer = AdamW(model.parameters(), lr=rate, foreach=False)
    edge = EdgeDecay.for_model(model, optimizer, sample=sample())
    for number in range(3):
        train(model, optimizer, 10)
        all_groups(optimizer, torch.tensor(0.01 / 2**number) if tensor else 0.01 / 2**number)
        edge.step()
    assert "rate left behind" not in statuses(edge).values()


# targets ------------------------------------------------------------------------------------------------------------


def test_targets_are_the_edges_of_what_follows():
    model = network()
    table = {row.name: row.edge for row in inspect(model, sample())}
    edge = EdgeDecay.for_model(model, SGD(model.parameters(), lr=0.1), sample=sample())
    assert {name: layer.law.target for name, layer in edge.layers.items()} == table
    assert table["2.weight"] == pytest.approx(2)
    assert {layer.fan_in for layer in edge.layers.values()} == {48}


def test_targets_by_number_and_by_name():
    model = network()
    edge = EdgeDecay.for_model(model, SGD(model.parameters(), lr=0.1), 0.7, sample=sample(), keep=["4"])
    assert [layer.law.target for layer in edge.layers.values()] == [0.7, 0.7]
    edge.close()
    edge = EdgeDecay.for_model(model, SGD(model.parameters(), lr=0.1), {"2.weight": 1.5})
    assert {row.name: row.detail for row in edge.report() if row.status == "not steered"} == dict.fromkeys(
        ("0.weight", "4.weight"), "target does not name it"
    )


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.lstm = nn.Embedding(9, 16), nn.LSTM(16, 16, batch_first=True)
        self.normed, self.norm = nn.Linear(16, 16), nn.LayerNorm(16)
        self.branch, self.frozen = nn.Linear(16, 16), nn.Linear(16, 16).requires_grad_(False)
        self.free, self.head = nn.Linear(16, 16), nn.Linear(16, 3)

    def forward(self, x):
        x = self.lstm(self.embed(x))[0]
        x = torch.relu(self.norm(self.normed(x)))
        x = x + self.branch(torch.tanh(self.frozen(x)))
        return self.head(torch.tanh(self.free(x)))


def test_what_is_not_steered_says_why():
    model = Mixed()
    given = torch.arange(9)[None]
    optimizer = AdamW([p for name, p in model.named_parameters() if not name.startswith("head")])
    edge = EdgeDecay.for_model(model, optimizer, sample=given)
    assert list(edge.layers) == ["free.weight"]
    rows = {row.name: row for row in edge.report()}
    assert (rows["normed.weight"].status, rows["normed.weight"].detail) == (
        "scale-free",
        "a normalisation follows, which undoes its scale",
    )
    why = {
        "embed.weight": "no fan-in",
        "lstm.weight_ih_l0 (gate i)": "holds several matrices",
        "branch.weight": "residual sum follows, for which theory has no edge: name its J^2 in target=",
        "frozen.weight": "it is frozen",
        "head.weight": "it is in no group of the optimizer",
    }
    for name, part in why.items():
        assert rows[name].status == "not steered"
        assert part in rows[name].detail, name
    assert str(edge.report()).splitlines()[0].split() == [
        *["name", "status", "J_squared", "target", "weight_decay", "detail"]
    ]
    edge.close()
    assert list(EdgeDecay.for_model(model, optimizer, {"branch.weight": 0.5}).layers) == ["branch.weight"]


# what it tells ------------------------------------------------------------------------------------------------------


def test_statuses_of_a_training():
    model = network()
    optimizer = SGD(model.parameters(), lr=0.05)
    edge = EdgeDecay.for_model(model, optimizer, {"0.weight": 0.4, "2.weight": 1e3, "4.weight": 0.05})
    assert set(statuses(edge).values()) == {"no steps seen"}
    train(model, optimizer)
    edge.step()
    assert statuses(edge) == {"0.weight": "holding", "2.weight": "in order", "4.weight": "coming down"}
    edge.layers["2.weight"].law.target = edge.layers["2.weight"].J_squared + 0.5
    train(model, optimizer)
    edge.step()
    assert statuses(edge)["2.weight"] == "free"
    edge.layers["4.weight"].group["weight_decay"] = 0.5
    assert statuses(edge)["4.weight"] == "decay overwritten"


def test_a_layer_that_starts_below_its_edge_and_stays_is_told_that_decay_cannot_raise_it():
    model = network(J=0.3)
    optimizer = SGD(model.parameters(), lr=1e-6, weight_decay=1e-4)  # far too slow to get anywhere
    edge = EdgeDecay.for_model(model, optimizer, sample=sample(), keep=["4"])
    train(model, optimizer)
    assert set(edge.step().values()) == {0.0}
    below = [row for row in edge.report() if row.status == "in order"]
    assert [row.name for row in below] == ["0.weight", "2.weight"]
    assert {row.detail for row in below} == {"J^2 is below the target and does not grow: decay cannot raise J"}


def test_a_layer_before_batch_normalisation_is_scale_free_and_left_alone():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(48, 48), nn.BatchNorm1d(48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh())
    optimizer = SGD(model.parameters(), lr=0.1, weight_decay=1e-4)
    edge = EdgeDecay.for_model(model, optimizer, sample=sample())
    assert list(edge.layers) == ["3.weight"]
    first = edge.report()[0]
    assert (first.name, first.status, first.weight_decay) == ("0.weight", "scale-free", 1e-4)
    assert first.detail == "a normalisation follows, which undoes its scale"
    assert 1e-4 in {group["weight_decay"] for group in optimizer.param_groups}


def test_warnings_come_once_with_the_names_of_the_layers():
    model = network()
    optimizer = SGD(model.parameters(), lr=0.05)
    edge = EdgeDecay.for_model(model, optimizer, sample=sample())
    with pytest.warns(UserWarning, match=r"^EdgeDecay of 0.weight, 2.weight, 4.weight: .* no step") as told:
        edge.step()
    assert len(told) == 1
    edge.step()


def test_metrics_are_flat_and_finite_numbers():
    model = network()
    edge = EdgeDecay.for_model(model, SGD(model.parameters(), lr=0.05), sample=sample(), keep=["0"])
    metrics = edge.metrics()
    assert list(metrics)[:3] == [f"edge/2.weight/{each}" for each in ("J_squared", "target", "weight_decay")]
    assert len(metrics) == 6
    assert all(type(value) is float and math.isfinite(value) for value in metrics.values())
    assert json.loads(json.dumps(edge.report().to_dict()))[0]["detail"] == "kept as 0"


# training -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_layers_in_chaos_are_brought_to_their_edges_and_held(kind):
    model = network(J=1.8)
    optimizer = KINDS[kind](model.parameters())
    edge = EdgeDecay.for_model(model, optimizer, sample=sample())
    for _ in range(60):
        train(model, optimizer)
        edge.step()
    for row in edge.report():
        assert row.J_squared < 1.05 * row.target, row
        assert row.J_squared > 0.95 * row.target or row.weight_decay == 0, row
    assert "holding" in statuses(edge).values()


def test_accumulated_gradients_and_skipped_steps():
    model = network(J=1.8)
    optimizer = AdamW(model.parameters(), lr=0.002, fused=True)
    edge = EdgeDecay.for_model(model, optimizer, sample=sample())
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    images = sample()
    for step in range(12):
        for part in images.chunk(2):
            scaler.scale(model(part).square().mean() * (math.inf if step == 3 else 1)).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
    assert {layer.state_dict()["steps"] for layer in edge.layers.values()} == {11}
    assert min(edge.step().values()) > 0


def test_a_model_compiled_in_place_is_steered():
    model = network(J=1.8)
    model.compile(backend="eager")
    optimizer = SGD(model.parameters(), lr=0.05)
    edge = EdgeDecay.for_model(model, optimizer, sample=sample())
    train(model, optimizer)
    assert min(edge.step().values()) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_training_that_is_resumed_is_the_same(kind):
    model = network(J=1.8)
    optimizer = KINDS[kind](model.parameters())
    edge = EdgeDecay.for_model(model, optimizer, sample=sample())
    train(model, optimizer)
    edge.step()
    saved = copy.deepcopy((model.state_dict(), optimizer.state_dict(), json.dumps(edge.state_dict())))
    resumed = network()
    its_optimizer = KINDS[kind](resumed.parameters())
    its_edge = EdgeDecay.for_model(resumed, its_optimizer, sample=sample())
    resumed.load_state_dict(saved[0])
    its_optimizer.load_state_dict(saved[1])
    its_edge.load_state_dict(json.loads(saved[2]))
    for one, other, controller in ((model, optimizer, edge), (resumed, its_optimizer, its_edge)):
        train(one, other)
        controller.step()
    assert its_edge.metrics() == edge.metrics()
    assert torch.equal(resumed[0].weight, model[0].weight)


def test_copies_made_together_steer_the_copies():
    model = network(J=1.8)
    optimizer = SGD(model.parameters(), lr=0.05)
    edge = EdgeDecay.for_model(model, optimizer, sample=sample())
    twin, its_optimizer, its_edge = copy.deepcopy((model, optimizer, edge))
    train(twin, its_optimizer)
    assert all(decay > 0 for decay in its_edge.step().values())
    with pytest.warns(UserWarning, match="has made no step"):
        edge.step()


# closed doors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"^target='edge' needs sample="),
        ({"target": 1.0}, r"^target=1.0 needs sample="),
        ({"target": "chaos", "sample": sample()}, "^target must be 'edge', a J.2, or a dict .*, got 'chaos'$"),
        ({"target": True, "sample": sample()}, "got True$"),
        ({"target": 0.0, "sample": sample()}, r"^target, a J\^2, must be positive, got 0.0$"),
        ({"target": {"1.weight": 1.0}}, "^target names '1.weight', which is no weight of the model$"),
        ({"target": {}}, "^no layer of the model can be steered: 0.weight: target does not name it; "),
        ({"target": {"0.weight": 1.0}, "keep": ["0"]}, "^0.weight cannot be steered: kept as 0$"),
        ({"sample": sample(), "keep": ["no"]}, "^keep names 'no', which the model has neither"),
        ({"sample": sample(7)}, "^the model does not take the sample: "),
        ({"sample": sample(), "rate": 1.0}, r"^rate must be in \(0, 1\), got 1.0$"),
    ],
    ids=str,
)
def test_bad_arguments(options, message):
    model = network()
    with pytest.raises(ValueError, match=message):
        EdgeDecay.for_model(model, SGD(model.parameters(), lr=0.1), **options)


def test_a_refusal_leaves_the_optimizer_free():
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    first = EdgeDecay.for_model(model, optimizer, sample=sample())
    with pytest.raises(ValueError, match="has a controller already"):
        EdgeDecay.for_model(model, optimizer, sample=sample())
    first.close()
    with pytest.raises(ValueError, match=r"^target, a J\^2, must be positive, got -1$"):
        EdgeDecay.for_model(model, optimizer, {"0.weight": 1.0, "2.weight": -1})
    EdgeDecay.for_model(model, optimizer, sample=sample())


def test_wrappers_say_what_to_pass_instead():
    model = network()
    optimizer = SGD(model.parameters(), lr=0.1)
    with pytest.raises(
        ValueError, match=r"^the model is wrapped in OptimizedModule: pass the model inside, .*_orig_mod"
    ):
        EdgeDecay.for_model(torch.compile(model), optimizer, sample=sample())
    with pytest.raises(ValueError, match=r"^the model is wrapped in DataParallel: .* model\.module$"):
        inspect(nn.DataParallel(model), sample())

    class AcceleratedOptimizer(torch.optim.Optimizer):
        def __init__(self, optimizer):
            self.optimizer = optimizer

    with pytest.raises(ValueError, match=r"^AcceleratedOptimizer wraps the optimizer that trains, a SGD: pass that"):
        EdgeDecay.for_model(model, AcceleratedOptimizer(optimizer), sample=sample())
    with pytest.raises(ValueError, match=r"^EdgeDecay works with SGD, Adam and AdamW of torch\.optim, got RMSprop$"):
        EdgeDecay.for_model(model, torch.optim.RMSprop(model.parameters()), sample=sample())


def test_a_state_of_other_layers_is_refused_and_nothing_is_loaded():
    model = network()
    edge = EdgeDecay.for_model(model, SGD(model.parameters(), lr=0.1), sample=sample())
    before = edge.state_dict()
    with pytest.raises(ValueError, match=r"^the state is of fc.weight, steered are 0.weight, 2.weight, 4.weight$"):
        edge.load_state_dict({"fc.weight": {}})
    with pytest.raises(ValueError, match=r"^the state is of a, b, c, d, steered are "):
        edge.load_state_dict({name: {} for name in "abcd"})
    with pytest.raises(ValueError, match=r"^the state is of a, b, c and 2 more, steered are "):
        edge.load_state_dict({name: {} for name in "abcde"})
    broken = copy.deepcopy(before)
    broken["0.weight"]["target"], broken["4.weight"]["steps"] = 7.0, -1
    with pytest.raises(ValueError, match="steps in the state of EdgeDecay must not be negative"):
        edge.load_state_dict(broken)
    assert edge.state_dict() == before


def test_mistaken_arguments_meet_one_clear_line():
    model = network()
    optimizer = KINDS["sgd"](model.parameters())
    with pytest.raises(ValueError, match=r"got Tensor \(a batch is sample=\)$") as raised:
        EdgeDecay.for_model(model, optimizer, sample())
    assert "\n" not in str(raised.value)
    scheduler = lr_scheduler.StepLR(optimizer, 5)
    with pytest.raises(ValueError, match=r"schedulers=\[scheduler\], got StepLR$"):
        EdgeDecay.for_model(model, optimizer, sample=sample(), schedulers=scheduler)
    edge = EdgeDecay.for_model(model, optimizer, sample=sample(), schedulers=[scheduler])
    with pytest.raises(ValueError, match="must be a dict as state_dict returns, got NoneType"):
        edge.load_state_dict(None)
    with pytest.raises(ValueError, match="must be a dict as state_dict returns, got NoneType"):
        edge.load_state_dict(dict.fromkeys(edge.layers))


def test_a_layer_that_diverged_is_named():
    model = network()
    edge = EdgeDecay.for_model(model, KINDS["sgd"](model.parameters()), sample=sample())
    model(sample()).sum().backward()
    edge.optimizer.step()
    with torch.no_grad():
        model[2].weight.fill_(math.nan)
    with pytest.raises(ValueError, match=r"^J of 2\.weight is nan"):
        edge.step()
