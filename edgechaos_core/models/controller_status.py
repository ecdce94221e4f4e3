"""How a steered layer stands, in a word and in a sentence.

``holding``: within a tenth of the target, or held back on the way to it. ``coming down``: above the target.
``at its limit``: above it, with the most decay that there may be.
``free``: below it, without decay, and growing towards it. ``in order``: below it, and not growing: decay can only make
J smaller. ``no steps seen``, ``decay overwritten``, ``decay lost``, ``rate raised`` and ``rate left behind``: the last
period steered nothing, or not as it should; the sentence says why.
"""

import math
from typing import NamedTuple

from edgechaos_core.theory.decay_law import LARGEST_SHRINK, LET_GO

_TROUBLES = {
    "no period": "no period has ended yet: call step() after training",
    "closed": "the controller is closed: make a new one to steer on",
    "frozen": "the weight is frozen (requires_grad is False): its decay stays as it is until it is trained",
    "no step": "the optimizer has made no step since the last period: call step() after training, on the controller of "
    "the optimizer that trains (copies of model, optimizer and controller belong together if made in one call)",
    "no gradient": "the weight had no gradient in any step of the optimizer since the last period: it is frozen, not "
    "used, or no longer the parameter that its layer trains (then make a new EdgeDecay with the layer)",
    "skipped": "GradScaler skipped every step of the optimizer since the last period: its gradients are not finite",
    "overwritten": "something else set the group's weight_decay to {:g}, where EdgeDecay had set {:g}, and step() sets "
    "its own again: take it out of the other schedule of weight decay, or close() this controller",
    "raised": "the effective learning rate rose from {:.2g} to {:.2g} after step() had set the decay, which acted more "
    "strongly than meant: call step() after whatever sets the rate, or more often",
    "left behind": "the learning rate of its group stays {:.2g}, while that of the group it was taken from went from "
    "{:.2g} to {:.2g}: what changes it knows the groups of before; make it after EdgeDecay, or let it change all of "
    "optimizer.param_groups",
    "lost": "the weight is {}, in which a decay of {:.2g}, {:.2g} of the weight a step, is lost in rounding: give the "
    "optimizer float32 weights, and compute in low precision by torch.autocast",
}

_WORDS = {
    **{"overwritten": "decay overwritten", "lost": "decay lost"},
    **{"raised": "rate raised", "left behind": "rate left behind"},
}
_AT_LIMIT = (
    f"J^2 is above the target, and decay takes off the most that it may, {LARGEST_SHRINK:g} of the weight in a step, "
    "which may be too little against gradients: a lower learning rate gives them less"
)
PATIENCE = 1000  # periods: a layer that needs more to its target, at its last period's pace, is not on its way


class Status(NamedTuple):
    """A word, and a sentence that explains it."""

    word: str
    detail: str


def trouble(cause: str, *values: object) -> Status:
    """Return the status of a layer that the last period did not steer as it should, for a ``cause`` of `_TROUBLES`."""
    return Status(_WORDS.get(cause, "no steps seen"), _TROUBLES[cause].format(*values))


def status(J_squared: float, target: float, decay: float, change: float, *, at_limit: bool = False) -> Status:
    """Return the status of a layer after a period in which J^2 changed by ``change``, with the decay of the next.

    ``at_limit`` tells that this decay takes the part `LARGEST_SHRINK` off the weight in a step.

    >>> status(0.5, 1.0, decay=0.0, change=0.1).word, status(0.5, 1.0, decay=0.0, change=0.0).word
    ('free', 'in order')
    """
    apart = math.log(J_squared / target)
    if apart > LET_GO and at_limit:
        return Status("at its limit", _AT_LIMIT)
    if apart > LET_GO:
        return Status("coming down", "J^2 is above the target: decay brings it down")
    if apart >= -LET_GO:
        return Status("holding", "J^2 is within a tenth of the target")
    if decay > 0:
        return Status("holding", "J^2 would pass the target: decay holds it back")
    periods = (target - J_squared) / change if change > 0 else math.inf
    if periods > PATIENCE:
        return Status("in order", "J^2 is below the target and does not grow: decay cannot raise J")
    return Status("free", f"J^2 grows by itself, to the target in about {math.ceil(periods)} periods like the last")
