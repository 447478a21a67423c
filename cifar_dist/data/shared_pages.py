"""Bytes that several processes of a host have in common: a file in the page cache, mapped.

Eight ranks that each pad CIFAR-10 hold 1.5 GB of the same bytes; mapped from one file they hold
0.2 GB, and seven of them need not pad. The file lies in the user's cache folder and is named by the
content of what it was made from, so that it is never out of date; later runs find it there.
"""

from __future__ import annotations

import hashlib
import logging
import mmap
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

KEPT_FILES = 4
"""Newest files that stay; a file that is still mapped lives on after its name is gone."""

SMALLEST_BYTES = 16 * 2**20
"""Less is not worth a file."""

_WAIT_S = 120.0
_log = logging.getLogger(__name__)


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where files that can be made again lie (XDG Base Directory Specification)."""
    root = environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "cifar-dist"


def share(
    name: str,
    source: NDArray[np.uint8],
    make: Callable[[], NDArray[np.uint8]],
    *,
    folder: Path | None = None,
) -> NDArray[np.uint8]:
    """Return what ``make`` returns, as pages shared by all processes that ask for the same.

    Where the folder cannot be used (read-only, full, no home) every process has its own copy.

    Args:
        name: of what is made of the source.
        source: contiguous; its bytes are part of the file's name.
        make: called by the first process only, while the others wait.
        folder: default: :func:`cache_folder`.
    """
    if source.nbytes < SMALLEST_BYTES:
        return make()
    digest = hashlib.sha256(np.ascontiguousarray(source).reshape(-1).data).hexdigest()
    try:
        place = folder or cache_folder()
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        return _shared(place / f"{name}-{digest[:32]}.npy", make)
    except (OSError, RuntimeError) as error:
        _log.warning("the ranks of this host do not share the images' memory: %s", error)
        return make()


def let_go(values: NDArray[np.uint8]) -> None:
    """Count the pages of a mapped file no longer as this process's; a later look maps them again.

    The system keeps them in its cache. Nothing happens to values that lie in memory of their own.
    """
    owner: object = values
    while isinstance(owner, np.ndarray):
        owner = owner.base
    if isinstance(owner, mmap.mmap):
        owner.madvise(mmap.MADV_DONTNEED)


def _shared(path: Path, make: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    from filelock import FileLock  # several ranks only

    with FileLock(path.with_suffix(".lock"), timeout=_WAIT_S):
        mapped = _map(path)
        if mapped is None:
            _write(path, make())
            _tidy(path.parent)
            mapped = _map(path)
        if mapped is None:
            raise OSError(0, f"{path} was written and cannot be read")
        os.utime(path)
        return mapped


def _map(path: Path) -> NDArray[np.uint8] | None:
    """Map a file; None where there is none, or a damaged one."""
    try:
        mapped: NDArray[np.uint8] = np.load(path, mmap_mode="r")
        return mapped
    except (FileNotFoundError, EOFError, ValueError):
        return None


def _write(path: Path, values: NDArray[np.uint8]) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            np.save(file, values)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _tidy(folder: Path) -> None:
    files = sorted(folder.glob("*.npy"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in files[KEPT_FILES:]:
        old.unlink(missing_ok=True)
