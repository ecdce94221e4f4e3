"""EdgeDecay: its law on a made-up plant, and on real training with each optimizer, schedules, and resumption."""

import copy
import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, lr_scheduler

from edgechaos_core.models.controller import EdgeDecay
from edgechaos_core.models.effective_rate import relative_decay
from edgechaos_core.store.runs import load_run
from edgechaos_core.store.store import COMMITTED_RUNS
from edgechaos_core.theory.decay_law import LET_GO, DecayLaw
from edgechaos_core.theory.order_parameters import order_parameters

TARGET = 0.5
OPTIMIZERS = {
    "sgd": lambda p, **more: SGD(p, lr=0.05, **more),
    "momentum": lambda p, **more: SGD(p, lr=0.03, momentum=0.8, **more),
    "nesterov": lambda p, **more: SGD(p, lr=0.03, momentum=0.8, nesterov=True, **more),
    "dampening": lambda p, **more: SGD(p, lr=0.1, momentum=0.8, dampening=0.5, **more),
    "adam": lambda p, **more: Adam(p, lr=0.001, **more),
    "amsgrad": lambda p, **more: Adam(p, lr=0.001, amsgrad=True, **more),
    "adamw": lambda p, **more: AdamW(p, lr=0.001, **({"weight_decay": 0.0} | more)),
}


class Training:
    """A small network on real images, trained by an ordinary loop."""

    def __init__(self, data, optimizer, *, scale=0.5, schedule=None, **more) -> None:
        generator = torch.Generator().manual_seed(1)
        self.images, self.labels = data.train.images.float() / 255, data.train.labels
        self.network = nn.Sequential(nn.Linear(784, 48, bias=False), nn.Tanh(), nn.Linear(48, 10))
        for parameter in self.network.parameters():
            nn.init.normal_(parameter, std=0.1, generator=generator)
        nn.init.normal_(self.network[0].weight, std=scale / 28, generator=generator)
        self.optimizer = OPTIMIZERS[optimizer](self.network.parameters(), **more)
        self.schedule = schedule(self.optimizer) if schedule else None
        self.shuffles = torch.Generator().manual_seed(2)

    @property
    def weight(self):
        return self.network[0].weight

    def epoch(self) -> None:
        for batch in torch.randperm(len(self.labels), generator=self.shuffles).split(16):
            self.optimizer.zero_grad()
            nn.functional.cross_entropy(self.network(self.images[batch]), self.labels[batch]).backward()
            self.optimizer.step()
        if self.schedule is not None:
            self.schedule.step()


def controlled(training, epochs, **options) -> list[float]:
    controller = EdgeDecay(training.optimizer, training.weight, **({"target": TARGET} | options))
    path = []
    for _ in range(epochs):
        training.epoch()
        assert 0 <= controller.step() < math.inf
        path.append(controller.J_squared)
    return path


# the law, on a plant made up -----------------------------------------------------------------------------------------


def plant(optimizer, weight, growth: float, steps: int = 5) -> None:
    """Gradients that do nothing, and growth of J^2 from elsewhere; n steps."""
    for _ in range(steps):
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
        with torch.no_grad():
            J_squared = float(order_parameters(weight.T)[0]) ** 2
            weight.mul_(math.sqrt(1 + growth / steps / J_squared))


def weight_of(J: float = 0.5, shape=(40, 30)) -> nn.Parameter:
    return nn.Parameter(
        torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * J / 30**0.5
    )


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.7])
@pytest.mark.parametrize("J", [0.95, 1.2])
@pytest.mark.parametrize("growth", [0.1, 1.0], ids=["slow", "fast"])
def test_the_way_to_the_target_shrinks_by_the_rate(rate, J, growth):
    weight = weight_of(J)
    optimizer = SGD([weight], lr=1e-4)  # so small that a step's shrink is its first order
    controller = EdgeDecay(optimizer, weight, rate=rate)
    x = []
    for _ in range(9):
        plant(optimizer, weight, growth, steps=400)
        controller.step()
        x.append(math.log(controller.J_squared))
    cut = [max((1 - rate) * value, value - 0.5) for value in x[:-1]]
    np.testing.assert_allclose(x[1:], cut, atol=4e-3)


NEAR = math.exp(-LET_GO)


@pytest.mark.parametrize(
    ("start", "growth", "path"),
    [
        (0.25, 0.2, [0.45, 0.65, 0.85, NEAR, NEAR**0.7]),  # free, and held back where the next period would pass NEAR
        (0.25, 0.6, [0.85, NEAR, NEAR**0.7]),
        (0.25, 1.5, [1.75, 1.75**0.7, 1.75**0.49]),
    ],
)
def test_a_network_in_order_is_let_go_until_it_is_near(start, growth, path):
    weight = weight_of()
    with torch.no_grad():
        weight.mul_(math.sqrt(start) / float(order_parameters(weight.T)[0]))
    optimizer = SGD([weight], lr=1e-4)
    controller = EdgeDecay(optimizer, weight)
    seen = []
    for _ in path:
        plant(optimizer, weight, growth, steps=400)
        controller.step()
        seen.append(controller.J_squared)
    np.testing.assert_allclose(seen, path, rtol=4e-3)


def test_growth_that_fades_is_not_balanced_beyond_need():
    law = DecayLaw()
    assert law.next(1.2, 1.1, decay=0.0, exposure=1.0, coming=1.0, steps=100) == 0.0  # it sinks to the target by itself
    assert law.growth == pytest.approx(-0.1)
    assert law.next(1.1, 1.6, decay=0.0, exposure=1.0, coming=1.0, steps=100) > 0


def test_decay_balances_growth_at_the_target_whatever_the_learning_rate():
    weight = weight_of(1.0)
    optimizer = SGD([weight], lr=1e-4)
    controller = EdgeDecay(optimizer, weight)
    for period in range(60):
        optimizer.param_groups[0]["lr"] = 1e-4 * (1 + period % 3)
        plant(optimizer, weight, 0.02 * (1 + period % 3))  # growth by gradients goes with the learning rate
        optimizer.param_groups[0]["lr"] = 1e-4 * (1 + (period + 1) % 3)  # what a scheduler does
        decay = controller.step()
    assert math.log(controller.J_squared) == pytest.approx(0, abs=1e-3)
    assert decay == pytest.approx(0.02 / (2 * 5 * 1e-4), rel=0.02)


def test_a_layer_in_order_gets_no_decay():
    weight = weight_of(0.3)
    optimizer = SGD([weight], lr=0.1, weight_decay=1e-3)
    controller = EdgeDecay(optimizer, weight)
    plant(optimizer, weight, 0.01)
    assert controller.step() == 0.0
    plant(optimizer, weight, 0.01)
    assert controller.step() == 0.0


def test_decay_is_bounded_far_above_the_target():
    weight = weight_of(100.0)
    optimizer = SGD([weight], lr=0.01)
    controller = EdgeDecay(optimizer, weight)
    for _ in range(30):
        before = controller.J_squared
        plant(optimizer, weight, 0.0)
        decay = controller.step()
        assert optimizer.param_groups[0]["lr"] * decay <= 0.1
        assert math.log(controller.J_squared / before) > -0.6  # half of ln J^2 a period, to first order
    assert controller.J_squared == pytest.approx(1, rel=0.05)


def test_a_period_without_steps_or_with_learning_rate_0_changes_nothing():
    weight = weight_of()
    optimizer = SGD([weight], lr=0.1, weight_decay=0.02)
    controller = EdgeDecay(optimizer, weight)
    with pytest.warns(UserWarning, match="^EdgeDecay: the optimizer has made no step since the last period"):
        assert controller.step() == 0.02
    assert controller.step() == 0.02  # told once
    optimizer.param_groups[0]["lr"] = 0.0
    plant(optimizer, weight, 0.0)
    assert controller.step() == 0.02


def test_a_learning_rate_that_falls_to_0_leaves_decay_finite():
    weight = weight_of(1.2)
    optimizer = SGD([weight], lr=0.1)
    controller = EdgeDecay(optimizer, weight)
    plant(optimizer, weight, 0.1)
    optimizer.param_groups[0]["lr"] = 0.0
    assert controller.step() == 0.0  # nothing is known to be right: what was in force stays


def test_a_rate_that_rises_after_the_decay_was_set_is_told_and_measured():
    weight = weight_of(1.5)
    optimizer = SGD([weight], lr=1e-3)
    controller = EdgeDecay(optimizer, weight, smoothing=1.0)
    plant(optimizer, weight, 0.0, steps=100)
    assert controller.step() > 0
    optimizer.param_groups[0]["lr"] = 1.5e-3
    plant(optimizer, weight, 0.0, steps=100)
    controller.step()  # not much more: nothing is said
    assert controller.status.word != "rate raised"
    optimizer.param_groups[0]["lr"] = 6e-3
    plant(optimizer, weight, 0.0, steps=100)
    with pytest.warns(UserWarning, match=r"learning rate rose from 0\.0015 to 0\.006 after step\(\) had set the decay"):
        controller.step()
    assert controller.status.word == "rate raised"
    assert controller.law.growth == pytest.approx(0, abs=0.01)  # what decay did at the new rate is not taken for growth
    optimizer.param_groups[0]["lr"] = 1e-2
    controller.load_state_dict(controller.state_dict())  # what the decay was set for is not known then
    plant(optimizer, weight, 0.0, steps=100)
    controller.step()


def test_a_frozen_weight_is_left_alone():
    weight, other = weight_of(1.5), weight_of()
    optimizer = SGD([weight, other], lr=0.1, weight_decay=0.02)
    controller = EdgeDecay(optimizer, weight)
    other.grad = torch.ones_like(other)
    optimizer.step()  # the weight has no gradient: neither it nor its decay moves
    with pytest.warns(UserWarning, match="^EdgeDecay: the weight had no gradient in any step of the optimizer"):
        assert controller.step() == 0.02


def test_dead_inputs_do_not_blind_the_controller_with_adam(small):
    training = Training(small(), "adam")
    training.images[:, :200] = 0
    path = controlled(training, 60)
    assert np.mean(path[-10:]) == pytest.approx(TARGET, rel=0.03)
    assert max(path) < 1.2 * TARGET


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_exposure_is_what_decay_takes_off(optimizer, small):
    training = Training(small(), optimizer)
    training.epoch()
    paths = []
    for decay in (0.0, 1e-3 if optimizer in ("adam", "amsgrad") else 1e-2):
        own = copy.deepcopy(training)
        own.optimizer.param_groups[0]["weight_decay"] = decay
        controller = EdgeDecay(own.optimizer, own.weight, smoothing=1.0)
        own.epoch()
        state = own.optimizer.state[own.weight]
        exposure = 2 * controller._rates * relative_decay(own.weight, controller.group, state)
        controller.step()
        paths.append((math.log(controller.J_squared), exposure * decay))
    taken, expected = paths[0][0] - paths[1][0], paths[1][1]
    assert taken == pytest.approx(expected, rel=0.35)  # the gradients differ as well, and v of Adam moves


HELD = [run for path in COMMITTED_RUNS.glob("*.parquet") if (run := load_run(path)).config.hold]


@pytest.mark.parametrize("run", HELD, ids=lambda run: f"{run.config.samples}-{run.config.batch_size}-{run.config.seed}")
def test_committed_runs_were_steered_by_this_law(run):
    config, history = run.config, run.history
    law, steps = DecayLaw(config.hold), -(-config.samples // config.batch_size)
    exposure = 2 * steps * config.learning_rate / (1 - config.momentum)
    J_squared, l2 = history["J_squared"].to_numpy(), history["lambda"].to_numpy()
    assert len(history) > 10
    for epoch in range(1, len(history) - 1):
        here, coming = (exposure * (0.1 if 0 < config.milestone < at else 1) for at in (epoch, epoch + 1))
        found = law.next(J_squared[epoch - 1], J_squared[epoch], 2 * l2[epoch], here, coming, steps) / 2
        assert found == pytest.approx(l2[epoch + 1], rel=1e-6, abs=1e-12), epoch


def test_there_are_committed_runs_that_were_steered():
    assert len(HELD) >= 15


def test_the_controller_needs_torch_and_numpy_alone():
    script = (
        "import sys; import torch, numpy; before = {name.partition('.')[0] for name in sys.modules}; "
        "import edgechaos_core.models.controller; after = {name.partition('.')[0] for name in sys.modules}; "
        "sys.exit(', '.join(after - before - set(sys.stdlib_module_names) - {'edgechaos_core'}) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (0, "")


# real training ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("optimizer", "wrong"), [*((name, 0.2) for name in OPTIMIZERS), ("momentum", 0.0)])
def test_real_training_settles_at_the_target(optimizer, wrong, small):
    training = Training(small(), optimizer, weight_decay=wrong)
    path = controlled(training, 60)
    J = float(order_parameters(training.weight.detach().T)[0])
    assert path[-1] == pytest.approx(J**2, rel=1e-9)
    assert np.mean(path[-10:]) == pytest.approx(TARGET, rel=0.03)
    assert max(path) < 1.3 * TARGET


@pytest.mark.parametrize(("optimizer", "rate"), [("momentum", 0.08), ("adamw", 0.002), ("adamw", 0.004)])
def test_a_fast_network_is_not_thrown_back(optimizer, rate, small):
    training = Training(small(), optimizer)
    training.optimizer.param_groups[0]["lr"] = rate
    path = controlled(training, 20)
    assert path[0] > 1.5 * 0.25
    assert min(path[1:]) > 0.85 * TARGET
    assert np.mean(path[-10:]) == pytest.approx(TARGET, rel=0.1)


@pytest.mark.parametrize("optimizer", ["momentum", "adam", "adamw"])
def test_a_start_in_chaos_is_brought_back(optimizer, small):
    path = controlled(Training(small(), optimizer, scale=2.0), 60)
    assert path[0] > 2
    assert np.mean(path[-10:]) == pytest.approx(TARGET, rel=0.03)


SCHEDULES = {
    "step": lambda o: lr_scheduler.StepLR(o, 20, 0.3),
    "cosine": lambda o: lr_scheduler.CosineAnnealingLR(o, 60),
    "cycle": lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 1 + 0.5 * math.sin(epoch)),
}


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimizer", ["momentum", "adamw"])
def test_learning_rate_schedules(optimizer, schedule, small):
    path = controlled(Training(small(), optimizer, schedule=SCHEDULES[schedule]), 60)
    assert np.mean(path[-10:]) == pytest.approx(TARGET, rel=0.03)


def test_other_groups_keep_their_decay(small):
    training = Training(small(), "momentum")
    first, *others = training.network.parameters()
    optimizer = SGD([{"params": others, "weight_decay": 0.01}, {"params": [first]}], lr=0.05, momentum=0.5)
    training.optimizer = optimizer
    controlled(training, 30, target=0.3)
    assert optimizer.param_groups[0]["weight_decay"] == 0.01
    assert optimizer.param_groups[1]["weight_decay"] > 0


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_training_that_is_resumed_is_the_same(optimizer, small):
    whole = Training(small(), optimizer)
    controller = EdgeDecay(whole.optimizer, whole.weight, target=TARGET)
    for epoch in range(12):
        whole.epoch()
        if epoch == 7:  # in the middle of a period of two epochs
            resumed = Training(small(), optimizer)
            resumed.network.load_state_dict(whole.network.state_dict())
            resumed.optimizer.load_state_dict(copy.deepcopy(whole.optimizer.state_dict()))
            resumed.shuffles.set_state(whole.shuffles.get_state())
            text = json.dumps(controller.state_dict())
        if epoch % 2:
            controller.step()
    again = EdgeDecay(resumed.optimizer, resumed.weight)
    again.load_state_dict(json.loads(text))
    again.step()
    for epoch in range(8, 12):
        resumed.epoch()
        if epoch % 2:
            again.step()
    assert (again.weight_decay, again.J_squared) == (controller.weight_decay, controller.J_squared)
    assert again.weight_decay > 0
    assert torch.equal(resumed.weight, whole.weight)


def test_load_state_dict_of_the_optimizer_after_the_controller_was_made(small):
    training = Training(small(), "momentum")
    controller = EdgeDecay(training.optimizer, training.weight, target=0.2)
    training.optimizer.load_state_dict(copy.deepcopy(training.optimizer.state_dict()))  # makes new groups
    training.epoch()
    training.epoch()
    assert controller.step() > 0
    assert training.optimizer.param_groups[0]["weight_decay"] == controller.weight_decay


# closed doors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "1"}, r"target must be a number, got '1'"),
        ({"target": True}, r"target must be a number, got True"),
        ({"rate": None}, r"rate must be a number, got None"),
        ({"target": 0.0}, r"target, a J\^2, must be positive, got 0.0"),
        ({"target": math.nan}, r"target, a J\^2, must be positive, got nan"),
        ({"rate": 1.0}, r"rate must be in \(0, 1\), got 1.0"),
        ({"smoothing": 0.0}, r"smoothing must be in \(0, 1\], got 0.0"),
    ],
)
def test_bad_numbers(options, message):
    weight = weight_of()
    with pytest.raises(ValueError, match=message):
        EdgeDecay(SGD([weight], lr=0.1), weight, **options)


def test_bad_weights_and_optimizers():
    weight, other = weight_of(), weight_of()
    with pytest.raises(ValueError, match=r"works with SGD, Adam and AdamW of torch\.optim, got RMSprop"):
        EdgeDecay(torch.optim.RMSprop([weight]), weight)
    with pytest.raises(ValueError, match="not one of the optimizer's parameters"):
        EdgeDecay(SGD([weight], lr=0.1), other)
    constant, vector = nn.Parameter(torch.ones(3, 4)), nn.Parameter(torch.randn(4))
    with pytest.raises(ValueError, match=r"J of the weight is 0\.0: it must be finite and positive"):
        EdgeDecay(SGD([constant], lr=0.1), constant)
    with pytest.raises(ValueError, match=r"must be \[out, in, ...\], got shape \(4,\)"):
        EdgeDecay(SGD([vector], lr=0.1), vector)


def test_one_controller_a_group():
    one, other = weight_of(), weight_of()
    optimizer = SGD([one, other], lr=0.1)
    first = EdgeDecay(optimizer, one)
    with pytest.raises(ValueError, match="has a controller already"):
        EdgeDecay(optimizer, other)
    first.close()
    EdgeDecay(optimizer, other)
    first.close()
    with pytest.raises(ValueError, match="has a controller already"):
        EdgeDecay(optimizer, one)


def test_training_that_diverged_is_named():
    weight = weight_of()
    optimizer = SGD([weight], lr=0.1)
    controller = EdgeDecay(optimizer, weight)
    plant(optimizer, weight, 0.1)
    with torch.no_grad():
        weight[0, 0] = math.nan
    with pytest.raises(ValueError, match="has training diverged"):
        controller.step()


def test_a_state_of_something_else():
    weight = weight_of()
    with pytest.raises(ValueError, match="the state of EdgeDecay has target, rate, "):
        EdgeDecay(SGD([weight], lr=0.1), weight).load_state_dict({"lr": 1})


def test_a_state_with_negative_counts_is_refused():
    weight = weight_of()
    controller = EdgeDecay(SGD([weight], lr=0.1), weight)
    for name in ("steps", "rates", "J_squared"):
        with pytest.raises(ValueError, match=f"^{name} in the state of EdgeDecay must not be negative, got -1$"):
            controller.load_state_dict({**controller.state_dict(), name: -1})


@pytest.mark.parametrize("bad", [math.nan, math.inf, "x", [1.0]])
@pytest.mark.parametrize("name", ["growth", "J_squared"])
def test_a_damaged_state_is_refused_before_it_harms_the_weights(name, bad):
    weight = weight_of()
    controller = EdgeDecay(SGD([weight], lr=0.1), weight)
    with pytest.raises(ValueError, match=f"^{name} in the state of EdgeDecay must be a finite number, got "):
        controller.load_state_dict({**controller.state_dict(), name: bad})


def test_a_convolution_has_the_fan_in_of_its_kernel():
    layer = nn.Conv2d(8, 16, 3)
    expected = 72 * float(layer.weight.detach().double().var(correction=0))
    controller = EdgeDecay(SGD(layer.parameters(), lr=0.1), layer.weight)
    assert controller.J_squared == pytest.approx(expected, rel=1e-9)
