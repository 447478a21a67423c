"""The life of a run as lines of ``events.jsonl`` and as messages on the console."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol


class Console(Protocol):
    """Where messages and the output of workers are shown. No call blocks but for a moment."""

    def say(self, text: str) -> None:
        """Show one message of the launcher."""

    def follow(self, rank: int, path: Path) -> None:
        """Show what is written to a rank's log from now on."""

    def rest(self) -> None:
        """Leave the terminal to others: this process is about to be stopped."""


class EventLog:
    """Append-only ``events.jsonl`` (DESIGN section 4): one whole line per write.

    A line that cannot be written is no reason to lose a job: writing never raises. The first loss
    is reported through ``say``.
    """

    def __init__(self, path: Path, say: Callable[[str], None] | None = None) -> None:
        self._path = path
        self._say = say
        self._file: int | None = None
        self._torn = False
        self._reported = False

    def write(self, event: str, *, attempt: int, rank: int | None = None, **more: Any) -> None:
        """Append one event; ``more`` holds any values that JSON can show."""
        entry: dict[str, Any] = {"time": time.time(), "event": event, "attempt": attempt}
        if rank is not None:
            entry["rank"] = rank
        line = json.dumps({**entry, **more}, ensure_ascii=False, default=str)
        try:
            self._append((line + "\n").encode("utf-8", "backslashreplace"))
        except OSError as error:
            self._report(error)

    def close(self) -> None:
        """Close the file; a later write opens it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _append(self, line: bytes) -> None:
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            size = os.fstat(
                self._file
            ).st_size  # a launch that was killed may have left half a line
            self._torn = size > 0 and os.pread(self._file, 1, size - 1) != b"\n"
        if self._torn:
            line = b"\n" + line
        written = os.write(self._file, line)
        self._torn = written < len(line)
        if self._torn:
            raise OSError(f"only {written} of {len(line)} bytes were written")

    def _report(self, error: OSError) -> None:
        if self._reported or self._say is None:
            return
        self._reported = True
        self._say(
            f"{self._path} cannot be written ({error.strerror or error}): the run goes on, "
            "its events from here on may be missing; free space on that disk"
        )
