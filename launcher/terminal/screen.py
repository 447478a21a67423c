"""Two streams and, under what they have shown, live rows that are drawn again and again.

The cursor waits at the start of the live rows: to take them away everything from there down is
erased, which is right as well where the terminal has been resized and has wrapped them anew. The
cursor is never hidden and the terminal's modes are never changed: there is nothing to put right
when this process is killed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

LIVE_INTERVAL_S = 0.5
_SLICE = 4096
_ERASE = "\r\x1b[J"


class Stream:
    """A file descriptor that counts what was written and gives up after the first error."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._broken = False
        self.written = 0

    def write(self, text: str) -> bool:
        data = memoryview(text.encode("utf-8", "replace"))
        while data and not self._broken:
            try:
                count = os.write(self._number, data[:_SLICE])
            except OSError:
                self._broken = True
                break
            self.written += count
            data = data[count:]
        return not self._broken


class Screen:
    """The standard streams of a launcher; one thread may use it.

    Args:
        out: file descriptor for the workers' lines.
        err: file descriptor for the launcher's messages, and for the live rows.
        live: gives the rows for so many columns and lines; None: there are none, as where the two
            streams have no room for them (:func:`has_room_for_live_rows`).
    """

    def __init__(
        self, out: int, err: int, live: Callable[[int, int], list[str]] | None = None
    ) -> None:
        self._out, self._err = Stream(out), Stream(err)
        self._number = err
        self._live = live if live is not None and has_room_for_live_rows(out, err) else None
        self._drawn: tuple[list[str], tuple[int, int]] | None = None
        self._looked_s = 0.0

    @property
    def written(self) -> int:
        """Bytes that somebody has taken so far."""
        return self._out.written + self._err.written

    @property
    def has_live_rows(self) -> bool:
        return self._live is not None

    def lines(self, text: str) -> None:
        """Show lines of workers; nothing for no text."""
        if text:
            self.erase()
            self._out.write(text)

    def message(self, text: str) -> None:
        """Show a message of the launcher."""
        self.erase()
        self._err.write(text)

    def erase(self) -> None:
        """Take the live rows away until the next refresh."""
        if self._drawn is not None:
            self._drawn = None
            self._err.write(_ERASE)

    def refresh(self) -> None:
        """Draw the live rows, if they were taken away, or it is time to."""
        now_s = time.monotonic()
        is_due = self._drawn is None or now_s - self._looked_s >= LIVE_INTERVAL_S
        if self._live is None or not is_due or not is_in_foreground(self._number):
            return
        self._looked_s = now_s
        size = terminal_size(self._number)
        try:
            rows = self._live(*size)
        except Exception:
            self._go_on_without()
            return
        if self._drawn == (rows, size):
            return
        before = _ERASE if self._drawn is not None else ""
        self._drawn = (rows, size) if rows else None
        back = f"\r\x1b[{len(rows) - 1}A" if len(rows) > 1 else "\r"
        self._err.write(before + "\r\n".join(rows) + back if rows else before)

    def _go_on_without(self) -> None:
        """Show the error that is being handled, once: from now on there are no live rows."""
        import traceback

        self._live = None
        self.message(
            "launcher: this is a bug of the launcher: the live rows end here, the job goes on\n"
            + traceback.format_exc()
        )


def has_room_for_live_rows(out: int, err: int) -> bool:
    """Return whether both are terminals, and ``err`` one that can move its cursor.

    Who reads a pipe may write to the same terminal at any moment, as ``tee`` does.
    """
    return os.isatty(out) and can_move_cursor(err)


def can_move_cursor(number: int) -> bool:
    """Return whether a file descriptor is a terminal that understands escape sequences."""
    return os.isatty(number) and os.environ.get("TERM", "") not in ("", "dumb")


def is_in_foreground(number: int) -> bool:
    """Return whether we may draw: a job in the background leaves the terminal to the shell."""
    try:
        return os.tcgetpgrp(number) == os.getpgrp()
    except OSError:
        return True  # a terminal that controls no processes, such as that of a test


def terminal_size(number: int) -> tuple[int, int]:
    """Return columns and lines; 80 x 24 where the terminal does not say."""
    try:
        size = os.get_terminal_size(number)
    except OSError:
        return 80, 24
    return size.columns or 80, size.lines or 24
