"""How one node's attempt ended, as it tells the others, and what that comes to for the job: pure.

The root cause of a job is the earliest failure on any node that is no consequence of another one;
a node that is lost counts as such a failure, for ranks elsewhere fail because of it.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from launcher.contract import EXIT_HANG
from launcher.outcome import Reason

MOST_TEXT = 24_000
"""How much of a report travels, in characters."""
_QUIET = (Reason.SUCCESS.name, Reason.PEER.name)


@dataclass(frozen=True)
class End:
    """How an attempt ended on one node.

    Args:
        code: the exit code that this node's own verdict gives.
        reason: a name of :class:`launcher.outcome.Reason`.
        is_victim: whether its root cause looks like the consequence of a failure elsewhere.
        began_s: when it began to end, on the clock of who holds this value.
        step: the last step of the rank to blame; -1 = not known.
        root_cause_rank: the rank to blame, None = nobody.
        headline: the verdict in one line.
        report: all lines of it.
        may_restart: whether another attempt may end better, as far as this node knows.
    """

    node_rank: int
    host: str
    code: int
    reason: str
    is_victim: bool = False
    began_s: float = 0.0
    step: int = -1
    root_cause_rank: int | None = None
    headline: str = ""
    report: str = ""
    may_restart: bool = False

    def to_message(self, now_s: float) -> dict[str, Any]:
        """Return the values for another host, where clocks differ: an age in place of a time."""
        values = asdict(self)
        values["age_s"] = max(0.0, now_s - values.pop("began_s"))
        values["report"] = self.report[-MOST_TEXT:]
        values["headline"] = self.headline[:1000]
        return values

    @classmethod
    def from_message(cls, message: Mapping[str, Any], now_s: float) -> End:
        """Return the value that another launcher sent; ValueError where it is none."""
        known = {one.name for one in fields(cls)} & set(message)
        values = {name: message[name] for name in known}
        try:
            end = cls(**{**values, "began_s": now_s - float(message["age_s"])})
            return replace(end, code=int(end.code), node_rank=int(end.node_rank))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no end of an attempt: {error}") from None


@dataclass(frozen=True)
class Bounds:
    """How long a node waits for the others when its own attempt has ended.

    Args:
        limit_s: how long they may take to end, once they have to.
        patience_s: how long they may go on after a good end here; 0 = for ever.
    """

    limit_s: float
    patience_s: float

    def deadline_s(self, *, is_stopping: bool) -> float:
        """Return until when, on the monotonic clock."""
        wait_s = self.limit_s if is_stopping else self.patience_s or math.inf
        return time.monotonic() + wait_s


def stopped(own: End, number: int) -> End:
    """Return the end of a node that was well, and told to stop while it waited for the others."""
    name = signal.Signals(number).name
    return replace(
        own,
        code=128 + number,
        reason=Reason.STOPPED.name,
        began_s=time.monotonic(),
        headline=f"stopped by {name} while it waited for the other nodes",
    )


def skewed(own: End, late: str, patience_s: float) -> End:
    """Return the end of node 0 when others went on for too long after it had ended well."""
    return replace(
        own,
        code=EXIT_HANG,
        reason=Reason.EXIT_SKEW.name,
        began_s=time.monotonic(),
        headline=f"hang: {late} still ran {patience_s:g} s after node 0 had ended well",
    )


@dataclass(frozen=True)
class JobEnd:
    """What all nodes agree on.

    Args:
        code: the exit code of every launcher.
        node_rank: the node to blame; None where all ended well.
        headline: why, in one line that names the node.
        report: the report of that node; "" where it cannot tell any more.
        restarts: whether all start another attempt.
    """

    code: int
    node_rank: int | None = None
    root_cause_rank: int | None = None
    headline: str = ""
    report: str = ""
    restarts: bool = False


def judge(
    ends: Sequence[End],
    lost: Mapping[int, tuple[str, float]],
    *,
    titles: Mapping[int, str],
    may_restart: bool = False,
) -> JobEnd:
    """Return what a job came to.

    Args:
        ends: of every node that told one.
        lost: node_rank to why it cannot tell any more, and when that was seen.
        titles: how each of these nodes is called.
        may_restart: whether the policy allows another attempt.
    """
    causes = [end for end in ends if end.reason not in _QUIET]
    primary = [end for end in causes if not end.is_victim]
    gone = min(lost.items(), key=lambda item: item[1][1], default=None)
    cause = _first(primary)
    if gone is not None and (cause is None or gone[1][1] < cause.began_s):
        node_rank, (why, _) = gone
        return JobEnd(1, node_rank, None, f"{titles[node_rank]} is lost: {why}")
    cause = cause or _first(causes)
    if cause is None:
        return _without_a_cause(ends)
    return JobEnd(
        cause.code,
        cause.node_rank,
        cause.root_cause_rank,
        f"{titles[cause.node_rank]}: {cause.headline}",
        cause.report,
        restarts=may_restart and not lost and cause.may_restart,
    )


def _first(causes: Sequence[End]) -> End | None:
    """Return the earliest; of hangs the one whose rank is furthest behind."""
    if causes and all(end.reason == Reason.HANG.name for end in causes):
        return min(causes, key=lambda end: (end.step < 0, end.step, end.began_s))
    return min(causes, key=lambda end: end.began_s, default=None)


def _without_a_cause(ends: Sequence[End]) -> JobEnd:
    """Return the end of a job in which nobody failed, or everybody blames somebody else."""
    bad = [end for end in ends if end.reason != Reason.SUCCESS.name]
    if not bad:
        return JobEnd(0)
    return JobEnd(1, None, None, bad[0].headline or "a node was lost, and nobody knows which")
