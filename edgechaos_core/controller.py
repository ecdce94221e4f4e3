"""`EdgeDecay`: hold a layer of anybody's network at the edge of chaos by setting its weight decay while it trains.

Its law, and why it is stable: decay_law.py.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam, AdamW, Optimizer

from edgechaos_core.decay_law import DecayLaw
from edgechaos_core.order_parameters import order_parameters

LEAST_SCALE = 0.01  # of Adam's sqrt(v), relative to its median
_STATE = ("J_squared", "rates", "steps")
_CONTROLLED = "_edgechaos_controlled"  # on the optimizer: indices of groups that have a controller


class EdgeDecay:
    """Set the weight decay of a parameter's group so that J^2 of that parameter settles at ``target``.

    Call `step` once an epoch, after the learning-rate scheduler's; more often where an epoch takes J^2 a good part of
    its way to the target, or where the scheduler steps more often, but never below ten optimizer steps, nor a few times
    the ``1 / (1 - momentum)`` that momentum delays decay by. ``weight`` is that of a linear or convolutional layer,
    ``[out, in, ...]``, and ``J^2 = fan_in var(weight)``. ``rate`` in (0, 1) is the part of the way to the target that a
    period covers; ``smoothing`` in (0, 1] the weight of the last period in the running estimate of growth. Other
    parameters of the group get the same decay: give the weight a group of its own to leave them alone. Decay is never
    negative; it takes no more than a tenth off the weight in a step, and no more than half off ln J^2 in a period, as
    far as growth stays what it was. A layer in order, that growth like the last period's will not bring within a tenth
    of the target, gets none; a frozen one is left alone until it is trained.

    For `torch.optim` SGD, Adam and AdamW with their own conventions of decay; the effective rate of SGD is
    ``lr / (1 - momentum)``, of Adam's penalty ``lr <w^2 / (sqrt(v) + eps)> / <w^2>`` with v its second moment, of
    decoupled decay ``lr``. Raises ValueError for another optimizer, a weight that it does not have or that is constant,
    a group that has a controller already, or numbers out of range.
    """

    def __init__(
        self, optimizer: Optimizer, weight: Tensor, *, target: float = 1.0, rate: float = 0.3, smoothing: float = 0.5
    ) -> None:
        if not isinstance(optimizer, (torch.optim.SGD, Adam, AdamW)):
            raise ValueError(f"EdgeDecay works with SGD, Adam and AdamW of torch.optim, got {type(optimizer).__name__}")
        self.law = DecayLaw(target, rate, smoothing)
        groups = optimizer.param_groups
        found = [number for number, group in enumerate(groups) if any(own is weight for own in group["params"])]
        if not found:
            raise ValueError("the weight is not one of the optimizer's parameters")
        taken: set[int] = optimizer.__dict__.setdefault(_CONTROLLED, set())
        if found[0] in taken:
            raise ValueError(
                "the weight's parameter group has a controller already: close() it first, or give each layer a group "
                "of its own, as one decay cannot steer two"
            )
        self.optimizer, self.weight, self._number = optimizer, weight, found[0]
        self._J_squared = self._measure()
        self._rates, self._steps = 0.0, 0  # sum of effective rates, and number of steps, since the last period
        self._closed = False
        taken.add(found[0])
        self._hook = optimizer.register_step_post_hook(lambda *_: self._count())

    @property
    def group(self) -> dict[str, Any]:
        """The parameter group whose decay is set."""
        return self.optimizer.param_groups[self._number]  # load_state_dict makes new ones

    @property
    def J_squared(self) -> float:  # noqa: N802 - the field's name for it
        """J^2 of the weight when the last period ended."""
        return self._J_squared

    @property
    def weight_decay(self) -> float:
        """The decay in force, in the optimizer's own convention."""
        return float(self.group["weight_decay"])

    @torch.no_grad()
    def step(self) -> float:
        """End a period: measure, set the group's ``weight_decay`` for the next period, and return it.

        A period without an optimizer step changes nothing. Raises ValueError where the weight is no longer finite.
        """
        if not self._steps:
            return self.weight_decay
        exposure = 2 * self._rates * self._relative()
        J_squared = self._measure()
        coming = 2 * self._steps * self._rate() * self._relative()  # at the rate of now
        before, steps, decay = self._J_squared, self._steps, self.weight_decay
        self._J_squared, self._rates, self._steps = J_squared, 0.0, 0
        self.group["weight_decay"] = self.law.next(before, J_squared, decay, exposure, coming, steps)
        return self.weight_decay

    def state_dict(self) -> dict[str, Any]:
        """Return what the controller knows, numbers alone; the decay in force is in the optimizer's state_dict."""
        own = {name: getattr(self, f"_{name}") for name in _STATE}
        return vars(self.law) | own

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`, target and rates included; load the optimizer's as well.

        Raises ValueError for another set of names, or numbers that no controller has.
        """
        own = self.state_dict()
        if set(state) != set(own):
            raise ValueError(f"the state of EdgeDecay has {', '.join(own)}, got {', '.join(map(str, state))}")
        for name, value in state.items():
            number = isinstance(value, (int, float)) and math.isfinite(value)
            if not number and not (name == "growth" and value is None):
                raise ValueError(f"{name} in the state of EdgeDecay must be a finite number, got {value!r}")
        for name in _STATE:
            if state[name] < 0:
                raise ValueError(f"{name} in the state of EdgeDecay must not be negative, got {state[name]!r}")
        self.law = DecayLaw(**{name: state[name] for name in vars(self.law)})
        for name in _STATE:
            setattr(self, f"_{name}", state[name])

    def close(self) -> None:
        """Let go of the optimizer, once: its decay stays as it is."""
        self._hook.remove()
        if not self._closed:
            self.optimizer.__dict__[_CONTROLLED].discard(self._number)
        self._closed = True

    def _count(self) -> None:
        if self.weight.grad is None:  # frozen: the optimizer leaves it alone
            return
        self._steps += 1
        self._rates += self._rate()

    def _rate(self) -> float:
        """The effective rate of a step, up to `_relative`."""
        momentum = self.group.get("momentum", 0.0)
        damping = 1 - self.group.get("dampening", 0.0) if momentum else 1.0
        return float(self.group["lr"]) * float(damping) / (1 - float(momentum))

    def _relative(self) -> float:
        """How much more strongly decay acts than its rate says: 1, but for Adam's penalty, divided by sqrt(v)."""
        group, state = self.group, self.optimizer.state.get(self.weight, {})
        if "betas" not in group or group.get("decoupled_weight_decay") or "exp_avg_sq" not in state:
            return 1.0
        second = state["max_exp_avg_sq"] if group.get("amsgrad") else state["exp_avg_sq"]
        correction = 1 - group["betas"][1] ** float(state["step"])
        squares = self.weight.detach().double().square()
        scale = (second.double() / correction).sqrt() + group["eps"]
        scale.clamp_(min=LEAST_SCALE * float(scale.median()))  # weights of dead inputs: Adam bounds their step
        return float((squares / scale).sum() / squares.sum())

    def _measure(self) -> float:
        if self.weight.ndim < 2:
            raise ValueError(f"the weight must be [out, in, ...], got shape {tuple(self.weight.shape)}")
        J = float(order_parameters(self.weight.detach().flatten(1).T)[0])
        if not (math.isfinite(J) and J > 0):
            raise ValueError(f"J of the weight is {J}: it must be finite and positive; has training diverged?")
        return J * J
