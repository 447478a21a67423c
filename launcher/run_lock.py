"""One launcher at a time in a run directory: a lock that ends with the process that holds it."""

from __future__ import annotations

import errno
import fcntl
import os
import time

from launcher.contract import RunPaths
from launcher.errors import NotReadyError, UsageError

_LOOKED_AT_S = 0.2
"""Who only looks whether it is free holds it for a moment, too."""
_TAKEN = (errno.EWOULDBLOCK, errno.EACCES)


class RunLock:
    """Holds a run directory; the events file, which is never renamed, carries the lock.

    Each node has its own (see :class:`RunPaths`). A disk that knows no locks is used without.
    """

    def __init__(self, paths: RunPaths) -> None:
        """Take it.

        Raises:
            NotReadyError: another launcher holds it.
            UsageError: the folder cannot be written.
        """
        try:
            self._file = os.open(paths.events, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise UsageError(
                f"run directory {paths.root} cannot be used: {error.strerror or error}; name "
                "another one with --run-dir"
            ) from error
        until_s = time.monotonic() + _LOOKED_AT_S
        while not _try(self._file):
            if time.monotonic() > until_s:
                os.close(self._file)
                raise NotReadyError(in_use(paths))
            time.sleep(_LOOKED_AT_S / 10)

    def close(self) -> None:
        """Give it back."""
        os.close(self._file)


def is_free(paths: RunPaths) -> bool:
    """Return whether no launcher is in a run directory now."""
    try:
        file = os.open(paths.events, os.O_RDWR)
    except OSError:
        return True
    try:
        return _try(file)
    finally:
        os.close(file)


def in_use(paths: RunPaths) -> str:
    """Return the message about a run directory that another launcher holds."""
    return (
        f"run directory {paths.root}: another launcher is running there; wait for its end (python "
        "-m launcher status shows it), or name another folder with --run-dir"
    )


def _try(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _TAKEN
    return True
