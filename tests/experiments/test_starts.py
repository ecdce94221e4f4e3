"""The committed comparison of starts: whole, and what it says of differences; one small row is measured again."""

import pytest
import torch

from edgechaos_core.experiments import starts as comparison

SAME = 0.05  # relative: rounding through twenty layers, on other processors


def test_all_pixels_together_have_mean_0_and_variance_1(fashion):
    x = comparison._standardised(fashion.train.images)
    assert (float(x.mean()), float(x.var())) == pytest.approx((0, 1), abs=1e-3)


def test_the_committed_table_is_whole():
    table = comparison.starts()
    assert len(table) == 3 * 2 * 6 + 2  # for GELU also with biases
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


def test_anyinit_keeps_differences_of_relu_and_gelu_and_sends_tanh_into_chaos():
    table = comparison.starts()
    own = table[(table["start"] == "anyinit, theory") & (table["depth"] == 20)].set_index("activation")
    assert own["difference"].between(0.5, 2).to_dict() == {"GELU": True, "ReLU": True, "tanh": False}
    assert own.loc["tanh", "difference"] == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize(
    "start", ["PyTorch's default", "nn.init with gains", "J of the edge in every layer", "at the edge"]
)
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


def test_the_module_keeps_a_row_a_start_with_its_own_accuracies(tmp_path, monkeypatch):
    kept = ("PyTorch's default", "at the edge", "at the edge, biases")
    small = {
        "DEPTHS": (2,),
        "SEEDS": (0, 1),
        "STEPS": 20,
        "SAMPLES": 600,
        "TESTED": 400,
        "WIDTH": 32,
        "TRAINED_WIDTH": 32,
    }
    for name, value in (small | {"STARTS": tmp_path / "starts.csv"}).items():
        monkeypatch.setattr(comparison, name, value)
    monkeypatch.setattr(comparison, "STARTS_OF", {name: comparison.STARTS_OF[name] for name in kept})
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"of {name}")
    comparison.main()
    assert comparison.STARTS.read_text(encoding="utf-8").startswith("# 20 steps of batches of 64, SGD")
    table = comparison.read().set_index(["activation", "start", "seed"])
    expected = [(name, start) for name in ("tanh", "ReLU") for start in kept[:2]] + [("GELU", start) for start in kept]
    assert list(table.index) == [(*pair, seed) for pair in expected for seed in (0, 1)]
    model = comparison.network("GELU", 2, 784, comparison.TRAINED_WIDTH, seed=1)
    alone = comparison.accuracies([model], "GELU")[0].tolist()  # PyTorch's default, as it comes
    row = table.loc[("GELU", "PyTorch's default", 1)]
    assert [row["accuracy_0.001"], row["accuracy_0.01"]] == pytest.approx(alone, abs=0.01)  # four images, by rounding
