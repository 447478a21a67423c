"""Which files are to be predicted: named ones, and those within named folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from cifar_dist.errors import DataError

RECORDS = (".bin",)
PICTURES = (".png", ".jpg", ".jpeg")
MOST_FILES = 20_000


def find_inputs(paths: Sequence[Path]) -> list[Path]:
    """Return every file, in the order given; those of a folder sorted, with its subfolders.

    A folder gives its CIFAR files (.bin), PNG and JPEG files; others are passed over, and links to
    folders are not followed.

    Raises:
        DataError: a path does not exist, is no such file, holds none, or there are too many.
    """
    found: list[Path] = []
    for path in paths:
        shown = printable(str(path))
        try:
            own = list(islice(_files(path), MOST_FILES + 1 - len(found)))
        except OSError as error:
            raise DataError(f"{shown}: cannot be read: {error.strerror}") from None
        if not own:
            raise DataError(f"{shown}: this folder holds no {_kinds()}")
        found += own
        if len(found) > MOST_FILES:
            raise DataError(
                f"{shown}: more than {MOST_FILES:,} files: predict fewer of them at a time"
            )
    return found


def printable(text: str) -> str:
    """Return a file name with everything escaped that a terminal would act on."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        for folder, subfolders, names in os.walk(path, onerror=_refuse):
            subfolders.sort()
            files = (Path(folder, name) for name in sorted(names))
            yield from (file for file in files if _is_wanted(file) and file.is_file())
        return
    shown = printable(str(path))
    if not path.exists():
        raise DataError(f"{shown}: there is no such file or folder")
    if not path.is_file():
        raise DataError(f"{shown}: this is neither a file nor a folder")
    if not _is_wanted(path):
        raise DataError(f"{shown}: this is no {_kinds()} by its name")
    yield path


def _refuse(error: OSError) -> None:
    """Pass no folder over because it cannot be listed, as os.walk does unasked."""
    raise error


def _is_wanted(path: Path) -> bool:
    return path.suffix.lower() in (*RECORDS, *PICTURES)


def _kinds() -> str:
    return "CIFAR file (.bin), PNG or JPEG (.png, .jpg, .jpeg)"
