"""The book: chapters -> executed notebooks (papermill) -> site (jupyter-book).

A chapter is executed again only when its source, its parameters, the package or the data have changed. A *build* is a
profile (``quick``, ``standard``, ``paper``), or one chapter with parameters of the reader's in an otherwise unchanged
book. Builds lie in ``_build``: ``executed/BUILD`` the notebooks, ``site/BUILD`` the pages.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill
import plotly
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from traitlets.config import Config

from edgechaos_core import EdgechaosError
from edgechaos_core.book import reference
from edgechaos_core.book.chapters import Parameters, documents, find_document, read_notebook
from edgechaos_core.book.downloads import write_downloads
from edgechaos_core.book.frozen_outputs import checked_profiles, freeze_outputs
from edgechaos_core.book.kernels import ShieldedAsyncKernelManager, kernel_room
from edgechaos_core.book.parameter_values import chapter_parameters
from edgechaos_core.system.clean_environment import PYTHON, environment
from edgechaos_core.system.places import BUILD, REPOSITORY
from edgechaos_core.system.progress import PROGRESS_VARIABLE, show_progress


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
    checked outputs as nbval's reference; with ``chapter`` of that chapter alone, which is then all that is executed,
    and its notebook is returned. Raises ValueError for a bad name or parameter before anything is executed,
    BookError where a chapter or the build fails.
    """
    overrides = dict(overrides or {})
    pages = {page: read_notebook(page) for page in documents()}
    document = find_document(chapter) if chapter is not None else None
    if overrides and document is None:
        raise ValueError("parameters need a chapter: edgechaos book --chapter NAME -p NAME=VALUE")
    if overrides and document is not None and pages[document] is None:
        raise ValueError(f"{document} has no code to execute")
    if freeze and document is not None and pages[document] is None:
        raise ValueError(f"{document} has no code to execute")
    if overrides and freeze:
        raise ValueError("--freeze keeps a profile's outputs: it does not go with -p")
    parameters = {
        page: chapter_parameters(page, profile, overrides if page == document else {})
        for page, notebook in pages.items()
        if notebook is not None
    }
    build = profile
    if overrides and document is not None:
        own = {name: parameters[document][name] for name in overrides}
        build = f"{chapter}-{_digest(json.dumps([profile, own], sort_keys=True))[:8]}"
    stage = BUILD / "executed" / build
    _stage_static(stage, pages)
    if freeze and document is not None:
        parameters = {page: values for page, values in parameters.items() if page == document}
    for page in sorted(parameters, key=lambda page: page != document):  # the one asked for may fail: it goes first
        notebook = pages[page]
        if notebook is not None:
            executed = execute(page, notebook, parameters[page], stage)
            if freeze and profile in checked_profiles(notebook):
                freeze_outputs(page, nbformat.read(executed, as_version=4), profile)
    if freeze and document is not None:
        return stage / f"{document}.ipynb"
    _stage_made(stage, pages)
    site = _build_site(stage, build)
    return site / f"{document or documents()[0]}.html" if document else site / "index.html"


def _stage_static(stage: Path, pages: Mapping[str, NotebookNode | None]) -> None:
    """Lay the pages without code, the bibliography and the assets beside the executed notebooks, and nothing else."""
    kept = {stage / f"{page}.ipynb" for page, notebook in pages.items() if notebook is not None}
    downloads = stage / "downloads"
    for leftover in stage.rglob("*"):  # of a page or picture that is gone or has another name
        if leftover.is_file() and leftover not in kept and downloads not in leftover.parents:
            leftover.unlink()
    stage.mkdir(parents=True, exist_ok=True)
    for page, notebook in pages.items():
        if notebook is None:
            (stage / page).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / f"{page}.md", stage / f"{page}.md")
    shutil.copyfile(REPOSITORY / "references.bib", stage / "references.bib")
    shutil.copytree(
        REPOSITORY / "assets",
        stage / "assets",
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("*.py", "__pycache__"),
    )
    shutil.copy(Path(plotly.__file__).parent / "package_data" / "plotly.min.js", stage / "assets")


def _stage_made(stage: Path, pages: Mapping[str, NotebookNode | None]) -> None:
    """Lay beside the pages what those of the reference include, made from code, committed files and executed pages."""
    write_downloads(stage / "downloads", _inputs_digest())
    made = {
        "command_line.txt": reference.command_line(),
        "citation.bib": reference.citation(),
        "notebooks.txt": reference.notebook_list(pages),
    }
    (stage / "made").mkdir(exist_ok=True)
    for name, text in made.items():
        (stage / "made" / name).write_text(text, encoding="utf-8")
    executed = [page for page, notebook in pages.items() if notebook is not None]
    notebooks = {page: nbformat.read(stage / f"{page}.ipynb", as_version=4) for page in executed}
    reference.write_figures(notebooks, stage / "made" / "figures")


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
    with kernel_room() as room:
        kernel = {"room": room, "variables": {PROGRESS_VARIABLE: "1" if relay else "0"}}
        try:
            papermill.execute_notebook(
                notebook,
                scratch,
                parameters=parameters,
                kernel_name="python3",
                progress_bar=False,
                stderr_file=relay,
                kernel_manager_class=ShieldedAsyncKernelManager,
                # traitlets hands what is set of a class down to those made of it
                config=Config(ShieldedKernelManager=kernel),
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


def _inputs_digest() -> str:
    """Digest of what a chapter's outputs depend on besides itself: the package, its pins and the committed data."""
    # Of the package all, as nobody tells which modules a chapter reaches: too much is executed anew, never too little.
    single = [REPOSITORY / "constraints.txt", REPOSITORY / "data/fashion-mnist/SHA256SUMS"]
    package = sorted((REPOSITORY / "edgechaos_core").rglob("*.py"))
    kinds = (".parquet", ".csv", ".json", ".yaml")
    data = sorted(path for path in (REPOSITORY / "data").rglob("*") if path.suffix in kinds)
    return _digest(*(path.read_bytes() for path in [*package, *data, *single]))


def _digest(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part.encode() if isinstance(part, str) else part).digest())
    return digest.hexdigest()


def _build_site(stage: Path, build: str) -> Path:
    """Run jupyter-book with warnings as errors, unless the site is of these very pages; return the folder of the pages.

    All pages are built together: every page's side bar names all others, and sphinx builds no page anew whose own
    source is as it was. The new site takes the place of the old one when it is whole.
    """
    output = BUILD / "site" / build
    pages, made_from = output / "_build" / "html", output / "made-from.txt"
    sources = [path for path in sorted(stage.rglob("*")) if path.is_file()]
    settings = [REPOSITORY / name for name in ("_toc.yml", "_config.yml", "constraints.txt")]
    names = [str(path.relative_to(stage)) for path in sources]
    digest = _digest(*names, *(path.read_bytes() for path in [*sources, *settings]))
    if pages.is_dir() and made_from.is_file() and made_from.read_text(encoding="utf-8") == digest:
        return pages
    output.mkdir(parents=True, exist_ok=True)
    # beside its place, as a rename does not cross file systems
    with kernel_room() as room, tempfile.TemporaryDirectory(dir=output, ignore_cleanup_errors=True) as fresh:
        result = _run_jupyter_book(stage, Path(fresh), Path(room))
        log = output / "build.log"
        log.write_text(result.stdout + result.stderr, encoding="utf-8")
        if result.returncode:
            warnings = [line for line in result.stderr.splitlines() if "WARNING" in line or "ERROR" in line]
            what = f"{len(warnings)} warnings, e.g. {warnings[0]}" if warnings else "an error"
            raise BookError(f"jupyter-book ended with {what} (all: {log})")
        made_from.unlink(missing_ok=True)
        shutil.rmtree(output / "_build", ignore_errors=True)
        (Path(fresh) / "_build").rename(output / "_build")
    made_from.write_text(digest, encoding="utf-8")
    return pages


def _run_jupyter_book(stage: Path, output: Path, room: Path) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [*PYTHON, "-c", "from jupyter_book.cli.main import main; main()", "build", stage]
    command += ["--config", REPOSITORY / "_config.yml", "--toc", REPOSITORY / "_toc.yml", "--path-output", output]
    places = dict.fromkeys(("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "MPLCONFIGDIR"), str(room))
    return subprocess.run(
        # warnings are errors, all of them are told, and a reference to nothing is one
        [*command, "-W", "--keep-going", "-n"],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
        cwd=room,
        env=environment(**places),
    )
