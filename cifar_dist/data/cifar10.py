"""The binary CIFAR-10: files checked, then read.

Layout (https://www.cs.toronto.edu/~kriz/cifar.html): six files of 10,000 records; a record is one
label byte and 3 x 32 x 32 bytes, channel by channel, row by row.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cifar_dist.data.dataset import IMAGE_SHAPE, Dataset
from cifar_dist.errors import DataError

Split = Literal["train", "test"]

FOLDER = "cifar-10-batches-bin"
TRAIN_FILES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
TEST_FILES = ("test_batch.bin",)
FILES: dict[Split, tuple[str, ...]] = {"train": TRAIN_FILES, "test": TEST_FILES}

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
RECORDS_PER_FILE = 10_000
RECORD_BYTES = 1 + int(np.prod(IMAGE_SHAPE))
_FILE_BYTES = RECORDS_PER_FILE * RECORD_BYTES
_REMEDY = "give its folder as data.dir, set data.download=true, or use data.source=synthetic"


def find_cifar10(folder: Path) -> Path:
    """Return the folder that holds the .bin files: ``folder`` or its cifar-10-batches-bin.

    Raises:
        DataError: no such folder, files missing, or the Python version of the data set.
    """
    if not folder.is_dir():
        raise DataError(f"no CIFAR-10 at {folder}: there is no such folder\n  {_REMEDY}")
    places = [place for place in (folder, folder / FOLDER) if place.is_dir()]
    wanted = (*TRAIN_FILES, *TEST_FILES)
    missing = {place: [n for n in wanted if not (place / n).is_file()] for place in places}
    best = min(places, key=lambda place: len(missing[place]))
    if not missing[best]:
        return best
    if _is_python_version(folder):
        raise DataError(
            f"{folder} holds the Python version of CIFAR-10, whose pickles could run any code\n"
            f"  get the binary version (cifar-10-binary.tar.gz), or {_REMEDY}"
        )
    if len(missing[best]) == len(wanted):
        raise DataError(f"no CIFAR-10 in {folder}: it holds no .bin files\n  {_REMEDY}")
    raise DataError(
        f"CIFAR-10 in {best} is incomplete: missing {', '.join(missing[best])}\n"
        "  unpack cifar-10-binary.tar.gz again, or remove the folder and set data.download=true"
    )


def is_complete(folder: Path) -> bool:
    """Tell whether all six .bin files lie in this very folder, whatever they hold."""
    return all((folder / name).is_file() for name in (*TRAIN_FILES, *TEST_FILES))


def check_cifar10(folder: Path) -> Path:
    """Check all six files without keeping an image, and return the folder that holds them.

    Raises:
        DataError: a file is missing, is no whole number of records, has too few or too many, or
            holds a label above 9; the message names file, record and value.
    """
    found = find_cifar10(folder)
    for name in (*TRAIN_FILES, *TEST_FILES):
        _records(found / name)
    return found


def read_cifar10(folder: Path, split: Split) -> Dataset:
    """Read one split: 50,000 training or 10,000 test images, in the order of the files.

    Args:
        folder: the folder of the .bin files or its parent.
        split: "train" or "test".

    Raises:
        DataError: as :func:`check_cifar10`, for the files of this split.
    """
    found = find_cifar10(folder)
    names = FILES[split]
    images = np.empty((len(names) * RECORDS_PER_FILE, *IMAGE_SHAPE), dtype=np.uint8)
    labels = np.empty(len(images), dtype=np.int32)
    for number, name in enumerate(names):
        records = _records(found / name)
        part = slice(number * RECORDS_PER_FILE, (number + 1) * RECORDS_PER_FILE)
        labels[part] = records[:, 0]
        images[part] = records[:, 1:].reshape(-1, *IMAGE_SHAPE)
    return Dataset(images, labels, CLASSES, origin=str(found))


def _records(path: Path) -> NDArray[np.uint8]:
    """Map a checked file as uint8[10000, 3073]."""
    try:
        size = path.stat().st_size
        if size != _FILE_BYTES:
            raise DataError(_wrong_size(path, size))
        records = np.memmap(path, dtype=np.uint8, mode="r").reshape(-1, RECORD_BYTES)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    wrong = np.flatnonzero(records[:, 0] >= len(CLASSES))
    if len(wrong):
        first = int(wrong[0])
        more = f" (and {len(wrong) - 1:,} more)" if len(wrong) > 1 else ""
        raise DataError(
            f"{path}: record {first} has label {records[first, 0]}{more}: CIFAR-10 has 0 to 9\n"
            "  this is no CIFAR-10 file, or it is damaged: unpack or download it again"
        )
    return records


def _wrong_size(path: Path, size: int) -> str:
    whole, rest = divmod(size, RECORD_BYTES)
    where = f"record {whole} is cut after {rest} bytes" if rest else f"it holds {whole:,} records"
    return (
        f"{path}: {size:,} bytes instead of {_FILE_BYTES:,} "
        f"({RECORDS_PER_FILE:,} records of {RECORD_BYTES:,}): {where}\n"
        "  this is no CIFAR-10 file, or it is damaged: unpack or download it again"
    )


def _is_python_version(folder: Path) -> bool:
    places = (folder, folder / "cifar-10-batches-py")
    return any((place / "data_batch_1").is_file() for place in places)
