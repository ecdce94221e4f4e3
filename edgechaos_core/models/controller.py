"""`EdgeDecay`: hold a layer of anybody's network at the edge of chaos by setting its weight decay while it trains.

Its law, and when it is stable: decay_law.py. What the fan-in of a layer is: fan_in.py.
"""

import math
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.optim import Optimizer

from edgechaos_core.models.attached import attach, detach, groups_by_weight, steerable_optimizer
from edgechaos_core.models.controller_state import refuse_state
from edgechaos_core.models.controller_status import Status, status, trouble
from edgechaos_core.models.effective_rate import effective_rate, is_lost, relative_decay
from edgechaos_core.models.fan_in import LayerWeight, weight_to_hold
from edgechaos_core.theory.decay_law import LARGEST_SHRINK, DecayLaw

if TYPE_CHECKING:
    from edgechaos_core.models.model_controller import ModelEdgeDecay

_STATE = ("J_squared", "rates", "steps")
RAISED = 2  # times the learning rate that a decay was set for, in the mean of the period: too much to go untold


class EdgeDecay:
    """Set the weight decay of a parameter's group so that J^2 of that parameter settles at ``target``.

    **When to call.** Call `step` once an epoch, after the learning-rate scheduler's. Call it more often where an epoch
    takes J^2 a good part of its way to the target, or where the scheduler steps more often, but leave at least ten
    optimizer steps between two calls, and a few times the ``1 / (1 - momentum)`` that momentum delays decay by.

    **Arguments.** ``layer`` is a module or its weight, and ``J^2 = fan_in var(weight)``. The fan-in of linear,
    convolutional and other known layers is found, or given by ``fan_in``; a bare weight that no known layer holds is
    taken as ``[out, in, ...]``. ``rate`` in (0, 1) is the part of the way to the target that a period covers;
    ``smoothing`` in (0, 1] is the weight of the last period in the running estimate of growth.

    **What it sets.** From the first `step` on the controller's decay takes the place of the ``weight_decay`` of the
    weight's parameter group. Other parameters of the group get the same decay: give the weight a group of its own to
    leave them alone, as `EdgeDecay.for_model` does. Other groups keep theirs.

    Decay is never negative. It takes at most a tenth off the weight in a step, and at most 0.5 off ln J^2 in a period,
    as far as growth stays what it was. While J^2 is more than a tenth below the target there is no decay, unless growth
    as in the last period would bring it closer than that. A frozen layer is left alone until it is trained.

    **Stability.** If growth (J^2 that gradients add in a period) does not depend on J^2 and decay, every rate and
    smoothing is stable. If it goes as ``(J^2)^b wd^g`` near the target, the default ones are for
    ``-1.275 < E b < 0.65`` (g = 0) and ``-1.76 < g < 1`` (b = 0), with ``E = 1 - exp(-e)``, e being the part of ln J^2
    that decay takes off in a period; for others see `theory.decay_law.stable_region`. Where ln growth drifts by v a
    period, ln J^2 stays ``E v / (rate smoothing)`` off.

    **Optimizers.** SGD, Adam and AdamW of `torch.optim`, with their own conventions of decay. The effective rate of SGD
    is ``lr / (1 - momentum)``, of Adam's penalty ``lr <w^2 / (sqrt(v) + eps)> / <w^2>`` with v its second moment, of
    decoupled decay ``lr``. A weight spread over processes (DTensor) is gathered: call `step` in all of them. Copied or
    pickled together with model and optimizer, the copy steers the copies.

    Raises ValueError for another optimizer, a weight that it does not have or that is constant, a layer whose fan-in is
    not known, a group that has a controller already, or numbers out of range.

    Warns (UserWarning, once each) when the weight is frozen; when a period had no step of the optimizer, none with a
    gradient of the weight, or only steps that GradScaler skipped; when something else set the group's weight decay;
    when the learning rate was raised to over twice that which the decay was set for; and when the weight's own
    precision (bfloat16, float16) is too coarse for the decay, which then counts as none. The learning rate may change
    within a period: each step of the optimizer counts with the rate that it was taken with.

    >>> import torch
    >>> from torch import nn, optim
    >>> from edgechaos_core import EdgeDecay
    >>> model = nn.Sequential(nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 2))
    >>> optimizer = optim.AdamW([{"params": [p]} for p in model.parameters()])
    >>> edge = EdgeDecay(optimizer, model[0], target=1.0)
    >>> for _ in range(20):  # an epoch
    ...     loss = model(torch.ones(8, 20)).square().mean()
    ...     optimizer.zero_grad(); loss.backward(); optimizer.step()
    >>> edge.step()  # still in order: no decay
    0.0
    """

    _name = "the weight"  # in messages: `for_model` gives each layer its own

    def __init__(
        self,
        optimizer: Optimizer,
        layer: nn.Module | Tensor,
        *,
        target: float = 1.0,
        rate: float = 0.3,
        smoothing: float = 0.5,
        fan_in: float | None = None,
    ) -> None:
        self.optimizer = steerable_optimizer(optimizer)
        self.law = DecayLaw(target, rate, smoothing)
        held = weight_to_hold(layer, fan_in)
        self.weight, self.fan_in = held.tensor, held.fan_in
        if id(self.weight) not in groups_by_weight(self.optimizer):
            raise ValueError("the weight is not one of the optimizer's parameters")
        self._rates, self._steps = 0.0, 0  # sum of effective rates, and number of steps, since the last period
        self._set: float | None = None  # the decay that the last period set; None where loading may change it
        self._coming = math.inf  # the effective rate that it was set for
        self._idle = "no step"  # why there are no steps
        self._warned: set[str] = set()
        self._news: list[str] = []  # warnings that are not told yet
        self._trouble: Status | None = trouble("no period")  # of the last period, or None
        self._change = 0.0  # of J^2 in the last period
        self._at_limit = False  # whether the law wants more decay than there may be
        self._closed = False
        self._J_squared = self._measure()
        attach(self.optimizer, self)
        if not self.weight.requires_grad:
            self._note("frozen")
            self._tell()

    @classmethod
    def for_model(
        cls,
        model: nn.Module,
        optimizer: Optimizer,
        target: str | float | Mapping[str, float] = "edge",
        *,
        sample: Any = None,  # noqa: ANN401 - whatever the model takes
        **options: Any,  # noqa: ANN401 - those of ModelEdgeDecay
    ) -> "ModelEdgeDecay":
        """Steer every layer of a model that can be steered: see `ModelEdgeDecay`, which takes the same arguments."""
        from edgechaos_core.models.model_controller import ModelEdgeDecay  # which stands on this module

        return ModelEdgeDecay(model, optimizer, target, sample=sample, **options)

    @property
    def group(self) -> dict[str, Any]:
        """The parameter group whose decay is set; ValueError where the optimizer no longer has the weight."""
        group = groups_by_weight(self.optimizer).get(id(self.weight))
        if group is None:
            raise ValueError(
                "the weight is no longer one of the optimizer's parameters: close() this controller, and make a new "
                "one for the parameter that took its place"
            )
        return group

    @property
    def J_squared(self) -> float:  # noqa: N802 - the field's name for it
        """J^2 of the weight when the last period ended."""
        return self._J_squared

    @property
    def weight_decay(self) -> float:
        """The decay in force, in the optimizer's own convention."""
        return float(self.group["weight_decay"])

    @property
    def status(self) -> Status:
        """How the layer stands since the last period: in a word, such as ``holding`` or ``free``, and in a sentence."""
        decay, own = self.weight_decay, self._set
        if own is not None and decay != own:
            return trouble("overwritten", decay, own)
        return self._trouble or status(self._J_squared, self.law.target, decay, self._change, at_limit=self._at_limit)

    def step(self) -> float:
        """End a period: measure, set the group's ``weight_decay`` for the next period, and return it.

        A period without an optimizer step changes nothing, and warns. Raises ValueError where the weight is no longer
        finite or no longer the optimizer's.
        """
        decay = self._end_period(self.group)
        self._tell()
        return decay

    def _end_period(self, group: dict[str, Any]) -> float:
        before, steps, decay = self._J_squared, self._steps, float(group["weight_decay"])
        self._trouble = None
        if self._set is not None and decay != self._set:
            self._note("overwritten", decay, self._set)
        if not steps:
            self._note("closed" if self._closed else self._idle)
            self._idle = "no step"
            return decay
        relative = relative_decay(self.weight, group, self.optimizer.state.get(self.weight, {}))
        if self._set and self._rates > RAISED * steps * self._coming:
            self._note("raised", self._coming, self._rates / steps)
        exposure, self._coming = 2 * self._rates * relative, effective_rate(group)
        coming = 2 * steps * self._coming * relative  # at the rate of now
        J_squared, shrink = self._measure(), decay * exposure / 2 / steps
        if is_lost(self.weight, shrink):
            self._note("lost", self.weight.dtype, decay, shrink)
            decay = 0.0  # what the weights have seen of it
        self._J_squared, self._rates, self._steps, self._idle = J_squared, 0.0, 0, "no step"
        self._change = J_squared - before
        group["weight_decay"] = self._set = self.law.next(before, J_squared, decay, exposure, coming, steps)
        self._at_limit = self._set * coming > (1 - 1e-9) * 2 * steps * LARGEST_SHRINK
        return self._set

    def state_dict(self) -> dict[str, Any]:
        """Return what the controller knows, numbers alone; the decay in force is in the optimizer's state_dict."""
        return vars(self.law) | {name: getattr(self, f"_{name}") for name in _STATE}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`, target and rates included; load the optimizer's as well.

        Raises ValueError for another set of names, or numbers that no controller has.
        """
        refuse_state(state, self.state_dict(), _STATE)
        self.law = DecayLaw(**{name: state[name] for name in vars(self.law)})
        for name in _STATE:
            setattr(self, f"_{name}", state[name])
        self._set, self._coming, self._trouble = None, math.inf, trouble("no period")

    def close(self) -> None:
        """Let go of the optimizer, once: its decay stays as it is."""
        if not self._closed:
            detach(self.optimizer, self)
        self._closed = True

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if not self._closed:
            attach(self.optimizer, self)

    def _note(self, cause: str, *values: object) -> None:
        self._trouble = trouble(cause, *values)
        if cause not in self._warned:
            self._warned.add(cause)
            self._news.append(self._trouble.detail)

    def _tell(self) -> None:
        for message in self._take_news():
            warnings.warn(f"EdgeDecay: {message}", stacklevel=3)  # at the line that called step

    def _take_news(self) -> list[str]:
        news, self._news = self._news, []
        return news

    def after_step(self, group: dict[str, Any] | None, *, skipped: bool) -> None:
        """Count a step of the optimizer: it calls this itself, with the weight's group."""
        if skipped:
            self._idle = "skipped"
        elif self.weight.grad is None or group is None:  # the optimizer leaves it alone
            self._idle = "no gradient" if self.weight.requires_grad else "frozen"
        else:
            self._steps += 1
            self._rates += effective_rate(group)

    def _measure(self) -> float:
        J, _ = LayerWeight("the weight", self.weight, self.fan_in).order_parameters()
        if not (math.isfinite(J) and J > 0):
            raise ValueError(f"J of {self._name} is {J}: it must be finite and positive; has training diverged?")
        return J * J
