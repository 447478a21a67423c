"""What ends a launcher while it waits for others."""

from __future__ import annotations

import signal

from launcher.errors import LauncherError


class PeerEndedError(LauncherError):
    """Another node has ended before the start; its exit code is that of all."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(f"{message}; nothing was started")
        self.exit_code = exit_code


class StoppedError(LauncherError):
    """A signal came before the start."""

    def __init__(self, number: int) -> None:
        name = signal.Signals(number).name
        super().__init__(f"stopped by {name} while it waited for the other nodes")
        self.exit_code = 128 + number
