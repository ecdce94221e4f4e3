"""SGD with momentum, Adam and AdamW on a stack, every member with its own rate, momentum and decay.

SGD is ``v <- alpha v - eta (g + wd w); w <- w + v``. Adam and AdamW are Kingma & Ba (arXiv 1412.6980) and Loshchilov &
Hutter (arXiv 1711.05101) as torch.optim writes them, ``momentum`` being their first beta. Decay acts on the weights,
never on the bias.

Everything here takes PyTorch's ``weight_decay`` (see conventions.py).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from edgechaos_core.conventions import OPTIMIZERS, OptimizerName
from edgechaos_core.training.network import Factors, Stack

SECOND_BETA = 0.999
EPSILON = 1e-8

Setting = float | Tensor  # one value for all members, or [M, 1, 1]


def make_optimizer(
    name: OptimizerName,
    stack: Stack,
    *,
    learning_rate: Sequence[float],
    momentum: Sequence[float],
    weight_decay: Sequence[float],
) -> "SGD | Adam":
    """Return the named optimizer for a stack; each setting has one value per member.

    Raises ValueError for an unknown name or a setting whose length is not the number of members.
    """
    members = len(stack.bias)
    for label, values in (("learning_rate", learning_rate), ("momentum", momentum), ("weight_decay", weight_decay)):
        if len(values) != members:
            raise ValueError(f"{label} needs one value for each of the {members} members, got {len(values)}")
    settings = [member_setting(values, stack.bias) for values in (learning_rate, momentum, weight_decay)]
    if name == "sgd":
        return SGD(stack, *settings)
    if name in ("adam", "adamw"):
        return Adam(stack, *settings, decoupled=name == "adamw")
    raise ValueError(f"unknown optimizer {name!r}: choose from {', '.join(OPTIMIZERS)}")


def member_setting(values: Sequence[float], like: Tensor) -> Setting:
    """Return one number where all members agree, so that it rides along in the product for free; else ``[M, 1, 1]``."""
    if all(value == values[0] for value in values):
        return float(values[0])
    return torch.tensor(values, device=like.device, dtype=like.dtype).view(-1, 1, 1)


class SGD:
    """Momentum SGD with the update folded into the gradient's product: one pass over v, one over w."""

    def __init__(self, stack: Stack, learning_rate: Setting, momentum: Setting, weight_decay: Setting) -> None:
        self.parameters = stack.parameters
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.set_weight_decay(weight_decay)
        # v would be the update itself: a stack without momentum keeps none. Where any member has momentum all have v.
        self.plain = _is_zero(momentum)
        self.velocities = [] if self.plain else [torch.zeros_like(w) for w in self.parameters]
        self.steps = 0

    def scale_learning_rate(self, factor: float) -> None:
        """Lower or raise the learning rate of the updates to come, v with it: torch.optim.SGD's v is without eta."""
        self.learning_rate *= factor
        self.set_weight_decay(self.weight_decay)
        for v in self.velocities:
            v.mul_(factor)

    def set_weight_decay(self, weight_decay: Setting) -> None:
        """Set the decay of the updates to come."""
        self.weight_decay = weight_decay
        self.decays = [self.learning_rate * weight_decay] * (len(self.parameters) - 1) + [0.0]

    @property
    def state(self) -> dict[str, Tensor]:
        """What the next update depends on besides the weights and ``steps``, ``[M, ...]`` each, by name."""
        return {f"velocity.{i}": v for i, v in enumerate(self.velocities)}

    def step(self, factors: Factors) -> None:
        """Apply one update from gradient factors (see network.gradient_factors)."""
        self.steps += 1
        for i, (w, (left, right), decay) in enumerate(zip(self.parameters, factors, self.decays, strict=True)):
            if self.plain:
                _add_product_(w, left, right, 1 - decay, self.learning_rate)
                continue
            v = self.velocities[i]
            _add_product_(v, left, right, self.momentum, self.learning_rate)
            # w is still that before the step, as the penalty's gradient is in torch.optim.
            if isinstance(decay, Tensor):
                v.addcmul_(w, decay, value=-1)
            elif decay:
                v.add_(w, alpha=-decay)
            w.add_(v)


class Adam:
    """Adam, or AdamW when ``decoupled``; the bias correction of each member uses its own first beta."""

    def __init__(
        self, stack: Stack, learning_rate: Setting, momentum: Setting, weight_decay: Setting, *, decoupled: bool
    ) -> None:
        self.parameters = stack.parameters
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.set_weight_decay(weight_decay)
        self.decoupled = decoupled
        self.steps = 0
        self.gradients = [torch.empty_like(w) for w in self.parameters]
        self.first = [torch.zeros_like(w) for w in self.parameters]
        self.second = [torch.zeros_like(w) for w in self.parameters]

    def scale_learning_rate(self, factor: float) -> None:
        """Lower or raise the learning rate of the updates to come."""
        self.learning_rate *= factor

    def set_weight_decay(self, weight_decay: Setting) -> None:
        """Set the decay of the updates to come."""
        self.decays = [weight_decay] * (len(self.parameters) - 1) + [0.0]

    @property
    def state(self) -> dict[str, Tensor]:
        """What the next update depends on besides the weights and ``steps``, ``[M, ...]`` each, by name."""
        moments = {"first": self.first, "second": self.second}
        return {f"{name}.{i}": moment for name, own in moments.items() for i, moment in enumerate(own)}

    def step(self, factors: Factors) -> None:
        """Apply one update from gradient factors (see network.gradient_factors)."""
        self.steps += 1
        # Corrections, and epsilon after them, stand where torch.optim has them: epsilon before its correction would
        # count thirtyfold in the first step.
        rate = self.learning_rate / (1 - self.momentum**self.steps)
        correction = (1 - SECOND_BETA**self.steps) ** 0.5
        for i, (w, (left, right), decay) in enumerate(zip(self.parameters, factors, self.decays, strict=True)):
            g, first, second = self.gradients[i], self.first[i], self.second[i]
            torch.bmm(left.mT, right, out=g)
            if not _is_zero(decay):
                if self.decoupled:
                    # by the plain learning rate, without Adam's correction, and before the step
                    w.mul_(1 - self.learning_rate * decay)
                else:
                    g.add_(w * decay)
            first.lerp_(g, 1 - self.momentum)
            second.mul_(SECOND_BETA).addcmul_(g, g, value=1 - SECOND_BETA)
            torch.sqrt(second, out=g)
            g.div_(correction).add_(EPSILON)
            if isinstance(rate, Tensor):
                w.sub_(first.div(g).mul_(rate))
            else:
                w.addcdiv_(first, g, value=-rate)


def _is_zero(setting: Setting) -> bool:
    return not isinstance(setting, Tensor) and setting == 0


def _add_product_(target: Tensor, left: Tensor, right: Tensor, beta: Setting, rate: Setting) -> None:
    """``target <- beta target - rate left^T right``, the scalars inside the product where they are scalars."""
    # beta and alpha of baddbmm_ are numbers: what differs between members is multiplied on before.
    if isinstance(beta, Tensor):
        target.mul_(beta)
        beta = 1.0
    if isinstance(rate, Tensor):
        right, rate = right * rate, 1.0
    target.baddbmm_(left.mT, right, beta=beta, alpha=-rate)
