"""The pipeline's doors: parameters are refused before anything runs, chapters are executed once, failures are named."""

import json
from pathlib import Path

import nbformat
import pytest

from edgechaos_core import EdgechaosError, book, chapters

CHAPTER = "chapters/training_path"


@pytest.mark.parametrize(
    ("words", "parsed"),
    [
        (["epochs=20"], {"epochs": 20}),
        (["l2=9e-5"], {"l2": 9e-5}),
        (["learning_rate=0.05", "seeds=[1,2]"], {"learning_rate": 0.05, "seeds": [1, 2]}),
        (["rates=[1e-4, 1.5e4]", "activation=relu"], {"rates": [1e-4, 1.5e4], "activation": "relu"}),
        (["retrain=true"], {"retrain": True}),
    ],
)
def test_parameters_are_parsed(words, parsed):
    assert chapters.parse_parameters(words) == parsed


@pytest.mark.parametrize("word", ["epochs", "=3", "1x=3", "epochs=[1", "a b=3"])
def test_words_of_another_form_are_refused(word):
    with pytest.raises(ValueError, match="-p "):
        chapters.parse_parameters([word])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"epoch": 20}, "has no parameter 'epoch': choose from learning_rate, batch_size"),
        ({"epochs": "many"}, "epochs must be a whole number, got 'many'"),
        ({"epochs": 2.5}, "epochs must be a whole number, got 2.5"),
        ({"epochs": True}, "epochs must be a whole number, got True"),
        ({"epochs": 0}, "epochs must be greater than or equal to 1, got 0"),
        ({"learning_rate": "fast"}, "learning_rate must be a number"),
        ({"learning_rate": -1}, "learning_rate must be greater than 0"),
        ({"momentum": 1.0}, "momentum must be less than 1"),
        ({"l2": None}, "l2 must be a number, got None"),
        ({"seeds": 3}, r"seeds must be a list like \[0, 1, 2\], got 3"),
        ({"seeds": []}, "seeds must be a list"),
        ({"seeds": [0, "x"]}, "seeds must be a list"),
        ({"seeds": [1, 1]}, r"seeds must not repeat a value, got \[1, 1\]"),
        ({"seeds": [-1]}, "seed must be greater than or equal to 0"),
        ({"batch_size": 100_000}, "batch_size must be at most samples"),
        ({"retrain": 1}, "retrain must be true or false"),
    ],
)
def test_bad_parameters_are_refused_before_anything_runs(overrides, message, monkeypatch):
    monkeypatch.setattr(book, "execute", lambda *_: pytest.fail("executed"))
    with pytest.raises(ValueError, match=message):
        book.build_book(chapter="training_path", overrides=overrides)


def test_each_item_of_a_list_is_looked_at_before_anything_runs(monkeypatch):
    monkeypatch.setattr(book, "execute", lambda *_: pytest.fail("executed"))
    with pytest.raises(ValueError, match="label_noise must be less than or equal to 1, got 2"):
        book.build_book(chapter="label_noise", overrides={"label_noises": [0.2, 2]})


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"epochs": 3}, "has no parameter 'epochs': choose from activation, neurons"),
        ({"activation": "sine"}, "activation must be 'tanh' or 'relu', got 'sine'"),
        ({"neurons": 1}, "neurons must be greater than or equal to 2, got 1"),
        ({"rows": 0}, "rows must be greater than or equal to 1"),
        ({"columns": 1}, "ratio_from must be at most ratio_to, and equal to it with one column"),
        ({"iterations": 4}, "iterations must be greater than or equal to 5"),
        ({"draws": 0}, "draws must be greater than or equal to 1"),
        ({"seed": -1}, "seed must be greater than or equal to 0"),
    ],
)
def test_bad_parameters_of_a_diagram_are_refused_before_anything_runs(overrides, message, monkeypatch):
    monkeypatch.setattr(book, "execute", lambda *_: pytest.fail("executed"))
    with pytest.raises(ValueError, match=message):
        book.build_book(chapter="phase_diagram", overrides=overrides)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"profile": "huge"}, "unknown profile 'huge': choose from quick, standard, paper"),
        ({"chapter": "nowhere"}, "unknown chapter 'nowhere': choose from intro, training_path"),
        ({"overrides": {"epochs": 2}}, "parameters need a chapter"),
        ({"chapter": "bibliography", "overrides": {"epochs": 2}}, "bibliography has no code to execute"),
        ({"chapter": "training_path", "overrides": {"epochs": 2}, "freeze": True}, "does not go with -p"),
    ],
)
def test_bad_builds_are_refused(options, message, monkeypatch):
    monkeypatch.setattr(book, "execute", lambda *_: pytest.fail("executed"))
    with pytest.raises(ValueError, match=message):
        book.build_book(**options)


def test_profiles_set_known_parameters_of_the_right_kind():
    read = {page: chapters.read_notebook(page) for page in chapters.documents()}
    notebooks = {page: notebook for page, notebook in read.items() if notebook is not None}
    assert len(notebooks) >= 6
    assert len(chapters.PROFILES) >= 3
    for page, notebook in notebooks.items():
        defaults = chapters.default_parameters(notebook)
        for profile in chapters.PROFILES:
            assert set(chapters.chapter_parameters(page, profile, {})) == set(defaults)


def notebook_of(source: str) -> nbformat.NotebookNode:
    parameters = nbformat.v4.new_code_cell("n = 1", id="one", metadata={"tags": ["parameters"]})
    code = nbformat.v4.new_code_cell(source, id="two")
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=[parameters, code], metadata={"kernelspec": kernel})


def test_a_chapter_is_executed_again_only_when_something_changed(tmp_path, capsys):
    source = "print('n is', n)"
    target = book.execute("chapters/x", notebook_of(source), {"n": 5}, tmp_path)
    assert "n is 5" in target.read_text(encoding="utf-8")
    assert "executing chapters/x with n=5" in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.part.*"))
    book.execute("chapters/x", notebook_of(source), {"n": 5}, tmp_path)
    assert capsys.readouterr().err == ""
    book.execute("chapters/x", notebook_of(source), {"n": 6}, tmp_path)
    assert "executing" in capsys.readouterr().err
    assert "n is 6" in target.read_text(encoding="utf-8")


def test_two_books_made_at_once_in_one_folder_share_no_sockets(tmp_path):
    source = """import json, ipykernel.connect; print(json.loads(ipykernel.connect.get_connection_info())["ip"])"""
    addresses = []
    for folder in ("one", "two"):
        target = book.execute("chapters/x", notebook_of(source), {}, tmp_path / folder)
        addresses.append(nbformat.read(target, as_version=4).cells[-1].outputs[0].text.strip())
    folders = {Path(address).parent for address in addresses}
    assert len(folders) == 2
    assert all(folder.is_absolute() and not folder.exists() for folder in folders)


def test_a_failing_chapter_is_named_and_leaves_the_good_one_alone(tmp_path):
    target = book.execute("chapters/x", notebook_of("print(n)"), {"n": 5}, tmp_path)
    before = target.read_bytes()
    with pytest.raises(book.BookError, match=r"chapters/x failed in cell \d+: ZeroDivisionError: .*\.failed\.ipynb"):
        book.execute("chapters/x", notebook_of("1 / 0"), {"n": 5}, tmp_path)
    assert target.read_bytes() == before


def test_a_checked_cell_without_a_reference_is_an_error(tmp_path):
    frozen = json.loads(chapters.reference_file(CHAPTER, "standard").read_text(encoding="utf-8"))
    frozen.popitem()
    (tmp_path / "reference.json").write_text(json.dumps(frozen), encoding="utf-8")
    with pytest.raises(EdgechaosError, match="has no frozen output: run `make freeze`"):
        chapters.nbval_notebook(CHAPTER, "standard", reference=tmp_path / "reference.json")
