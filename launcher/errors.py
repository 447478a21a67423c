"""All errors of the launcher.

LauncherError
 +-- UsageError      exit 2: command line, recipe, cluster file; nothing was started
 |    +-- RankTableError
 +-- NotReadyError   exit 75: port, device or table not ready in time; safe to requeue

Failures of workers are no exceptions: they are values of an outcome (see ``launcher.outcome``).
"""

from __future__ import annotations

from launcher.contract import EXIT_TEMPORARY, EXIT_USAGE


class LauncherError(Exception):
    """An error that the user can act on: shown as one message, never with a traceback."""

    exit_code = 1


class UsageError(LauncherError):
    """What was asked for is wrong: the message says where, what was given and what to do."""

    exit_code = EXIT_USAGE


class RankTableError(UsageError):
    """A rank table cannot be used."""


class NotReadyError(LauncherError):
    """Something that the job needs is not there yet; the same command may work later."""

    exit_code = EXIT_TEMPORARY
