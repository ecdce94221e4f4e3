"""What steers an optimizer: one hook on it for all its controllers, so that its step costs no more with many groups."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.utils.hooks import RemovableHandle

# On the optimizer, whose copies and pickles have neither this nor hooks: whatever is copied with it attaches anew.
_ATTACHED = "_edgechaos_attached"


class Counts(Protocol):
    """A controller, told of each step of the optimizer with the group that its weight is in, None if in none."""

    weight: Tensor

    def after_step(self, group: dict[str, Any] | None, *, skipped: bool) -> None:
        """Count a step, or that GradScaler skipped one."""


@dataclass(eq=False)
class _Attached:
    controllers: list[Any] = field(default_factory=list)
    hook: RemovableHandle | None = None


def steerable_optimizer(optimizer: Any) -> Optimizer:  # noqa: ANN401 - whatever was passed
    """Return an optimizer that controllers can steer; ValueError says what to unwrap, or what is accepted."""
    if isinstance(inner := getattr(optimizer, "optimizer", None), Optimizer):
        raise ValueError(
            f"{type(optimizer).__name__} wraps the optimizer that trains, a {type(inner).__name__}: pass that, "
            "optimizer.optimizer"
        )
    if not isinstance(optimizer, (SGD, Adam, AdamW)):
        raise ValueError(f"EdgeDecay works with SGD, Adam and AdamW of torch.optim, got {type(optimizer).__name__}")
    return optimizer


def groups_by_weight(optimizer: Optimizer) -> dict[int, dict[str, Any]]:
    """Return each weight's group by its id, as they are now: groups come and go, load_state_dict makes new ones."""
    return {id(own): group for group in optimizer.param_groups for own in group["params"]}


def attach(optimizer: Optimizer, controller: Counts) -> None:
    """Let a controller count the steps of an optimizer from now on; ValueError where its weight's group has one."""
    own: _Attached = optimizer.__dict__.setdefault(_ATTACHED, _Attached())
    groups = groups_by_weight(optimizer)
    group = groups.get(id(controller.weight))
    if group is not None and any(groups.get(id(other.weight)) is group for other in own.controllers):
        raise ValueError(
            "the weight's parameter group has a controller already: close() it first, or give each layer a group "
            "of its own, as one decay cannot steer two"
        )
    own.controllers.append(controller)
    if own.hook is None:
        own.hook = optimizer.register_step_post_hook(lambda *_: _after_step(optimizer))


def detach(optimizer: Optimizer, controller: Counts) -> None:
    """Let go of an optimizer again."""
    own: _Attached = optimizer.__dict__[_ATTACHED]
    own.controllers.remove(controller)
    if not own.controllers and own.hook is not None:
        own.hook.remove()
        own.hook = None


def _after_step(optimizer: Optimizer) -> None:
    found = getattr(optimizer, "found_inf", None)  # GradScaler leaves it to fused optimizers to skip a step
    skipped = found is not None and float(found) > 0
    groups = groups_by_weight(optimizer)
    for controller in optimizer.__dict__[_ATTACHED].controllers:
        controller.after_step(groups.get(id(controller.weight)), skipped=skipped)
