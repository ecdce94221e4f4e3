"""A pytest plugin for nbval: outputs agree when their words are equal and their numbers close.

Whole numbers must be equal; others agree within the relative tolerance EDGECHAOS_NBVAL_RTOL and, beyond it, within
EDGECHAOS_NBVAL_UNITS units of the last digit printed: the least change moves that digit by one where it comes to lie
across a half. Pictures and the HTML twin of a table are not compared.
"""

import functools
import os
import re
from decimal import Decimal

import nbval.kernel
import pytest
from nbval.plugin import IPyNbCell

from edgechaos_core.book.kernels import ShieldedKernelManager, kernel_room

NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:\.\d*)?(?:e[-+]?\d+)?(?!\w)")
NOT_COMPARED = ("text/html", "image/svg+xml")


class Close(str):
    """Text that equals another when they differ in no more than the digits of their numbers."""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, str):
            return NotImplemented
        if _words(self) != _words(other):
            return False
        return all(_agree(*pair) for pair in zip(NUMBER.findall(self), NUMBER.findall(other), strict=True))

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


def _words(text: str) -> list[str]:
    return NUMBER.sub("#", text).split()


def _agree(one: str, other: str) -> bool:
    if one.lstrip("+-").isdigit() and other.lstrip("+-").isdigit():
        return int(one) == int(other)
    a, b = Decimal(one), Decimal(other)
    unit = Decimal(1).scaleb(min(int(number.as_tuple().exponent) for number in (a, b)))
    allowed = Decimal(os.environ["EDGECHAOS_NBVAL_RTOL"]) * max(abs(a), abs(b))
    return abs(a - b) <= allowed + int(os.environ["EDGECHAOS_NBVAL_UNITS"]) * unit


def pytest_configure(config: pytest.Config) -> None:
    """Make nbval compare with tolerance, in a kernel as a chapter's is (nbval has no setting for it)."""
    IPyNbCell.sanitize = lambda _, text: Close(text) if isinstance(text, str) else text
    room = kernel_room()
    nbval.kernel.KernelManager = functools.partial(ShieldedKernelManager, room=room.__enter__())
    config.add_cleanup(lambda: room.__exit__(None, None, None))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave pictures and HTML out of the comparison."""
    for item in items:
        if isinstance(item, IPyNbCell):
            item.parent.skip_compare = tuple({*item.parent.skip_compare, *NOT_COMPARED})
