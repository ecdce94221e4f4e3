"""The book: chapters -> executed notebooks (papermill) -> site (jupyter-book).

A chapter is executed again only when its source, its parameters, the package or the data have changed. A *build* is a
profile (``quick``, ``standard``, ``paper``), or one chapter with parameters of the reader's in an otherwise unchanged
book. Builds lie in ``_build``: ``executed/BUILD`` the notebooks, ``site/BUILD`` the pages.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
import papermill
import plotly
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from traitlets.config import Config

from edgechaos_core import EdgechaosError
from edgechaos_core.chapters import (
    Parameters,
    chapter_parameters,
    checked_profiles,
    documents,
    freeze_outputs,
    read_notebook,
)
from edgechaos_core.places import BUILD, REPOSITORY
from edgechaos_core.progress import PROGRESS_VARIABLE, show_progress

ONE_BLAS_THREAD = ("OPENBLAS_NUM_THREADS", "1")  # on a busy machine its threads wait for each other a hundredfold


class BookError(EdgechaosError):
    """A chapter failed while executing, or the site has warnings; the message says where to look."""


def build_book(
    profile: str = "standard",
    *,
    chapter: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    freeze: bool = False,
) -> Path:
    """Execute what has changed, build the site, and return the page to open.

    With ``chapter`` that chapter alone has ``overrides`` for parameters, in a build of its own. ``freeze`` keeps the
    checked outputs as nbval's reference. Raises ValueError for a bad name or parameter before anything is executed,
    BookError where a chapter or the build fails.
    """
    overrides = dict(overrides or {})
    pages = {page: read_notebook(page) for page in documents()}
    document = _document_of(chapter) if chapter is not None else None
    if overrides and document is None:
        raise ValueError("parameters need a chapter: edgechaos book --chapter NAME -p NAME=VALUE")
    if overrides and document is not None and pages[document] is None:
        raise ValueError(f"{document} has no code to execute")
    if overrides and freeze:
        raise ValueError("--freeze keeps a profile's outputs: it does not go with -p")
    parameters = {
        page: chapter_parameters(page, profile, overrides if page == document else {})
        for page, notebook in pages.items()
        if notebook is not None
    }
    build = profile
    if overrides:
        build = f"{chapter}-{_digest(json.dumps([profile, overrides], sort_keys=True))[:8]}"
    stage = BUILD / "executed" / build
    _stage_static(stage, pages)
    for page, notebook in pages.items():
        if notebook is not None:
            executed = execute(page, notebook, parameters[page], stage)
            if freeze and profile in checked_profiles(notebook):
                freeze_outputs(page, nbformat.read(executed, as_version=4), profile)
    site = _build_site(stage, build)
    return site / f"{document or documents()[0]}.html" if document else site / "index.html"


def _document_of(chapter: str) -> str:
    names = {Path(page).name: page for page in documents()}
    if chapter not in names:
        raise ValueError(f"unknown chapter {chapter!r}: choose from {', '.join(names)}")
    return names[chapter]


def _stage_static(stage: Path, pages: Mapping[str, NotebookNode | None]) -> None:
    """Lay the pages without code, the bibliography and the assets beside the executed notebooks."""
    stage.mkdir(parents=True, exist_ok=True)
    for page, notebook in pages.items():
        if notebook is None:
            (stage / page).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / f"{page}.md", stage / f"{page}.md")
    for leftover in stage.rglob("*.ipynb"):
        if str(leftover.relative_to(stage).with_suffix("")) not in pages:
            leftover.unlink()
    shutil.copyfile(REPOSITORY / "references.bib", stage / "references.bib")
    shutil.copytree(REPOSITORY / "assets", stage / "assets", dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.py"))
    shutil.copy(Path(plotly.__file__).parent / "package_data" / "plotly.min.js", stage / "assets")


def execute(page: str, notebook: NotebookNode, parameters: Parameters, stage: Path) -> Path:
    """Execute a page into ``stage`` unless it is there already, made from the same inputs; return the notebook."""
    target = stage / f"{page}.ipynb"
    digest = _digest(nbformat.writes(notebook), json.dumps(parameters, sort_keys=True), _inputs_digest())
    if target.exists() and nbformat.read(target, as_version=4).metadata.get("edgechaos_digest") == digest:
        return target
    shown = ", ".join(f"{name}={value}" for name, value in parameters.items())
    print(f"executing {page}" + (f" with {shown}" if shown else ""), file=sys.stderr)
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.metadata.tags.append("remove-cell")  # papermill shows the values in force in a cell of its own
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_suffix(".part.ipynb")
    relay = sys.stderr if show_progress() else None
    with (
        tempfile.TemporaryDirectory() as sockets,  # short: a socket's path has room for about 100 characters
        _environment(PROGRESS_VARIABLE, "1" if relay else "0"),
        _environment(*ONE_BLAS_THREAD),
        _environment("JUPYTER_RUNTIME_DIR", sockets),
    ):
        try:
            papermill.execute_notebook(
                notebook,
                scratch,
                parameters=parameters,
                kernel_name="python3",
                progress_bar=False,
                stderr_file=relay,
                # TCP would be open to other users of the machine. Without a folder of their own, sockets lie in the
                # working directory, where two books made at once take each other's.
                config=Config(KernelManager={"transport": "ipc", "ip": f"{sockets}/kernel"}),
            )
        except papermill.PapermillExecutionError as error:
            failed = target.with_suffix(".failed.ipynb")
            scratch.replace(failed)
            where = f"cell {error.exec_count}: {error.ename}: {error.evalue}"
            raise BookError(f"{page} failed in {where} (notebook so far: {failed})") from None
        except DeadKernelError:
            raise BookError(f"{page} failed: its kernel died, perhaps for want of memory") from None
        executed = nbformat.read(scratch, as_version=4)
        executed.metadata["edgechaos_digest"] = digest
        nbformat.write(executed, scratch)
    scratch.replace(target)
    return target


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def _inputs_digest() -> str:
    """Digest of what a chapter's outputs depend on besides itself: the package, its pins and the committed data."""
    single = [REPOSITORY / "constraints.txt", REPOSITORY / "data/fashion-mnist/SHA256SUMS"]
    package = sorted((REPOSITORY / "edgechaos_core").glob("*.py"))
    data = sorted(path for kind in ("parquet", "csv") for path in (REPOSITORY / "data").glob(f"*/*.{kind}"))
    return _digest(*(path.read_bytes() for path in [*package, *data, *single]))


def _digest(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part.encode() if isinstance(part, str) else part).digest())
    return digest.hexdigest()


def _build_site(stage: Path, build: str) -> Path:
    """Run jupyter-book with warnings as errors; return the folder of the pages."""
    output = BUILD / "site" / build
    output.mkdir(parents=True, exist_ok=True)
    command: list[str | Path] = [Path(sys.executable).with_name("jupyter-book"), "build", stage]
    command += ["--config", REPOSITORY / "_config.yml", "--toc", REPOSITORY / "_toc.yml", "--path-output", output]
    result = subprocess.run(
        [*command, "-W", "--keep-going", "-n"], capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    log = output / "build.log"
    log.write_text(result.stdout + result.stderr, encoding="utf-8")
    if result.returncode:
        shutil.rmtree(output / "_build", ignore_errors=True)  # sphinx tells of a warning only once a page
        warnings = [line for line in result.stderr.splitlines() if "WARNING" in line or "ERROR" in line]
        what = f"{len(warnings)} warnings, e.g. {warnings[0]}" if warnings else "an error"
        raise BookError(f"jupyter-book ended with {what} (all: {log})")
    return output / "_build" / "html"
