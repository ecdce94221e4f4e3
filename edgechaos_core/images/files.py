"""The files behind the image data sets: found, verified by digest, unpacked and parsed.

Fashion-MNIST and MNIST lie in the repository's ``data`` folder; what does not lie there is downloaded by torchvision.
Either way it is the archives that are read, verified first: a folder of unpacked IDX files looks alike for every data
set of this family, so that one could be trained on under another's name.
"""

import gzip
import hashlib
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgechaos_core import EdgechaosError

Arrays = tuple[Tensor, Tensor]  # images uint8 [n, 28, 28], labels [n]

PARTS = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
SHIPPED = {  # SHA-256 of the unpacked files, in the order of PARTS: the same however they are packed
    "fashion-mnist": (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
    "mnist": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
}
_FAMILIES = {"fashion-mnist": "FashionMNIST", "mnist": "MNIST", "kmnist": "KMNIST"}

Unpack = Callable[[str], bytes]  # the content of a part


class DataError(EdgechaosError):
    """A data file is missing, damaged or out of reach; the message says which and how to restore it."""


def read_shipped(name: str, folder: Path, restore: str) -> tuple[Arrays, Arrays]:
    """Read a data set of ``SHIPPED`` from its four .gz files in ``folder``: training and test images and labels.

    Raises DataError naming a file that is missing or is not that data set's, with ``restore``, what to do about it.
    """
    return _parse(lambda part: _checked(name, part, folder / f"{part}-ubyte.gz", restore))


def read_downloaded(name: str, folder: Path) -> tuple[Arrays, Arrays]:
    """Read a data set from torchvision's archives below ``folder``, which it downloads if they are not there.

    Images of EMNIST are turned upright, and letters numbered from 0. Raises DataError naming what cannot be reached or
    is damaged.
    """
    from torchvision import datasets

    family, _, split = name.partition("-") if name.startswith("emnist") else (_FAMILIES[name], "", "")
    kind = getattr(datasets, family.upper() if split else family)
    raw = folder / kind.__name__ / "raw"
    again = f"delete {raw} and it is downloaded again"
    if split:
        with _archive(kind, folder, raw, again, split) as unpack:
            train, test = _parse(unpack)
        (images, labels), (tested, of_tested) = train, test
        first = int(split == "letters")  # numbered from 1
        return (images.transpose(1, 2), labels - first), (tested.transpose(1, 2), of_tested - first)
    _download(name, kind, folder, [raw / file for file, _ in kind.resources])
    if name in SHIPPED:
        return _parse(lambda part: _checked(name, part, raw / f"{part}-ubyte.gz", again))
    sums = dict(kind.resources)

    def unpack_gz(part: str) -> bytes:
        path = raw / f"{part}-ubyte.gz"
        packed = _read(path, again)
        if hashlib.md5(packed, usedforsecurity=False).hexdigest() != sums[path.name]:
            raise DataError(f"{path} is damaged or not that of {name}: {again}")
        return _gunzip(packed, path, again)

    return _parse(unpack_gz)


@contextmanager
def _archive(kind: "type[object]", folder: Path, raw: Path, again: str, split: str) -> Iterator[Unpack]:
    """EMNIST's one archive of all its splits, verified, and how to unpack a part of one split from it."""
    path = raw / "gzip.zip"
    _download(f"emnist-{split}", kind, folder, [path], split=split)
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
            if digest.hexdigest() != kind.md5:  # type: ignore[attr-defined]
                raise DataError(f"{path} is damaged or not EMNIST's: {again}")
            with zipfile.ZipFile(file) as archive:

                def unpack(part: str) -> bytes:
                    member = f"gzip/emnist-{split}-{part.replace('t10k', 'test')}-ubyte.gz"
                    return _gunzip(archive.read(member), path, again)

                yield unpack
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}): {again}") from error


def _download(name: str, kind: "type[object]", folder: Path, files: list[Path], **options: str) -> None:
    """Let torchvision download what is missing of ``files``; it verifies what it downloads, and only that."""
    if not _missing(files):
        return
    try:
        kind(str(folder), download=True, **options)  # type: ignore[call-arg]
    except Exception as error:  # torchvision raises many kinds: URLError, RuntimeError, EOFError, AssertionError ...
        reason = " ".join(str(error).split()) or "no further detail"
        raise DataError(
            f"{name} could not be downloaded to {folder} ({type(error).__name__}: {reason}): check the network, or "
            f"copy {', '.join(path.name for path in files)} to {files[0].parent}"
        ) from error
    missing = _missing(files)
    if missing:  # there are unpacked files, which torchvision takes without a look at them
        raise DataError(
            f"{files[0].parent} lacks {', '.join(missing)}, by which {name} is verified: delete that folder and it is "
            "downloaded again"
        )


def _missing(files: list[Path]) -> list[str]:
    # Path.exists raises where a folder above may not be entered
    return [path.name for path in files if not os.path.exists(path)]  # noqa: PTH110


def _checked(name: str, part: str, path: Path, remedy: str) -> bytes:
    content = _gunzip(_read(path, remedy), path, remedy)
    if hashlib.sha256(content).hexdigest() != SHIPPED[name][PARTS.index(part)]:
        raise DataError(f"{path} does not hold the {part.split('-')[1]} of {name}: {remedy}")
    return content


def _read(path: Path, remedy: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): {remedy}") from error


def _gunzip(packed: bytes, path: Path, remedy: str) -> bytes:
    try:
        return gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is truncated or altered ({error}): {remedy}") from error


def _parse(unpack: Unpack) -> tuple[Arrays, Arrays]:
    train_images, train_labels, test_images, test_labels = (_idx(unpack(part)) for part in PARTS)
    return (train_images, train_labels.long()), (test_images, test_labels.long())


def _idx(content: bytes) -> Tensor:
    """Parse verified IDX bytes: two zeros, the type (8: uint8), the number of dimensions, their lengths, the elements.

    torchvision has a reader too, but comes with all its models: importing it costs every process two seconds.
    """
    zeros, kind, dimensions = struct.unpack_from(">HBB", content)
    if (zeros, kind) != (0, 8):
        raise ValueError(f"not the IDX format of bytes: it begins with {content[:4].hex()}")
    shape = struct.unpack_from(f">{dimensions}I", content, 4)
    return torch.from_numpy(np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape).copy())
