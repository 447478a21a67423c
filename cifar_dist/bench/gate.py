"""A program runs one stretch of its work at a time, when it is told to.

Two programs that are measured against each other both live through the whole bench, and run turn by
turn: neither is started and compiled again for each repetition, and whatever else the machine does
meets both. This module is for rivals of other environments too: standard library only.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from typing import Any

GATE = "CIFAR_DIST_BENCH_GATE"
"""Environment variable: the socket of the bench that started this program."""

STRETCH = "CIFAR_DIST_BENCH_STRETCH"
"""Environment variable: how many steps a stretch has."""

_WAIT_S = 1800.0


class Gate:
    """The program's side; ``stretch`` is in steps."""

    def __init__(self, path: str, stretch: int) -> None:
        self.stretch = stretch
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_WAIT_S)
        self._socket.connect(path)
        self._lines = self._socket.makefile("rw", encoding="utf-8")

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Gate | None:
        """Return the gate of the bench; None where no bench started this program."""
        path = environ.get(GATE)
        return cls(path, int(environ.get(STRETCH, "1"))) if path else None

    def wait(self, **facts: Any) -> bool:
        """Say that a stretch is done, wait for the next turn, and return whether there is one."""
        self._lines.write(json.dumps(facts) + "\n")
        self._lines.flush()
        return bool(self._lines.readline())
