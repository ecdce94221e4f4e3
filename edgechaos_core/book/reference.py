"""What the reference pages show and nobody should write twice: made from the commands, CITATION.cff and the pages."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from edgechaos_core import EdgechaosError
from edgechaos_core.system.clean_environment import PYTHON, environment
from edgechaos_core.system.places import REPOSITORY
from edgechaos_core.system.yaml_files import read_yaml

# typer's own command for a reference in Markdown. In a process of its own, as the commands' room lies above this one.
_TYPER = ["-m", "typer", "edgechaos_core.cli.app", "utils", "docs", "--name", "edgechaos"]


def command_line() -> str:
    """Return the reference of ``edgechaos`` in Markdown, a section a command; raises EdgechaosError if it fails."""
    done = subprocess.run(
        [*PYTHON, *_TYPER], capture_output=True, encoding="utf-8", check=False, env=environment(), cwd=REPOSITORY
    )
    if done.returncode or not done.stdout.startswith("# `edgechaos`\n"):
        raise EdgechaosError(f"typer wrote no reference of the commands: {(done.stderr or done.stdout).strip()[-200:]}")
    body = done.stdout.partition("\n")[2].strip()  # the page has a title of its own
    return _whole_summaries(_literal_options(body.replace("```console\n$ ", "```text\n"))) + "\n"


def _literal_options(text: str) -> str:
    """Put options that are named in sentences into backticks, as two hyphens would be printed as a dash."""
    parts = text.split("`")  # every second one stands in backticks already
    parts[::2] = [re.sub(r"(?<![\w-])--[a-z][\w-]*", r"`\g<0>`", part) for part in parts[::2]]
    return "`".join(parts)


def _whole_summaries(text: str) -> str:
    """Tell in the lists of commands the whole line that stands in a command's own section, where typer cuts it off."""
    before, *sections = re.split(r"(?=^#+ `edgechaos )", text, flags=re.MULTILINE)
    said = {own.split("`")[1].removeprefix("edgechaos "): own.strip().split("\n")[2] for own in sections}

    def whole(part: str, group: str = "") -> str:
        rest, head, listed = part.partition("**Commands**:")
        item = r"^\* `([\w-]+)`: .*$"
        listed = re.sub(item, lambda own: f"* `{own[1]}`: {said[group + own[1]]}", listed, flags=re.MULTILINE)
        return rest + head + listed

    return whole(before) + "".join(whole(own, own.split("`")[1].removeprefix("edgechaos ") + " ") for own in sections)


def citation() -> str:
    """Return the BibTeX entries of this book and of the paper that it reproduces, made from CITATION.cff."""
    cff = read_yaml(REPOSITORY / "CITATION.cff")
    own = {"author": _authors(cff), "title": cff["title"], "version": cff["version"], "license": cff["license"]}
    entries = [_entry(cff["type"], "edgechaos", own)]
    for work in cff["references"]:
        key = f"{work['authors'][0]['family-names'].lower()}{work['year']}"
        fields = {"author": _authors(work), "title": work["title"], "year": work["year"], "doi": work["doi"]}
        entries.append(_entry(work["type"], key, fields))
    return "\n\n".join(entries) + "\n"


def notebook_list(pages: Mapping[str, NotebookNode | None]) -> str:
    """Return a Markdown list of the executed notebooks with their titles, for a page in a folder of its own."""
    lines = []
    for page, notebook in pages.items():
        if notebook is not None:
            title = next(line[2:] for cell in notebook.cells for line in cell.source.splitlines() if line[:2] == "# ")
            lines.append(f"- {{download}}`{Path(page).name}.ipynb <../{page}.ipynb>`: {title}\n")
    return "".join(lines)


def write_figures(pages: Mapping[str, NotebookNode], folder: Path) -> None:
    """Write every glued figure of executed pages as ``PAGE-NAME.svg``: myst-nb glues no SVG to other pages."""
    folder.mkdir(parents=True, exist_ok=True)
    for page, notebook in pages.items():
        for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
            name = output.get("metadata", {}).get("scrapbook", {}).get("name")
            pictures = [text for kind, text in output.get("data", {}).items() if kind.endswith("image/svg+xml")]
            if name and pictures:
                (folder / f"{Path(page).name}-{name}.svg").write_text(pictures[0], encoding="utf-8")


def _authors(work: Mapping[str, Any]) -> str:
    """Names as BibTeX wants them; braces keep together the name of an author that is not a person."""
    people = [
        f"{author['family-names']}, {author['given-names']}" if "family-names" in author else f"{{{author['name']}}}"
        for author in work["authors"]
    ]
    return " and ".join(people)


def _entry(kind: str, key: str, fields: Mapping[str, Any]) -> str:
    lines = [f"  {name} = {{{value}}}," for name, value in fields.items()]
    return "\n".join([f"@{kind}{{{key},", *lines, "}"])
