"""Runs are taken apart by setting, and what cannot be is refused in words."""

import pandas as pd
import pytest

from edgechaos_core.analysis.by_setting import apart, of_one_setting, of_settings
from edgechaos_core.store.runs import Outcome, Run, parse_config


def run_of(l2: float, seed: int = 0) -> Run:
    return Run(parse_config({"l2": l2, "seed": seed, "epochs": 1}), pd.DataFrame(), Outcome("finished", 1))


FREE, DECAYED, MORE = ([run_of(l2, seed) for seed in (1, 0)] for l2 in (0.0, 1e-5, 1e-4))


def test_settings_are_in_an_order_of_their_own():
    assert (
        of_settings([*MORE, *FREE])
        == of_settings([*FREE, *MORE])
        == [dict(enumerate(own[::-1])) for own in (FREE, MORE)]
    )
    assert of_one_setting(MORE) == {0: MORE[1], 1: MORE[0]}


def test_a_base_is_taken_apart_from_the_others():
    base, others = apart([*MORE, *FREE, *DECAYED], lambda config: config.l2 == 1e-5)
    assert (base, others) == (of_one_setting(DECAYED), [of_one_setting(FREE), of_one_setting(MORE)])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: of_settings([]), "an estimate needs at least one run"),
        (lambda: of_settings([*FREE, FREE[0]]), "a setting has a seed twice: [0, 1, 1]"),
        (lambda: of_one_setting([*FREE, *MORE]), "seeds of one setting are needed, got 2 settings"),
        (lambda: apart([*FREE, *MORE], lambda config: config.l2 == 1), "one base setting .* got 0 and 2"),
        (lambda: apart([*FREE, *MORE, *DECAYED], lambda config: config.l2 > 0), "one base setting .* got 2 and 1"),
        (lambda: apart(FREE, lambda config: config.l2 == 0), "one base setting .* got 1 and 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_taken_apart_is_refused(call, message):
    with pytest.raises(ValueError, match="^" + message.replace("[", r"\[")):
        call()
