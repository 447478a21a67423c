"""CIFAR-100: 50,000 training and 10,000 test images of a hundred classes, in two binary files.

A record begins with two label bytes, the coarse one of twenty and the fine one, which is used. The
names of the fine ones lie in a text file beside the images.
"""

from __future__ import annotations

from pathlib import Path

from cifar_dist.data.cifar_files import FileSplit, Layout, check_files, find_files, read_files
from cifar_dist.data.dataset import Dataset
from cifar_dist.errors import DataError

FOLDER = "cifar-100-binary"
NAMES_FILE = "fine_label_names.txt"
MOST_NAME_BYTES = 64 << 10
NUM_CLASSES = 100

LAYOUT = Layout(
    title="CIFAR-100",
    folder=FOLDER,
    records={"train": {"train.bin": 50_000}, "test": {"test.bin": 10_000}},
    labels=(20, NUM_CLASSES),
    texts=(NAMES_FILE,),
    pickles=("train", "cifar-100-python/train"),
    remedy="get https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz, unpack it, and give its "
    "folder as data.dir",
)


def check_cifar100(folder: Path) -> Path:
    """Check both image files and the names, and return the folder that holds them.

    Raises:
        DataError: see :func:`cifar_dist.data.cifar_files.check_files`; or the names are not 100.
    """
    found = check_files(LAYOUT, folder)
    _class_names(found)
    return found


def read_cifar100(folder: Path, split: FileSplit) -> Dataset:
    """Read one split: 50,000 training or 10,000 test images with their fine labels.

    Args:
        folder: the folder of the .bin files or its parent.
        split: "train" or "test".

    Raises:
        DataError: as :func:`check_cifar100`, for the files of this split.
    """
    found = find_files(LAYOUT, folder)
    images, labels = read_files(LAYOUT, found, split)
    return Dataset(images, labels, _class_names(found), origin=str(found))


def _class_names(folder: Path) -> tuple[str, ...]:
    path = folder / NAMES_FILE
    try:
        with path.open("rb") as file:
            names = tuple(file.read(MOST_NAME_BYTES).decode("ascii").split())
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    if len(names) != NUM_CLASSES or len(set(names)) != NUM_CLASSES:
        raise DataError(
            f"{path}: {len(names)} names, {len(set(names))} of them different, instead of "
            f"{NUM_CLASSES}\n  unpack {LAYOUT.archive} again"
        )
    return names
