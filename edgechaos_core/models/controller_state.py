"""What a saved state of `EdgeDecay` must be before it is loaded."""

import math
from collections.abc import Collection, Mapping
from typing import Any


def refuse_state(state: Mapping[str, Any], own: Collection[str], counts: Collection[str]) -> None:
    """Raise ValueError for other names than a controller's ``own``, or numbers that none has; ``counts`` are from 0."""
    if not isinstance(state, Mapping):
        raise ValueError(f"the state of EdgeDecay must be a dict as state_dict returns, got {type(state).__name__}")
    if set(state) != set(own):
        raise ValueError(f"the state of EdgeDecay has {', '.join(own)}, got {', '.join(map(str, state))}")
    for name, value in state.items():
        number = isinstance(value, (int, float)) and math.isfinite(value)
        if not number and not (name == "growth" and value is None):
            raise ValueError(f"{name} in the state of EdgeDecay must be a finite number, got {value!r}")
    for name in counts:
        if state[name] < 0:
            raise ValueError(f"{name} in the state of EdgeDecay must not be negative, got {state[name]!r}")
