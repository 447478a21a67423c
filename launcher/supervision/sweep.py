"""Processes of a job, found by the tag in their environment, and ended.

A job's tag is one ':'-separated part of one environment variable, so that the processes of a job
that was started inside another one carry both tags. Only /proc/PID/environ is believed: never a
name, never a parent. The guardian imports this module before anything else, so it needs little.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

BETWEEN_PASSES_S = 0.01
LET_GO_S = 0.05


class Mark(NamedTuple):
    """The variable and the tag that all processes of a job carry."""

    variable: str
    tag: str


class Swept(NamedTuple):
    """What a sweep found: ``{pid: description}`` of all, and the pids that could not be ended."""

    found: dict[int, str]
    left: tuple[int, ...]


def tagged(mark: Mark) -> list[int]:
    """Return the pids of all living processes that carry the tag, this process left out."""
    own = os.getpid()
    pids = (int(name) for name in os.listdir("/proc") if name.isdecimal())
    return [pid for pid in pids if pid != own and _carries(pid, mark)]


def sweep(mark: Mark, *, settle_s: float = 0.0, limit_s: float = 5.0) -> Swept:
    """End every process that carries the tag.

    Those that end by themselves within a moment are let go: Python's resource tracker does so when
    its parent has ended. The others are asked with SIGTERM and given ``settle_s`` seconds (0: not
    asked), then killed, pass after pass until two passes in a row find none or ``limit_s`` seconds
    are over.
    """
    found: dict[int, str] = {}
    if settle_s > 0:
        _wait_for_end(mark, LET_GO_S)
        handles = _open(tagged(mark), mark)
        found.update((pid, describe(pid)) for pid in handles)
        _send(handles.values(), signal.SIGTERM)
        _wait(handles, settle_s)
        _close(handles.values())
    deadline = time.monotonic() + limit_s
    empty_passes = 0
    left: dict[int, int] = {}
    while empty_passes < 2 and time.monotonic() < deadline:
        left = _open(tagged(mark), mark)
        found.update((pid, describe(pid)) for pid in left if pid not in found)
        _send(left.values(), signal.SIGKILL)
        _wait(left, BETWEEN_PASSES_S)
        _close(left.values())
        empty_passes = 0 if left else empty_passes + 1
    return Swept(found, tuple(left) if empty_passes < 2 else ())


def _wait_for_end(mark: Mark, limit_s: float) -> None:
    handles = _open(tagged(mark), mark)
    _wait(handles, limit_s)
    _close(handles.values())


def describe(pid: int) -> str:
    """Return a process' short name and, where it has one, the rank that it belongs to."""
    rank = _variable(pid, "RANK_ID")
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            name = file.read().strip()
    except OSError:
        name = "gone"
    return f"{name} of rank {rank}" if rank else name


def _carries(pid: int, mark: Mark) -> bool:
    return mark.tag in _variable(pid, mark.variable).split(":")


def _variable(pid: int, name: str) -> str:
    """Return a variable of a process; "" where it is not set or not ours to read."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environ = file.read()
    except OSError:
        return ""
    start = (b"\0" + environ).find(f"\0{name}=".encode())
    if start < 0:
        return ""
    value = environ[start + len(name) + 1 :].split(b"\0", 1)[0]
    return value.decode("utf-8", "replace")


def _open(pids: Iterable[int], mark: Mark) -> dict[int, int]:
    """Return {pid: pidfd}; looked at again once held, so that a reused pid is never signalled."""
    handles: dict[int, int] = {}
    for pid in pids:
        with suppress(OSError):
            handle = os.pidfd_open(pid)
            if _carries(pid, mark):
                handles[pid] = handle
            else:
                os.close(handle)
    return handles


def _send(handles: Iterable[int], number: int) -> None:
    for handle in handles:
        with suppress(OSError):
            signal.pidfd_send_signal(handle, number)


def _wait(handles: dict[int, int], limit_s: float) -> None:
    """Wait until all have ended, at the longest ``limit_s`` seconds."""
    poller = select.poll()
    for handle in handles.values():
        poller.register(handle, select.POLLIN)
    deadline = time.monotonic() + limit_s
    running = len(handles)
    while running and (rest := deadline - time.monotonic()) > 0:
        for handle, _ in poller.poll(rest * 1000):
            poller.unregister(handle)
            running -= 1


def _close(handles: Iterable[int]) -> None:
    for handle in handles:
        os.close(handle)
