"""Chapters as sources: their formulas against the package, and the house rules for cells."""

import ast

import numpy as np
import pytest
import torch

from edgechaos_core import conventions
from edgechaos_core.analysis import scaling
from edgechaos_core.book import build, chapters, frozen_outputs
from edgechaos_core.probes import chaos, linear_maps
from edgechaos_core.store.runs import parse_config
from edgechaos_core.theory import meanfield
from edgechaos_core.theory import order_parameters as package
from edgechaos_core.theory.decay_law import DecayLaw
from edgechaos_core.theory.edges import edge_of_chaos
from edgechaos_core.training import network, optimizers

PAGES = [page for page in chapters.documents() if chapters.read_notebook(page) is not None]


def formulas(page: str) -> dict[str, object]:
    """Execute a page's cells tagged `formula` and return what they define."""
    scope: dict[str, object] = {"np": np}
    for cell in chapters.read_notebook(page).cells:
        if "formula" in cell.metadata.get("tags", []):
            exec(cell.source, scope)
    return scope


@pytest.mark.parametrize(("momentum", "l2"), [(0.0, 0.0), (0.7, 0.0), (0.5, 0.01)])
def test_step_shown_in_training_path_is_the_package(momentum, l2):
    step = formulas("chapters/training_path")["step"]
    rng = np.random.default_rng()
    stack = network.initialise([int(rng.integers(2**31))], inputs=19, width=13, dtype=torch.float64)
    w = [stack.hidden[0][0].numpy().copy(), stack.output[0].numpy().copy(), stack.bias[0, 0].numpy().copy()]
    v = [np.zeros_like(p) for p in w]
    decay = conventions.weight_decay_from_l2(l2)
    optimizer = optimizers.make_optimizer("sgd", stack, learning_rate=[0.1], momentum=[momentum], weight_decay=[decay])
    batch = network.Workspace(stack, 7)
    for _ in range(30):
        x, y = rng.random((7, 19)), rng.integers(10, size=7)
        step(w, v, x, y, 0.1, momentum, l2)
        batch.x[0], batch.labels[0] = torch.from_numpy(x), torch.from_numpy(y)
        network.forward(stack, batch)
        optimizer.step(network.gradient_factors(stack, batch))
    for mine, shown in zip(stack.parameters, [w[0], w[1], w[2]], strict=True):
        np.testing.assert_allclose(mine[0].squeeze(), shown, rtol=0, atol=1e-12)


def test_order_parameters_shown_in_training_path_are_the_package():
    shown = formulas("chapters/training_path")["order_parameters"]
    W = np.random.default_rng().normal(0.01, 0.3, size=(50, 30))
    ours = [float(value) for value in package.order_parameters(torch.from_numpy(W))]
    assert shown(W) == pytest.approx(ours, rel=1e-12)


def test_epochs_shown_in_ordered_scaling_are_the_package():
    shown = formulas("chapters/ordered_scaling")["epochs_to_pass"]
    for rate, momentum, size in [(0.01, 0.0, 32), (0.0005, 0.9, 512), (0.3, 0.95, 4)]:
        config = parse_config({"learning_rate": rate, "momentum": momentum, "batch_size": size})
        assert shown(rate, momentum, size) == scaling.epochs_to_pass(config)


def test_law_shown_in_guideline_is_the_package():
    shown = formulas("chapters/guideline")["next_decay"]
    cases = np.random.default_rng().uniform([0.2, 0.2, 0, 0.01], [2, 2, 3, 1], size=(50, 4))
    assert len(cases) == 50
    for before, now, decay, exposure in cases:
        law = DecayLaw(smoothing=1.0)
        ours = law.next(before, now, decay, exposure, exposure, steps=1_000)
        # the one shown finds decay * exposure as a root to an absolute 2e-12, scipy's default
        assert shown(before, now, decay, exposure) == pytest.approx(ours, rel=1e-9, abs=1e-11 / exposure)


def test_iteration_shown_in_phase_diagram_is_the_package():
    shown = formulas("chapters/phase_diagram")["iterate"]
    cells = np.random.default_rng().uniform([0.5, 0], [20, 30], size=(10, 2))
    assert len(cells) == 10
    for J, J0 in cells:
        point = meanfield.fixed_point(J, J0)
        assert shown(point.u, point.q, J, J0) == pytest.approx((point.u, point.q, point.chi), abs=1e-9)


@pytest.mark.parametrize("ratio", [-1.3, 1.12, 1.6])
def test_bisection_shown_in_phase_diagram_finds_the_edge_of_the_package(ratio):
    shown = formulas("chapters/phase_diagram")["edge_by_bisection"]
    assert shown(ratio) == pytest.approx(edge_of_chaos(ratio), abs=1e-6)


def test_distance_shown_in_phase_diagram_is_the_package():
    shown = formulas("chapters/phase_diagram")["distance"]
    J = torch.tensor([0.9, 1.2, 3.0], dtype=torch.float64)
    options = {"neurons": 60, "seed": 5, "device": "cpu", "dtype": torch.float64}
    maps, start, shift = linear_maps.draw_maps(J, 0.3 * J, **options)
    few = 10  # chaos has not yet amplified rounding
    ours, _ = chaos.asymptotic_distance(maps, start.expand(3, -1), shift.expand(3, -1), iterations=few, settle=False)
    for cell, mine in zip(range(3), ours.tolist(), strict=True):
        W = (0.3 * J[cell] / 60 + J[cell] / 60**0.5 * maps.Z).numpy()
        assert shown(W, start.numpy(), shift.numpy(), iterations=few) == pytest.approx(mine, rel=1e-9)


@pytest.mark.parametrize("page", PAGES)
def test_cells_are_short_and_parameters_are_literal(page):
    notebook = chapters.read_notebook(page)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        lines = cell.source.splitlines()
        assert len(lines) <= 30, f"{page}: a cell of {len(lines)} lines: {lines[0]}"
        assert not lines[0].lstrip().startswith("#"), f"{page}: a comment for a header: {lines[0]}"
        if "parameters" in cell.metadata.get("tags", []):
            assert all(isinstance(node, ast.Assign) for node in ast.parse(cell.source).body)
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in notebook.cells) <= 1


def test_a_page_without_code_may_lie_in_any_folder(tmp_path):
    assert chapters.find_document("notation") == "appendix/notation"
    assert chapters.read_notebook("appendix/notation") is None
    build._stage_static(tmp_path, {"appendix/notation": None})
    assert (tmp_path / "appendix/notation.md").read_text(encoding="utf-8").startswith("# Notation")


def test_what_nbval_checks_is_not_glued():
    """Glue leaves an output of its own in the cell, which nbval takes for one too many."""
    cells = [(page, cell) for page in PAGES for cell in chapters.read_notebook(page).cells]
    checked = [(page, cell.source) for page, cell in cells if frozen_outputs.is_checked(cell, "standard")]
    assert len(checked) >= 3
    assert [(page, source) for page, source in checked if "glue(" in source] == []
