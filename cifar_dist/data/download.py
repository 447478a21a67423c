"""CIFAR-10 fetched once by whoever comes first, checked, and moved into place whole."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import IO

from cifar_dist.data.archive import OFFICIAL, Archive, check_archive, unpack
from cifar_dist.data.cifar10 import FOLDER, is_complete
from cifar_dist.errors import DataError, NotReadyError

Say = Callable[[str], None]
"""What shows one line of progress to the user."""

_BLOCK = 1 << 20
_SOCKET_TIMEOUT_S = 30.0
_TIMEOUT_S = 3600.0


def download_cifar10(
    folder: Path,
    *,
    archive: Archive = OFFICIAL,
    say: Say | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> Path:
    """Make sure that ``folder`` holds CIFAR-10, fetching the archive where it does not.

    Several processes may call this at once: one does it, the others wait. An archive of the right
    name that lies beside ``folder`` is used instead of the network.

    Args:
        folder: where the .bin files will lie; appears whole or not at all.
        archive: what to fetch.
        say: shows a line of progress; default: standard error.
        timeout_s: for the transfer, and for waiting on another process that does it.

    Returns:
        The folder.

    Raises:
        DataError: no network, wrong or damaged archive, no place to write; says what to do.
        NotReadyError: another process has been at it for longer than ``timeout_s``.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.parent / f".{folder.name}.lock", timeout_s):
            if not is_complete(folder):
                _install(folder, archive, say or _to_stderr, timeout_s)
    except OSError as error:
        raise DataError(
            f"CIFAR-10 cannot be put into {folder}: {error.strerror or error}\n"
            "  make room, or give a folder that can be written as data.dir"
        ) from None
    return folder


def _install(folder: Path, archive: Archive, say: Say, timeout_s: float) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise DataError(
            f"{folder} exists but is no complete CIFAR-10: move it away, then run the same again"
        )
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        packed = folder.parent / archive.name
        if packed.is_file():
            say(f"using {packed}")
        else:
            packed = work / archive.name
            _fetch(archive, packed, say, deadline=time.monotonic() + timeout_s)
        check_archive(packed, archive)
        unpack(packed, work / FOLDER, archive)
        os.replace(work / FOLDER, folder)
        say(f"CIFAR-10 is in {folder}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _fetch(archive: Archive, path: Path, say: Say, *, deadline: float) -> None:
    """Copy the archive from its address to a file, with a bound on time and size."""
    total = archive.size_bytes
    say(f"downloading CIFAR-10, {total / 1e6:.1f} MB, from {archive.url}")
    done, tenth = 0, 1
    with path.open("wb") as file:
        for block in _blocks(archive):
            done += len(block)
            if done > total:
                raise _failed(archive, f"it sends more than the {total:,} bytes it should")
            if time.monotonic() > deadline:
                raise _failed(archive, f"too slow: {done:,} of {total:,} bytes came in time")
            file.write(block)
            if done * 10 >= tenth * total:
                say(f"downloading CIFAR-10: {done / 1e6:.1f} of {total / 1e6:.1f} MB")
                tenth = done * 10 // total + 1
    if done < total:
        raise _failed(archive, f"the connection ended after {done:,} of {total:,} bytes")


def _blocks(archive: Archive) -> Iterator[bytes]:
    """Yield what the address sends; an error of the network is told apart from one of the disk."""
    try:
        with urllib.request.urlopen(archive.url, timeout=_SOCKET_TIMEOUT_S) as response:
            stream: IO[bytes] = response
            while block := stream.read(_BLOCK):
                yield block
    except urllib.error.HTTPError as error:
        raise _failed(archive, str(error)) from None
    except (OSError, HTTPException) as error:
        raise _failed(archive, str(getattr(error, "reason", error))) from None


def _failed(archive: Archive, reason: str) -> DataError:
    return DataError(
        f"CIFAR-10 cannot be downloaded from {archive.url}: {reason}\n{archive.by_hand}"
    )


@contextmanager
def _locked(path: Path, timeout_s: float) -> Iterator[None]:
    from filelock import FileLock, Timeout  # only a download needs it

    lock = FileLock(path)
    try:
        lock.acquire(timeout=timeout_s)
    except Timeout:
        raise NotReadyError(
            f"another process has been fetching CIFAR-10 for more than {timeout_s:g} s\n"
            f"  run the same again later; the lock is {path}"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _to_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
