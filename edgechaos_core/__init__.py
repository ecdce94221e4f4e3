"""Training neural networks at the edge of chaos: the code behind the executable paper."""

__version__ = "0.1.0"


class Interrupted(Exception):  # noqa: N818 - not an error
    """A command was interrupted; the message says what of it is kept."""


class EdgechaosError(Exception):
    """Something outside the caller's arguments failed (a file, the network, a build); the message says what to do."""
