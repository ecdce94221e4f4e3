"""The committed comparison of starts: whole, and what it says of differences; one small row is measured again."""

import pytest
import torch

from edgechaos_core.experiments import starts as comparison

SAME = 0.05  # relative: rounding through twenty layers, on other processors


def test_the_committed_table_is_whole():
    table = comparison.starts()
    assert len(table) == 3 * 2 * 5 + 2  # for GELU also with biases
    assert set(table["start"]) == set(comparison.STARTS_OF)
    assert table.notna().all(axis=None)
    assert table["accuracy"].between(0, 1).all()


def test_differences_from_the_edge_are_multiplied_by_half_to_two():
    table = comparison.starts().set_index("start")
    edge = table.loc[["at the edge", "at the edge, biases"]]
    assert len(edge) == 8
    assert edge["difference_rms"].between(0.5, 2).all()
    assert (table.loc["PyTorch's default", "difference_rms"] < 1e-3).all()
    plain = edge[(edge["activation"] != "GELU") | (edge["depth"] == 20)]["difference"]  # see initialise_at_edge
    assert plain.between(0.5, 2).all()


@pytest.mark.parametrize("start", ["PyTorch's default", "nn.init with gains", "at the edge"])
def test_a_row_is_what_is_measured(start):
    model = comparison.network("ReLU", 20, comparison.WIDTH, comparison.WIDTH, seed=1)
    batch = torch.randn(256, comparison.WIDTH, generator=torch.Generator().manual_seed(1))
    comparison.STARTS_OF[start](model, batch, "ReLU", 1)
    found = comparison.growth(model, 1)
    table = comparison.read()
    (row,) = (
        table[(table["start"] == start) & (table["depth"] == 20) & (table["seed"] == 1)]
        .query("activation == 'ReLU'")
        .to_dict("records")
    )
    for name in ("difference_rms", "gradient"):
        assert found[name] == pytest.approx(row[name], rel=SAME)


def test_a_stack_learns_what_its_members_learn_alone(monkeypatch):
    monkeypatch.setattr(comparison, "STEPS", 5)
    models = [comparison.network("tanh", 3, 784, comparison.TRAINED_WIDTH, seed) for seed in (0, 1)]
    together = comparison.accuracies(models, "tanh")
    alone = torch.cat([comparison.accuracies([model], "tanh") for model in models])
    assert together.shape == (2, len(comparison.RATES))
    torch.testing.assert_close(together, alone, atol=0.005, rtol=0)  # ten of 2,000 test images, by rounding
    assert together.max() > 0.15
