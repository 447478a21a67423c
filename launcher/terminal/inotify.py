"""The kernel's notice that a file has grown (inotify(7)), where it can be had."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

_IN_MODIFY = 0x2
_IN_NONBLOCK = os.O_NONBLOCK
_IN_CLOEXEC = os.O_CLOEXEC


class Growth:
    """Says through a file descriptor that one of the watched files has changed.

    Where the kernel refuses, :meth:`fileno` is None and the caller looks by itself.
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int | None = self._libc.inotify_init1(_IN_NONBLOCK | _IN_CLOEXEC)
        if self._fd is not None and self._fd < 0:
            self._fd = None

    def fileno(self) -> int | None:
        return self._fd

    def watch(self, path: Path) -> bool:
        """Watch one file; False where that is not possible."""
        if self._fd is None:
            return False
        return bool(self._libc.inotify_add_watch(self._fd, os.fsencode(path), _IN_MODIFY) >= 0)

    def clear(self) -> None:
        """Take all notices that have come."""
        if self._fd is None:
            return
        try:
            while os.read(self._fd, 65536):
                pass
        except BlockingIOError:
            return

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
