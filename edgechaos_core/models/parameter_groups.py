"""A parameter group of its own for each weight that is steered, in an optimizer and in the schedulers that know it."""

import copy
from collections.abc import Collection, Iterable
from typing import Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

# what the schedulers of torch.optim keep for each group, those of momentum in OneCycleLR and CyclicLR among it
_OF_EACH_GROUP = ("base_lrs", "_last_lr", "lr_lambdas", "min_lrs", "max_lrs", "base_momentums", "max_momentums")


def split_groups(
    optimizer: Optimizer, weights: Collection[Tensor], schedulers: Iterable[LRScheduler] = ()
) -> dict[int, int]:
    """Give each of an optimizer's ``weights`` a group of its own, with all options of the group that it was in.

    The optimizer's state stays. New groups come last, in the order of ``weights``, so that the same split of another
    optimizer takes the same state_dict. ``schedulers`` are those that exist: they go on with the new groups as with the
    old. Raises ValueError where there is one that is not named, since it would leave the new groups alone. Returns, by
    the id of each weight that was moved, the number of the group that it was in.
    """
    if not isinstance(schedulers, Iterable):
        raise ValueError(f"schedulers must be a list, schedulers=[scheduler], got {type(schedulers).__name__}")
    taken: dict[int, int] = {}
    own = {id(each) for each in weights}
    crowded = [group for group in optimizer.param_groups if len(group["params"]) > 1]
    if not any(id(each) in own for group in crowded for each in group["params"]):
        return taken
    known = [each for scheduler in schedulers for each in _all_of(scheduler)]
    if not known and hasattr(optimizer.step, "_wrapped_by_lr_sched"):
        raise ValueError(
            "the optimizer has a learning-rate scheduler, which would not know the new parameter groups: make it "
            "afterwards, or pass it as schedulers=[scheduler]"
        )
    for weight in weights:
        number, group, place = next(
            (number, group, place)
            for number, group in enumerate(optimizer.param_groups)
            for place, each in enumerate(group["params"])
            if each is weight
        )
        if len(group["params"]) > 1:
            taken[id(weight)] = number
            optimizer.add_param_group(_taken_out(group, place))
            for scheduler in known:
                _extend(scheduler, number, len(optimizer.param_groups))
    return taken


def _taken_out(group: dict[str, Any], place: int) -> dict[str, Any]:
    """A new group with the parameter at a place, which the old one loses, and copies of all options."""
    # a learning rate may be a tensor that schedulers write into: shared, it would be scheduled twice
    made = {name: copy.deepcopy(value) for name, value in group.items() if name not in {"params", "param_names"}}
    weight = group["params"].pop(place)
    names = group.get("param_names")
    return made | {"params": [weight] if names is None else [(names.pop(place), weight)]}


def _all_of(scheduler: LRScheduler) -> list[LRScheduler]:
    """A scheduler and those that it is made of (SequentialLR, ChainedScheduler)."""
    return [scheduler, *(each for inner in getattr(scheduler, "_schedulers", ()) for each in _all_of(inner))]


def _extend(scheduler: LRScheduler, number: int, groups: int) -> None:
    for name in _OF_EACH_GROUP:
        values = getattr(scheduler, name, None)
        if isinstance(values, list) and len(values) == groups - 1:
            values.append(copy.deepcopy(values[number]))
