"""A wait for other launchers that a signal to this one may end."""

from __future__ import annotations

import select
from collections.abc import Callable, Container
from typing import Protocol

from launcher.supervision.signals import STOPPING, Signals

Wait = Callable[[float], "int | None"]
"""Waits so many seconds for something from the other nodes, or for a signal that stops us, which it
gives."""
_LONGEST_S = 3600.0


class _Readable(Protocol):
    def fileno(self) -> int: ...


def wait_for(peers: _Readable, signals: Signals, ending: Container[int] = STOPPING) -> Wait:
    """Return the wait for these two, which gives the first signal that is one of ``ending``."""

    def wait(limit_s: float) -> int | None:
        select.select([peers, signals], [], [], min(max(limit_s, 0.0), _LONGEST_S))
        return next((number for number in signals.read() if number in ending), None)

    return wait
