"""The pipeline's doors: parameters are refused before anything runs, chapters are executed once, failures are named."""

import json
import re
import subprocess
from pathlib import Path

import nbformat
import pytest

from edgechaos_core import EdgechaosError
from edgechaos_core.book import build as book
from edgechaos_core.book import chapters, frozen_outputs, parameter_values
from edgechaos_core.book import parameters as chapter_parameters
from edgechaos_core.cli import main as cli

CHAPTER = "chapters/training_path"


@pytest.mark.parametrize(
    ("word", "parsed"),
    [
        ("epochs=20", {"epochs": 20}),
        ("l2=9e-5", {"l2": 9e-5}),
        ("l2=.05", {"l2": 0.05}),
        ("l2=5.", {"l2": 5.0}),
        ("l2=+0.05", {"l2": 0.05}),
        ("l2 = -.5e-3", {"l2": -0.5e-3}),
        ("samples=60_000", {"samples": 60_000}),
        ("seeds=[1,2]", {"seeds": [1, 2]}),
        ("seeds=1,2", {"seeds": [1, 2]}),
        ("seeds=(1, 2)", {"seeds": [1, 2]}),
        ("sizes=[]", {"sizes": []}),
        ("rates=[1e-4, .5, +1.5e4]", {"rates": [1e-4, 0.5, 1.5e4]}),
        ("activation=relu", {"activation": "relu"}),
        ("activation='relu'", {"activation": "relu"}),
        ("retrain=true", {"retrain": True}),
        ("retrain=True", {"retrain": True}),
        ("epochs=None", {"epochs": None}),
        ("epochs=null", {"epochs": None}),
    ],
)
def test_parameters_are_parsed(word, parsed):
    assert parameter_values.parse_parameters([word]) == parsed


@pytest.mark.parametrize("words", [["epochs"], ["=3"], ["1x=3"], ["epochs=[1"], ["a b=3"], ["seeds=" + 9_999 * "["]])
def test_words_of_another_form_are_refused(words):
    with pytest.raises(ValueError, match="-p "):
        parameter_values.parse_parameters(words)


def test_a_parameter_given_twice_is_refused():
    with pytest.raises(ValueError, match="-p epochs is given twice"):
        parameter_values.parse_parameters(["epochs=1", "epochs=2"])


REFUSED = {
    "training_path": {
        "epoch=20": "chapters/training_path has no parameter 'epoch': choose from learning_rate, batch_size",
        "epochs=many": "epochs must be a whole number from 1 to 1,000,000, got 'many'",
        "epochs=2.5": "epochs must be a whole number from 1 to 1,000,000, got 2.5",
        "epochs=true": "epochs must be a whole number from 1 to 1,000,000, got True",
        "epochs=0": "epochs must be a whole number from 1 to 1,000,000, got 0",
        "epochs=none": "epochs must be a whole number from 1 to 1,000,000, got None",
        "learning_rate=fast": "learning_rate must be a number above 0, got 'fast'",
        "learning_rate=-1": "learning_rate must be a number above 0, got -1",
        "learning_rate=NaN": "learning_rate must be a number above 0, got nan",
        "learning_rate=1e999": "learning_rate must be a number above 0, got inf",
        "momentum=1.": "momentum must be a number of at least 0 and below 1, got 1",
        "seeds=3": "seeds must be a non-empty list of whole numbers of at least 0 and below",
        "seeds=[]": "seeds must be a non-empty list",
        'seeds=[0, "x"]': "seeds must be a non-empty list",
        "seeds=[1, 1]": "none twice, got [1, 1]",
        "seeds=[-1]": "of at least 0",
        "batch_size=100_000": "batch_size must be at most samples = 60000, got 100000",
        "retrain=1": "retrain must be true or false, got 1",
    },
    "phase_diagram": {
        "epochs=3": "has no parameter 'epochs': choose from activation, neurons",
        "activation=sine": "activation must be tanh or relu, got 'sine'",
        "neurons=1": "neurons must be a whole number from 2 to 100,000, got 1",
        "rows=0": "rows must be a whole number from 1",
        "columns=1": "columns must be a whole number from 2",
        "iterations=4": "iterations must be a whole number from 5",
        "draws=0": "draws must be a whole number from 1",
        "draws=10000": "rows x columns x draws must be at most 10,000,000",
        "seed=-1": "seed must be a whole number of at least 0",
    },
    "ordered_scaling": {
        "learning_rates=[]": "learning_rates must be a non-empty list of numbers above 0, none twice, got []",
        "learning_rates=[1e-320]": "learning_rate 9.99989e-321 is too slow",
        "learning_rates=[1e-9]": "learning_rate 1e-09 is too slow: it would take 2.15e+09 epochs",
        "batch_sizes=[60001]": "batch_size must be at most samples = 60000",
        "passage_epochs=-3": "passage_epochs must be a whole number from 0 to 1,000,000, got -3",
    },
    "rescaling": {
        "momentums=[0.5, 0]": "learning_rates and momentums must be pairs, lists of one length",
        "learning_rates=[0.1]": "learning_rates must be a list of at least 2 numbers above 0, got [0.1]",
        "learning_rates=[0.1, 0.1, 0.1, 0.1, 0.1]": "learning_rates and momentums must not repeat a pair",
        "learning_rates=[0.1, 1e-9, 0.1, 0.2, 0.3]": "learning rate 1e-09 with momentum 0.5 is too slow",
        "seeds=[0]": "seeds must be a list of at least 2 whole numbers",
        "equal_epochs=1": "equal_epochs must be a whole number from 2 to 1,000,000, got 1",
    },
    "weight_decay": {"l2s=[0, 0.]": "none twice, got [0, 0]", "l2s=[-1]": "l2s must be a non-empty list of numbers"},
    "guideline": {
        "sizes=[31]": "sizes must be a list of whole numbers from 32 to 60,000, none twice, got [31]",
        "sizes=1000": "sizes must be a list of whole numbers from 32 to 60,000, none twice, got 1000",
        "widths=[0]": "widths must be a list of whole numbers from 1 to 65,536, none twice, got [0]",
        "epochs=0": "epochs must be a whole number from 1 to 1,000,000, or none, got 0",
        "epochs=3": "epochs is for networks of sizes or widths: give one of them too, got epochs=3",
        "sizes=[20_000] widths=[784]": "sizes 20000 and widths 784 are the same network",
    },
    "search": {
        "trials=0": "trials must be a whole number from 1 to 10,000, got 0",
        "slow_epochs=-1": "slow_epochs must be a whole number from 1 to 1,000,000, got -1",
        "slow_epochs=2": "slow_epochs must be at least a tenth of all epochs, got 2 of 50",
        "samples=60_000": "samples + validation must be at most 60000 for fashion-mnist, got 60000 + 10000",
        "samples=31": "batch_size must be at most samples = 31, got 32",
        "validation=0": "validation must be a whole number from 1 to 60,000, got 0",
        "epochs=1e6 slow_epochs=2e5": "epochs must be less than or equal to 1000000, got 1200000",
    },
    "label_noise": {
        "label_noises=[0.2, 2]": "must be a non-empty list of numbers from 0 to 1, none twice, got [0.2, 2]",
        "samples=20": "batch_size must be at most samples = 20, got 32",
        "long_epochs=0": "long_epochs must be a whole number from 1",
    },
    "reason": {
        "initial_Js=[0]": "initial_Js must be a non-empty list of numbers above 0",
        "initial_Js=[0.3, 0.3]": "none twice, got [0.3, 0.3]",
        "samples=60_000": "samples + validation must be at most 60000 for fashion-mnist, got 60000 + 10000",
        "train_others=2": "train_others must be true or false, got 2",
    },
    "deeper": {
        "depths=[101]": "depths must be a non-empty list of whole numbers from 1 to 100, none twice, got [101]",
        "width=0": "width must be a whole number from 1 to 65,536, got 0",
        "samples=20": "batch_size must be at most samples = 20, got 32",
    },
    "your_network": {
        "epochs=3": "the committed comparison has samples=5000 and epochs=12: give retrain=true to train others",
        "seeds=[3]": "the committed comparison has seeds 0, 1 and 2: give retrain=true to train others",
        "epochs=0": "epochs must be a whole number from 1 to 1,000, got 0",
    },
    "intro": {"epochs=1": "intro has no parameter 'epochs': it has none"},
    "scorecard": {"epochs=1": "scorecard has no parameter 'epochs': it has none"},
    "methods": {"epochs=1": "methods has no parameter 'epochs': it has none"},
}


@pytest.mark.parametrize(
    ("chapter", "words", "message"),
    [(chapter, words, message) for chapter, cases in REFUSED.items() for words, message in cases.items()],
)
def test_bad_parameters_are_refused_in_one_line(chapter, words, message):
    page = chapters.find_document(chapter)
    given = words.split(" ") if words.count("=") > 1 else [words]
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        parameter_values.chapter_parameters(page, "standard", parameter_values.parse_parameters(given))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("chapter", "words", "values"),
    [
        ("guideline", ["sizes=[1000]"], {"sizes": [1000]}),
        ("guideline", ["widths=64,128", "epochs=3"], {"widths": [64, 128], "epochs": 3}),
        ("guideline", ["epochs=none"], {"epochs": None}),
        ("training_path", ["learning_rate=5.", "epochs=1e3"], {"learning_rate": 5.0, "epochs": 1000}),
        ("training_path", ["learning_rate=1e300"], {"learning_rate": 1e300}),
        ("weight_decay", ["l2s=[0,0.001]"], {"l2s": [0.0, 0.001]}),
        ("ordered_scaling", ["passage_epochs=0"], {"passage_epochs": 0}),
    ],
)
def test_good_parameters_take_the_place_of_defaults(chapter, words, values):
    page = chapters.find_document(chapter)
    taken = parameter_values.chapter_parameters(page, "standard", parameter_values.parse_parameters(words))
    defaults = chapters.default_parameters(chapters.read_notebook(page))
    assert defaults.keys() >= values.keys()
    for name, default in defaults.items():
        assert taken[name] == values.get(name, default)
        assert type(taken[name]) is type(values.get(name, default))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"profile": "huge"}, "unknown profile 'huge': choose from quick, standard, paper"),
        ({"chapter": "nowhere"}, "unknown chapter 'nowhere': choose from intro, scorecard"),
        ({"overrides": {"epochs": 2}}, "parameters need a chapter"),
        ({"chapter": "search", "overrides": {"trials": 0}}, "trials must be a whole number from 1 to 10,000, got 0"),
        ({"chapter": "bibliography", "overrides": {"epochs": 2}}, "bibliography has no code to execute"),
        ({"chapter": "training_path", "overrides": {"epochs": 2}, "freeze": True}, "does not go with -p"),
        ({"chapter": "bibliography", "freeze": True}, "bibliography has no code to execute"),
    ],
)
def test_bad_builds_are_refused(options, message, monkeypatch):
    monkeypatch.setattr(book, "execute", lambda *_: pytest.fail("executed"))
    with pytest.raises(ValueError, match=message):
        book.build_book(**options)


def test_references_of_one_chapter_take_no_other(monkeypatch, tmp_path):
    executed, frozen = [], []

    def execute(page, notebook, parameters, stage):
        executed.append(page)
        (stage / page).parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, stage / f"{page}.ipynb")
        return stage / f"{page}.ipynb"

    monkeypatch.setattr(book, "execute", execute)
    monkeypatch.setattr(book, "BUILD", tmp_path)
    monkeypatch.setattr(book, "freeze_outputs", lambda page, executed, profile: frozen.append((page, profile)))
    monkeypatch.setattr(book, "_build_site", lambda *_: pytest.fail("a site"))
    found = book.build_book("standard", chapter="scorecard", freeze=True)
    assert executed == ["chapters/scorecard"]
    assert frozen == [("chapters/scorecard", "standard")]
    assert found == tmp_path / "executed/standard/chapters/scorecard.ipynb"


def test_declared_parameters_are_those_of_the_cell_and_profiles_keep_to_them():
    declared = [page for page in chapters.documents() if parameter_values.declared_parameters(page).model_fields]
    assert {Path(page).name for page in declared} == chapter_parameters.PARAMETERS.keys()
    for page in chapters.documents():
        notebook = chapters.read_notebook(page)
        if notebook is None:
            continue
        fields = parameter_values.declared_parameters(page).model_fields
        assert json.dumps({name: field.default for name, field in fields.items()}) == json.dumps(
            chapters.default_parameters(notebook)
        )
        assert all(field.description for field in fields.values())
        assert notebook.metadata.get("edgechaos", {}).get("profiles", {}).keys() <= set(chapters.PROFILES)
        for profile in chapters.PROFILES:
            assert parameter_values.chapter_parameters(page, profile, {}).keys() == fields.keys()


def test_parameters_are_listed(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["edgechaos", "book", "--chapter", "search", "--help-parameters"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    listed = capsys.readouterr().out
    assert "trials = 30\n    trials of each search\n    a whole number from 1 to 10,000\n" in listed
    assert listed.count(" = ") == len(chapter_parameters.Search.model_fields)


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ([], ("standard", {"chapter": None, "overrides": {}, "freeze": False})),
        (
            ["--profile", "quick", "--chapter", "search", "-p", "trials=3", "-p", "seeds=2", "--freeze"],
            ("quick", {"chapter": "search", "overrides": {"trials": 3, "seeds": 2}, "freeze": True}),
        ),
    ],
)
def test_the_command_asks_for_what_it_is_told_to_build(options, asked, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["edgechaos", "book", *options])
    monkeypatch.setattr(book, "build_book", lambda profile, **rest: (profile, rest))
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert (ended.value.code, capsys.readouterr().out) == (0, f"{asked}\n")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--help-parameters needs a chapter"),
        (["--chapter", "nowhere"], "unknown chapter 'nowhere': choose from intro, scorecard"),
        (["--chapter", "intro"], "intro has no parameters"),
    ],
)
def test_parameters_of_no_chapter_are_not_listed(options, message, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["edgechaos", "book", "--help-parameters", *options])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_the_chapter_asked_for_is_executed_first(monkeypatch, tmp_path):
    executed = []
    monkeypatch.setattr(book, "BUILD", tmp_path)
    monkeypatch.setattr(book, "execute", lambda page, *_: executed.append(page))
    monkeypatch.setattr(book, "_stage_made", lambda *_: None)
    monkeypatch.setattr(book, "_build_site", lambda *_: tmp_path)
    book.build_book(chapter="search", overrides={"trials": 2})
    assert executed[0] == "chapters/search"
    assert sorted(executed) == sorted(page for page in chapters.documents() if chapters.read_notebook(page))


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
    frozen = json.loads(frozen_outputs.reference_file(CHAPTER, "standard").read_text(encoding="utf-8"))
    frozen.popitem()
    (tmp_path / "reference.json").write_text(json.dumps(frozen), encoding="utf-8")
    with pytest.raises(EdgechaosError, match="has no frozen output: run `make freeze`"):
        frozen_outputs.nbval_notebook(CHAPTER, "standard", reference=tmp_path / "reference.json")


@pytest.fixture
def small_book(tmp_path, monkeypatch):
    """A book of pages without code: a function that lays the given pages and builds the site of them."""
    repository, stage = tmp_path / "repository", tmp_path / "stage"
    (repository / "assets").mkdir(parents=True)
    (repository / "references.bib").touch()
    (repository / "constraints.txt").touch()
    (repository / "_config.yml").write_text(
        "title: small\nexecute: {execute_notebooks: 'off'}\nonly_build_toc_files: true\n", encoding="utf-8"
    )
    monkeypatch.setattr(book, "REPOSITORY", repository)
    monkeypatch.setattr(book, "BUILD", tmp_path / "build")

    def build(**pages: str) -> Path:
        root, *others = pages
        listed = "".join(f"\n  - file: {name}" for name in others)
        (repository / "_toc.yml").write_text(f"format: jb-book\nroot: {root}\nchapters:{listed}\n", encoding="utf-8")
        for name, text in pages.items():
            (repository / f"{name}.md").write_text(text, encoding="utf-8")
        book._stage_static(stage, dict.fromkeys(pages))
        return book._build_site(stage, "small")

    return build


def test_a_page_that_is_renamed_leaves_nothing_behind(small_book, tmp_path, monkeypatch):
    """Nor does a module in the current folder, which PYTHONPATH often names by mistake, take part in the build."""
    (tmp_path / "docutils.py").write_text("1 / 0", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", ":")
    pages = small_book(intro="# Intro", old="# Old page", other="# Other")
    built = (pages / "intro.html").stat().st_mtime_ns
    assert "Old page" in (pages / "other.html").read_text(encoding="utf-8")
    assert small_book(intro="# Intro", old="# Old page", other="# Other") == pages
    assert (pages / "intro.html").stat().st_mtime_ns == built  # nothing has changed
    small_book(intro="# Intro", new="# New page", other="# Other")
    assert (pages / "new.html").exists()
    assert not [path for path in [*pages.rglob("old*"), *(tmp_path / "stage").rglob("old*")] if path.is_file()]
    for name in ("intro", "other"):
        assert "New page" in (pages / f"{name}.html").read_text(encoding="utf-8")
        assert "Old page" not in (pages / f"{name}.html").read_text(encoding="utf-8")


def test_a_build_that_fails_leaves_the_last_site_that_was_whole(small_book, tmp_path, monkeypatch):
    pages = tmp_path / "build/site/small/_build/html"
    pages.mkdir(parents=True)
    (pages / "intro.html").write_text("as it was", encoding="utf-8")
    ended = subprocess.CompletedProcess([], 1, "", "intro.md:3: WARNING: unknown document: nowhere")
    monkeypatch.setattr(book, "_run_jupyter_book", lambda *_: ended)
    with pytest.raises(book.BookError, match=r"1 warnings, e\.g\. intro\.md:3: WARNING: unknown document: nowhere"):
        small_book(intro="# Intro", other="# Other")
    assert (pages / "intro.html").read_text(encoding="utf-8") == "as it was"
    assert "nowhere" in (tmp_path / "build/site/small/build.log").read_text(encoding="utf-8")


def test_all_that_a_chapter_rests_on_decides_whether_it_is_executed_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(book, "REPOSITORY", tmp_path)
    names = ["constraints.txt", "data/fashion-mnist/SHA256SUMS", "edgechaos_core/theory/edges.py"]
    names += [f"data/{name}" for name in ("claims.yaml", "starts.csv", "search.json", "runs/one.parquet")]
    digests = []
    for content in ("first", "second"):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(content, encoding="utf-8")
            if all((tmp_path / name).exists() for name in names[:2]):
                digests.append(book._inputs_digest())
    assert len(set(digests)) == len(digests) == 2 * len(names) - 1
    (tmp_path / "data/README.md").write_text("no input", encoding="utf-8")
    assert book._inputs_digest() == digests[-1]
