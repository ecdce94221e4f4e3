"""`EdgeDecay`: hold a layer of anybody's network at the edge of chaos by setting its weight decay while it trains.

Let x = ln J^2. Over a period of n optimizer steps of effective rate r, weight decay wd (PyTorch's convention) takes
``E wd`` off x, with the *exposure* ``E = 2 n r``, while the gradients add g. The controller measures x, takes
``gamma = (change of x + E wd) / E``, the decay that would just have balanced the period's growth, and sets
``wd = gamma + rate (x - ln target) / E`` for the next one. Then x - ln target shrinks by the factor 1 - rate a period,
up to how much gamma changes from one to the next: stable for any rate in (0, 1), whatever the speed of training.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam, AdamW, Optimizer

from edgechaos_core.order_parameters import order_parameters

LARGEST_CORRECTION = 0.5  # of ln J^2 in a period, beyond balancing growth
LARGEST_SHRINK = 0.1  # of the weight in one optimizer step
LEAST_SCALE = 0.01  # of Adam's sqrt(v), relative to its median
_CONTROLLED = "_edgechaos_controlled"  # on the optimizer: indices of groups that have a controller


class EdgeDecay:
    """Set the weight decay of a parameter's group so that J^2 of that parameter settles at ``target``.

    Call `step` once an epoch, or every few hundred optimizer steps, after the learning-rate scheduler's. ``weight`` is
    that of a linear or convolutional layer, ``[out, in, ...]``, and ``J^2 = fan_in var(weight)``. ``rate`` in (0, 1) is
    the part of the way to the target that a period covers; ``smoothing`` in (0, 1] the weight of the last period in
    the running estimate of growth. Other parameters of the group get the same decay: give the weight a group of its
    own to leave them alone. Decay is never negative; it takes no more than a tenth off the weight in a step and, beyond
    balancing growth, no more than half off ln J^2 in a period. A layer well in order, that growth will not bring past
    a fraction ``rate`` of its way to the target, gets none.

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
        if not (math.isfinite(target) and target > 0):
            raise ValueError(f"target, a J^2, must be positive, got {target}")
        if not 0 < rate < 1:
            raise ValueError(f"rate must be in (0, 1), got {rate}")
        if not 0 < smoothing <= 1:
            raise ValueError(f"smoothing must be in (0, 1], got {smoothing}")
        groups = optimizer.param_groups
        found = [number for number, group in enumerate(groups) if any(own is weight for own in group["params"])]
        if not found:
            raise ValueError("the weight is not one of the optimizer's parameters")
        taken: set[int] = optimizer.__dict__.setdefault(_CONTROLLED, set())
        if found[0] in taken:
            raise ValueError(
                "the weight's parameter group has a controller already: one decay cannot steer two layers, "
                "give each a group of its own"
            )
        self.optimizer, self.weight, self._number = optimizer, weight, found[0]
        self.target, self.rate, self.smoothing = target, rate, smoothing
        self._log_J_squared = self._measure()
        self._growth: float | None = None  # gamma, smoothed
        self._rates, self._steps = 0.0, 0  # sum of effective rates, and number of steps, since the last period
        taken.add(found[0])
        self._hook = optimizer.register_step_post_hook(lambda *_: self._count())

    @property
    def group(self) -> dict[str, Any]:
        """The parameter group whose decay is set."""
        return self.optimizer.param_groups[self._number]  # load_state_dict makes new ones

    @property
    def J_squared(self) -> float:  # noqa: N802 - the field's name for it
        """J^2 of the weight when the last period ended."""
        return math.exp(self._log_J_squared)

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
        log_J_squared = self._measure()
        grown = log_J_squared - self._log_J_squared + exposure * self.weight_decay
        now = 2 * self._steps * self._rate() * self._relative()  # exposure of the next period, at the rate of now
        steps, self._log_J_squared, self._rates, self._steps = self._steps, log_J_squared, 0.0, 0
        if not exposure > 0:
            return self.weight_decay
        gamma = grown / exposure
        self._growth = gamma if self._growth is None else self._growth + self.smoothing * (gamma - self._growth)
        if now > 0:
            correction = self.rate * (log_J_squared - math.log(self.target))
            wanted = self._growth + min(max(correction, -LARGEST_CORRECTION), LARGEST_CORRECTION) / now
            largest = 2 * steps * LARGEST_SHRINK / now
            self.group["weight_decay"] = min(max(wanted, 0.0), largest)
        return self.weight_decay

    def state_dict(self) -> dict[str, Any]:
        """Return what the controller knows, numbers alone; the decay in force is in the optimizer's state_dict."""
        names = ("target", "rate", "smoothing", "_log_J_squared", "_growth", "_rates", "_steps")
        return {name.lstrip("_"): getattr(self, name) for name in names}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`; raises ValueError for another set of names. Load the optimizer's as well."""
        own = self.state_dict()
        if set(state) != set(own):
            raise ValueError(f"the state of EdgeDecay has {', '.join(own)}, got {', '.join(map(str, state))}")
        for name, value in state.items():
            setattr(self, name if name in ("target", "rate", "smoothing") else f"_{name}", value)

    def close(self) -> None:
        """Let go of the optimizer: its decay stays as it is."""
        self._hook.remove()
        self.optimizer.__dict__[_CONTROLLED].discard(self._number)

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
        return 2 * math.log(J)
