"""What EdgeDecay holds stays what it holds, copies of it work, and where it cannot steer it says so."""

import copy
import io
import math
import pickle

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW

from edgechaos_core.models.controller import EdgeDecay
from edgechaos_core.theory.order_parameters import order_parameters


def layers(*sizes: int, J: float = 1.5, dtype=torch.float64) -> list[nn.Linear]:
    """Linear layers in chaos, so that the controller sets a decay in its first period."""
    torch.manual_seed(0)
    made = [nn.Linear(size, size, bias=False, dtype=dtype) for size in sizes]
    for layer in made:
        nn.init.normal_(layer.weight, std=J / layer.in_features**0.5)
    return made


def train(optimizer, *trained, steps: int = 20) -> None:
    for _ in range(steps):
        for layer in trained:
            layer.weight.grad = torch.zeros_like(layer.weight)
        optimizer.step()


def holds(edge, optimizer, layer, periods: int = 25) -> None:
    """Decay alone acts: J^2 sinks from 2.25 to the target."""
    for _ in range(periods):
        train(optimizer, layer)
        edge.step()
    J, _ = order_parameters(layer.weight.detach().T)
    assert float(J) ** 2 == pytest.approx(1, rel=0.02)


# identity -----------------------------------------------------------------------------------------------------------


def test_the_group_is_found_by_its_weight_not_by_its_number():
    first, second = layers(20, 30)
    optimizer = SGD([{"params": first.weight}, {"params": second.weight}], lr=0.05)
    edge = EdgeDecay(optimizer, second)
    third = layers(40)[0]
    optimizer.param_groups.pop(0)
    optimizer.add_param_group({"params": third.weight})
    holds(edge, optimizer, second)
    assert optimizer.param_groups[1]["weight_decay"] == 0
    EdgeDecay(optimizer, third)  # its group has no controller yet
    with pytest.raises(ValueError, match="has a controller already"):
        EdgeDecay(optimizer, second)


def test_a_weight_that_left_the_optimizer_is_told():
    first, second = layers(20, 30)
    optimizer = SGD([{"params": first.weight}, {"params": second.weight}], lr=0.05, weight_decay=0.01)
    edge = EdgeDecay(optimizer, first)
    optimizer.param_groups.pop(0)
    train(optimizer, first, second)
    with pytest.raises(ValueError, match=r"^the weight is no longer one of the optimizer's parameters: close\(\) this"):
        edge.step()
    assert optimizer.param_groups[0]["weight_decay"] == 0.01  # the other layer's is left alone
    edge.close()
    EdgeDecay(optimizer, second)


def test_a_parameter_that_was_replaced_is_told():
    (layer,) = layers(20)
    optimizer = SGD([layer.weight], lr=0.05)
    edge = EdgeDecay(optimizer, layer)
    layer.weight = nn.Parameter(layer.weight.detach().clone())
    train(optimizer, layer)  # the optimizer still has the old one
    with pytest.warns(UserWarning, match=r"no longer the parameter that its layer trains \(then make a new EdgeDecay"):
        edge.step()
    optimizer.param_groups[0]["params"] = [layer.weight]
    train(optimizer, layer)
    with pytest.raises(ValueError, match="the weight is no longer one of the optimizer's parameters"):
        edge.step()


def test_a_closed_controller_says_so():
    (layer,) = layers(20)
    edge = EdgeDecay(SGD([layer.weight], lr=0.05), layer)
    edge.close()
    train(edge.optimizer, layer)
    with pytest.warns(UserWarning, match="the controller is closed: make a new one to steer on"):
        edge.step()
    copy.deepcopy(edge).close()  # nor does a copy of it hold anything


# copies -------------------------------------------------------------------------------------------------------------


def by_torch(things):
    file = io.BytesIO()
    torch.save(things, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda things: pickle.loads(pickle.dumps(things)), "torch": by_torch}


@pytest.mark.parametrize("make", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)], ids=["model first", "controller first"])
@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
def test_copies_made_together_steer_the_copies(make, order, kind):
    (layer,) = layers(20)
    optimizer = kind([layer.weight], lr=0.02, weight_decay=0.0)
    edge = EdgeDecay(optimizer, layer)
    train(optimizer, layer)
    things = (layer, optimizer, edge)
    made = make(tuple(things[i] for i in order))
    twin, its_optimizer, its_edge = (made[order.index(i)] for i in range(3))
    for _ in range(3):
        assert its_edge.step() == edge.step() > 0
        train(optimizer, layer)
        train(its_optimizer, twin)
    assert torch.equal(twin.weight, layer.weight)
    assert its_edge.group is its_optimizer.param_groups[0] is not optimizer.param_groups[0]
    with pytest.raises(ValueError, match="has a controller already"):
        EdgeDecay(its_optimizer, twin)
    its_edge.close()
    EdgeDecay(its_optimizer, twin)


def test_a_model_that_has_its_controller_is_copied():
    (layer,) = layers(20)
    optimizer = SGD([layer.weight], lr=0.05)
    layer.edge = EdgeDecay(optimizer, layer)
    for make in COPIES.values():
        twin = make(layer)
        assert twin.edge.weight is twin.weight
        holds(twin.edge, twin.edge.optimizer, twin)


def test_a_controller_copied_alone_says_that_it_steers_nothing():
    (layer,) = layers(20)
    optimizer = SGD([layer.weight], lr=0.05)
    alone = copy.deepcopy(EdgeDecay(optimizer, layer))
    train(optimizer, layer)
    with pytest.warns(UserWarning, match=r"has made no step since the last period: .* on the controller"):
        alone.step()
    with pytest.raises(ValueError, match="has a controller already"):
        copy.copy(alone)  # it would steer the same weight of the same optimizer


# what it tells ------------------------------------------------------------------------------------------------------


def test_a_frozen_layer_is_told_at_once():
    (layer,) = layers(20)
    layer.requires_grad_(False)
    optimizer = SGD([layer.weight], lr=0.05)
    with pytest.warns(UserWarning, match=r"^EdgeDecay: the weight is frozen \(requires_grad is False\): its decay"):
        edge = EdgeDecay(optimizer, layer)
    optimizer.step()
    assert edge.step() == 0  # told once
    layer.requires_grad_(True)
    holds(edge, optimizer, layer)


def test_a_layer_that_is_frozen_later_is_told():
    (layer,) = layers(20)
    optimizer = SGD([layer.weight], lr=0.05)
    edge = EdgeDecay(optimizer, layer)
    layer.requires_grad_(False)
    optimizer.step()
    with pytest.warns(UserWarning, match="the weight is frozen"):
        edge.step()


def test_another_schedule_of_decay_is_told_once():
    (layer,) = layers(20)
    optimizer = SGD([layer.weight], lr=0.05)
    edge = EdgeDecay(optimizer, layer)
    train(optimizer, layer)
    own = edge.step()
    optimizer.param_groups[0]["weight_decay"] = 0.125
    train(optimizer, layer)
    with pytest.warns(UserWarning, match=rf"weight_decay to 0\.125, where EdgeDecay had set {own:g}, and step"):
        edge.step()
    assert edge.weight_decay != 0.125  # it is step()'s own again, as the sentence says
    assert "step() sets its own again" in edge.status.detail
    optimizer.param_groups[0]["weight_decay"] = 0.125
    train(optimizer, layer)
    edge.step()


@pytest.mark.parametrize(("steps", "word"), [(1, "at its limit"), (20, "coming down")])
def test_decay_at_its_limit_is_told(steps, word):
    (layer,) = layers(20)
    optimizer = SGD([layer.weight], lr=1.0)
    edge = EdgeDecay(optimizer, layer, target=0.01)
    layer.weight.grad = torch.zeros_like(layer.weight)
    for _ in range(steps):
        optimizer.step()
    assert (edge.step() == pytest.approx(0.1)) == (word == "at its limit")
    assert edge.status.word == word
    assert ("0.1 of the weight in a step" in edge.status.detail) == (word == "at its limit")


def test_a_decay_that_was_loaded_is_no_other_schedule():
    (layer,) = layers(20)
    optimizer = SGD([layer.weight], lr=0.05)
    edge = EdgeDecay(optimizer, layer)
    saved = copy.deepcopy((edge.state_dict(), optimizer.state_dict()))
    train(optimizer, layer)
    edge.step()
    edge.load_state_dict(saved[0])
    optimizer.load_state_dict(saved[1])
    train(optimizer, layer)
    assert edge.step() > 0


@pytest.mark.parametrize("fused", [True, False])
def test_steps_that_grad_scaler_skips_do_not_count(fused):
    (layer,) = layers(20, dtype=torch.float32)
    optimizer = AdamW([layer.weight], lr=0.05, weight_decay=0.0, fused=fused)
    edge = EdgeDecay(optimizer, layer)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)

    def train_scaled(gradients):
        for gradient in gradients:
            optimizer.zero_grad()
            scaler.scale((layer.weight * gradient).sum()).backward()
            scaler.step(optimizer)
            scaler.update()

    train_scaled([0.1, math.inf, 0.1, math.nan])
    assert edge.state_dict()["steps"] == 2
    decay = edge.step()
    train_scaled([math.inf] * 3)
    reason = "GradScaler skipped every step of the optimizer" if fused else "the optimizer has made no step"
    with pytest.warns(UserWarning, match=reason):
        assert edge.step() == decay


@pytest.mark.parametrize("kind", [SGD, AdamW])
def test_decay_that_rounding_takes_away_is_told_and_does_not_climb(kind):
    (layer,) = layers(40, dtype=torch.bfloat16)
    optimizer = kind([layer.weight], lr=0.003, weight_decay=0.0)
    edge = EdgeDecay(optimizer, layer)
    start = edge.J_squared
    train(optimizer, layer, steps=300)
    decays = [edge.step()]
    train(optimizer, layer, steps=300)
    with pytest.warns(UserWarning, match=r"the weight is torch.bfloat16, in which a decay of .* is lost in rounding"):
        decays.append(edge.step())
    for _ in range(5):
        train(optimizer, layer, steps=300)
        decays.append(edge.step())
    assert edge.J_squared == start  # the decay truly did nothing
    assert decays[0] > 0
    assert decays == pytest.approx([decays[0]] * 7)


def test_decay_that_low_precision_has_room_for_is_felt():
    (layer,) = layers(40, dtype=torch.bfloat16)
    optimizer = AdamW([layer.weight], lr=0.05, weight_decay=0.0)
    edge = EdgeDecay(optimizer, layer)
    train(optimizer, layer, steps=10)
    assert edge.step() * 0.05 > 0.01  # of the weight, in one step
    train(optimizer, layer, steps=10)
    before = edge.J_squared
    edge.step()
    assert edge.J_squared < 0.9 * before


# layers -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [SGD, Adam, AdamW])
@pytest.mark.parametrize(
    "layer",
    [
        lambda: nn.ConvTranspose2d(8, 4, 3, bias=False, dtype=torch.float64),
        lambda: nn.Linear(20, 30, bias=False, dtype=torch.complex128),
    ],
    ids=["transposed", "complex"],
)
def test_other_layers_are_held_at_the_target(kind, layer):
    torch.manual_seed(0)
    layer = layer()
    fan_in = layer.in_features if isinstance(layer, nn.Linear) else 8 * 9
    nn.init.normal_(layer.weight, std=1.5 / fan_in**0.5)
    optimizer = kind([layer.weight], lr=0.01, weight_decay=0.0)
    edge = EdgeDecay(optimizer, layer)
    assert edge.J_squared == pytest.approx(2.25, rel=0.2)
    for _ in range(25):
        train(optimizer, layer, steps=50)
        edge.step()
    variance = float((layer.weight - layer.weight.mean()).detach().abs().square().mean())
    assert fan_in * variance == pytest.approx(1, rel=0.05)


def test_the_fan_in_may_be_told():
    embedding = nn.Embedding(30, 20)
    optimizer = SGD(embedding.parameters(), lr=0.1)
    with pytest.raises(ValueError, match=r"^Embedding looks rows up"):
        EdgeDecay(optimizer, embedding)
    variance = float(embedding.weight.detach().double().var(correction=0))
    assert EdgeDecay(optimizer, embedding, fan_in=20).J_squared == pytest.approx(20 * variance)
