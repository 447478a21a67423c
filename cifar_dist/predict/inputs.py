"""All images that are to be predicted, with where each comes from and what it truly shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cifar_dist.data.cifar_files import Layout
from cifar_dist.data.dataset import IMAGE_SHAPE
from cifar_dist.errors import DataError
from cifar_dist.predict.files import RECORDS, printable
from cifar_dist.predict.pictures import read_picture

MOST_IMAGES = 100_000
MOST_MESSAGES = 10


@dataclass(frozen=True)
class Source:
    """Where an image comes from.

    Attributes:
        file: its path.
        record: 0-based place in a CIFAR file; None for a picture.
        truth: its class where that is known: the label of a CIFAR record, or the name of a
            picture's folder where that is the name of a class.
        note: what was done to a picture.
    """

    file: str
    record: int | None = None
    truth: int | None = None
    note: str = ""


@dataclass(frozen=True, eq=False)
class Inputs:
    """Images uint8[N, 3, 32, 32] and their sources."""

    images_nchw: NDArray[np.uint8]
    sources: tuple[Source, ...]


def read_inputs(files: Sequence[Path], classes: Sequence[str], layout: Layout) -> Inputs:
    """Read every file, in order.

    Args:
        files: CIFAR files, PNG and JPEG files.
        classes: names of the network's classes.
        layout: of CIFAR files.

    Raises:
        DataError: one message that names every file that cannot be read, or there are too many
            images.
    """
    parts: list[NDArray[np.uint8]] = []
    sources: list[Source] = []
    wrong: list[str] = []
    for file in files:
        try:
            if file.suffix.lower() in RECORDS:
                images, labels = read_records(file, layout)
                sources += [Source(str(file), i, label) for i, label in enumerate(labels)]
                parts.append(images)
            else:
                picture, note = read_picture(file)
                sources.append(Source(str(file), None, _folder_class(file, classes), note))
                parts.append(picture[None])
        except DataError as error:
            wrong.append(str(error))
        if len(sources) > MOST_IMAGES:
            raise DataError(f"more than {MOST_IMAGES:,} images: predict fewer files at a time")
    if wrong:
        more = len(wrong) - MOST_MESSAGES
        left = [f"and {more:,} more files"] if more > 0 else []
        raise DataError("\n  ".join([*wrong[:MOST_MESSAGES], *left]))
    return Inputs(np.concatenate(parts), tuple(sources))


def read_records(path: Path, layout: Layout) -> tuple[NDArray[np.uint8], list[int]]:
    """Read a CIFAR file of any number of records: images uint8[N, 3, 32, 32] and N labels.

    Raises:
        DataError: it is no whole number of records, has none or too many, or a label that is no
            class.
    """
    shown, record = printable(str(path)), layout.record_bytes
    try:
        size = path.stat().st_size
        count, rest = divmod(size, record)
        if rest or not count:
            raise DataError(
                f"{shown}: {size:,} bytes are no whole number of {layout.title} records "
                f"({record:,} bytes each)"
            )
        if count > MOST_IMAGES:
            raise DataError(f"{shown}: {count:,} images are more than the {MOST_IMAGES:,} allowed")
        records = np.fromfile(path, dtype=np.uint8, count=count * record).reshape(-1, record)
    except OSError as error:
        raise DataError(f"{shown}: cannot be read: {error.strerror}") from None
    labels = records[:, len(layout.labels) - 1]
    if len(wrong := np.flatnonzero(labels >= layout.labels[-1])):
        raise DataError(
            f"{shown}: record {wrong[0]} has label {labels[wrong[0]]}: "
            f"{layout.title} has 0 to {layout.labels[-1] - 1}; it is no such file, or damaged"
        )
    return records[:, len(layout.labels) :].reshape(-1, *IMAGE_SHAPE), labels.tolist()


def _folder_class(file: Path, classes: Sequence[str]) -> int | None:
    """Return the class that the folder of a picture is named after, if any."""
    name = file.absolute().parent.name
    return classes.index(name) if name in classes else None
