"""The stacks of all ranks, taken before a hung group is ended: Python's where it can answer, and
what the kernel knows of every thread."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from launcher.worker import STACK_SIGNAL

ANSWER_LIMIT_S = 2.0
_POLL_S = 0.02
_MOST_THREADS = 64
_PLACE = re.compile(r'^  File "(?P<file>.*)", line (?P<line>\d+) in (?P<name>.*)$', re.MULTILINE)


class Stack(NamedTuple):
    """What is known of where one rank stands.

    ``place`` is the innermost Python frame of the main thread, or where the kernel has it wait;
    ``answered`` says that Python wrote its stacks; ``state`` is as in /proc/PID/stat.
    """

    place: str
    state: str
    answered: bool


def take(
    pids: Mapping[int, int],
    file_of: Callable[[int], Path],
    *,
    limit_s: float = ANSWER_LIMIT_S,
) -> dict[int, Stack]:
    """Write the stacks of all ranks to their files; no rank can hold this up for long.

    Args:
        pids: {rank: process id}.
        file_of: the stacks file of a rank, to which the rank itself answers.
        limit_s: how long to wait for all answers together.

    A process that is stopped (SIGSTOP) is recorded as such, then continued so that it can answer.
    """
    seen = {rank: _native_facts(pid) for rank, pid in pids.items()}
    before = {rank: _size(file_of(rank)) for rank in pids}
    asked = [rank for rank, pid in pids.items() if _answers(pid) and _send(pid, STACK_SIGNAL)]
    for rank, pid in pids.items():
        if _state(seen[rank]) == "T":
            _send(pid, signal.SIGCONT)
    _await_answers({rank: file_of(rank) for rank in asked}, before, limit_s)
    return {rank: _finish(file_of(rank), before[rank], facts) for rank, facts in seen.items()}


def innermost_place(text: str) -> str:
    """Return the innermost frame of the main thread in faulthandler's output, "" without one.

    The main thread is the last one shown, its innermost frame the first below its heading.
    """
    headings = list(re.finditer(r"^(Current thread|Thread) 0x.*$", text, re.MULTILINE))
    if not headings:
        return ""
    place = _PLACE.search(text, headings[-1].end())
    if place is None:
        return ""
    return f"{place['name']} ({Path(place['file']).name}:{place['line']})"


def _finish(path: Path, before: int, facts: str) -> Stack:
    """Add the kernel's facts behind a rank's own answer and sum both up."""
    try:
        with open(path, "rb") as file:
            file.seek(before)
            answer = file.read().decode("utf-8", "replace")
    except OSError:
        answer = ""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(OSError), open(path, "a", encoding="utf-8") as out:
        out.write(("\n" if answer else "Python did not answer.\n\n") + facts)
    wait = re.search(r"wchan=(\S+)", facts)
    place = innermost_place(answer) or f"kernel: {wait[1] if wait else 'unknown'}"
    return Stack(place, _state(facts), bool(answer))


def _await_answers(files: Mapping[int, Path], before: Mapping[int, int], limit_s: float) -> None:
    """Wait until every answer has come and has stopped growing."""
    deadline = time.monotonic() + limit_s
    sizes: dict[int, int] = {}
    waiting = set(files)
    while waiting and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        for rank in list(waiting):
            size = _size(files[rank])
            if size > before[rank] and size == sizes.get(rank):
                waiting.remove(rank)
            sizes[rank] = size


def _native_facts(pid: int) -> str:
    """Return state, wait channel, system call and kernel stack of every thread."""
    lines = [f"Process {pid} as the kernel sees it: {_status(pid, 'State')}"]
    try:
        threads = sorted(os.listdir(f"/proc/{pid}/task"), key=int)
    except OSError:
        return f"Process {pid} is gone.\n"
    for thread in threads[:_MOST_THREADS]:
        folder = f"/proc/{pid}/task/{thread}"
        lines.append(
            f"thread {thread} ({_text(f'{folder}/comm')}): "
            f"state={_text(f'{folder}/stat').rpartition(')')[2].strip()[:1]} "
            f"wchan={_text(f'{folder}/wchan') or 'unknown'} "
            f"syscall={_text(f'{folder}/syscall') or 'unknown'}"
        )
        lines += [f"  {frame}" for frame in _text(f"{folder}/stack").splitlines()]
    if len(threads) > _MOST_THREADS:
        lines.append(f"... and {len(threads) - _MOST_THREADS} more threads")
    return "\n".join(lines) + "\n"


def _state(facts: str) -> str:
    found = re.search(r"as the kernel sees it: (\S)", facts)
    return found[1] if found else "X"


def _answers(pid: int) -> bool:
    """Return whether the process handles our signal; elsewhere it would end the process."""
    caught = _status(pid, "SigCgt")
    return bool(caught) and bool(int(caught, 16) >> (STACK_SIGNAL - 1) & 1)


def _status(pid: int, name: str) -> str:
    found = re.search(rf"^{name}:\s*(.*)$", _text(f"/proc/{pid}/status"), re.MULTILINE)
    return found[1] if found else ""


def _send(pid: int, number: int) -> bool:
    try:
        os.kill(pid, number)
    except OSError:
        return False
    return True


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
