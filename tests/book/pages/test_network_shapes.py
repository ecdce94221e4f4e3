"""The networks of the page `your_network` are described as they are built."""

import pytest
from torch import nn

from edgechaos_core.book.pages import network_shapes
from edgechaos_core.experiments.five_networks import NETWORKS


def test_each_network_has_a_row_in_words():
    table = network_shapes.shapes_table(list(NETWORKS))
    assert list(table.index) == ["tanh MLP", "ReLU MLP", "CNN", "transformer", "LSTM"]
    layers = table["layers, in order"]
    assert layers["tanh MLP"] == "linear 784 → 256 with tanh; 2 × linear 256 → 256 with tanh; linear 256 → 10"
    assert layers["ReLU MLP"] == layers["tanh MLP"].replace("tanh", "ReLU")
    assert layers["CNN"].startswith("convolution 3 × 3, 1 → 8 channels with ReLU; max-pooling 2 × 2; convolution 3 × 3")
    assert "2 × encoder layer (attention with 4 heads; linear 64 → 128 with GELU, linear 128" in layers["transformer"]
    assert layers["LSTM"] == "LSTM 28 → 128, with tanh and sigmoid gates; linear 128 → 10"
    assert table["input"].tolist()[1:] == [
        "784 pixels in a row",
        "image of 28 × 28 pixels",
        "16 patches of 7 × 7 pixels",
        "28 rows of pixels, one after the other",
    ]
    assert table.index[table["normalisation"] != "none"].tolist() == ["transformer"]
    assert table.index[table["skip connections"] != "none"].tolist() == ["transformer"]
    assert table["weights held"].tolist() == ["4", "4", "4", "4", "1"]
    assert table.loc["tanh MLP", "parameters"] == f"{785 * 256 + 2 * 257 * 256 + 257 * 10:,}"


def test_what_has_no_words_is_refused(monkeypatch):
    monkeypatch.setitem(NETWORKS, "odd", lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 8), nn.Dropout()))
    with pytest.raises(ValueError, match=r"^no words for a Dropout$"):
        network_shapes.shapes_table(["odd"])
