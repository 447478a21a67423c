"""Binary CIFAR files of either data set: found, checked, read.

Layout (https://www.cs.toronto.edu/~kriz/cifar.html): a file is a row of records; a record is its
label bytes and 3 x 32 x 32 bytes, channel by channel, row by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from cifar_dist.data.dataset import IMAGE_SHAPE
from cifar_dist.errors import DataError

FileSplit = Literal["train", "test"]
"""Which files."""

Split = Literal["train", "validation", "test"]
"""Which images: a validation set is a part of the training files, see data.validation."""

IMAGE_BYTES = int(np.prod(IMAGE_SHAPE))


@dataclass(frozen=True)
class Layout:
    """What tells one data set from the other.

    Attributes:
        title: its name, for messages.
        folder: what its archive unpacks to.
        records: how many records each file has, by split and file name.
        labels: for each label byte of a record how many values it may have; the last one counts.
        texts: further files that must be there.
        pickles: where the Python version would lie, which is refused.
        remedy: what to do where files are missing.
    """

    title: str
    folder: str
    records: Mapping[FileSplit, Mapping[str, int]]
    labels: tuple[int, ...]
    texts: tuple[str, ...]
    pickles: tuple[str, ...]
    remedy: str

    @property
    def archive(self) -> str:
        return f"{self.folder.replace('-batches-bin', '-binary')}.tar.gz"

    @property
    def record_bytes(self) -> int:
        return len(self.labels) + IMAGE_BYTES

    @property
    def names(self) -> tuple[str, ...]:
        """All .bin files."""
        return tuple(name for split in self.records.values() for name in split)


def find_files(layout: Layout, folder: Path) -> Path:
    """Return the folder that holds the .bin files: ``folder`` or the archive's folder within it.

    Raises:
        DataError: no such folder, files missing, or the Python version of the data set.
    """
    title = layout.title
    if not folder.is_dir():
        raise DataError(f"no {title} at {folder}: there is no such folder\n  {layout.remedy}")
    places = [place for place in (folder, folder / layout.folder) if place.is_dir()]
    wanted = (*layout.names, *layout.texts)
    missing = {place: [n for n in wanted if not (place / n).is_file()] for place in places}
    best = min(places, key=lambda place: len(missing[place]))
    if not missing[best]:
        return best
    if any((folder / pickle).is_file() for pickle in layout.pickles):
        raise DataError(
            f"{folder} holds the Python version of {title}, whose pickles could run any code\n"
            f"  get the binary version ({layout.archive}), or {layout.remedy}"
        )
    if not any((best / name).is_file() for name in layout.names):
        raise DataError(f"no {title} in {folder}: it holds no .bin files\n  {layout.remedy}")
    raise DataError(
        f"{title} in {best} is incomplete: missing {', '.join(missing[best])}\n"
        f"  unpack {layout.archive} again, or {layout.remedy}"
    )


def check_files(layout: Layout, folder: Path) -> Path:
    """Check all files without keeping an image, and return the folder that holds them.

    Raises:
        DataError: a file is missing, is no whole number of records, has too few or too many, or
            holds a label out of range; the message names file, record and value.
    """
    found = find_files(layout, folder)
    for files in layout.records.values():
        for name, count in files.items():
            _records(layout, found / name, count)
    return found


def read_files(
    layout: Layout, folder: Path, split: FileSplit
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Read one split in the order of its files: images uint8[N, 3, 32, 32], labels int32[N].

    Images of a single file (all test images) are not copied: they stay in the system's page cache,
    which all ranks of a host share, are read-only, and take no memory before they are looked at.

    Args:
        layout: of the data set.
        folder: the folder of the .bin files, as :func:`find_files` returns it.
        split: "train" or "test".

    Raises:
        DataError: as :func:`check_files`, for the files of this split.
    """
    skipped, counts = len(layout.labels), layout.records[split]
    if len(counts) == 1:
        ((name, count),) = counts.items()
        labels = _records(layout, folder / name, count)[:, skipped - 1].astype(np.int32)
        untouched = _map(layout, folder / name)
        return untouched[:, skipped:].reshape(-1, *IMAGE_SHAPE), labels
    total = sum(counts.values())
    images = np.empty((total, *IMAGE_SHAPE), dtype=np.uint8)
    labels = np.empty(total, dtype=np.int32)
    for part, records in _parts(layout, folder, split):
        labels[part] = records[:, skipped - 1]
        images[part] = records[:, skipped:].reshape(-1, *IMAGE_SHAPE)
    return images, labels


def _parts(
    layout: Layout, folder: Path, split: FileSplit
) -> Iterator[tuple[slice, NDArray[np.uint8]]]:
    """Yield the records of each file, and where they belong in the whole."""
    start = 0
    for name, count in layout.records[split].items():
        yield slice(start, start + count), _records(layout, folder / name, count)
        start += count


def _records(layout: Layout, path: Path, count: int) -> NDArray[np.uint8]:
    """Map a checked file as uint8[count, record_bytes]."""
    try:
        size = path.stat().st_size
        if size != count * layout.record_bytes:
            raise DataError(_wrong_size(layout, path, size, count))
    except OSError as error:
        raise _unreadable(path, error) from None
    records = _map(layout, path)
    for column, limit in enumerate(layout.labels):
        wrong = np.flatnonzero(records[:, column] >= limit)
        if len(wrong):
            first, value = int(wrong[0]), int(records[wrong[0], column])
            more = f" (and {len(wrong) - 1:,} more)" if len(wrong) > 1 else ""
            raise DataError(
                f"{path}: record {first} has label {value}{more}: "
                f"{layout.title} has 0 to {limit - 1}\n  {_damaged(layout)}"
            )
    return records


def _map(layout: Layout, path: Path) -> NDArray[np.uint8]:
    """Map a file of whole records as uint8[N, record_bytes]."""
    try:
        return np.memmap(path, dtype=np.uint8, mode="r").reshape(-1, layout.record_bytes)
    except OSError as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"{path}: cannot be read: {error.strerror or error}")


def _wrong_size(layout: Layout, path: Path, size: int, count: int) -> str:
    whole, rest = divmod(size, layout.record_bytes)
    where = f"record {whole} is cut after {rest} bytes" if rest else f"it holds {whole:,} records"
    return (
        f"{path}: {size:,} bytes instead of {count * layout.record_bytes:,} "
        f"({count:,} records of {layout.record_bytes:,}): {where}\n  {_damaged(layout)}"
    )


def _damaged(layout: Layout) -> str:
    return f"this is no {layout.title} file, or it is damaged: unpack or download it again"
