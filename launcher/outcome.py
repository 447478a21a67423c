"""How processes ended: the values that the supervisor makes and the diagnosis reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple

from launcher.contract import FailureRecord, Progress


class Reason(Enum):
    """Why an attempt ended."""

    SUCCESS = "every rank ended with 0"
    FAILURE = "a rank failed"
    HANG = "a rank made no progress"
    EXIT_SKEW = "some ranks ended well, others went on"
    STOPPED = "the launcher was stopped by a signal"
    START = "a process could not be started"
    PEER = "another node of the job ended"


class RankOutcome(NamedTuple):
    """How one process ended.

    ``returncode`` is Popen's: negative for a signal, None where it could not be ended.
    ``signalled_ns`` is when the launcher first signalled it, None where it ended by itself; both
    times are CLOCK_MONOTONIC.
    """

    rank: int
    pid: int
    returncode: int | None
    ended_ns: int
    signalled_ns: int | None = None
    failure: FailureRecord | None = None
    progress: Progress | None = None
    device: str = ""
    log_tail: tuple[str, ...] = ()


class Halt(NamedTuple):
    """Why all nodes of a job end their attempt, as one of them says it to the others.

    ``by_signal`` tells that its launcher was asked to stop: its ranks, too, are there to agree with
    all others on a step to save.
    """

    why: str
    by_signal: bool = False

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Halt:
        """Return what another launcher has sent as the fields of this value."""
        return cls(str(message.get("why", "")), message.get("by_signal") is True)

    def said_by(self, who: str) -> Halt:
        """Return it with the name of who says so."""
        return self._replace(why=f"{who}: {self.why}")


class NoRestart(NamedTuple):
    """What forbade a restart that was to come, and the exit code for it."""

    exit_code: int
    why: str


class AttemptOutcome(NamedTuple):
    """How one start of the whole group ended."""

    attempt: int
    reason: Reason
    ranks: Sequence[RankOutcome]
    scheduler: RankOutcome | None = None
    suspects: tuple[int, ...] = ()
    """Ranks that a hang watch blames, the most suspicious first."""
    signal: int | None = None
    """The signal that stopped the launcher."""
    detail: str = ""
    memory_kills: int | None = None
    """Kills by the kernel's memory killer in our cgroup during the attempt; None = unreadable."""
    left_over: tuple[int, ...] = ()
    """Processes that carry our tag and could not be ended (pids)."""
    started_ns: int = 0
    ended_ns: int = 0
    first_step: int = 0
    last_step: int = 0
    restart_s: float | None = None
    """Seconds from the failure of the attempt before until a rank was training again."""
    notes: tuple[str, ...] = ()
    no_restart: NoRestart | None = None
    """Why the attempt that was to follow did not start; None where none was to follow."""
