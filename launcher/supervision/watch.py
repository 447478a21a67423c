"""When a rank counts as hung, and which rank is the odd one out: functions of samples.

A rank that writes heartbeats (``progress/rank_R.json``) makes progress when its record changes;
one that writes none, when its log grows or its processes use CPU time. Idle time is added up from
check to check, so that a time in which the whole machine stood still does not count.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from launcher.contract import Progress
from launcher.heartbeats import TRAINING
from launcher.plan import Policy

DONE = "done"
SHORTEST_INTERVAL_S = 0.2
LONGEST_INTERVAL_S = 1.5
LEAST_CPU_S = 0.05
LEAST_CPU_SHARE = 0.01
"""Less CPU time than this is no progress: threads that only keep a connection alive use some."""


class Sample(NamedTuple):
    """What can be seen of one rank at one moment.

    ``state`` is the process state of /proc/PID/stat (R, S, D, T ...); ``session_cpu_s`` is None
    where the rank's other processes were not looked at.
    """

    progress: Progress | None = None
    log_bytes: int = 0
    cpu_s: float = 0.0
    session_cpu_s: float | None = None
    state: str = "S"


class Vitals(NamedTuple):
    """One rank over time: its newest sample, that of its last progress, idle seconds since."""

    now: Sample
    last: Sample
    idle_s: float = 0.0
    first: Progress | None = None

    @property
    def under_way(self) -> bool:
        """True once a step has been finished in this attempt; a resumed run does not begin at 0."""
        if self.now.progress is None or self.first is None:
            return False
        begun_at = 0 if self.first.phase == TRAINING else self.first.step
        return self.now.progress.step > begun_at

    @property
    def is_done(self) -> bool:
        return self.now.progress is not None and self.now.progress.phase == DONE

    @property
    def step(self) -> int:
        return self.now.progress.step if self.now.progress else 0


def observe(before: Vitals | None, sample: Sample, elapsed_s: float) -> Vitals:
    """Return a rank's vitals after one more sample, ``elapsed_s`` after the one before."""
    if before is None:
        return Vitals(now=sample, last=sample, first=sample.progress)
    first = before.first or sample.progress
    idle_s = before.idle_s + elapsed_s
    if _progressed(before.last, sample, idle_s):
        return Vitals(now=sample, last=sample, first=first)
    last = before.last
    if last.session_cpu_s is None:
        last = last._replace(session_cpu_s=sample.session_cpu_s)
    return Vitals(now=sample, last=last, idle_s=idle_s, first=first)


def limit_s(vitals: Vitals, policy: Policy) -> float:
    """Return after how many idle seconds this rank counts as hung; 0 = never."""
    if vitals.is_done:
        return 0.0
    if vitals.now.progress is not None and not vitals.under_way:
        return policy.first_step_timeout_s
    return policy.hang_timeout_s


def is_hung(vitals: Vitals, policy: Policy) -> bool:
    limit = limit_s(vitals, policy)
    return 0 < limit <= vitals.idle_s


def needs_a_close_look(vitals: Vitals, policy: Policy) -> bool:
    """Return whether all processes of the rank must be looked at, not the worker alone."""
    return vitals.now.progress is None and vitals.idle_s > limit_s(vitals, policy) / 2 > 0


def interval_s(policy: Policy) -> float | None:
    """Return the time between two checks; None where nothing is watched."""
    limits = [limit for limit in (policy.hang_timeout_s, policy.first_step_timeout_s) if limit > 0]
    if not limits:
        return None
    return min(max(SHORTEST_INTERVAL_S, min(limits) / 20), LONGEST_INTERVAL_S)


def suspects(
    group: Mapping[int, Vitals], policy: Policy, frames: Mapping[int, str] | None = None
) -> tuple[int, ...]:
    """Return the ranks to blame, the odd one out first.

    These are the ranks that have been idle for half of their limit. A stopped one comes first, then
    the lowest step, then a place in the program where few others are, then the longest idle.
    """
    frames = frames or {}
    crowd = {rank: sum(place == frames[rank] for place in frames.values()) for rank in frames}
    idle = [
        rank
        for rank, vitals in group.items()
        if 0 < limit_s(vitals, policy) <= 2 * vitals.idle_s or vitals.now.state == "T"
    ]

    def oddness(rank: int) -> tuple[bool, int, int, float, int]:
        vitals = group[rank]
        stopped = vitals.now.state == "T"
        return not stopped, vitals.step, crowd.get(rank, len(frames)), -vitals.idle_s, rank

    return tuple(sorted(idle, key=oddness))


def describe(vitals: Vitals) -> str:
    """Return a rank's vitals in words, for the report of a hang."""
    progress = vitals.now.progress
    where = f"step {progress.step}, phase {progress.phase}" if progress else "no heartbeats"
    stopped = ", stopped by a signal (SIGSTOP)" if vitals.now.state == "T" else ""
    return f"{where}, no progress for {vitals.idle_s:.1f} s{stopped}"


def _progressed(last: Sample, now: Sample, idle_s: float) -> bool:
    if now.progress is not None or last.progress is not None:
        return now.progress is not None and now.progress != last.progress
    if now.log_bytes != last.log_bytes or now.state == "R":
        return True
    enough_s = max(LEAST_CPU_S, LEAST_CPU_SHARE * idle_s)
    if now.cpu_s - last.cpu_s >= enough_s:
        return True
    if now.session_cpu_s is None or last.session_cpu_s is None:
        return False
    return (
        now.session_cpu_s < last.session_cpu_s or now.session_cpu_s - last.session_cpu_s >= enough_s
    )
