"""Notes stand above a progress bar, and the log is afterwards as it was."""

import io
import logging
import sys

import pytest

from edgechaos_core.system.progress import notes_above_bar


def test_notes_are_written_above_the_bar_in_the_logs_own_form(monkeypatch):
    monkeypatch.setattr(sys, "stderr", stderr := io.StringIO())
    log, shown, other = logging.Logger("a log"), logging.StreamHandler(stream := io.StringIO()), logging.NullHandler()
    shown.setFormatter(logging.Formatter("edgechaos: %(message)s"))
    log.handlers = before = [other, shown]
    with pytest.raises(KeyboardInterrupt), notes_above_bar(log):  # noqa: PT012 - what is left behind by one
        assert other in log.handlers
        log.warning("a note")
        raise KeyboardInterrupt
    assert (stderr.getvalue(), stream.getvalue()) == ("edgechaos: a note\n", "")
    assert log.handlers == before
    log.warning("another")
    assert stream.getvalue() == "edgechaos: another\n"


def test_notes_of_a_log_that_shows_nothing_are_written_as_they_are(monkeypatch):
    monkeypatch.setattr(sys, "stderr", stderr := io.StringIO())
    log = logging.Logger("a log")
    with notes_above_bar(log):
        log.warning("a note")
    assert stderr.getvalue() == "a note\n"
