"""The reference pages tell what the code and the committed files are: every name, command, author, run and number."""

import doctest
import inspect
import re
import zipfile
from types import SimpleNamespace

import pandas as pd
import pytest

import conftest
import edgechaos_core
from edgechaos_core import EdgeDecay
from edgechaos_core.book import chapters, downloads, reference, repository_links
from edgechaos_core.cli.app import app
from edgechaos_core.system.places import COMMITTED_RUNS, PUBLISHED, REPOSITORY
from edgechaos_core.system.yaml_files import read_yaml


def page(name: str) -> str:
    return (REPOSITORY / "appendix" / f"{name}.md").read_text(encoding="utf-8")


def test_every_public_name_is_described_once():
    described = re.findall(r"^\.\. auto(?:function|class|exception):: (\w+)$", page("api"), re.MULTILINE)
    assert sorted(described) == sorted(edgechaos_core.__all__)


def test_what_for_model_returns_and_the_doors_of_other_libraries_are_described():
    described = re.findall(r"^\.\. auto(?:function|class):: edgechaos_core\.([\w.]+)$", page("api"), re.MULTILINE)
    returned = EdgeDecay.for_model.__annotations__["return"]
    assert f"models.model_controller.{returned}" in described
    extras = {
        f"integrations.{name}"
        for name in read_yaml(REPOSITORY / "_config.yml")["sphinx"]["config"]["autodoc_mock_imports"]
    }
    assert extras == {each.rpartition(".")[0] for each in described if each.startswith("integrations.")}


def test_every_name_in_a_table_of_the_api_is_described():
    named = set(re.findall(r"^   ~?([\w.]+)$", page("api"), re.MULTILINE))
    described = set(re.findall(r":: (?:edgechaos_core\.)?([\w.]+)$", page("api"), re.MULTILINE)) - {"edgechaos_core"}
    assert named == described


def test_the_reference_of_the_commands_has_a_section_for_each():
    text = reference.command_line()
    commands = [(command.name or command.callback.__name__).replace("_", "-") for command in app.registered_commands]
    groups = [group.name for group in app.registered_groups]
    assert len(commands) >= 6
    assert re.findall(r"^## `edgechaos (.*)`$", text, re.MULTILINE) == [*commands, *groups]
    assert "--learning-rate" in text
    assert "..." not in "".join(part.partition("\n\n##")[0] for part in text.split("**Commands**:")[1:])  # cut off


def test_options_in_sentences_stand_as_they_are_typed():
    text = reference.command_line()
    assert "`--pilot`" in reference._literal_options("trains with --pilot alone")
    assert [part for part in text.split("`")[::2] if "--" in part] == []  # would be printed as a dash
    assert reference._literal_options("* `--pilot`: a grid-like --x-y") == "* `--pilot`: a grid-like `--x-y`"


def test_public_docstrings_name_no_source_files():
    """They are read without the source beside them."""
    described = [getattr(edgechaos_core, name) for name in edgechaos_core.__all__]
    members = [value for own in described if isinstance(own, type) for value in vars(own).values()]
    texts = [inspect.getdoc(own) or "" for own in [*described, *members] if hasattr(own, "__doc__")]
    assert len(texts) > 60
    assert [found for text in texts for found in re.findall(r"\w+\.py\b", text)] == []


def test_examples_that_the_book_shows_have_no_name_that_they_do_not_import(request):
    shown = conftest.shown_by_the_book()
    assert {"edgechaos_core.models.inspection.inspect", "edgechaos_core.store.runs.save_run"} < shown
    names = ["edgechaos_core.models.inspection.inspect", "edgechaos_core.store.store.Store.get"]
    own = ["edgechaos_core.models.inspection.inspect_not", "edgechaos_core.analysis.intervals.said"]
    items = []
    for name in [*names, *own]:
        example = doctest.DocTest([], {"nn": 1}, name, None, None, None)
        items.append(pytest.DoctestItem.from_parent(request.session, name=name, runner=None, dtest=example))
    conftest.pytest_collection_modifyitems(items)
    assert [item.dtest.globs for item in items] == [{}, {}, {"nn": 1}, {"nn": 1}]


def test_the_citation_names_all_that_the_file_names():
    cff, text = read_yaml(REPOSITORY / "CITATION.cff"), reference.citation()
    assert f"version = {{{cff['version']}}}" in text
    (paper,) = cff["references"]
    assert all(f"{author['family-names']}, {author['given-names']}" in text for author in paper["authors"])
    assert f"doi = {{{paper['doi']}}}" in text
    assert text.count("{") == text.count("}")


def test_the_published_edge_is_the_files():
    rows = re.findall(r"^\| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", page("paper_figures"), re.MULTILINE)
    shown = pd.DataFrame(rows, columns=["ratio", "inverse_J", "theory"]).astype(float)
    published = pd.read_csv(PUBLISHED / "fig1b_edge.csv", comment="#")
    assert shown[["ratio", "inverse_J"]].equals(published.astype(float))
    assert shown["theory"].tolist() == [round(edgechaos_core.edge_of_chaos(ratio), 4) for ratio in shown["ratio"]]


def test_downloads_hold_every_committed_run(quick_book):
    quick_book.site()
    folder = quick_book.folder / "executed" / "quick" / "downloads"
    runs = pd.read_parquet(folder / "runs.parquet")
    assert set(runs["key"]) == {path.stem for path in COMMITTED_RUNS.glob("*.parquet")}
    with zipfile.ZipFile(folder / "runs.csv.zip") as archive:
        assert archive.namelist() == ["runs.csv"]
    written = pd.read_csv(folder / "runs.csv.zip")
    assert written["J_squared"].equals(runs["J_squared"])  # to the last bit
    fig6 = pd.read_csv(folder / "fig6.csv")
    assert set(fig6["key"]) < set(runs["key"])
    assert fig6["l2"].nunique() == 8
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    assert {"edgechaos_core/models/controller.py", "edgechaos_core/data/claims.yaml"} < held
    assert len([name for name in held if name.startswith("edgechaos_core/data/runs/")]) == runs["key"].nunique()
    table = (folder / "table.txt").read_text(encoding="utf-8")
    assert set(re.findall(r"downloads/([^>]+)>", table)) == {path.name for path in folder.iterdir()} - {
        "table.txt",
        "made-from.txt",
        "package.txt",
        wheel.name,
    }
    assert f"downloads/{wheel.name}>" in (folder / "package.txt").read_text(encoding="utf-8")


def test_a_package_that_cannot_be_built_is_told_in_one_line(tmp_path, monkeypatch):
    repository, out = tmp_path / "repository", tmp_path / "out"
    repository.mkdir()
    for name in ("README.md", "LICENSE"):
        (repository / name).write_text("", encoding="utf-8")
    (repository / "pyproject.toml").write_text("[project", encoding="utf-8")
    monkeypatch.setattr(downloads, "REPOSITORY", repository)
    with pytest.raises(
        edgechaos_core.EdgechaosError, match=r"^the package for the downloads page cannot be built: .+$"
    ):
        downloads.write_wheel(out)
    assert list(out.glob("*")) == []


def test_notebooks_and_figures_of_all_pages_are_offered(quick_book):
    site = quick_book.site()
    shown = (site / "appendix" / "downloads.html").read_text(encoding="utf-8")
    pages = [name for name in chapters.documents() if chapters.read_notebook(name) is not None]
    assert len(pages) > 10
    assert [name for name in pages if f"{name.rpartition('/')[2]}.ipynb" not in shown] == []


@pytest.mark.parametrize("address", ["", "https://example.org/edgechaos"])
def test_buttons_appear_with_an_address_and_not_before(address):
    options = {"repository_url": address, "launch_buttons": {"thebe": False}}
    repository_links.add_buttons(None, SimpleNamespace(html_theme_options=options))
    assert options.get("use_repository_button", False) is bool(address)
    assert ("colab_url" in options["launch_buttons"]) is bool(address)


def test_no_address_is_left_to_the_default_of_jupyter_book():
    repository = read_yaml(REPOSITORY / "_config.yml")["repository"]
    assert set(repository) == {"url", "branch", "path_to_book"}  # or jupyter-book takes its own
