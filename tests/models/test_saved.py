"""Models in files: exported programs are told as the model they were made of, and nothing in a file is run."""

import json
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from edgechaos_core import inspect
from edgechaos_core.models.saved import inspect_weights_file, load_exported

OWN_PRECISION = 0.1  # relative: a program makes float32 states for the LSTM, so that differences are a thousandth

# torch's own, of recurrent layers; for all tests, as whichever comes first exports the model
pytestmark = pytest.mark.filterwarnings("ignore:The tensor attributes self:UserWarning")


class Parts(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.up, self.norm = nn.Conv2d(2, 8, 3, groups=2), nn.ConvTranspose2d(8, 4, 2, 2), nn.BatchNorm2d(4)
        self.fc, self.attention = nn.Linear(4, 16), nn.MultiheadAttention(16, 2, batch_first=True)
        self.lstm, self.gru = nn.LSTM(16, 5, 2, batch_first=True), nn.GRU(5, 6, bias=False, batch_first=True)
        self.words, self.head = nn.Embedding(7, 6), nn.Linear(6, 7, bias=False)
        self.head.weight = self.words.weight

    def forward(self, x, words):
        x = torch.relu(self.norm(self.up(torch.relu(self.conv(x))))).flatten(2).transpose(1, 2)
        x = nn.functional.gelu(self.fc(x))
        x = self.gru(self.lstm(self.attention(x, x, x)[0])[0])[0]
        return self.head(x + self.words(words)[:, None])


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    torch.manual_seed(0)
    model, sample = Parts().eval(), (torch.randn(3, 2, 6, 6), torch.arange(3))
    path = tmp_path_factory.mktemp("exported") / "parts.pt2"
    torch.export.save(torch.export.export(model, sample), path)
    return model, sample, path


def test_an_exported_model_is_told_as_the_model_itself(exported):
    model, sample, path = exported
    loaded, drawn = load_exported(path)
    expected, found = inspect(model, sample), inspect(loaded, sample)
    tied = [(row.name, row.kind, row.steerable) for row in found[-2:]]  # the program has one parameter for both
    assert tied == [("words.weight", "Module", False), ("head.weight", "Module", False)]
    expected, found = expected[:-2], found[:-2]
    kinds = [row.kind.replace("NonDynamicallyQuantizable", "") for row in expected]  # as attention has
    assert [row.kind for row in found] == kinds
    same = ("name", "shape", "fan_in", "activation", "phase", "scale_free", "steerable", "why_not")
    assert len(expected) == 1 + 1 + 1 + 4 + 16 + 6
    for one, other in zip(expected, found, strict=True):
        assert [getattr(other, name) for name in same] == [getattr(one, name) for name in same]
        assert other.J_squared == pytest.approx(one.J_squared, nan_ok=True)
        assert other.growth == pytest.approx(one.growth, rel=OWN_PRECISION, nan_ok=True)
    assert [(each.shape, each.dtype) for each in drawn] == [(each.shape, each.dtype) for each in sample]
    assert inspect(loaded, drawn)[0].growth > 0


class Shifted(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.shift = nn.Linear(4, 3), torch.ones(3)
        self.register_buffer("scale", torch.full((3,), 2.0), persistent=False)

    def forward(self, x):
        return torch.tanh(self.fc(x)) * self.scale + self.shift


def test_tensors_that_are_no_weights_are_read_with_them(tmp_path):
    model, sample, path = Shifted(), torch.randn(2, 4), tmp_path / "shifted.pt2"
    torch.export.save(torch.export.export(model, (sample,)), path)
    loaded, _ = load_exported(path)
    torch.testing.assert_close(loaded(sample), model(sample))


def changed(path, target, name_ends: str, change) -> None:
    """A copy of an archive with one of its members changed."""
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(target, "w") as after:
        for name in before.namelist():
            held = before.read(name)
            after.writestr(name, change(held) if name.endswith(name_ends) else held)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was run",))


def test_pickles_in_an_archive_are_refused_before_anything_is_read(exported, tmp_path):
    bomb = tmp_path / "bomb.pt2"

    def as_pickle(config):
        entries = json.loads(config)
        entries["config"]["fc.weight"]["use_pickle"] = True
        return json.dumps(entries)

    changed(exported[2], bomb, "weights_config.json", as_pickle)
    with pytest.raises(ValueError, match=r"holds fc.weight as a pickle, which loading would run"):
        load_exported(bomb)
    constant = {"config": {"c": {"path_name": "opaque_obj_0", "use_pickle": False}}}
    changed(exported[2], bomb, "constants_config.json", lambda _: json.dumps(constant))
    with pytest.raises(ValueError, match="holds c as a pickle"):
        load_exported(bomb)
    changed(exported[2], bomb, "sample_inputs/model.pt", lambda _: pickle.dumps(Bomb()))
    assert len(inspect(load_exported(bomb)[0], exported[1])) == 31  # the pickle is left out
    changed(exported[2], bomb, "models/model.json", lambda _: b"{}")
    with pytest.raises(ValueError, match=r"is no program of torch\.export that this torch reads"):
        load_exported(bomb)
    with zipfile.ZipFile(bomb, "a") as archive:
        archive.writestr("parts/data/aotinductor/model/code.so", b"")
    with pytest.raises(ValueError, match="holds compiled code"):
        load_exported(bomb)


def test_other_files_are_refused(tmp_path):
    path = tmp_path / "model.pt2"
    path.write_text("nothing", encoding="utf-8")
    with pytest.raises(ValueError, match=r"model\.pt2 is no file of torch\.export\.save$"):
        load_exported(path)
    torch.save(nn.Linear(2, 2).state_dict(), path)
    with pytest.raises(ValueError, match=r"is no file of torch\.export\.save, or of one before torch 2\.9"):
        load_exported(path)
    with pytest.raises(ValueError, match=r"is no file of safetensors"):
        inspect_weights_file(path)


def test_weights_alone_say_what_can_be_known(tmp_path):
    model = nn.Sequential(*[nn.Linear(30, 30) for _ in range(11)], nn.Conv2d(2, 3, 5))
    path = tmp_path / "weights.safetensors"
    save_file(model.state_dict(), path)
    table, expected = inspect_weights_file(path), {row.name: row for row in inspect(model[:11], torch.randn(4, 30))}
    assert [row.name for row in table] == [f"{n}.weight" for n in range(12)]
    for row in table[:11]:
        assert row.J_squared == pytest.approx(expected[row.name].J_squared)
        assert (row.fan_in, row.kind, row.phase, row.steerable) == (30, "unknown", "not defined", False)
    assert (table[11].fan_in, table[11].shape) == (50, (3, 2, 5, 5))
    assert str(table).splitlines()[-1].startswith("A file of weights has no graph: ")
