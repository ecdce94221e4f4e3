"""The command ``edgechaos inspect``: models from files and from functions, and refusals in one line."""

import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.cli.test_main import edgechaos  # noqa: F401 - a fixture

MODULE = """
import torch
from torch import nn

def alone():
    return nn.Sequential(nn.Linear(20, 30), nn.GELU(), nn.Linear(30, 5))

class Nets:
    def both():
        return alone(), torch.ones(4, 20)

def broken():
    raise RuntimeError("no luck")

def none():
    return 3

def three():
    return alone(), torch.ones(4, 20), 3

nothing = 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "nets_of_mine.py").write_text(MODULE, encoding="utf-8")
    return tmp_path


def test_a_function_and_a_shape(edgechaos, folder):  # noqa: F811
    code, stdout, stderr = edgechaos("inspect", "nets_of_mine:alone", "--sample", "16x20")
    assert (code, stderr) == (0, "")
    head, first, second = stdout.splitlines()[:3]
    assert head.split()[:3] == ["name", "kind", "shape"]
    assert first.split()[:4] == ["0.weight", "Linear", "30x20", "20"]
    assert "GELU" in first
    assert second.split()[0] == "2.weight"


def test_a_function_that_returns_a_sample_as_json(edgechaos, folder):  # noqa: F811
    code, stdout, _ = edgechaos("inspect", "nets_of_mine:Nets.both", "--json")
    rows = [json.loads(line) for line in stdout.splitlines()]
    assert code == 0
    assert [row["name"] for row in rows] == ["0.weight", "2.weight"]
    assert rows[0]["activation"] == "GELU"
    assert rows[0]["weight_decay"] is None  # there is no optimizer


def test_files(edgechaos, folder):  # noqa: F811
    model = nn.Sequential(nn.Linear(20, 30), nn.Tanh())
    torch.export.save(torch.export.export(model, (torch.randn(4, 20),)), folder / "m.pt2")
    save_file(model.state_dict(), folder / "m.safetensors")
    code, stdout, stderr = edgechaos("inspect", "m.pt2")
    assert (code, stderr) == (0, "")
    assert "tanh" in stdout.splitlines()[1]
    code, stdout, stderr = edgechaos("inspect", "m.safetensors", "--json")
    assert code == 0
    assert json.loads(stdout)["fan_in"] == 20
    assert stderr.startswith("edgechaos: A file of weights has no graph: ")
    code, _, stderr = edgechaos("inspect", "m.safetensors", "--sample", "4x20")
    assert (code, stderr) == (2, "edgechaos: --sample is for module:function: a .safetensors has its own shapes\n")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("no.pt2",), 2, "there is no file no.pt2"),
        (("bad.pt2",), 2, "bad.pt2 is no file of torch.export.save"),
        (("bad.safetensors",), 2, "bad.safetensors is no file of safetensors: "),
        (("model.pt",), 2, "model.pt is a pickle, which can run code when it is read: give a .pt2 of torch.export"),
        (("nets_of_mine",), 2, "nets_of_mine is not known: give a .pt2"),
        (("nets_of_mine:alone",), 2, "nets_of_mine:alone returns a model without a sample: give the shape"),
        (("nets_of_mine:alone", "--sample", "4,20"), 2, "--sample must be sizes with x between them, as 32x3x64x64"),
        (("nets_of_mine:alone", "--sample", "4xten"), 2, "--sample must be sizes with x between them, as 32x3x64x64"),
        (("nets_of_mine:alone", "--sample", "0x20"), 2, "--sample must be sizes with x between them, as 32x3x64x64"),
        (("nets_of_mine:alone", "--sample", "4x7"), 2, "the model does not take the sample: "),
        (("nets_of_mine:nets",), 2, "nets_of_mine:nets: module 'nets_of_mine' has no attribute 'nets'"),
        (("nets_of_mine:nothing",), 2, "nets_of_mine:nothing is no function"),
        (("nets_of_mine:none", "--sample", "4"), 2, "the model must be a torch.nn.Module, got int"),
        (("nets_of_mine:three", "--sample", "4x20"), 2, "the model must be a torch.nn.Module, got tuple"),
        (("fails:build",), 1, "fails failed: ZeroDivisionError: division by zero"),
        (("nets_of_mine:broken",), 1, "nets_of_mine:broken failed: RuntimeError: no luck"),
        (("no_such_module:build",), 2, "module no_such_module cannot be imported: No module named 'no_such_module'"),
    ],
    ids=str,
)
def test_refusals(edgechaos, folder, words, code, message):  # noqa: F811
    for name in ("bad.pt2", "bad.safetensors"):
        (folder / name).write_text("nothing", encoding="utf-8")
    (folder / "fails.py").write_text("1 / 0", encoding="utf-8")
    found, stdout, stderr = edgechaos("inspect", *words)
    assert (found, stdout) == (code, "")
    assert stderr.startswith(f"edgechaos: {message}")
    assert len(stderr.splitlines()) == 1


def test_a_picture(edgechaos, folder):  # noqa: F811
    words = ("inspect", "nets_of_mine:Nets.both", "--plot", "seen.png")
    code, stdout, stderr = edgechaos(*words)
    assert (code, stderr) == (0, "")
    assert stdout.splitlines()[1].startswith("0.weight")
    assert (folder / "seen.png").read_bytes().startswith(b"\x89PNG")
    code, stdout, stderr = edgechaos(*words)
    assert (code, stdout) == (2, "")
    assert stderr == "edgechaos: --plot: seen.png exists: choose another name, or --force to replace it\n"
    assert edgechaos(*words, "--force")[0] == 0
    code, _, stderr = edgechaos("inspect", "nets_of_mine:Nets.both", "--plot", "seen.jpg")
    assert (code, stderr) == (2, "edgechaos: --plot must end in .png, got seen.jpg\n")
