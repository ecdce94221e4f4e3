"""What the page of the phase diagram states of simulated edges, of cuts made up so that every edge is known."""

import numpy as np
import pandas as pd
import pytest
import torch

from edgechaos_core.book.pages import phase_diagram
from edgechaos_core.claims.estimates.growth import simulated_passages, theoretical_passage
from edgechaos_core.probes.diagram import Diagram, DiagramConfig
from edgechaos_core.probes.linear_maps import draw_maps, leading_eigenvalue
from edgechaos_core.theory.edges import edge_of_chaos


def cut(ratio: float, edges: list[float], neurons: int = 784, iterations: int = 500) -> Diagram:
    """A cut whose exponent falls through 0.005, and whose distance falls to nothing, at ``edges``, one a draw."""
    config = DiagramConfig(
        neurons=neurons, rows=100, columns=1, inverse_j_to=1.2, ratio_from=ratio, ratio_to=ratio, draws=len(edges),
        iterations=iterations,
    )  # fmt: skip
    beyond = np.array(edges)[config.cells["draw"]] - config.cells["inverse_J"]
    return Diagram(config, config.cells.assign(distance=100.0 * (beyond > 0), lyapunov_exponent=0.005 + beyond))


def test_edges_are_read_where_the_exponent_passes():
    assert simulated_passages(cut(0.0, [0.8, 0.85])) == pytest.approx([0.8, 0.85])
    assert np.isnan(simulated_passages(cut(0.0, [1.3]))).all()  # outside the cut


def test_sizes_stand_beside_theory_read_in_the_same_way():
    cuts = {(0.0, 784): cut(0.0, [0.82, 0.83, 0.84]), (1.1, 300): cut(1.1, [0.6])}
    cuts[0.0, 100] = cut(0.0, [0.7, 0.8], neurons=100)
    table = phase_diagram.size_table(cuts)
    assert table.index.tolist() == ["100", "784", "infinite"]
    assert table.loc["784", "J at the edge"] == "1.20"
    assert table.loc["784", "standard deviation of 1/J"] == "0.010"
    assert table.loc["infinite", "1/J at the edge"] == "0.910"
    assert table.loc["784", "below theory in 1/J"] == "0.08"
    own = phase_diagram.trained_size(cuts)
    expected = {"inverse_J": 0.83, "deviation": 0.01, "J": 1 / 0.83, "theory": 0.9097, "theory_J": 1.0992}
    expected |= {
        "whole": 0.17,
        "finite": 0.0797,
        "threshold": 0.0903,
        "larger": 9.606,
        "small_low": 21.30,
        "small_high": 21.30,
    }
    assert own == pytest.approx(expected, abs=1e-2)


def test_published_edges_stand_beside_ours():
    cuts = {
        (ratio, size): cut(ratio, [0.5 - 0.1 * scatter, 0.5, 0.5 + 0.1 * scatter], neurons=size)
        for ratio in (1.1, 1.25, 1.5, 1.75)
        for size, scatter in ((1_000, 10**0.5 / 2), (3_000, (10 / 3) ** 0.5 / 2), (10_000, 0))
    }
    table = phase_diagram.beside_published(cuts)
    assert table["published"].to_dict() == {1.1: 0.74, 1.25: 0.48, 1.5: 0.28, 1.75: 0.16}
    assert table["here, by exponent"].tolist() == pytest.approx([0.5] * 4)
    assert table["here, by distance"].tolist() == pytest.approx([0.5] * 4, abs=0.007)  # half a row
    assert table["scatter of one W"].tolist() == pytest.approx([0.05] * 4, abs=0.005)
    excess = 0.74 - edge_of_chaos(1.1)
    assert table["(published - theory) / scatter"].iloc[0] == pytest.approx(excess / table["scatter of one W"].iloc[0])


def test_patience_compares_the_draws_that_both_have():
    usual, long = cut(1.1, [0.6, 0.6, 0.9]), cut(1.1, [0.6, 0.54], iterations=5_000)
    row = phase_diagram.patience_table({(1.1, 784): usual}, [long]).loc[1.1]
    assert row.to_dict() == pytest.approx({"after 500 iterations": 0.6, "after 5,000 iterations": 0.57}, abs=0.007)


def test_agreement_is_the_share_of_clear_cells_on_the_side_of_theory():
    right = cut(0.0, [1.0])
    assert phase_diagram.agreement(right) == 1
    wrong = right.cells.assign(lyapunov_exponent=-right.cells["lyapunov_exponent"])
    assert phase_diagram.agreement(Diagram(right.config, wrong)) == 0


def test_leading_eigenvalue_is_that_of_a_dense_solver():
    W = torch.from_numpy(np.random.default_rng(0).standard_normal((60, 60)) / 60**0.5 + 1.5 / 60)
    assert leading_eigenvalue(W) == pytest.approx(np.linalg.eigvals(W.numpy()).real.max(), rel=1e-9)


def test_own_edges_are_those_of_the_matrices_that_were_simulated():
    found = phase_diagram.own_edges(cut(1.5, [0.26, 0.28], neurons=200))
    one = torch.ones(1)
    Z = draw_maps(one, one, neurons=200, seed=0, draw=1, device="cpu", dtype=torch.float32)[0].Z.double().numpy()
    eigenvalue = np.linalg.eigvals(1.5 / 200 + Z / 200**0.5).real.max()
    assert found["predicted"].iloc[1] == pytest.approx(theoretical_passage(eigenvalue), rel=1e-6)
    assert found["simulated"].tolist() == pytest.approx([0.26, 0.28])


def test_rank_correlation_leaves_out_edges_outside_the_cut():
    edges = pd.DataFrame({"predicted": [1.0, 2.0, 3.0, 4.0], "simulated": [1.0, 2.0, 3.0, np.nan]})
    assert phase_diagram.rank_correlation(edges) == pytest.approx(1.0)


def test_committed_cuts_are_found_by_ratio_and_size():
    cuts = phase_diagram.committed_cuts()
    assert list(cuts) == sorted(cuts)
    for (ratio, size), found in cuts.items():
        assert (found.config.ratio_from, found.config.neurons) == (ratio, size)
    assert (0.0, phase_diagram.TRAINED) in cuts


def test_phases_are_named_with_their_fixed_points():
    table = phase_diagram.phase_table([(0.8, 0.4), (2.0, 0.0)])
    assert table.index.tolist() == ["order, u = 0", "chaos"]
    assert table["χ"].tolist() == pytest.approx([0.64, 1.3627])


def test_the_excess_of_the_published_edge_has_its_parts():
    sizes = {1_000: [0.55, 0.65], 3_000: [0.58, 0.62], 10_000: [0.66, 0.68]}
    cuts = {(ratio, size): cut(ratio, edges, size) for ratio in (1.1, 1.25, 1.5, 1.75) for size, edges in sizes.items()}
    parts = phase_diagram.excess(cuts)
    assert parts["whole"] == pytest.approx(0.74 - edge_of_chaos(1.1))
    far = [0.67 / edge_of_chaos(ratio) for ratio in (1.1, 1.75)]  # the nearest and the farthest
    assert [parts["far_least"], parts["far_most"]] == pytest.approx(far, rel=0.02)
    above = [0.67 - edge_of_chaos(ratio) for ratio in (1.1, 1.75, 1.75)]  # 1.75 is among the rest
    assert [parts[name] for name in ("above_least", "above_most", "rest_most")] == pytest.approx(above, abs=0.007)
    assert parts["rest_published"] == pytest.approx(max(0.48 - edge_of_chaos(1.25), 0.28 - edge_of_chaos(1.5)))
    assert parts["measure"] == pytest.approx(0, abs=0.007)  # half a row
    assert parts["matrices"] == pytest.approx(0.67 - theoretical_passage(1.1))
    assert parts["from_read"] == pytest.approx(0.74 - theoretical_passage(1.1))
    assert parts["error"] == pytest.approx(0.01)
    assert parts["error_expected"] == pytest.approx(parts["scatter"] / 2**0.5)


def test_costs_are_told_in_minutes():
    made_by = {"device": "cpu", "threads": 2, "wall_seconds": 90.0}
    config = DiagramConfig(neurons=300, rows=4, columns=3, activation="relu")
    row = phase_diagram.cost_table([Diagram(config, config.cells, made_by)]).loc[300]
    assert row.to_dict() == {"cells": 12, "activation": "relu", "device": "cpu", "threads": 2, "minutes": 1.5}
