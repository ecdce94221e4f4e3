"""What a run says of the machine and the code that made it, in every state in which a checkout may be."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from edgechaos_core.system import machine
from edgechaos_core.system.machine import commit_of


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@b.c"]
    return subprocess.run(
        ["git", "-C", folder, *identity, *words], check=True, capture_output=True, encoding="utf-8"
    ).stdout.strip()


@pytest.fixture
def checkout(tmp_path, monkeypatch) -> Path:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "code.py").write_text("1\n", encoding="utf-8")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "First")
    return folder


def head(folder: Path) -> str:
    return git(folder, "rev-parse", "--short=12", "HEAD")


def test_a_checkout_names_its_commit_and_changes_that_are_not_committed(checkout):
    assert commit_of(checkout) == head(checkout)
    git(checkout, "tag", "-am", "A tag is no commit", "v1")
    assert commit_of(checkout) == head(checkout)
    (checkout / "code.py").write_text("2\n", encoding="utf-8")
    assert commit_of(checkout) == f"{head(checkout)}-dirty"


def test_a_worktree_names_its_own_commit(checkout, tmp_path):
    git(checkout, "worktree", "add", "-qb", "other", tmp_path / "tree")
    (tmp_path / "tree" / "code.py").write_text("3\n", encoding="utf-8")
    git(tmp_path / "tree", "commit", "-qam", "Second")
    assert commit_of(tmp_path / "tree") == head(tmp_path / "tree") != head(checkout)


def test_a_checkout_of_another_user_names_its_commit(checkout, monkeypatch):
    expected = head(checkout)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own way to test that
    refused = subprocess.run(["git", "-C", checkout, "status"], capture_output=True, encoding="utf-8", check=False)
    assert "dubious ownership" in refused.stderr
    run = subprocess.run  # GIT_ variables are not passed on, this one has to be
    monkeypatch.setattr(
        machine.subprocess,
        "run",
        lambda *words, env, **more: run(*words, env=env | {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}, **more),
    )
    assert commit_of(checkout) == expected


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_checkout_given_to_another_user_names_its_commit(checkout):
    expected = head(checkout)
    for path in [checkout, *checkout.rglob("*")]:
        os.chown(path, 12345, 12345)
    assert commit_of(checkout) == expected


def test_a_repository_named_in_the_environment_is_not_asked(checkout, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    git(other, "commit", "-qm", "Other", "--allow-empty")
    expected = head(checkout)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    assert commit_of(checkout) == expected


def test_a_plain_folder_is_no_checkout_even_inside_another_repository(checkout, tmp_path):
    for folder in (tmp_path / "plain", checkout / "inside"):
        folder.mkdir()
        assert commit_of(folder) == "commit unknown: not a git checkout"


def test_a_copy_without_its_repository_is_no_checkout(checkout, tmp_path):
    shutil.copytree(checkout, tmp_path / "copy", ignore=shutil.ignore_patterns(".git"))
    assert commit_of(tmp_path / "copy") == "commit unknown: not a git checkout"


def test_git_that_is_not_installed_is_said(checkout, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit_of(checkout) == "commit unknown: git is not installed"


def test_any_other_failure_is_told_in_gits_own_words(checkout, tmp_path):
    (checkout / ".git" / "config").write_text("[core\n", encoding="utf-8")
    assert commit_of(checkout).startswith("commit unknown: bad config line 1 in file ")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / ".git").write_text(f"gitdir: {tmp_path}/gone\n", encoding="utf-8")
    assert commit_of(tmp_path / "tree") == f"commit unknown: not a git repository: {tmp_path}/gone"


@pytest.fixture
def made_by() -> dict:
    return machine.provenance(torch.device("cpu"), threads=1, dtype=torch.float32)


def test_provenance_names_processor_instruction_set_and_commit(made_by):
    assert made_by["processor"].strip()
    if sys.platform == "linux" and "model name" in (text := Path("/proc/cpuinfo").read_text(encoding="utf-8")):
        assert f": {made_by['processor']}\n" in text
    assert made_by["instruction_set"].startswith(torch.backends.cpu.get_cpu_capability())
    assert made_by["code_version"].endswith(f"({commit_of(machine.REPOSITORY)})")


def test_an_instruction_set_that_is_asked_for_is_named(other_rounding):
    program = "from edgechaos_core.system.machine import instruction_set; print(instruction_set())"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | other_rounding,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout == "DEFAULT, MKL_CBWR=COMPATIBLE\n"


@pytest.mark.parametrize(("cores", "most"), [(3, 3), (1, 1), (None, 1)])
def test_threads_are_as_many_as_the_cores_at_most(monkeypatch, cores, most):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    with machine.cpu_threads(most):
        assert torch.get_num_threads() == most
    assert torch.get_num_threads() == 1
    for wrong in (0, most + 1):
        said = f"between 1 and the {most} cores of this machine, got {wrong}"
        with pytest.raises(ValueError, match=said), machine.cpu_threads(wrong):
            pass


@pytest.mark.parametrize(("text", "name"), [("model name\t: \nmodel name\t: A chip: 2\n", "A chip: 2"), ("", "a66")])
def test_a_processor_without_a_name_is_told_by_its_architecture(monkeypatch, text, name):
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: text)
    monkeypatch.setattr(machine.platform, "processor", lambda: "")
    monkeypatch.setattr(machine.platform, "machine", lambda: "a66")
    assert machine.processor.__wrapped__() == name


def test_a_system_that_tells_nothing_of_its_processor(monkeypatch):
    def missing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    monkeypatch.setattr(machine.platform, "processor", lambda: "arm")
    assert machine.processor.__wrapped__() == "arm"
