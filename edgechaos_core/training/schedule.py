"""What changes from epoch to epoch: the learning rate at a milestone, and the decay of runs that are held at a J^2."""

from collections.abc import Sequence

from edgechaos_core.conventions import weight_decay_from_l2
from edgechaos_core.store.runs import Row, RunConfig
from edgechaos_core.theory.decay_law import DecayLaw
from edgechaos_core.training.optimizers import SGD, Adam, member_setting

LOWERED = 0.1  # what a milestone leaves of the learning rate


class Schedule:
    """The schedule of a stack with ``steps`` mini-batches an epoch; ``l2`` is the lambda in force of each member."""

    def __init__(self, configs: Sequence[RunConfig], *, steps: int) -> None:
        self.configs, self.steps = configs, steps
        self.laws = [DecayLaw(config.hold) for config in configs if config.hold]
        self.l2 = [config.l2 for config in configs]

    def left_of_rate(self, epoch: int) -> float:
        """Return the part of the learning rate that an epoch is trained with."""
        return LOWERED if 0 < self.configs[0].milestone < epoch else 1.0

    def is_milestone(self, epoch: int) -> bool:
        """Tell whether an epoch is the first with a lower learning rate."""
        return self.left_of_rate(epoch) < self.left_of_rate(epoch - 1)

    def column(self, member: int) -> Row:
        """Return what a member's row tells of its decay: nothing where it is constant."""
        return {"lambda": self.l2[member]} if self.laws else {}

    def steer(self, optimizer: SGD | Adam, histories: Sequence[list[Row]], epoch: int) -> None:
        """Set the decay of the epoch after ``epoch`` from the histories, which are all that the laws depend on."""
        if not self.laws:
            return
        for member, (config, law, rows) in enumerate(zip(self.configs, self.laws, histories, strict=True)):
            ends = [row["J_squared"] for row in rows[epoch - 1 : epoch + 1]]
            if len(ends) == 2 and min(ends) > 0:  # else it has diverged, or there is nothing left to steer
                full = 2 * self.steps * config.learning_rate / (1 - config.momentum)
                # a milestone between two epochs: what decay has done, and what it will do, at their own rates
                exposure, coming = full * self.left_of_rate(epoch), full * self.left_of_rate(epoch + 1)
                decay = weight_decay_from_l2(self.l2[member])
                after = law.next(ends[0], ends[1], decay, exposure, coming, self.steps)
                self.l2[member] = after / weight_decay_from_l2(1.0)
        decays = [weight_decay_from_l2(l2) for l2 in self.l2]
        optimizer.set_weight_decay(member_setting(decays, optimizer.parameters[-1]))
