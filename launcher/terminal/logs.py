"""From the bytes of a growing log to lines for a console: whole, readable, folded.

No file and no clock: times are seconds of one monotonic clock, passed in.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from launcher.ranges import format_ranges

LONGEST_LINE = 64 * 1024
"""Bytes; a longer line is shown in pieces."""

BAR_INTERVAL_S = 1.0
PARTIAL_LINE_S = 2.0
FOLD_WINDOW_S = 0.2
_FOLD_LIMIT = 1000

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f\x80-\x9f]")
_SPECIAL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]")


_NOISE = re.compile(rb"\[INFO\] DISTRIBUTED\(.*Event base dispatch success!$")
"""MindSpore 2.10 prints this twice at the end of every rank, whatever its log level says."""


class LineCutter:
    """Cuts one rank's output into lines.

    A progress bar (text rewritten after a carriage return) is shown by its latest state, once a
    second at most and when its line ends. An unfinished line is shown after two seconds of silence,
    and what follows it as a line of its own.
    """

    def __init__(self, *, colours: bool = False) -> None:
        self._colours = colours
        self._open = bytearray()
        self._changed = 0.0
        self._bar_shown = ""
        self._bar_time: float | None = None

    def feed(self, data: bytes, now: float) -> list[str]:
        """Return the lines that this piece of output completes."""
        pieces = (bytes(self._open) + data).split(b"\n")
        self._open = bytearray(pieces.pop())
        self._changed = now
        lines = [line for piece in pieces for line in self._finished(piece)]
        while len(self._open) > LONGEST_LINE and not self._is_bar():
            cut = _character_start(self._open, LONGEST_LINE)
            lines.append(self._text(bytes(self._open[:cut])))
            del self._open[:cut]
        if self._is_bar():
            state = _latest_state(bytes(self._open))[-LONGEST_LINE:]
            rewound = b"\r" if self._open.endswith(b"\r") else b""
            self._open = bytearray(b"\r" + state + rewound)
        return lines + self.poll(now)

    def due(self) -> float | None:
        """Return when :meth:`poll` will have something to show; None = not before more output."""
        if not self._open.strip():
            return None
        if not self._is_bar():
            return self._changed + PARTIAL_LINE_S
        if self._text(bytes(self._open[1:])) == self._bar_shown:
            return None
        return self._changed if self._bar_time is None else self._bar_time + BAR_INTERVAL_S

    def poll(self, now: float) -> list[str]:
        """Return what may be shown of the unfinished line by now."""
        due = self.due()
        if due is None or now < due:
            return []
        if not self._is_bar():
            return self.flush()
        self._bar_shown = self._text(bytes(self._open[1:]))
        self._bar_time = now
        return [self._bar_shown]

    def flush(self) -> list[str]:
        """Return the unfinished line, if there is one: no more will come."""
        rest, self._open = bytes(self._open), bytearray()
        return self._finished(rest) if rest.strip() else []

    def _is_bar(self) -> bool:
        return b"\r" in self._open[:-1]

    def _finished(self, piece: bytes) -> list[str]:
        shown, self._bar_shown, self._bar_time = self._bar_shown, "", None
        lines: list[str] = []
        piece = _latest_state(piece)
        if _NOISE.match(piece):
            return lines
        while len(piece) > LONGEST_LINE:
            cut = _character_start(piece, LONGEST_LINE)
            lines.append(self._text(piece[:cut]))
            piece = piece[cut:]
        text = self._text(piece)
        return lines if shown and text == shown else [*lines, text]

    def _text(self, raw: bytes) -> str:
        text = raw.decode("utf-8", "replace")
        if _SPECIAL.search(raw) is None:
            return text
        coloured = False

        def keep(match: re.Match[str]) -> str:
            nonlocal coloured
            colour = self._colours and match.group(1) == "m"
            coloured = coloured or colour
            return match.group() if colour else ""

        text = _CONTROLS.sub("", _ESCAPES.sub(keep, text))
        if not coloured:
            return text.replace("\x1b", "")
        return text + "\x1b[0m"


def _latest_state(piece: bytes) -> bytes:
    """Return what a terminal would show of a line with carriage returns: the last thing drawn."""
    if b"\r" not in piece:
        return piece
    states = (state.rstrip() for state in reversed(piece.split(b"\r")))
    return next((state for state in states if state), b"")


def _character_start(data: bytes | bytearray, cut: int) -> int:
    """Return the place at or just before ``cut`` where a UTF-8 character begins."""
    for place in range(cut, max(cut - 4, 0), -1):
        if data[place] & 0xC0 != 0x80:
            return place
    return cut


class _Entry(NamedTuple):
    text: str
    time: float
    ranks: set[int]


class Folder:
    """Puts equal lines of several ranks together, never changing the order of one rank's lines.

    A line waits until all ``ranks`` have printed it, 0.2 s at most.
    """

    def __init__(self, ranks: Iterable[int]) -> None:
        self._ranks = frozenset(ranks)
        self._queue: deque[_Entry] = deque()

    def add(self, rank: int, lines: Iterable[str], now: float) -> None:
        """Take lines of one rank."""
        place = self._after_last_of(rank)
        for text in lines:
            for index in range(place, len(self._queue)):
                if self._queue[index].text == text:
                    self._queue[index].ranks.add(rank)
                    place = index + 1
                    break
            else:
                self._queue.append(_Entry(text, now, {rank}))
                place = len(self._queue)

    def _after_last_of(self, rank: int) -> int:
        for index in range(len(self._queue) - 1, -1, -1):
            if rank in self._queue[index].ranks:
                return index + 1
        return 0

    def ready(self, now: float) -> Iterator[str]:
        """Give the prefixed lines that need wait no longer."""
        while self._queue:
            head = self._queue[0]
            waited = now - head.time >= FOLD_WINDOW_S or len(self._queue) > _FOLD_LIMIT
            if not waited and not head.ranks >= self._ranks:
                return
            self._queue.popleft()
            yield prefix(head.ranks) + head.text

    def due(self) -> float | None:
        """Return when the oldest line need wait no longer."""
        return self._queue[0].time + FOLD_WINDOW_S if self._queue else None


def prefix(ranks: Iterable[int]) -> str:
    """Return ``[rank 3] `` for one rank and ``[0-7] `` for several."""
    known = sorted(ranks)
    return f"[rank {known[0]}] " if len(known) == 1 else f"[{format_ranges(known)}] "
