"""How an attempt ended on this node, in the words that the other nodes get."""

from __future__ import annotations

import time

from launcher.diagnosis.report import report
from launcher.diagnosis.verdict import (
    Verdict,
    diagnose,
    failed_ns,
    is_of_another_node,
    root_cause,
    worth_a_restart,
)
from launcher.outcome import AttemptOutcome, RankOutcome, Reason
from launcher.peers.ends import End
from launcher.plan import Plan


def own_end(plan: Plan, outcome: AttemptOutcome) -> End:
    """Return it; an attempt that another node ended counts as failed where a rank failed before.

    The news of a consequence elsewhere may travel faster than the exit of the rank that caused it.
    """
    cause = root_cause(outcome) if outcome.reason in (Reason.FAILURE, Reason.PEER) else None
    is_victim = cause is not None and is_of_another_node(cause, outcome)
    if outcome.reason is Reason.PEER and cause is not None and not is_victim:
        outcome = outcome._replace(reason=Reason.FAILURE)
    verdict = diagnose(outcome)
    text = report(plan, outcome, verdict, ended_s=time.time())
    blamed = verdict.cause
    return End(
        node_rank=plan.node_rank,
        host=plan.host,
        code=verdict.exit_code,
        reason=outcome.reason.name,
        is_victim=is_victim,
        began_s=_began_s(outcome, verdict),
        step=blamed.progress.step if blamed is not None and blamed.progress is not None else -1,
        root_cause_rank=verdict.root_cause_rank,
        headline=text.splitlines()[0],
        report=text,
        may_restart=worth_a_restart(outcome),
    )


def _began_s(outcome: AttemptOutcome, verdict: Verdict) -> float:
    """Return when it began to end, on the monotonic clock."""
    if outcome.reason is Reason.FAILURE and verdict.cause is not None:
        return failed_ns(verdict.cause) / 1e9
    return min((_signalled_ns(rank) for rank in outcome.ranks), default=outcome.ended_ns) / 1e9


def _signalled_ns(rank: RankOutcome) -> int:
    return rank.ended_ns if rank.signalled_ns is None else rank.signalled_ns
