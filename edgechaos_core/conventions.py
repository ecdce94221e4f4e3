"""Names and conventions that everything shares, and that cost nothing to import: choices, and what "decay" means.

``l2`` is the lambda of a penalty ``lambda ||w||^2``, whose gradient is ``2 lambda w``; ``weight_decay`` is PyTorch's,
the factor of w itself: ``weight_decay = 2 l2``.
"""

from typing import Literal, get_args

Activation = Literal["tanh", "relu"]
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)
OptimizerName = Literal["sgd", "adam", "adamw"]
OPTIMIZERS: tuple[OptimizerName, ...] = get_args(OptimizerName)

INITIAL_J = 0.5  # the published start of tanh: W_ij ~ N(0, J^2 / fan_in) with J = 1/2 (arXiv 2107.09437, Section 3)


def weight_decay_from_l2(l2: float) -> float:
    """Convert lambda of the penalty ``lambda ||w||^2`` to PyTorch's ``weight_decay``, ``2 lambda``.

    For SGD and Adam that is the penalty's gradient. For AdamW, which has no penalty, it is a convention alone: a step
    scales w by ``1 - 2 lambda eta``, and no balance of growth and penalty holds.
    """
    return 2 * l2
