"""The archive of the binary CIFAR-10: what it must be, and how it is unpacked without trust."""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cifar_dist.data.cifar10 import FOLDER, check_cifar10
from cifar_dist.errors import DataError

_BLOCK = 1 << 20
_MAX_FILE_BYTES = 40_000_000
_MAX_UNPACKED_BYTES = 200_000_000
"""The official archive unpacks to 184 MB; also headers, which tarfile reads whole, stay below."""

_TEXT_FILES = frozenset({"batches.meta.txt", "readme.html"})


@dataclass(frozen=True)
class Archive:
    """An archive of the binary CIFAR-10.

    Attributes:
        url: http or https.
        md5: of the archive, hexadecimal, as its publisher states it.
        size_bytes: of the archive; not one byte more is read.
        sha1: of each .bin file in it, by file name.
    """

    url: str
    md5: str
    size_bytes: int
    sha1: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.url.rpartition("/")[2]

    @property
    def by_hand(self) -> str:
        """What to do where the download does not work."""
        return (
            f"  get {self.url} where there is a network, and put it beside the missing folder, or\n"
            "  unpack it and give the folder as data.dir; data.source=synthetic needs no file"
        )


OFFICIAL = Archive(
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    md5="c32a1d4ab5d03f1284b67883e8d87530",
    size_bytes=170_052_171,
    sha1={
        "data_batch_1.bin": "aadd24acce27caa71bf4b10992e9e7b2d74c2540",
        "data_batch_2.bin": "c0ba65cce70568cd57b4e03e9ac8d2a5367c1795",
        "data_batch_3.bin": "1dd00a74ab1d17a6e7d73e185b69dbf31242f295",
        "data_batch_4.bin": "aab85764eb3584312d3c7f65fd2fd016e36a258e",
        "data_batch_5.bin": "26e2849e66a845b7f1e4614ae70f4889ae604628",
        "test_batch.bin": "67eb016db431130d61cd03c7ad570b013799c88c",
    },
)
"""Checksums: md5 from the data set's page, SHA-1 from MXNet's reader of the same files."""


def check_archive(path: Path, archive: Archive) -> None:
    """Compare size and md5 of a file with what the archive must have.

    Raises:
        DataError: it is another file, or damaged.
    """
    size = path.stat().st_size
    digest = _digest(path, "md5")
    if size != archive.size_bytes or digest != archive.md5:
        raise DataError(
            f"{path.name} is not the official archive: {size:,} bytes with md5 {digest}, "
            f"wanted {archive.size_bytes:,} with {archive.md5}\n{archive.by_hand}"
        )


def unpack(path: Path, folder: Path, archive: Archive) -> None:
    """Unpack the known files of an archive into a new folder, and nothing else.

    Raises:
        DataError: a member is no plain file, has a name or a size that does not belong there, is
            missing or differs from its SHA-1; or the archive is damaged.
    """
    folder.mkdir()
    wanted = {*archive.sha1, *_TEXT_FILES}
    try:
        with (
            gzip.open(path) as unpacked,
            tarfile.open(fileobj=_Bounded(unpacked, path.name), mode="r|") as packed,
        ):
            for member in packed:
                if not (member.isdir() and member.name == FOLDER):
                    name = _file_name(member, wanted)
                    wanted.remove(name)
                    _extract(packed, member, folder / name)
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, ValueError) as error:
        raise DataError(f"{path.name} is damaged: {error}\n{archive.by_hand}") from None
    _check_files(folder, archive)


class _Bounded(io.RawIOBase):
    """A stream that is refused where it gets longer than the archive may."""

    def __init__(self, stream: gzip.GzipFile, name: str) -> None:
        self._stream = stream
        self._name = name
        self._left = _MAX_UNPACKED_BYTES

    def read(self, size: int = -1, /) -> bytes:
        block = self._stream.read(size)
        self._left -= len(block)
        if self._left < 0:
            raise DataError(
                f"the archive is refused: {self._name} unpacks to more than "
                f"{_MAX_UNPACKED_BYTES:,} bytes"
            )
        return block


def _file_name(member: tarfile.TarInfo, wanted: set[str]) -> str:
    """Return the file name of a member that belongs to CIFAR-10; refuse any other."""
    place, _, name = member.name.rpartition("/")
    if place != FOLDER or name not in wanted:
        problem = "is not a file of CIFAR-10, or is there twice"
    elif not member.isreg():
        problem = "is a link or a special file"
    elif member.size > _MAX_FILE_BYTES:
        problem = f"claims {member.size:,} bytes"
    else:
        return name
    raise DataError(f"the archive is refused: its member '{member.name[:100]}' {problem}")


def _extract(packed: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    source = packed.extractfile(member)
    assert source is not None, "a regular file has contents"
    with source, path.open("xb") as file:
        shutil.copyfileobj(source, file, _BLOCK)


def _check_files(folder: Path, archive: Archive) -> None:
    check_cifar10(folder)
    for name, wanted in archive.sha1.items():
        found = _digest(folder / name, "sha1")
        if found != wanted:
            raise DataError(f"{name} has SHA-1 {found}, wanted {wanted}\n{archive.by_hand}")


def _digest(path: Path, kind: str) -> str:
    total = hashlib.new(kind, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            total.update(block)
    return total.hexdigest()
