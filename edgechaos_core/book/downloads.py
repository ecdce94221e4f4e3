"""Files that the book offers for download, made from the committed runs when the site is built."""

import io
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pyarrow as pa
from pyarrow.csv import WriteOptions, write_csv

from edgechaos_core import EdgechaosError
from edgechaos_core.experiments.protocols import protocol
from edgechaos_core.store.catalogue import read_store
from edgechaos_core.store.store import committed_store
from edgechaos_core.store.tables import write_whole
from edgechaos_core.sweeps.sweep import wanted
from edgechaos_core.system.places import COMMITTED_DIAGRAMS, COMMITTED_RUNS, DATA, PACKAGE, PUBLISHED, REPOSITORY

SEEDS = range(100)  # of which those that were run are found
# The paper's figures whose runs are a named grid.
FIGURES = {
    "fig2": "the runs of Figs. 2 and 3a of the paper",
    "fig3": "the runs of Fig. 3b-d of the paper",
    "fig4": "the runs of Fig. 4 of the paper",
    "fig5": "the runs of Fig. 5 of the paper",
    "fig6": "the runs of Fig. 6 of the paper",
}
COPIES = {
    COMMITTED_DIAGRAMS / "tanh-4000.parquet": "the phase diagram, 4,000 neurons (Fig. 1b of the paper)",
    PUBLISHED / "fig1b_edge.csv": "the edge as the paper's simulation has it",
    PUBLISHED / "fig3_slopes.csv": "the slopes that the paper gives in Fig. 3",
}


def write_downloads(folder: Path, made_from: str) -> None:
    """Write the files, ``table.txt``, a Markdown table of them, and ``package.txt``, a line on the package.

    Unless they are there, made from the same: ``made_from`` is a digest of the committed data and the code.
    What else is in the folder is removed.
    """
    mark = folder / "made-from.txt"
    if mark.is_file() and mark.read_text(encoding="utf-8") == made_from:
        return
    shutil.rmtree(folder, ignore_errors=True)
    runs = read_store(committed_store())
    tables: dict[str, tuple[pd.DataFrame, str]] = {"runs": (runs, "all committed runs")}
    for name, what in FIGURES.items():
        keys = {run.key for run in wanted(protocol(name, seeds=SEEDS))}
        tables[name] = (runs[runs["key"].isin(keys)].dropna(axis="columns", how="all"), what)
    rows = []
    for name, (table, what) in tables.items():
        for ending, content in (FORMATS if name == "runs" else {".csv": _csv}).items():
            write_whole(folder / f"{name}{ending}", content(table))
            rows.append(_row(folder / f"{name}{ending}", what, f"{table['key'].nunique()} runs, {len(table):,} epochs"))
    for source, what in COPIES.items():
        shutil.copyfile(source, folder / source.name)
        rows.append(_row(folder / source.name, what, f"{len(_read(source)):,} rows"))
    wheel = write_wheel(folder)
    told = f"The package without the chapters, for `pip install`: {_offered(wheel)}, {_size(wheel)}."
    write_whole(folder / "package.txt", f"{told}\n".encode())
    head = ["| file | what it holds | size |", "| --- | --- | ---: |"]
    write_whole(folder / "table.txt", "\n".join([*head, *rows, ""]).encode())
    write_whole(mark, made_from.encode())


def write_wheel(folder: Path) -> Path:
    """Build the package's wheel into a folder, from a copy of its files: a build leaves files where its source is.

    Raises EdgechaosError where it cannot be built.
    """
    with TemporaryDirectory() as place:
        source = Path(place) / "source"
        shutil.copytree(PACKAGE, source / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
        for records in (DATA, COMMITTED_RUNS, COMMITTED_DIAGRAMS, PUBLISHED):
            (source / "data" / records.relative_to(DATA)).mkdir(parents=True)
            for file in filter(Path.is_file, records.iterdir()):
                shutil.copyfile(file, source / "data" / file.relative_to(DATA))
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copyfile(REPOSITORY / name, source / name)
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "wheel", "--no-deps"]
        done = subprocess.run(
            [*pip, "--no-build-isolation", "--wheel-dir", folder, source],
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        if done.returncode:
            why = done.stderr.strip().rpartition("\n")[2]
            raise EdgechaosError(f"the package for the downloads page cannot be built: {why}")
    (wheel,) = folder.glob("*.whl")
    return wheel


def _csv(table: pd.DataFrame) -> bytes:
    """Return what ``table.to_csv`` does, in a tenth of the time."""
    buffer = io.BytesIO()
    write_csv(pa.Table.from_pandas(table, preserve_index=False), buffer, WriteOptions(quoting_style="needed"))
    return buffer.getvalue()


def _zipped_csv(table: pd.DataFrame) -> bytes:
    """One CSV file in a zip archive, which pandas reads as it is; of a fixed date, so that the bytes are the data's."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("runs.csv"), _csv(table), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _parquet(table: pd.DataFrame) -> bytes:
    return table.to_parquet(index=False)


FORMATS: dict[str, Callable[[pd.DataFrame], bytes]] = {".parquet": _parquet, ".csv.zip": _zipped_csv}


def _read(path: Path) -> pd.DataFrame:
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, comment="#")


def _row(path: Path, what: str, count: str) -> str:
    return f"| {_offered(path)} | {what}: {count} | {_size(path)} |"


def _offered(path: Path) -> str:
    return f"{{download}}`{path.name} <../{path.parent.name}/{path.name}>`"


def _size(path: Path) -> str:
    size = path.stat().st_size
    return f"{size / 1e6:.1f}\u00a0MB" if size >= 1e5 else f"{size / 1e3:.1f}\u00a0kB"
