"""Every chapter, as its source stands now, run by nbval against frozen outputs; and nbval can turn red."""

import os
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest

from edgechaos_core.book import chapters, frozen_outputs
from edgechaos_core.system.clean_environment import PYTHON, environment
from edgechaos_core.system.places import REPOSITORY
from tests.book.nbval_tolerance import Close

# Committed runs give the same digits everywhere. A few live epochs in the ordered phase differ between processors, in
# the order of sums, by 1e-7 in J^2 and losses and by an image or two of 10,000 in accuracies, which a digit printed may
# show; a wrong formula shows as far more.
TOLERANCE = {
    "standard": {"EDGECHAOS_NBVAL_RTOL": "1e-6", "EDGECHAOS_NBVAL_UNITS": "0"},
    "quick": {"EDGECHAOS_NBVAL_RTOL": "0.01", "EDGECHAOS_NBVAL_UNITS": "1"},
}

CHECKED = [
    (page, profile)
    for page in chapters.documents()
    if (notebook := chapters.read_notebook(page)) is not None
    for profile in frozen_outputs.checked_profiles(notebook)
]


def run_nbval(notebook: nbformat.NotebookNode, folder: Path, profile: str) -> subprocess.CompletedProcess[str]:
    nbformat.write(notebook, folder / "chapter.ipynb")
    command = [*PYTHON, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=600"]
    command += ["-p", "tests.book.nbval_tolerance", "-p", "no:cacheprovider", "-q"]
    command += ["-c", os.devnull, f"--rootdir={folder}"]
    return subprocess.run(
        [*command, folder / "chapter.ipynb"],
        capture_output=True,
        encoding="utf-8",
        check=False,
        cwd=REPOSITORY,
        env=environment(PYTHONPATH=str(REPOSITORY), **TOLERANCE[profile]),
    )


STANDARD = [page for page, profile in CHECKED if profile == "standard"]  # the quick ones: test_quick_notebooks.py


@pytest.mark.parametrize("page", STANDARD)
def test_chapter_reproduces_its_frozen_outputs(page, tmp_path):
    result = run_nbval(frozen_outputs.nbval_notebook(page, "standard"), tmp_path, "standard")
    assert result.returncode == 0, result.stdout


def test_every_page_with_code_has_a_checked_cell_and_a_reference():
    assert ("chapters/training_path", "quick") in CHECKED
    for page, profile in CHECKED:
        tags = [tag for cell in chapters.read_notebook(page).cells for tag in cell.metadata.get("tags", [])]
        assert frozen_outputs.CHECKED in tags, page
        assert frozen_outputs.reference_file(page, profile).exists(), (page, profile)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("1 - h**2", "1 - h"), ("2 * lam, 0]", "2 * lam, 0.1]"), ("alpha\n        v[i] -=", "alpha\n        v[i] +=")],
    ids=["phi'", "bias decay", "sign"],
)
def test_a_changed_formula_turns_nbval_red(right, wrong, tmp_path):
    (tmp_path / "chapters").mkdir()
    source = (REPOSITORY / "chapters/training_path.md").read_text(encoding="utf-8")
    assert right in source
    (tmp_path / "chapters/training_path.md").write_text(source.replace(right, wrong), encoding="utf-8")
    notebook = frozen_outputs.nbval_notebook("chapters/training_path", "standard", root=tmp_path)
    compared = next(n for n, cell in enumerate(notebook.cells) if "formula and package agree" in cell.source)
    del notebook.cells[compared + 1 :]  # the figures that follow have no part in it
    result = run_nbval(notebook, tmp_path, "standard")
    assert result.returncode == 1
    assert "formula and package agree" in result.stdout


def test_a_changed_number_turns_nbval_red(tmp_path):
    reference = frozen_outputs.reference_file("intro", "standard")
    text = reference.read_text(encoding="utf-8")
    assert "edge_depth 50" in text
    shutil.copy(reference, tmp_path / "reference.json")
    (tmp_path / "reference.json").write_text(text.replace("edge_depth 50", "edge_depth 51"), encoding="utf-8")
    notebook = frozen_outputs.nbval_notebook("intro", "standard", reference=tmp_path / "reference.json")
    result = run_nbval(notebook, tmp_path, "standard")
    assert result.returncode == 1
    assert "ge_depth 51" in result.stdout  # pytest leaves out what both begin with


def test_tolerance_is_for_numbers_only(monkeypatch):
    for name, value in TOLERANCE["quick"].items():
        monkeypatch.setenv(name, value)
    assert Close("J = 1.000  holds") == "J = 1.005 holds"
    assert Close("J = 1.000 holds") != "J = 1.020 holds"
    assert Close("epoch 48, J 1.0") != "epoch 49, J 1.0"
    assert Close("J = 1.0 holds") != "J = 1.0 fails"
    assert Close("C2: 3 seeds") != "C3: 3 seeds"
    assert Close("-0.5") != "0.5"
    assert Close("0.26 of 0") == "0.27 of 0.01"
    assert Close("0.26") != "0.28"
    assert Close("7 epochs") != "8 epochs"
    for name, value in TOLERANCE["standard"].items():
        monkeypatch.setenv(name, value)
    assert Close("0.26") != "0.27"
    assert Close("1e-05 and 0.1234567") == "1.0e-05 and 0.12345671"
