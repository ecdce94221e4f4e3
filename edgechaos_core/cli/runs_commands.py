"""The commands that train and look at many runs: ``edgechaos sweep`` and ``edgechaos runs ...``."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edgechaos_core import EdgechaosError, Interrupted
from edgechaos_core.cli.options import Device, Force
from edgechaos_core.cli.output import check_out, json_line, tell

if TYPE_CHECKING:  # imported where it is needed: torch takes a second
    from edgechaos_core.store.runs import Run
    from edgechaos_core.store.tables import TableError
    from edgechaos_core.sweeps.verify import Check

runs_app = typer.Typer(add_completion=False, rich_markup_mode=None, help="List, show, verify and export stored runs.")

FAILED = 1
_PROTOCOLS = (
    "fig2, fig3, fig3-edge, fig4, fig5, fig6, relu-adam, gradients, decay-gradients, payoff, calibration, unseen, "
    "piloted, contest, noisy, noisy-long, start, speed, hold-at, trained-map, depth, sizes, adamw, mnist, or a file "
    "GRID.yaml with base, vary and runs"
)


def sweep(
    grid: Annotated[str, typer.Argument(metavar="PROTOCOL|GRID.yaml", help=_PROTOCOLS)],
    seeds: Annotated[
        str | None, typer.Option(help="FROM:TO (TO left out) or a list like 0,2,5 [default: 0, or the grid's own]")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="of the shortest runs; others keep their proportion")] = None,
    samples: Annotated[int | None, typer.Option(help="train on the first S images")] = None,
    backend: Annotated[
        str | None, typer.Option(help="processes, serial or ray [default: processes; serial on cuda]")
    ] = None,
    workers: Annotated[int | None, typer.Option(help="stacks trained at a time [default: one a core]")] = None,
    device: Device = "cpu",
    threads: Annotated[int, typer.Option(help="CPU threads of a worker; more than one rarely pays")] = 1,
    stack: Annotated[int | None, typer.Option(help="members of a stack at most [default: by the device]")] = None,
    checkpoint_seconds: Annotated[float, typer.Option(help="what a killed process loses at most")] = 60.0,
    address: Annotated[str | None, typer.Option(help="of a Ray cluster [default: one of this machine]")] = None,
    dry_run: Annotated[bool, typer.Option(help="say what would run and what it costs, and stop")] = False,
    format: Annotated[Literal["table", "json"], typer.Option(help="what to print of the runs")] = "table",
) -> None:
    """Train what is missing of a grid of runs and print their last epochs; interrupted, the same command goes on."""
    from edgechaos_core.experiments.protocols import parse_seeds, protocol
    from edgechaos_core.store.store import open_store
    from edgechaos_core.sweeps import plan as planning
    from edgechaos_core.sweeps.options import How
    from edgechaos_core.sweeps.sweep import plan_sweep, wanted_to_plan
    from edgechaos_core.sweeps.sweep import sweep as run_sweep

    configs = protocol(grid, seeds=None if seeds is None else parse_seeds(seeds), epochs=epochs, samples=samples)
    how = How(
        backend=backend,  # type: ignore[arg-type]  # checked there
        device=device,
        threads=threads,
        workers=workers,
        stack_members=stack,
        checkpoint_seconds=checkpoint_seconds,
        address=address,
    )
    store = open_store()
    if dry_run:
        plan = plan_sweep(wanted_to_plan(configs), store, how)
        print(planning.estimate(plan, device=device, threads=threads, workers=how.chosen_workers))
        return
    try:
        runs = run_sweep(configs, store, how)
    except KeyboardInterrupt:
        raise Interrupted("interrupted: the same command goes on from here") from None
    _print_table(_summary(runs), format)


@runs_app.command("list")
def list_runs(
    format: Annotated[Literal["table", "json"], typer.Option(help="json: one object a line")] = "table",
) -> None:
    """List every stored run: finished, diverged, interrupted (a checkpoint waits), failed or damaged."""
    from edgechaos_core.store.catalogue import entries
    from edgechaos_core.store.store import open_store

    rows = []
    for entry in entries(open_store()):
        settings = entry.run.config.model_dump() if entry.run else {}
        place = "committed" if entry.committed else "own"
        row = {"key": entry.key, "state": entry.state, "epoch": entry.epoch, "place": place, **settings}
        rows.append(row | {"detail": entry.detail})
    _print_table(rows, format)


@runs_app.command()
def show(key: Annotated[str, typer.Argument(help="of runs list; its first digits do")]) -> None:
    """Show one stored run: settings, outcome, provenance, and some of its epochs."""
    import pandas as pd

    from edgechaos_core.store.catalogue import entries, whole_key
    from edgechaos_core.store.run_tables import in_short
    from edgechaos_core.store.runs import load_run
    from edgechaos_core.store.store import open_store

    listed = {entry.key: entry for entry in entries(open_store())}
    entry = listed[whole_key(key, listed)]
    print(f"{entry.key}  {entry.state} at epoch {entry.epoch}  {entry.path}")
    if entry.detail:
        print(entry.detail)
    if entry.run is None:
        return
    for title, values in (("settings", entry.run.config.model_dump()), ("provenance", entry.run.provenance)):
        print(f"\n{title}")
        for name, value in values.items():
            print(f"  {name:16} {json.dumps(value) if isinstance(value, list) else value}")
    if entry.state in ("finished", "diverged"):
        history = pd.DataFrame([in_short(row) for row in load_run(entry.path).history.to_dict("records")])
        some = sorted({*range(0, len(history), max(len(history) // 10, 1)), len(history) - 1} - {-1})
        print(f"\n{history.iloc[some].to_string(index=False, float_format='{:.5f}'.format)}")


@runs_app.command()
def verify(
    sample: Annotated[int, typer.Option(help="committed runs to draw and train again")] = 3,
    epochs: Annotated[int, typer.Option(help="of those runs, from the first")] = 1,
    seed: Annotated[int | None, typer.Option(help="decides the draw [default: a new one each time]")] = None,
) -> int:
    """Check every run file, and train the first epochs of some committed runs again; exit code 1 if one is wrong."""
    from edgechaos_core.store.store import open_store
    from edgechaos_core.sweeps.verify import check_files, problems, retrain_some

    store = open_store()
    files: list[Check] = []
    again: list[Check] = []
    try:
        files.extend(check_files(store))
        for check in retrain_some(store, sample, epochs=epochs, seed=seed):
            again.append(check)
            print(f"{check.name}: {check.what}: {check.problem or 'agrees'}", flush=True)
    except KeyboardInterrupt:
        done = f"{len(files)} files were read and {len(again)} of {sample} runs trained again"
        raise Interrupted(f"interrupted: {done}, no verdict") from None
    if not files:
        folders = ", ".join(map(str, (*store.layers, store.folder)))
        raise EdgechaosError(f"there are no run files in {folders}: nothing was verified")
    wrong = problems([*files, *again])
    for line in wrong:
        tell(line)
    if sample and not again:
        tell(f"there are no committed runs in {', '.join(map(str, store.layers))}: none was trained again")
    print(f"{len(files)} files read, {len(again)} trained again, {len(wrong)} problems")
    return FAILED if wrong else 0


@runs_app.command()
def export(
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="[default: standard output, but for parquet]")
    ] = None,
    format: Annotated[Literal["csv", "json", "parquet"], typer.Option(help="json: one object a line")] = "csv",
    key: Annotated[
        list[str] | None, typer.Option(help="of a run to export, or its first digits; again for more [default: all]")
    ] = None,
    force: Force = False,
) -> int:
    """Write stored runs as one table: a row an epoch, with the run's settings; exit code 1 if a file is damaged."""
    from edgechaos_core.store.catalogue import read_store
    from edgechaos_core.store.store import open_store
    from edgechaos_core.store.tables import write_whole

    if out is None and format == "parquet":
        raise ValueError("--out FILE.parquet is needed: parquet is not text")
    if out is not None:
        out = check_out(out, force=force, suffixes=(f".{format}",))
    store = open_store()
    damaged: list[TableError] = []
    table = read_store(store, key, on_damaged=damaged.append)
    for error in damaged:
        tell(f"{error}: left out")
    if table.empty:
        raise EdgechaosError(f"no {'other ' if damaged else ''}runs are stored: nothing was exported")
    match format:
        case "csv":
            content = table.to_csv(index=False).encode()
        case "json":  # pandas' own cuts digits off
            rows = table.astype(object).where(table.notna(), None).to_dict("records")
            content = "".join(f"{json_line(row)}\n" for row in rows).encode()
        case "parquet":
            content = table.to_parquet(index=False)
    if out is None:
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
    else:
        write_whole(out, content)
        print(out)
    return FAILED if damaged else 0


def _summary(runs: "Sequence[Run]") -> list[dict[str, Any]]:
    """The last epoch of each run with its settings and state."""
    from edgechaos_core.store.run_tables import in_short

    rows = []
    for run in runs:
        last = in_short(run.history.iloc[-1].to_dict()) if len(run.history) else {}
        rows.append(run.config.model_dump() | {"state": run.outcome.state} | last | {"epoch": run.outcome.epoch})
    return rows


def _print_table(rows: Sequence[dict[str, Any]], style: str) -> None:
    """Print one line a row; a table says what all rows share once, above."""
    import pandas as pd

    from edgechaos_core.store.runs import RunConfig
    from edgechaos_core.system.progress import number

    if style == "json":
        for row in rows:
            print(json_line(row))
        return
    if not rows:
        print("no runs are stored")
        return
    table = pd.DataFrame(rows, dtype=object)  # or a row without settings makes their whole numbers decimal ones
    if len(table) > 1:
        known = [name for name in table if name in RunConfig.model_fields and table[name].notna().any()]
        common = {name: values[0] for name in known if len(values := table[name].dropna().unique()) == 1}
        if common:
            print("all: " + ", ".join(f"{name} {value}" for name, value in common.items()))
        unset = [name for name in table if name in RunConfig.model_fields and table[name].isna().all()]
        table = table.drop(columns=[*common, *unset])
    for name in table:
        shown = "{:g}".format if name in RunConfig.model_fields else number
        table[name] = table[name].map(lambda value, shown=shown: shown(value) if isinstance(value, float) else value)
    print(table.to_string(index=False, na_rep=""))
