"""The child processes of one attempt, and the one place where the launcher waits."""

from __future__ import annotations

import selectors
from pathlib import Path
from typing import NamedTuple, Protocol

from launcher.outcome import Halt
from launcher.plan import SCHEDULER, ProcessPlan
from launcher.supervision.process import Child, start
from launcher.supervision.protection import Protection, reap_orphans
from launcher.supervision.signals import Signals

_LOOK_AGAIN_S = 0.1


class Peers(Protocol):
    """The launchers of the other nodes of a job."""

    def fileno(self) -> int:
        """Return what is readable when there is something to read; -1 = the line is no more."""

    def read(self) -> list[Halt]:
        """Return why this node has to end its workers, if it has to; never waits."""

    def tell_stop(self, halt: Halt) -> None:
        """Let all nodes end their workers, because this one does."""


class Happenings(NamedTuple):
    """What one wait brought: children in the order of their ends, signals and words as they came.

    ``stops`` is why other nodes want this one to end.
    """

    ended: tuple[Child, ...]
    signals: tuple[int, ...]
    stops: tuple[Halt, ...] = ()


class Group:
    """All processes of an attempt; their ends, signals to us and the guardian's end wake it."""

    def __init__(
        self, job_id: str, protection: Protection, signals: Signals, peers: Peers | None = None
    ) -> None:
        self._job_id = job_id
        self._protection = protection
        self._signals = signals
        self._selector = selectors.DefaultSelector()
        self._selector.register(signals, selectors.EVENT_READ)
        self._peers = peers if peers is not None and peers.fileno() >= 0 else None
        if self._peers is not None:
            self._selector.register(self._peers, selectors.EVENT_READ)
        self._watch_guardian()
        self.children: dict[int, Child] = {}
        self._ending: list[Child] = []

    def close(self) -> None:
        """Stop watching; the children are left as they are."""
        self._selector.close()

    def start(self, process: ProcessPlan, log: Path) -> Child:
        """Start one process and watch it (see :func:`launcher.supervision.process.start`)."""
        child = start(process, job_id=self._job_id, log=log)
        self.children[process.rank] = child
        self._selector.register(child, selectors.EVENT_READ)
        return child

    def workers(self) -> dict[int, Child]:
        """Return the workers that still run, by rank."""
        return {
            rank: child for rank, child in self.children.items() if rank != SCHEDULER and child.runs
        }

    @property
    def scheduler(self) -> Child | None:
        return self.children.get(SCHEDULER)

    def wait(self, timeout_s: float | None) -> Happenings:
        """Wait until something happens, at the longest ``timeout_s`` seconds (None: for ever)."""
        signals: list[int] = []
        stops: list[Halt] = []
        if self._ending:
            timeout_s = _LOOK_AGAIN_S if timeout_s is None else min(timeout_s, _LOOK_AGAIN_S)
        timeout_s = None if timeout_s is None else max(timeout_s, 0.0)
        for key, _ in self._selector.select(timeout_s):
            if key.fileobj is self._signals:
                signals += self._signals.read()
            elif self._peers is not None and key.fileobj is self._peers:
                stops += self._peers.read()
                self._forget_lost_peers()
            elif key.fileobj is self._protection.guardian:
                self._selector.unregister(key.fileobj)
                self._protection.renew()
                self._watch_guardian()
            elif isinstance(key.fileobj, Child):
                self._selector.unregister(key.fileobj)
                self._ending.append(key.fileobj)
        ended = self._reap()
        reap_orphans(self._owns)
        return Happenings(tuple(ended), tuple(signals), tuple(stops))

    def signal_workers(self, number: int, *, ends: bool = True) -> None:
        """Signal all running workers (see :meth:`Child.signal`)."""
        for child in self.workers().values():
            child.signal(number, ends=ends)

    def _reap(self) -> list[Child]:
        """Take the status of those that have ended.

        One that a debugger or strace is attached to has a status for us only when that one has
        taken it first: until then it is looked at again and again.
        """
        ended = [child for child in self._ending if child.reap()]
        self._ending = [child for child in self._ending if child.runs]
        return ended

    def _forget_lost_peers(self) -> None:
        """Stop looking at a line that is no more: it would be readable for ever."""
        if self._peers is not None and self._peers.fileno() < 0:
            self._selector.unregister(self._peers)
            self._peers = None

    def _watch_guardian(self) -> None:
        if self._protection.guardian is not None:
            self._selector.register(self._protection.guardian, selectors.EVENT_READ)

    def _owns(self, pid: int) -> bool:
        return self._protection.owns(pid) or any(
            child.runs and child.pid == pid for child in self.children.values()
        )
