"""The stack against torch.nn + autograd + torch.optim, member by member, on fresh random inputs."""

import copy
from statistics import median

import pytest
import torch
from torch import nn

from edgechaos_core.conventions import weight_decay_from_l2
from edgechaos_core.training.network import (
    Stack,
    Workspace,
    forward,
    gradient_factors,
    initialise,
    log_likelihood,
)
from edgechaos_core.training.optimizers import make_optimizer
from tests.reference import module_of, optimizer_of, parameters_of

INPUTS, WIDTH, CLASSES, SAMPLES, BATCH = 23, 17, 10, 40, 12  # 40 = 3 x 12 + 4: the last batch is ragged
STEPS = 120
FLOAT64_TOLERANCE = 1e-9
# In float32 training amplifies rounding by a factor that depends on the draw, so the yardstick is torch.optim's own
# float32 error against torch.optim in float64 from the same start: ours may be DRIFT times that plus a few roundings.
DRIFT, FLOAT32_FLOOR = 10, 3e-6


def random_stack(depth: int, activation: str, dtype: torch.dtype, members: int = 3) -> Stack:
    seeds = torch.randint(2**31, (members,)).tolist()
    return initialise(
        seeds, inputs=INPUTS, width=WIDTH, depth=depth, classes=CLASSES, activation=activation, dtype=dtype
    )


def fill(workspace: Workspace, x: torch.Tensor, labels: torch.Tensor) -> Workspace:
    workspace.x.copy_(x)
    workspace.labels.copy_(labels)
    return workspace


def settings_of(case: str, optimizer: str) -> dict[str, list[float]]:
    rate = 0.05 if optimizer == "sgd" else 0.002
    rates, momenta, l2s = {
        "plain": ([rate] * 3, [0.0] * 3, [0.0] * 3),
        "momentum": ([rate] * 3, [0.8] * 3, [0.0] * 3),
        "decay": ([rate] * 3, [0.5] * 3, [0.01] * 3),
        "each its own": ([rate, rate / 3, 2 * rate], [0.0, 0.8, 0.5], [0.0, 0.02, 0.001]),
    }[case]
    decays = [weight_decay_from_l2(value) for value in l2s]
    return {"learning_rate": rates, "momentum": momenta, "weight_decay": decays}


def train_reference(
    module: nn.Sequential, optimizer: torch.optim.Optimizer, images: torch.Tensor, labels: torch.Tensor, batches: list
) -> list[float]:
    losses = []
    for batch in batches:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(module(images[batch]), labels[batch])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def distance(ones: list[torch.Tensor], others: list[torch.Tensor]) -> float:
    return max(float((one.double() - other.double()).abs().max()) for one, other in zip(ones, others, strict=True))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("case", ["plain", "momentum", "decay", "each its own"])
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_training_equals_torch_optim_member_by_member(optimizer, activation, depth, case, dtype):
    settings = settings_of(case, optimizer)
    stack = random_stack(depth, activation, dtype)
    modules = [module_of(stack, member) for member in range(3)]
    images, labels = torch.rand(SAMPLES, INPUTS, dtype=dtype), torch.randint(CLASSES, (SAMPLES,))
    epochs = [torch.stack([torch.randperm(SAMPLES) for _ in modules]) for _ in range(STEPS // 4)]
    batches = [batch for order in epochs for batch in order.split(BATCH, dim=1)]
    assert len(batches) == STEPS

    ours = make_optimizer(optimizer, stack, **settings)
    workspaces = {size: Workspace(stack, size) for size in (BATCH, SAMPLES % BATCH)}
    losses = []
    for batch in batches:
        workspace = fill(workspaces[batch.shape[1]], images[batch], labels[batch])
        forward(stack, workspace)
        losses.append(-log_likelihood(workspace).mean(1))
        ours.step(gradient_factors(stack, workspace))

    ratios = []
    for m, module in enumerate(modules):
        own = {name: values[m] for name, values in settings.items()}
        mine = [parameter[m] for parameter in stack.parameters]
        order = [batch[m] for batch in batches]
        exact = copy.deepcopy(module).double()
        exact_losses = train_reference(exact, optimizer_of(optimizer, exact, **own), images.double(), labels, order)
        error = distance(mine, parameters_of(exact))
        loss_error = max(abs(float(loss[m]) - other) for loss, other in zip(losses, exact_losses, strict=True))
        if dtype == torch.float64:
            assert max(error, loss_error) < FLOAT64_TOLERANCE
        else:
            train_reference(module, optimizer_of(optimizer, module, **own), images, labels, order)
            allowed = DRIFT * distance(parameters_of(module), parameters_of(exact)) + FLOAT32_FLOOR
            ratios.append(max(error, loss_error / 10) / allowed)  # a loss sums over 10 logits of 17 weights each
    # A gradient or an activation within rounding of 0 can throw one member off (once in 1,700); a mistake throws all.
    assert not ratios or median(ratios) < 1


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_gradients_equal_finite_differences(activation, depth):
    stack = random_stack(depth, activation, torch.float64, members=2)
    workspace = fill(Workspace(stack, 9), torch.rand(2, 9, INPUTS, dtype=torch.float64), torch.randint(CLASSES, (2, 9)))
    forward(stack, workspace)
    gradients = [left.mT @ right for left, right in gradient_factors(stack, workspace)]
    assert len(gradients) == depth + 2
    h = 1e-6
    for parameter, gradient in zip(stack.parameters, gradients, strict=True):
        off = []
        for _ in range(3):
            direction = torch.randn_like(parameter)
            slopes = []
            for sign in (1, -1):
                parameter.add_(direction, alpha=sign * h)
                forward(stack, workspace)
                slopes.append(-log_likelihood(workspace).mean(1))
                parameter.sub_(direction, alpha=sign * h)
            numeric = (slopes[0] - slopes[1]) / (2 * h)
            off.append(((gradient * direction).sum((1, 2)) - numeric).abs() / (1e-7 + 1e-6 * numeric.abs()))
        # Central differences err by h^2 and by rounding / h: about 1e-9 here. A kink of ReLU within h of one direction
        # is the exception, a mistake is seen along all three.
        assert torch.stack(off).median(0).values.max() < 1


def test_a_member_depends_on_its_own_seed_alone():
    options = {"inputs": INPUTS, "width": WIDTH, "depth": 2, "classes": CLASSES}
    alone, together = initialise([7], **options), initialise([3, 7, 9], **options)
    assert len(alone.parameters) == 4
    for one, many in zip(alone.parameters, together.parameters, strict=True):
        assert torch.equal(one[0], many[1])
    double = initialise([7], dtype=torch.float64, **options)
    assert all(torch.equal(one, two.float()) for one, two in zip(alone.parameters, double.parameters, strict=True))


def test_initial_distribution():
    stack = initialise([0], inputs=400, width=300, classes=10)
    assert stack.hidden[0].std() * 400**0.5 == pytest.approx(0.5, rel=0.01)  # 120,000 draws: 0.2% standard error
    limit = (6 / 310) ** 0.5
    assert stack.output.abs().max() <= limit
    assert stack.output.std() == pytest.approx(limit / 3**0.5, rel=0.05)
    assert not stack.bias.any()
    glorot = initialise([0], inputs=400, width=300, activation="relu").hidden[0]
    assert glorot.abs().max() <= (6 / 700) ** 0.5


def test_unknown_choices_are_named():
    with pytest.raises(ValueError, match="unknown activation 'sine': choose from tanh, relu"):
        initialise([0], inputs=3, width=3, activation="sine")
    stack = initialise([0, 1], inputs=3, width=3)
    settings = {"learning_rate": [0.1, 0.1], "momentum": [0.0, 0.0], "weight_decay": [0.0, 0.0]}
    with pytest.raises(ValueError, match="unknown optimizer 'lion': choose from sgd, adam, adamw"):
        make_optimizer("lion", stack, **settings)
    with pytest.raises(ValueError, match="momentum needs one value for each of the 2 members, got 1"):
        make_optimizer("sgd", stack, **settings | {"momentum": [0.0]})
