"""The landing page's numbers."""

import pytest

from edgechaos_core.book.pages import intro
from edgechaos_core.book.pages.intro import headline
from edgechaos_core.claims.judging import Evidence, committed_evidence


def test_without_runs_every_number_is_said_not_to_be_run():
    assert set(headline(Evidence([], [])).values()) == {"(not run)"}


def test_every_number_comes_from_the_committed_runs():
    found = headline(committed_evidence())
    assert "(not run)" not in found.values()
    assert (found["edge_depth"], found["default_depth"], found["after_default"]) == ("50", "8", "16")
    assert found["loss_J"].startswith("0.94")


@pytest.mark.parametrize(
    ("url", "told"), [("", "does not say"), ("https://example.org/x", "is at https://example.org/x.")]
)
def test_the_address_of_the_repository_is_said_or_that_it_is_not(tmp_path, monkeypatch, url, told):
    (tmp_path / "_config.yml").write_text(f'repository:\n  url: "{url}"\n', encoding="utf-8")
    monkeypatch.setattr(intro, "REPOSITORY", tmp_path)
    assert told in intro.address()
