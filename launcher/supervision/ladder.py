"""The way down: SIGTERM to all at once, the grace, SIGKILL, the scheduler, a sweep."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import NamedTuple

from launcher.outcome import Reason
from launcher.supervision.group import Group
from launcher.supervision.process import Child
from launcher.supervision.protection import Protection
from launcher.words import processes_in_words, ranks_in_words

AFTER_KILL_S = 5.0
"""How long a killed process may take to go: in an uninterruptible wait it cannot."""
SETTLE_S = 0.25


class Stop(NamedTuple):
    """Why an attempt is being ended; ``suspects`` and ``notes`` are those of a hang."""

    reason: Reason
    detail: str
    signal: int | None = None
    suspects: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


class Ladder:
    """The steps by which one attempt is ended; ``tell`` writes an event, ``say`` a message."""

    def __init__(
        self,
        group: Group,
        grace_s: float,
        *,
        tell: Callable[..., None],
        say: Callable[[str], None],
    ) -> None:
        self._group = group
        self._grace_s = grace_s
        self._tell = tell
        self._say = say
        self._step_due_s: float | None = None
        self._killed = False

    @property
    def due_s(self) -> float | None:
        """When :meth:`act` has something to do, on the monotonic clock; None: not begun."""
        return self._step_due_s

    @property
    def has_given_up(self) -> bool:
        """True when even killed workers have not ended within a bound."""
        due_s = self._step_due_s
        return self._killed and due_s is not None and time.monotonic() >= due_s

    def begin(self, why: str) -> None:
        """Ask all workers to end; stopped ones are woken, so that they can."""
        running = list(self._group.workers())
        self._group.signal_workers(signal.SIGTERM)
        self._group.signal_workers(signal.SIGCONT)
        self._step_due_s = time.monotonic() + self._grace_s
        if not running:
            self._say(why)
            return
        self._tell("term", ranks=running, why=why, grace_s=self._grace_s)
        self._say(f"{why}: SIGTERM to {ranks_in_words(running)}, SIGKILL after {self._grace_s:g} s")

    def act(self) -> None:
        """Take the next step if it is time."""
        due_s = self._step_due_s
        if not self._killed and due_s is not None and time.monotonic() >= due_s:
            self.kill("the grace is over")

    def kill(self, why: str) -> None:
        """End the grace."""
        if self._killed or not self._group.workers():
            return
        running = list(self._group.workers())
        self._group.signal_workers(signal.SIGKILL)
        self._killed = True
        self._step_due_s = time.monotonic() + AFTER_KILL_S
        self._tell("kill", ranks=running, why=why)
        self._say(f"{why}: SIGKILL to {ranks_in_words(running)}")

    def end_scheduler(self, on_end: Callable[[Child], None]) -> None:
        """End the scheduler: it has nothing to save, and hears no polite signal."""
        scheduler = self._group.scheduler
        if scheduler is None:
            return
        scheduler.signal(signal.SIGKILL)
        deadline_s = time.monotonic() + AFTER_KILL_S
        while scheduler.runs and (rest_s := deadline_s - time.monotonic()) > 0:
            for child in self._group.wait(rest_s).ended:
                on_end(child)

    def sweep(self, protection: Protection) -> tuple[int, ...]:
        """End what the workers have left behind; return the pids that cannot be ended."""
        swept = protection.sweep(settle_s=0.0 if self._killed else SETTLE_S)
        ended = {pid: name for pid, name in swept.found.items() if pid not in swept.left}
        if ended:
            self._tell("kill", pids=sorted(ended), why="left behind by a worker")
            self._say(f"ended what workers had left behind, {processes_in_words(ended)}")
        if swept.left:
            left = {pid: swept.found[pid] for pid in swept.left}
            self._say(f"could not be ended, even with SIGKILL, {processes_in_words(left)}")
        return swept.left
