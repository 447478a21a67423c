"""Waits for a table that another program is still writing.

MindX writes hccl.json in place (truncate, then write) and, after it, a time stamp in the file
`version` beside it: a reader may see no file, an empty one, the beginning of one, or one whose
status is ``initializing`` (`launchers.md` 2.4). Whether it is another table than before is seen in
its content: the time stamp comes later than that.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from launcher.errors import NotReadyError, RankTableError
from launcher.rank_table.lint import Reading, check_path, content_of, describe, read_content
from launcher.rank_table.model import RankTable
from launcher.rank_table.problem import Problem, Report, is_bad

POLL_S = 0.05
SETTLE_S = 0.5


@dataclass(frozen=True)
class ReadyTable:
    """A completed table, its notes and the bytes it was read from."""

    table: RankTable
    problems: tuple[Problem, ...]
    content: bytes


def wait_for_table(
    path: Path,
    *,
    timeout_s: float,
    product: str | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> ReadyTable:
    """Return the table as soon as it is whole and completed; looks every 0.05 s.

    A table that is wrong, not merely unfinished, must stay so for half a second before it is
    refused: its writer may be in the middle of it.

    Args:
        timeout_s: how long to wait at the most, in seconds; 0 = look once.

    Raises:
        NotReadyError: the bound is over; says what is missing.
        RankTableError: the table is there, and wrong; or its name or place can never be right.
    """
    _refuse_name(path)
    begin = clock()
    look = _Look(None, _NOTHING, begin)
    while True:
        look = _look_again(path, look, product, clock)
        reading = look.reading
        if reading.table is not None and look.content is not None:
            return ReadyTable(reading.table, reading.problems, look.content)
        now = clock()
        over = now - begin >= timeout_s
        if not reading.waiting and (over or now - look.since >= SETTLE_S):
            raise RankTableError(describe(reading.problems, str(path)))
        if over:
            raise NotReadyError(_missing(path, look, timeout_s))
        sleep(POLL_S)


@dataclass(frozen=True)
class _Look:
    """What stood in the file, and since when the same stands there."""

    content: bytes | None
    reading: Reading
    since: float


_NOTHING = Reading(None, waiting=True)


def _look_again(path: Path, last: _Look, product: str | None, clock: Callable[[], float]) -> _Look:
    content = _content(path)
    if content == last.content:
        return last
    reading = _NOTHING if content is None else read_content(path, content, product=product)
    return _Look(content, reading, clock())


def _content(path: Path) -> bytes | None:
    try:
        return content_of(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ESTALE):
            return None
        raise RankTableError(f"the rank table {path} cannot be read: {error.strerror}") from None


def _refuse_name(path: Path) -> None:
    report = Report()
    check_path(path, report)
    if is_bad(report.problems):
        raise RankTableError(describe(report.problems, str(path)))


def _missing(path: Path, look: _Look, timeout_s: float) -> str:
    if look.content is None:
        what = "there is no such file"
    elif not look.content.strip():
        what = "the file is empty"
    else:
        what = "; ".join(problem.message for problem in look.reading.problems)
    return (
        f"the rank table {path} was not ready within {timeout_s:g} s: {what}. Its writer has not "
        "finished: look at the job's pods (all scheduled?), then start again"
    )
