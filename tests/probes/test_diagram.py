"""Simulated diagrams: the grid, tiles, files that survive whatever ends a simulation, and the edge read from them."""

import json
import os
import re
import signal
import subprocess
import sys
from functools import partial

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch

from edgechaos_core.probes import diagram, simulation
from edgechaos_core.probes.diagram import Diagram, DiagramConfig, load_diagram, save_diagram, simulated_edge
from edgechaos_core.probes.linear_maps import PERTURBATION
from edgechaos_core.probes.simulation import estimate, obtain_diagram, simulate, steps
from edgechaos_core.settings import parse_settings
from edgechaos_core.store.tables import TableError
from edgechaos_core.system.progress import duration
from edgechaos_core.theory.edges import edge_of_chaos

config_of = partial(parse_settings, DiagramConfig)
SMALL = {"neurons": 20, "rows": 4, "columns": 3, "draws": 2, "iterations": 10, "align": 2, "measure": 3}  # 24 cells
EXACT = {"dtype": torch.float64, "threads": 1}
# Tiles of other sizes are products of other shapes, which round differently, and chaos amplifies that a little.
TILES = 1e-9


def assert_same(one: Diagram, other: Diagram) -> None:
    assert one.config == other.config
    pd.testing.assert_frame_equal(one.cells, other.cells, rtol=TILES, atol=TILES)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "diagram.parquet"


@pytest.fixture
def tiles_of_five(monkeypatch):
    """Tiles so small that each draw of SMALL's has 5 + 5 + 2 cells."""
    monkeypatch.setattr(simulation, "TILE", 5)


@pytest.fixture
def no_simulation(monkeypatch):
    """Make any simulation fail."""

    def draw_maps(*_, **__):
        raise AssertionError("a simulation")

    return lambda: monkeypatch.setattr(simulation, "draw_maps", draw_maps)


class Interrupt:
    """A progress callback that acts as Ctrl-C does, after that many steps."""

    def __init__(self, after: int) -> None:
        self.left = after

    def __call__(self, done: int) -> None:
        self.left -= done
        if self.left < 0:
            raise KeyboardInterrupt


def interrupted(config: DiagramConfig, path, *, cells: int, **options) -> None:
    """Simulate and stop in the cell after those."""
    with pytest.raises(KeyboardInterrupt):
        simulate(config, path=path, on_progress=Interrupt(steps(config, cells)), **EXACT | options)


# settings -----------------------------------------------------------------------------------------------------------

BAD_SETTINGS = [
    ({"neurons": 1}, "neurons must be greater than or equal to 2, got 1"),
    ({"neurons": 100_001}, "neurons must be less than or equal to 100000, got 100001"),
    ({"neurons": 4e3}, "neurons must be a valid integer, got 4000.0"),
    ({"rows": 0}, "rows must be greater than or equal to 1, got 0"),
    ({"rows": 10_001}, "rows must be less than or equal to 10000, got 10001"),
    ({"columns": 0}, "columns must be greater than or equal to 1, got 0"),
    ({"columns": 10_001}, "columns must be less than or equal to 10000, got 10001"),
    ({"columns": 1}, "ratio_from must be at most ratio_to, and equal to it with one column, got -1 to 2 in 1 columns"),
    ({"columns": "151"}, "columns must be a valid integer, got '151'"),
    ({"inverse_j_from": -0.1}, "inverse_j_from must be greater than or equal to 0, got -0.1"),
    ({"inverse_j_from": 2.0}, "inverse_j_from must be below inverse_j_to = 2, got 2"),
    ({"inverse_j_from": float("nan")}, "inverse_j_from must be a finite number, got nan"),
    ({"inverse_j_to": 0.0}, "inverse_j_to must be greater than 0, got 0.0"),
    ({"inverse_j_to": 101.0}, "inverse_j_to must be less than or equal to 100, got 101.0"),
    ({"inverse_j_to": 0.01}, "the smallest 1/J must be at least 1/8192, got 0.0001: use fewer rows"),
    ({"ratio_from": -4.1}, "ratio_from must be greater than or equal to -4, got -4.1"),
    ({"ratio_from": 2.1}, "ratio_from must be at most ratio_to, and equal to it with one column, got 2.1 to 2 in 151"),
    ({"ratio_to": 4.1}, "ratio_to must be less than or equal to 4, got 4.1"),
    ({"ratio_to": float("inf")}, "ratio_to must be a finite number, got inf"),
    ({"iterations": 4}, "iterations must be greater than or equal to 5, got 4"),
    ({"iterations": 1_000_001}, "iterations must be less than or equal to 1000000, got 1000001"),
    ({"align": -1}, "align must be greater than or equal to 0, got -1"),
    ({"align": 1_000_001}, "align must be less than or equal to 1000000, got 1000001"),
    ({"measure": 0}, "measure must be greater than or equal to 1, got 0"),
    ({"measure": 1_000_001}, "measure must be less than or equal to 1000000, got 1000001"),
    ({"draws": 0}, "draws must be greater than or equal to 1, got 0"),
    ({"draws": 10_001}, "draws must be less than or equal to 10000, got 10001"),
    ({"draws": 10_000}, "rows x columns x draws must be at most "),
    ({"activation": "sine"}, "activation must be 'tanh' or 'relu', got 'sine'"),
    ({"seed": -1}, "seed must be greater than or equal to 0, got -1"),
    ({"seed": 2**63}, "seed must be less than 9223372036854775808, got 9223372036854775808"),
    ({"J": 1.0}, "unknown setting 'J': choose from neurons, rows, columns, "),
]


@pytest.mark.parametrize(("bad", "message"), BAD_SETTINGS, ids=str)
def test_a_bad_setting_is_refused_in_one_line(bad, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below, whole start
        config_of(bad)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_every_field_has_a_bad_value_above():
    assert {name for bad, _ in BAD_SETTINGS for name in bad} >= set(DiagramConfig.model_fields)


def test_the_published_grid():
    config = config_of({})
    cells = config.cells
    assert len(cells) == config.size == 100 * 151
    np.testing.assert_allclose(cells["inverse_J"].unique(), np.arange(1, 101) / 50, atol=1e-12)
    np.testing.assert_allclose(cells["ratio"].unique(), np.arange(-50, 101) / 50, atol=1e-12)
    assert (cells["draw"] == 0).all()
    assert not cells.duplicated().any()


def test_a_cut_is_one_column():
    cells = config_of(
        {
            "columns": 1,
            "ratio_from": 1.5,
            "ratio_to": 1.5,
            "rows": 4,
            "inverse_j_from": 0.2,
            "inverse_j_to": 0.4,
            "draws": 2,
        }
    ).cells
    assert cells["draw"].tolist() == [0] * 4 + [1] * 4
    assert cells["ratio"].tolist() == [1.5] * 8
    np.testing.assert_allclose(cells["inverse_J"], [0.25, 0.3, 0.35, 0.4] * 2)


# simulation ---------------------------------------------------------------------------------------------------------


def test_a_diagram_has_every_cell_in_order():
    config = config_of(SMALL)
    result = simulate(config, **EXACT)
    assert result.complete
    assert list(result.cells) == ["draw", "inverse_J", "ratio", "distance", "lyapunov_exponent"]
    pd.testing.assert_frame_equal(result.cells[["draw", "inverse_J", "ratio"]], config.cells)
    assert np.isfinite(result.cells).all(axis=None)
    assert result.provenance["threads"] == 1
    assert result.provenance["dtype"] == "float64"
    assert result.provenance["wall_seconds"] > 0


def test_a_draw_does_not_depend_on_its_company():
    whole = simulate(config_of(SMALL), **EXACT).cells
    first = simulate(config_of(SMALL | {"draws": 1}), **EXACT).cells
    pd.testing.assert_frame_equal(whole[whole["draw"] == 0], first, rtol=TILES, atol=TILES)
    other = simulate(config_of(SMALL | {"draws": 1, "seed": 1}), **EXACT).cells
    for unlike in (whole[whole["draw"] == 1], other):
        assert np.isclose(unlike["distance"].to_numpy(), first["distance"].to_numpy(), rtol=0.01).mean() < 0.5


def test_the_time_of_a_diagram_is_that_of_its_tiles(tiles_of_five, monkeypatch):
    """By a clock that shows a second more whenever it is looked at: at the start, and after each of six tiles."""
    ticks = iter(range(100))
    monkeypatch.setattr(simulation.time, "perf_counter", lambda: next(ticks))
    assert simulate(config_of(SMALL), **EXACT).provenance["wall_seconds"] == 6


@pytest.mark.parametrize(("neurons", "threads"), [(999, 1), (1_000, os.cpu_count())])
def test_small_networks_are_simulated_by_one_thread(neurons, threads):
    cell = {"neurons": neurons, "rows": 1, "columns": 1, "ratio_from": 0.0, "ratio_to": 0.0, "draws": 1}
    assert simulate(config_of(SMALL | cell)).provenance["threads"] == threads


def test_tiles_do_not_show(tiles_of_five, monkeypatch):
    tiled = simulate(config_of(SMALL), **EXACT)
    monkeypatch.setattr(simulation, "TILE", 512)
    assert_same(tiled, simulate(config_of(SMALL), **EXACT))


@pytest.mark.parametrize(
    ("ratio", "window", "tolerance"), [(0.0, (0.2, 1.8), 0.35), (1.5, (0.0, 0.8), 0.2), (-1.5, (0.0, 0.8), 0.2)]
)
def test_a_simulated_edge_is_near_that_of_theory(ratio, window, tolerance):
    cut = {"columns": 1, "ratio_from": ratio, "ratio_to": ratio, "inverse_j_from": window[0], "inverse_j_to": window[1]}
    longer = {"neurons": 300, "rows": 20, "draws": 4, "align": 50, "measure": 100, "seed": np.random.randint(10**6)}
    result = simulate(config_of(cut | longer), threads=1)
    assert result.cells["distance"].min() == 0
    for column in ("distance", "lyapunov_exponent"):
        edges = simulated_edge(result, column)["inverse_J"]
        # Small networks turn chaotic at a smaller 1/J, by 0.1 or 0.2 at N = 300, and each draw at its own.
        assert edges.mean() == pytest.approx(edge_of_chaos(ratio), abs=tolerance)


def test_relu_beyond_its_limit_has_no_value():
    cells = simulate(config_of(SMALL | {"activation": "relu", "iterations": 200}), threads=1).cells
    grown = cells["distance"].isna()
    assert (grown == cells["lyapunov_exponent"].isna()).all()
    assert grown[(cells["inverse_J"] < 0.6) & (cells["ratio"] > 0)].all()
    assert not grown[(cells["inverse_J"] > 1.9) & (cells["ratio"] < 0)].any()


@pytest.mark.parametrize("kept", [False, True], ids=["in memory", "in a file"])
def test_progress_adds_up(path, tiles_of_five, kept):
    config, calls = config_of(SMALL), []
    assert steps(config) == 24 * (10 + 2 + 3)
    simulate(config, path=path if kept else None, on_progress=calls.append, **EXACT)
    assert sum(calls) == steps(config)
    assert steps(config, 7) == 7 * 15


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "gpu"}, "unknown device 'gpu': choose from cpu, cuda, cuda:1 ..."),
        ({"device": "cuda:99"}, "device 'cuda:99' cannot be used here"),
        ({"threads": 0}, "threads must be between 1 and the "),
        ({"threads": -1}, "threads must be between 1 and the "),
        ({"threads": 100_000}, "threads must be between 1 and the "),
    ],
    ids=str,
)
def test_a_place_that_is_not_there(path, options, message):
    for call in (partial(simulate, path=path), estimate):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}.*$"):
            call(config_of(SMALL), **options)
    assert not path.exists()


@pytest.mark.parametrize(
    ("changed", "chaotic"),
    [
        ({}, 4),
        ({"ratio_from": 1.5}, 0),
        ({"ratio_from": -2.0, "ratio_to": -1.05}, 2),  # at -1.05 the edge is at 1/J = 0.763
        ({"activation": "relu"}, 2),
        ({"neurons": 1_000, "draws": 1}, 2),
    ],
    ids=str,
)
def test_an_estimate(changed, chaotic):
    config = config_of(SMALL | changed)  # 1/J = 0.5, 1, 1.5, 2; J0/J = -1, 0.5, 2
    line = estimate(config, threads=1)
    assert "\n" not in line
    parts = re.fullmatch(
        r"([\d,]+) cells of ([\d,]+) neurons, ([\d,]+) of them chaotic by theory: "
        r"about [\d.]+ (s|min|h), at most [\d.]+ (s|min|h); (\d+\.\d) GB of memory",
        line,
    )
    assert parts[1] == str(config.size)
    assert parts[2] == f"{config.neurons:,}"
    assert int(parts[3]) == chaotic
    assert 0.3 <= float(parts[6]) < 1


def test_an_estimate_counts_both_of_each_pair(monkeypatch):
    """A product of 24 rows, 12 cells and 12 perturbed ones, takes a second by a clock made up to say so."""
    ticks = iter(range(100))
    monkeypatch.setattr(simulation.time, "perf_counter", lambda: next(ticks))
    config = config_of(SMALL | {"iterations": 100, "draws": 10})  # 120 cells, 20 of them chaotic
    line = estimate(config, threads=1)
    both = 2 * 120 * (100 + 2 + 3) / 24
    settled = 2 * 100 * (100 - 40) / 24
    assert f"about {duration(both - settled)}, at most {duration(both)}; " in line


def test_an_estimate_of_memory_counts_states_and_tangents_of_a_tile(monkeypatch):
    monkeypatch.setattr(simulation, "TILE", 4_096)
    line = estimate(config_of(SMALL | {"neurons": 4_000}), threads=1)
    assert line.endswith(f"; {0.3 + 4 * 4_000 * (4_000 + 8 * 4_096) / 1e9:.1f} GB of memory")
    assert line.endswith("; 0.9 GB of memory")


# files --------------------------------------------------------------------------------------------------------------


def diagram_of(rows: int = 4, **changed) -> Diagram:
    """A diagram with made-up numbers, not finite ones among them."""
    config = config_of(SMALL | {"rows": rows} | changed)
    values = np.random.default_rng(config.seed).standard_normal((config.size, 2))
    values[0], values[1] = np.nan, (0, -np.inf)
    cells = config.cells.assign(distance=values[:, 0], lyapunov_exponent=values[:, 1])
    return Diagram(config, cells, {"device": "cpu", "wall_seconds": 0.5})


def assert_refused(path, **options) -> str:
    with pytest.raises(TableError) as caught:
        load_diagram(path, **options)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_round_trip(path):
    save_diagram(diagram_of(), path)
    loaded = load_diagram(path)
    assert loaded.config == diagram_of().config
    assert loaded.provenance == diagram_of().provenance
    pd.testing.assert_frame_equal(loaded.cells, diagram_of().cells, check_exact=True)


def test_a_simulated_diagram_is_in_its_file(path, tiles_of_five):
    result = simulate(config_of(SMALL), path=path, **EXACT)
    loaded = load_diagram(path)
    pd.testing.assert_frame_equal(loaded.cells, result.cells, check_exact=True)
    assert loaded.provenance == result.provenance
    assert list(path.parent.iterdir()) == [path]


def test_the_metadata_are_json_for_any_reader(path):
    save_diagram(diagram_of(), path)
    metadata = pq.read_schema(path).metadata
    assert json.loads(metadata[b"config"]) == diagram_of().config.model_dump()
    assert json.loads(metadata[b"provenance"]) == diagram_of().provenance


def test_a_damaged_file_is_refused(path):
    save_diagram(diagram_of(), path)
    whole = path.read_bytes()
    for length in (0, 1, 8, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert_refused(path)
    for position in range(7, len(whole), 101):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            loaded = load_diagram(path)
        except TableError:
            assert_refused(path, partial=True)
        else:  # a bit that means nothing
            assert loaded.cells.equals(diagram_of().cells)
    path.write_bytes(whole[:-5])
    with pytest.raises(TableError, match=str(path)):
        simulate(diagram_of().config, path=path)
    assert path.read_bytes() == whole[:-5]  # not ours to delete


def test_files_that_are_not_diagrams(path, tmp_path):
    assert assert_refused(path) == f"{path} does not exist"
    assert_refused(tmp_path)
    path.write_text("inverse_J,ratio\n1,0\n", encoding="utf-8")
    assert_refused(path)
    save_diagram(diagram_of(), path)
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({b"config": b"{}"}), path)
    assert_refused(path)


def test_cells_that_are_not_those_of_the_settings(path):
    whole = diagram_of()
    for cells in (whole.cells[::-1], whole.cells.assign(ratio=0.0), pd.concat([whole.cells] * 2)):
        save_diagram(Diagram(whole.config, cells, {}), path)
        assert "its cells are not those of its settings" in assert_refused(path, partial=True)


def test_an_incomplete_file_is_refused_unless_asked_for(path):
    whole = diagram_of()
    save_diagram(Diagram(whole.config, whole.cells[:10], {}), path)
    assert assert_refused(path).startswith(f"{path} has 10 of 24 cells: run the same edgechaos phase-diagram again")
    partial_one = load_diagram(path, partial=True)
    assert not partial_one.complete
    pd.testing.assert_frame_equal(partial_one.cells, whole.cells[:10])


# going on -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("after", "kept"), [(0, 0), (4, 0), (5, 5), (11, 10), (13, 12), (23, 22)])
def test_an_interrupted_diagram_goes_on(path, tiles_of_five, after, kept):
    config, calls = config_of(SMALL), []
    interrupted(config, path, cells=after)
    if kept:
        assert len(load_diagram(path, partial=True).cells) == kept
        before = load_diagram(path, partial=True).provenance
    else:
        assert not path.exists()
    result = simulate(config, path=path, on_progress=calls.append, **EXACT)
    assert sum(calls) == steps(config, 24 - kept)
    assert load_diagram(path).complete
    assert_same(load_diagram(path), result)
    assert_same(result, simulate(config, **EXACT))
    if kept:
        assert result.provenance["started"] == before["started"]
        assert result.provenance["wall_seconds"] >= before["wall_seconds"]


def test_a_complete_file_is_returned_as_it_is(path, no_simulation):
    whole = diagram_of()
    save_diagram(whole, path)
    content = path.read_bytes()
    no_simulation()
    calls = []
    result = simulate(whole.config, path=path, on_progress=calls.append)
    assert_same(result, whole)
    assert result.provenance == whole.provenance
    assert calls == []
    assert path.read_bytes() == content


@pytest.mark.parametrize("changed", [{"seed": 1}, {"neurons": 21}, {"measure": 4}, {"rows": 3}], ids=str)
def test_a_file_of_other_settings_is_refused(path, changed):
    save_diagram(diagram_of(), path)
    content = path.read_bytes()
    with pytest.raises(ValueError, match=r"^.*diagram.parquet holds a diagram of other settings, .*$") as caught:
        simulate(config_of(SMALL | changed), path=path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == content


def test_starting_anew(path, tiles_of_five):
    save_diagram(diagram_of(seed=1), path)  # of other settings, and complete
    result = simulate(config_of(SMALL), path=path, resume=False, **EXACT)
    assert_same(load_diagram(path), result)
    path.write_text("damaged", encoding="utf-8")
    assert_same(simulate(config_of(SMALL), path=path, resume=False, **EXACT), result)


SIMULATE = """
import sys
from pathlib import Path
import torch
from edgechaos_core.probes import simulation
from tests.probes.test_diagram import EXACT, SMALL, config_of
simulation.TILE = 5
simulation.simulate(
    config_of(SMALL | {"draws": 4_000}), path=Path(sys.argv[1]), on_progress=lambda _: print(flush=True), **EXACT
)
"""


def test_kill_9_while_simulating_leaves_a_whole_file(path):
    config = config_of(SMALL | {"draws": 4_000})
    done = 0
    for lines in (40, 41):
        with subprocess.Popen([sys.executable, "-c", SIMULATE, path], stdout=subprocess.PIPE) as process:
            for _ in range(lines):  # a dozen or so of them a tile
                process.stdout.readline()
            process.kill()
        assert process.returncode == -signal.SIGKILL
        loaded = load_diagram(path, partial=True)
        assert loaded.config == config
        assert not loaded.complete
        assert len(loaded.cells) > done
        done = len(loaded.cells)
    pd.testing.assert_frame_equal(loaded.cells[:24], simulate(config_of(SMALL), **EXACT).cells, rtol=TILES, atol=TILES)


def test_a_disk_that_fills_up(path, tiles_of_five, monkeypatch):
    config = config_of(SMALL)
    interrupted(config, path, cells=12)
    content = path.read_bytes()

    def fsync(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", fsync)
        with pytest.raises(TableError, match=r"diagram.parquet cannot be written: No space left on device$"):
            simulate(config, path=path, **EXACT)
    assert path.read_bytes() == content
    assert_same(simulate(config, path=path, **EXACT), simulate(config, **EXACT))


# committed and cached -----------------------------------------------------------------------------------------------


@pytest.fixture
def stores(tmp_path, monkeypatch):
    """Empty (committed, cached) folders of diagrams, in place of the real ones."""
    monkeypatch.setattr(diagram, "COMMITTED_DIAGRAMS", tmp_path / "committed")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "committed", tmp_path / "cache" / "edgechaos" / "phase-diagrams"


def test_a_committed_diagram_is_found_by_its_settings(stores, no_simulation):
    save_diagram(diagram_of(seed=1), stores[0] / "a.parquet")
    save_diagram(diagram_of(), stores[0] / "any-name.parquet")
    no_simulation()
    assert_same(obtain_diagram(diagram_of().config), diagram_of())
    assert not stores[1].exists()


def test_what_is_not_committed_is_simulated_once(stores, no_simulation):
    save_diagram(diagram_of(seed=1), stores[0] / "a.parquet")
    config = config_of(SMALL)
    first = obtain_diagram(config, threads=1)
    (kept,) = stores[1].iterdir()
    assert_same(load_diagram(kept), first)
    obtain_diagram(config_of(SMALL | {"measure": 4}), threads=1)
    assert len(list(stores[1].iterdir())) == 2
    no_simulation()
    assert_same(obtain_diagram(config, threads=1), first)
    assert len(list(stores[0].iterdir())) == 1


def test_an_interrupted_one_in_the_cache_goes_on(stores, tiles_of_five, monkeypatch):
    config = config_of(SMALL)

    def lyapunov_exponents(*arguments, on_progress, **options):
        if list(stores[1].glob("*.parquet")):
            raise KeyboardInterrupt
        return whole(*arguments, on_progress=on_progress, **options)

    whole = simulation.lyapunov_exponents
    with monkeypatch.context() as stopped:
        stopped.setattr(simulation, "lyapunov_exponents", lyapunov_exponents)
        with pytest.raises(KeyboardInterrupt):
            obtain_diagram(config, threads=1)
    (kept,) = stores[1].iterdir()
    started = load_diagram(kept, partial=True)
    assert len(started.cells) == 5
    result = obtain_diagram(config, threads=1)
    assert result.complete
    pd.testing.assert_frame_equal(result.cells[:5], started.cells, check_exact=True)


def test_a_damaged_committed_diagram_is_named(stores):
    save_diagram(diagram_of(), stores[0] / "a.parquet")
    (stores[0] / "a.parquet").write_bytes((stores[0] / "a.parquet").read_bytes()[:-1])
    with pytest.raises(TableError, match=r"a\.parquet is not a readable phase diagram \(.*\)$"):
        obtain_diagram(config_of(SMALL))


# the edge -----------------------------------------------------------------------------------------------------------


def made_up(chaotic: np.ndarray, column: str = "lyapunov_exponent") -> Diagram:
    """A diagram of one column and draw for each row of ``chaotic`` ``[draws, rows]``, from the smallest 1/J."""
    draws, rows = chaotic.shape
    cut = {"columns": 1, "ratio_from": 0.5, "ratio_to": 0.5, "inverse_j_from": 0.0, "inverse_j_to": rows / 10}
    config = config_of(SMALL | cut | {"draws": draws, "rows": rows})
    threshold = PERTURBATION * config.neurons**0.5 if column == "distance" else 1 / config.measure
    values = np.where(chaotic, 1.01, 0.99).ravel() * threshold
    other = {"distance": "lyapunov_exponent", "lyapunov_exponent": "distance"}[column]
    cells = config.cells.assign(**{other: np.nan, column: values})
    return Diagram(config, cells.sample(frac=1, random_state=0))


@pytest.mark.parametrize("column", ["distance", "lyapunov_exponent"])
def test_the_edge_is_half_way_between_order_and_chaos(column):
    changes = np.array([1, 4, 9])
    edges = simulated_edge(made_up(np.arange(10) < changes[:, None], column), column)
    assert edges["draw"].tolist() == [0, 1, 2]
    assert edges["ratio"].tolist() == [0.5] * 3
    np.testing.assert_allclose(edges["inverse_J"], changes / 10 + 0.05)  # rows at 0.1, 0.2, ...


def test_the_edge_has_the_fewest_cells_on_the_wrong_side():
    chaotic = np.random.random((50, 12)) < np.linspace(1, 0, 12)
    edges = simulated_edge(made_up(chaotic), "lyapunov_exponent")["inverse_J"]
    assert len(edges) == 50
    for cells, edge in zip(chaotic, edges, strict=True):
        wrong = [(~cells[:k]).sum() + cells[k:].sum() for k in range(13)]
        best = np.flatnonzero(wrong == np.min(wrong))
        if np.isnan(edge):
            assert {0, 12} & set(best)
        else:
            assert round(edge * 10 - 0.5) == best[(len(best) - 1) // 2]


def test_scattered_errors_move_the_edge_little():
    chaotic = np.arange(40) < 20
    errors = np.zeros((30, 40), dtype=bool)
    for row in errors:
        row[np.random.choice(40, 3, replace=False)] = True
    edges = simulated_edge(made_up(chaotic ^ errors), "lyapunov_exponent")["inverse_J"]
    assert edges.to_numpy() == pytest.approx(np.full(30, 2.05), abs=0.601)  # by two rows an error at most


@pytest.mark.parametrize("chaos", [True, False])
def test_no_edge_in_a_window_of_one_phase(chaos):
    edges = simulated_edge(made_up(np.full((2, 6), chaos)), "lyapunov_exponent")
    assert edges["inverse_J"].isna().tolist() == [True, True]


def test_cells_without_a_value_are_left_out():
    whole = made_up(np.arange(10)[None] < 5)
    low = whole.cells["inverse_J"] < 0.35
    cells = whole.cells.assign(lyapunov_exponent=whole.cells["lyapunov_exponent"].mask(low))
    assert simulated_edge(Diagram(whole.config, cells), "lyapunov_exponent")["inverse_J"].item() == pytest.approx(0.55)
