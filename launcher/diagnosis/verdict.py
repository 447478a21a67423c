"""Why an attempt ended: the root cause among everything that failed, and the exit code for it.

The root cause is the earliest *primary* failure (DESIGN section 7), not the first exit that was
seen. A failure is secondary where the launcher had signalled the rank before, where the rank ended
by a SIGTERM that nobody of us sent (MindSpore's cluster ends its members so), or where its last
words say that a peer is gone, and a primary failure came before it.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace

from launcher.contract import EXIT_HANG, EXIT_TEMPORARY, EXIT_USAGE
from launcher.outcome import AttemptOutcome, RankOutcome, Reason

_SLACK_NS = 5_000_000_000
"""A victim's words can be older than its peer's end: sockets close before a process is gone."""

_ABORT_AFTER_PEER_NS = 30_000_000_000
_LARGEST_OWN_CODE = 119

_PEER_IS_GONE = re.compile(
    r"EI0002|EI0006|EI0012|EI0013|EI0015"
    r"|timed out node"
    r"|state of the cluster is error"
    r"|Failed to connect to the meta server"
    r"|Connection (?:reset|closed|aborted)|closed by (?:remote )?(?:peer|host)|Broken pipe"
    r"|ConnectionResetError|ConnectionAbortedError|BrokenPipeError"
    r"|heartbeat (?:is )?(?:lost|timed? ?out)",
    re.IGNORECASE,
)

_EXIT_CODE = re.compile(r"exit code (-?\d+)\)?$")
"""How boot ends the message of a recorded SystemExit."""

_CHATTER = re.compile(r"\[(?:DEBUG|INFO|WARNING)\] [A-Z_]+\(")

_CONNECTION_ERRORS = frozenset(
    {
        "ConnectionError",
        "ConnectionResetError",
        "ConnectionAbortedError",
        "ConnectionRefusedError",
        "BrokenPipeError",
    }
)
"""What a rank raises whose peer has just gone."""
_START_UP_ERRORS = frozenset(
    {
        "SyntaxError",
        "IndentationError",
        "TabError",
        "ImportError",
        "ModuleNotFoundError",
        "ContractError",
        "UsageError",
        "ConfigError",
    }
)


@dataclass(frozen=True)
class Verdict:
    """What one attempt comes to.

    ``cause`` is the root cause, None where no rank failed by itself. ``secondary`` are the ranks
    that failed because of it, ``stopped`` those that the launcher ended. ``elsewhere`` is the rank
    to blame where it runs on another node.
    """

    exit_code: int
    reason: Reason
    cause: RankOutcome | None = None
    secondary: tuple[int, ...] = ()
    stopped: tuple[int, ...] = ()
    explanation: str = ""
    elsewhere: int | None = None

    @property
    def root_cause_rank(self) -> int | None:
        """The rank to blame; None for nobody, and for the scheduler, which has no rank."""
        if self.elsewhere is not None:
            return self.elsewhere
        return None if self.cause is None or self.cause.rank < 0 else self.cause.rank


def diagnose(outcome: AttemptOutcome) -> Verdict:
    """Return the verdict on one attempt; what forbade the next one gives the exit code."""
    verdict = _of_the_attempt(outcome)
    if outcome.no_restart is None:
        return verdict
    return replace(verdict, exit_code=outcome.no_restart.exit_code)


def _of_the_attempt(outcome: AttemptOutcome) -> Verdict:
    if outcome.reason is Reason.SUCCESS:
        return Verdict(0, outcome.reason)
    stopped = tuple(rank.rank for rank in outcome.ranks if _was_stopped(rank))
    verdict = Verdict(exit_code=1, reason=outcome.reason, stopped=stopped)
    if outcome.reason is Reason.STOPPED:
        return replace(verdict, exit_code=128 + (outcome.signal or signal.SIGTERM))
    if outcome.reason in (Reason.HANG, Reason.EXIT_SKEW):
        by_rank = {rank.rank: rank for rank in outcome.ranks}
        suspect = by_rank.get(outcome.suspects[0]) if outcome.suspects else None
        return replace(verdict, exit_code=EXIT_HANG, cause=suspect)
    cause = root_cause(outcome)
    if cause is None:
        return verdict
    secondary = (
        rank.rank
        for rank in outcome.ranks
        if rank is not cause and _failed(rank) and not _was_stopped(rank)
    )
    return replace(
        verdict,
        cause=cause,
        exit_code=exit_code_of(cause),
        secondary=tuple(secondary),
        stopped=tuple(rank for rank in stopped if rank != cause.rank),
        explanation=_explain(cause, outcome),
    )


def root_cause(outcome: AttemptOutcome) -> RankOutcome | None:
    """Return the process whose failure explains the others; the scheduler is one of them."""
    everyone = [*outcome.ranks, *([outcome.scheduler] if outcome.scheduler else [])]
    failed = sorted(
        (one for one in everyone if _failed(one) and not _was_stopped(one)), key=failed_ns
    )
    primary = [one for one in failed if not _is_victim(one, failed)]
    return next(iter(primary or failed), None)


def is_of_another_node(cause: RankOutcome, outcome: AttemptOutcome) -> bool:
    """Return whether a root cause looks like the consequence of a failure that is not seen here."""
    return _looks_like_a_victim(cause, outcome.ranks)


def failed_ns(rank: RankOutcome) -> int:
    """Return when a rank failed: when it said so, which is before it had ended."""
    if rank.failure is not None and rank.failure.fatal and rank.failure.monotonic_ns:
        return rank.failure.monotonic_ns
    return rank.ended_ns


def own_code(rank: RankOutcome) -> int | None:
    """Return the code that a rank ended with by itself; None where a signal of ours ended it."""
    if rank.failure is not None and rank.failure.fatal and _signalled_after_failure(rank):
        said = _EXIT_CODE.search(rank.failure.message)
        return int(said.group(1)) & 0xFF if said and rank.failure.type == "SystemExit" else 1
    return rank.returncode


def exit_code_of(rank: RankOutcome) -> int:
    """Return the launcher's exit code for a root cause (DESIGN section 3).

    1-119 are passed on, but for 2 and 75, which the launcher keeps for itself; 120 and above become
    1, because only a signal may read as 128+n. The report shows the true code.
    """
    code = own_code(rank)
    if code is not None and code < 0:
        return 128 - code
    if not code or code in (EXIT_USAGE, EXIT_TEMPORARY) or code > _LARGEST_OWN_CODE:
        return 1
    return code


def worth_a_restart(outcome: AttemptOutcome) -> bool:
    """Return whether the same command may end better: not where it is wrong or was stopped."""
    verdict = diagnose(outcome)
    if outcome.reason in (Reason.HANG, Reason.EXIT_SKEW):
        return True
    if outcome.reason is not Reason.FAILURE or verdict.cause is None:
        return False
    if _failure_type(verdict.cause) in _START_UP_ERRORS:
        return False
    return own_code(verdict.cause) != EXIT_USAGE


def _failure_type(rank: RankOutcome) -> str:
    """Return the bare name of the exception that ended a rank; "" where none is known."""
    failure = rank.failure
    return failure.type.rpartition(".")[2] if failure is not None and failure.fatal else ""


def _failed(rank: RankOutcome) -> bool:
    return rank.returncode != 0 or _signalled_after_failure(rank)


def _signalled_after_failure(rank: RankOutcome) -> bool:
    failure = rank.failure
    if failure is None or not failure.fatal or rank.signalled_ns is None:
        return False
    return failure.monotonic_ns <= rank.signalled_ns


def _was_stopped(rank: RankOutcome) -> bool:
    return rank.signalled_ns is not None and not _signalled_after_failure(rank)


def _is_victim(rank: RankOutcome, failed: Sequence[RankOutcome]) -> bool:
    """Return whether a rank failed because of a peer: it looks so, and a peer failed before."""
    if not _looks_like_a_victim(rank, failed):
        return False
    return any(
        other is not rank
        and failed_ns(other) <= failed_ns(rank) + _SLACK_NS
        and not _looks_like_a_victim(other, failed)
        for other in failed
    )


def _looks_like_a_victim(rank: RankOutcome, failed: Sequence[RankOutcome]) -> bool:
    if rank.returncode == -signal.SIGTERM and not _signalled_after_failure(rank):
        return True
    if _failure_type(rank) in _CONNECTION_ERRORS or _PEER_IS_GONE.search(_last_words(rank)):
        return True
    if rank.returncode != -signal.SIGABRT:
        return False
    mine = failed_ns(rank)
    return any(
        0 < mine - failed_ns(other) <= _ABORT_AFTER_PEER_NS
        for other in failed
        if other.returncode != -signal.SIGABRT
    )


def _last_words(rank: RankOutcome) -> str:
    if rank.failure is not None and rank.failure.fatal:
        return f"{rank.failure.type}: {rank.failure.message}\n{rank.failure.traceback}"
    return "\n".join(line for line in rank.log_tail if not is_chatter(line))


def is_chatter(line: str) -> bool:
    """Return whether a log line is MindSpore's own below an error.

    Ranks that wait for the scheduler warn of failed connections at every healthy start.
    """
    return _CHATTER.match(line) is not None


def _explain(cause: RankOutcome, outcome: AttemptOutcome) -> str:
    if cause.returncode == -signal.SIGKILL and cause.signalled_ns is None:
        if outcome.memory_kills is None:
            return (
                "SIGKILL from outside; whether it was the kernel's memory killer cannot be read "
                "here (no memory.events of this cgroup)"
            )
        if outcome.memory_kills > 0:
            return (
                "killed by the kernel's memory killer: the cgroup counts "
                f"{outcome.memory_kills} such kills during this attempt"
            )
        return "SIGKILL from outside; the kernel's memory killer was not seen in this cgroup"
    if cause.returncode == -signal.SIGTERM and cause.signalled_ns is None:
        return "SIGTERM that the launcher did not send: somebody else, or MindSpore's own cluster"
    code = own_code(cause)
    if code is not None and code > 0 and exit_code_of(cause) != code:
        return (
            f"the rank's own exit code was {code}; the launcher keeps 2, 75 and 120 and above "
            "for other meanings and ends with 1"
        )
    return ""
