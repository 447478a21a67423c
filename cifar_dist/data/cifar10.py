"""CIFAR-10: 50,000 training and 10,000 test images of ten classes, in six binary files."""

from __future__ import annotations

from pathlib import Path

from cifar_dist.data.cifar_files import (
    IMAGE_BYTES,
    FileSplit,
    Layout,
    check_files,
    find_files,
    read_files,
)
from cifar_dist.data.dataset import Dataset

FOLDER = "cifar-10-batches-bin"
TRAIN_FILES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST_FILES = ("test_batch.bin",)
RECORDS_PER_FILE = 10_000
RECORD_BYTES = 1 + IMAGE_BYTES

CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

LAYOUT = Layout(
    title="CIFAR-10",
    folder=FOLDER,
    records={
        "train": dict.fromkeys(TRAIN_FILES, RECORDS_PER_FILE),
        "test": dict.fromkeys(TEST_FILES, RECORDS_PER_FILE),
    },
    labels=(len(CLASSES),),
    texts=(),
    pickles=("data_batch_1", "cifar-10-batches-py/data_batch_1"),
    remedy="give its folder as data.dir, set data.download=true, or use data.source=synthetic",
)


def is_complete(folder: Path) -> bool:
    """Tell whether all six .bin files lie in this very folder, whatever they hold."""
    return all((folder / name).is_file() for name in LAYOUT.names)


def check_cifar10(folder: Path) -> Path:
    """Check all six files without keeping an image, and return the folder that holds them.

    Raises:
        DataError: see :func:`cifar_dist.data.cifar_files.check_files`.
    """
    return check_files(LAYOUT, folder)


def read_cifar10(folder: Path, split: FileSplit) -> Dataset:
    """Read one split: 50,000 training or 10,000 test images, in the order of the files.

    Args:
        folder: the folder of the .bin files or its parent.
        split: "train" or "test".

    Raises:
        DataError: as :func:`check_cifar10`, for the files of this split.
    """
    found = find_files(LAYOUT, folder)
    images, labels = read_files(LAYOUT, found, split)
    return Dataset(images, labels, CLASSES, origin=str(found))
