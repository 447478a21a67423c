"""The terminal: the output of chosen ranks on stdout, the launcher's messages on stderr.

One thread does all of it, from the log files: a terminal that is slow or stopped holds up this
thread and nothing else, and what it has not shown is still in the files.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from launcher.terminal.inotify import Growth
from launcher.terminal.logs import Folder, LineCutter, prefix
from launcher.terminal.screen import LIVE_INTERVAL_S, Screen, Stream

_CHUNK = 64 * 1024
_PAUSE_S = 0.01
_LOOK_S = 0.05
_LOOK_ANYWAY_S = 1.0
_STALL_S = 2.0
_LAST_WORDS_S = 5.0
_REST_S = 2.0


def write(stream: int, text: str) -> bool:
    """Write text to a file descriptor; False where nobody reads it any more."""
    return Stream(stream).write(text)


def write_error(text: str) -> None:
    """Show one message of the launcher, outside of a run."""
    write(2, f"launcher: {text}\n")


def open_standard_streams() -> None:
    """Put /dev/null where stdin, stdout or stderr is closed, so that no log gets their numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


class _Tail:
    """Where we are in one rank's log."""

    def __init__(self, rank: int, path: Path, *, colours: bool) -> None:
        self.rank = rank
        self.path = path
        self.cutter = LineCutter(colours=colours)
        self.watched = False
        self._file: int | None = None

    def read(self) -> bytes:
        """Return what is new, a chunk at most; empty where there is nothing yet."""
        try:
            if self._file is None:
                self._file = os.open(self.path, os.O_RDONLY)
            return os.read(self._file, _CHUNK)
        except OSError:
            return b""

    def behind(self) -> bool:
        """Return whether the log holds more than was shown."""
        with suppress(OSError):
            if self._file is not None:
                return os.lseek(self._file, 0, os.SEEK_CUR) < os.fstat(self._file).st_size
            return self.path.stat().st_size > 0
        return False

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class TerminalConsole:
    """Shows a run. Neither :meth:`say` nor :meth:`follow` ever waits.

    Args:
        ranks: whose output is shown.
        out: file descriptor for the workers' lines.
        err: file descriptor for the launcher's messages.
        live: gives live rows for so many columns and lines of a terminal, see :class:`Screen`.
    """

    def __init__(
        self,
        ranks: frozenset[int],
        *,
        out: int = 1,
        err: int = 2,
        live: Callable[[int, int], list[str]] | None = None,
    ) -> None:
        self._ranks = ranks
        self._screen = Screen(out, err, live)
        self._colours = os.isatty(out) and not os.environ.get("NO_COLOR")
        self._messages: deque[str] = deque()
        self._requests: deque[_Tail] = deque()
        self._tails: list[_Tail] = []
        self._folder = Folder(ranks)
        self._growth = Growth()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._closing = False
        self._abandoned = False
        self._rests, self._has_erased = False, threading.Event()
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)
        self._thread.start()

    def say(self, text: str) -> None:
        """Show one message of the launcher; further lines of it are shown as they are."""
        self._messages.append(f"launcher: {text}\n")
        self._wake_up()

    def follow(self, rank: int, path: Path) -> None:
        """Show a rank's log from its beginning, if this rank was chosen."""
        if rank in self._ranks:
            self._requests.append(_Tail(rank, path, colours=self._colours))
            self._wake_up()

    def rest(self) -> None:
        """Take the live rows away before this process is stopped; they come back after it.

        It waits for that a moment, where there are any: a terminal that stands still keeps them.
        """
        if self._screen.has_live_rows:
            self._has_erased.clear()
            self._rests = True
            self._wake_up()
            self._has_erased.wait(_REST_S)

    def close(
        self, last: str = "", *, limit_s: float = 60.0, hurry: Callable[[], bool] = lambda: False
    ) -> None:
        """Show the logs to their ends, then the last text, and stop.

        Waits as long as somebody reads, ``limit_s`` at most, and no longer once ``hurry`` is true;
        says where the rest is if that is not enough. The last text is shown in any case if stderr
        can be written.
        """
        self._closing = True
        self._wake_up()
        self._wait_while_read(limit_s, hurry)
        finished = not self._thread.is_alive()
        self._abandoned = True
        if not finished:
            last += self._where_the_rest_is()
        words = threading.Thread(target=self._last_words, args=(last,), daemon=True)
        words.start()
        words.join(_LAST_WORDS_S)

    def _wait_while_read(self, limit_s: float, hurry: Callable[[], bool]) -> None:
        end = time.monotonic() + limit_s
        seen, stalled_since = -1, time.monotonic()
        while self._thread.is_alive() and time.monotonic() < end:
            written = self._screen.written
            if written != seen:
                seen, stalled_since = written, time.monotonic()
            elif time.monotonic() - stalled_since > _STALL_S or hurry():
                return
            self._thread.join(0.05)

    def _where_the_rest_is(self) -> str:
        unread = [tail.path for tail in self._tails if tail.behind()]
        if not unread:
            return ""
        files = "\n".join(f"  {path}" for path in unread)
        return f"launcher: the terminal did not keep up; the rest of the output is in\n{files}\n"

    def _last_words(self, text: str) -> None:
        self._show_messages()
        self._screen.message(text)

    def _wake_up(self) -> None:
        with suppress(OSError):
            os.eventfd_write(self._wake, 1)

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        growth = self._growth.fileno()
        if growth is not None:
            poll.register(growth, select.POLLIN)
        rests_until_s = 0.0
        while not self._abandoned:
            closing = self._closing
            moved = self._show_output(time.monotonic())
            self._show_messages()
            if self._rests:
                self._screen.erase()
                self._rests, rests_until_s = False, time.monotonic() + _REST_S
                self._has_erased.set()
            elif not closing and time.monotonic() >= rests_until_s:
                self._screen.refresh()
            if closing and not moved:
                self._show_rest()
                return
            if moved:
                time.sleep(0 if closing else _PAUSE_S)
                continue
            poll.poll(self._patience_ms())
            with suppress(BlockingIOError):
                os.eventfd_read(self._wake)
            self._growth.clear()

    def _patience_ms(self) -> int | None:
        if not self._tails:
            return round(LIVE_INTERVAL_S * 1000) if self._screen.has_live_rows else None
        unseen = any(not tail.watched for tail in self._tails)
        patience_s = _LOOK_S if unseen else _LOOK_ANYWAY_S
        if self._screen.has_live_rows:
            patience_s = min(patience_s, LIVE_INTERVAL_S)
        dues = [self._folder.due(), *(tail.cutter.due() for tail in self._tails)]
        now = time.monotonic()
        for due in dues:
            if due is not None:
                patience_s = min(patience_s, max(0.0, due - now))
        return int(patience_s * 1000) + 1

    def _show_output(self, now: float) -> bool:
        """Show what is new, a chunk of each log at most; return whether there was any."""
        self._take_requests()
        moved = False
        for tail in self._tails:
            if not tail.watched:
                tail.watched = self._growth.watch(tail.path)
            data = tail.read()
            moved = moved or bool(data)
            lines = tail.cutter.feed(data, now) if data else tail.cutter.poll(now)
            self._show_lines(tail.rank, lines, now, flood=len(data) == _CHUNK)
        self._screen.lines("".join(f"{line}\n" for line in self._folder.ready(now)))
        return moved

    def _show_lines(self, rank: int, lines: list[str], now: float, *, flood: bool) -> None:
        if not lines:
            return
        if len(self._ranks) > 1 and not flood:
            self._folder.add(rank, lines, now)
            return
        waiting = [f"{line}\n" for line in self._folder.ready(float("inf"))]
        mark = prefix([rank])
        self._screen.lines("".join(waiting) + "".join(f"{mark}{line}\n" for line in lines))

    def _take_requests(self) -> None:
        while self._requests:
            tail = self._requests.popleft()
            for before in [one for one in self._tails if one.rank == tail.rank]:
                self._finish(before)
                self._tails.remove(before)
            self._tails.append(tail)

    def _finish(self, tail: _Tail) -> None:
        """Show a log to its end: no more will be written to it."""
        now = time.monotonic()
        while not self._abandoned and (data := tail.read()):
            self._show_lines(tail.rank, tail.cutter.feed(data, now), now, flood=True)
        self._show_lines(tail.rank, tail.cutter.flush(), now, flood=True)
        tail.close()

    def _show_rest(self) -> None:
        now = time.monotonic()
        for tail in self._tails:
            self._show_lines(tail.rank, tail.cutter.flush(), now, flood=False)
        self._screen.lines("".join(f"{line}\n" for line in self._folder.ready(float("inf"))))
        self._screen.erase()
        for tail in self._tails:
            tail.close()

    def _show_messages(self) -> None:
        while self._messages:
            with suppress(IndexError):
                self._screen.message(self._messages.popleft())
