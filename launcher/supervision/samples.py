"""What /proc and the run directory show of the ranks right now."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from launcher.contract import RunPaths
from launcher.heartbeats import Heartbeats
from launcher.plan import Policy
from launcher.supervision.watch import (
    Sample,
    Vitals,
    interval_s,
    is_hung,
    needs_a_close_look,
    observe,
)

LATENESS_S = 1.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Stat(NamedTuple):
    """A few fields of /proc/PID/stat; CPU time is user and system, ended children included."""

    state: str
    session: int
    cpu_s: float


class Sampler:
    """Follows the ranks of one attempt."""

    def __init__(self, paths: RunPaths, attempt: int, policy: Policy) -> None:
        self._paths = paths
        self._attempt = attempt
        self._policy = policy
        self._interval_s = interval_s(policy)
        self._checked_s: float | None = None
        self._heartbeats = Heartbeats(paths)
        self.vitals: dict[int, Vitals] = {}

    def due_s(self, now_s: float) -> float | None:
        """Return when the next check is due on the monotonic clock; None: nothing is watched."""
        if self._interval_s is None:
            return None
        return now_s if self._checked_s is None else self._checked_s + self._interval_s

    def check(self, now_s: float, pids: Mapping[int, int]) -> tuple[int, ...]:
        """Take a sample of every running rank (``{rank: pid}``); return those that are hung.

        A check that comes much too late means that we, and perhaps all, were stopped meanwhile:
        the time beyond two intervals is not held against the ranks.
        """
        elapsed_s = 0.0 if self._checked_s is None else now_s - self._checked_s
        elapsed_s = min(elapsed_s, 2 * (self._interval_s or 0.0) + LATENESS_S)
        self._checked_s = now_s
        before = {rank: self.vitals[rank] for rank in pids if rank in self.vitals}
        close = {rank for rank, one in before.items() if needs_a_close_look(one, self._policy)}
        sessions = cpu_by_session() if close else {}
        self.vitals = {
            rank: observe(
                before.get(rank),
                self._sample(rank, pid, sessions.get(pid, 0.0) if rank in close else None),
                elapsed_s,
            )
            for rank, pid in pids.items()
        }
        return tuple(rank for rank, one in self.vitals.items() if is_hung(one, self._policy))

    def _sample(self, rank: int, pid: int, session_cpu_s: float | None) -> Sample:
        stat = read_stat(pid)
        try:
            log_bytes = os.stat(self._paths.log(self._attempt, rank)).st_size
        except OSError:
            log_bytes = 0
        return Sample(
            progress=self._heartbeats.of(rank),
            log_bytes=log_bytes,
            cpu_s=stat.cpu_s if stat else 0.0,
            session_cpu_s=session_cpu_s,
            state=stat.state if stat else "X",
        )


def read_stat(pid: int) -> Stat | None:
    """Return what /proc/PID/stat says; None where the process is gone."""
    try:
        return parse_stat(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError, IndexError):
        return None


def parse_stat(text: str) -> Stat:
    """Parse /proc/PID/stat; the name in parentheses may hold blanks and parentheses itself."""
    fields = text[text.rindex(")") + 1 :].split()
    return Stat(fields[0], int(fields[3]), sum(map(int, fields[11:15])) / _TICKS_PER_S)


def cpu_by_session() -> dict[int, float]:
    """Return the CPU seconds of all living processes, added up by session."""
    total: dict[int, float] = {}
    for name in os.listdir("/proc"):
        if name.isdecimal() and (stat := read_stat(int(name))) is not None:
            total[stat.session] = total.get(stat.session, 0.0) + stat.cpu_s
    return total
