"""Every chapter, as its source stands now, run by nbval against frozen outputs; and nbval can turn red."""

import os
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest

from edgechaos_core import chapters
from edgechaos_core.data import REPOSITORY
from edgechaos_core.surroundings import PYTHON, environment
from tests.nbval_tolerance import Close

# Committed runs give the same digits everywhere. A few live epochs differ between processors in the order of sums:
# 1e-7 at first, up to a few images of 10,000 after thousands of steps; a wrong formula shows as far more.
TOLERANCE = {"standard": 1e-6, "quick": 0.01}

CHECKED = [
    (page, profile)
    for page in chapters.documents()
    if (notebook := chapters.read_notebook(page)) is not None
    for profile in chapters.checked_profiles(notebook)
]


def run_nbval(notebook: nbformat.NotebookNode, folder: Path, rtol: float) -> subprocess.CompletedProcess[str]:
    nbformat.write(notebook, folder / "chapter.ipynb")
    command = [*PYTHON, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout=600"]
    command += ["-p", "tests.nbval_tolerance", "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={folder}", "-q"]
    return subprocess.run(
        [*command, folder / "chapter.ipynb"],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
        env=environment(PYTHONPATH=str(REPOSITORY), EDGECHAOS_NBVAL_RTOL=str(rtol)),
    )


@pytest.mark.parametrize(("page", "profile"), CHECKED)
def test_chapter_reproduces_its_frozen_outputs(page, profile, tmp_path):
    result = run_nbval(chapters.nbval_notebook(page, profile), tmp_path, TOLERANCE[profile])
    assert result.returncode == 0, result.stdout


def test_every_page_with_code_has_a_checked_cell_and_a_reference():
    assert ("chapters/training_path", "quick") in CHECKED
    for page, profile in CHECKED:
        tags = [tag for cell in chapters.read_notebook(page).cells for tag in cell.metadata.get("tags", [])]
        assert chapters.CHECKED in tags, page
        assert chapters.reference_file(page, profile).exists(), (page, profile)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("1 - h**2", "1 - h"), ("2 * lam, 0]", "2 * lam, 0.1]"), ("alpha\n        v[i] -=", "alpha\n        v[i] +=")],
    ids=["phi'", "bias decay", "sign"],
)
def test_a_changed_formula_turns_nbval_red(right, wrong, tmp_path):
    (tmp_path / "chapters").mkdir()
    source = (REPOSITORY / "chapters/training_path.md").read_text()
    assert right in source
    (tmp_path / "chapters/training_path.md").write_text(source.replace(right, wrong))
    notebook = chapters.nbval_notebook("chapters/training_path", "standard", root=tmp_path)
    result = run_nbval(notebook, tmp_path, TOLERANCE["standard"])
    assert result.returncode == 1
    assert "formula and package agree" in result.stdout


def test_a_changed_number_turns_nbval_red(tmp_path):
    reference = chapters.reference_file("intro", "standard")
    text = reference.read_text()
    assert "0.00342 " in text
    shutil.copy(reference, tmp_path / "reference.json")
    (tmp_path / "reference.json").write_text(text.replace("0.00342 ", "0.00343 "))
    notebook = chapters.nbval_notebook("intro", "standard", reference=tmp_path / "reference.json")
    result = run_nbval(notebook, tmp_path, TOLERANCE["standard"])
    assert result.returncode == 1
    assert "0.00343" in result.stdout


def test_tolerance_is_for_numbers_only(monkeypatch):
    monkeypatch.setenv("EDGECHAOS_NBVAL_RTOL", "0.01")
    assert Close("J = 1.000  holds") == "J = 1.005 holds"
    assert Close("J = 1.000 holds") != "J = 1.020 holds"
    assert Close("epoch 48, J 1.0") != "epoch 49, J 1.0"
    assert Close("J = 1.0 holds") != "J = 1.0 fails"
    assert Close("C2: 3 seeds") != "C3: 3 seeds"
    assert Close("-0.5") != "0.5"
