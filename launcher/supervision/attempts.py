"""Attempts: the whole group is started again after a failure that is worth it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from launcher.contract import RunPaths
from launcher.errors import LauncherError
from launcher.outcome import AttemptOutcome, NoRestart, Reason
from launcher.plan import Plan, Policy
from launcher.supervision.events import Console, EventLog
from launcher.supervision.group import Group, Peers
from launcher.supervision.process import allow_files_for
from launcher.supervision.protection import Protection
from launcher.supervision.signals import WITHOUT_WORKERS, Signals
from launcher.supervision.supervisor import Site, Supervisor

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
MOST_WITHOUT_PROGRESS = 3
SHORT_LIFE_S = 10.0
"""An attempt without heartbeats that ended sooner than this counts as one without progress."""


class Company(NamedTuple):
    """What the other nodes of a job say of the attempts of this one.

    ``decide`` gets the outcomes and whether the policy allows another attempt; it waits until all
    have ended theirs, and returns what :func:`_refusal` does, the same on every node.
    """

    peers: Peers
    first_attempt: int
    decide: Callable[[Sequence[AttemptOutcome], bool], str | None]


def run_attempts(
    plan: Plan,
    policy: Policy,
    *,
    paths: RunPaths,
    events: EventLog,
    console: Console,
    signals: Signals,
    worth_a_restart: Callable[[AttemptOutcome], bool],
    fresh_environment: Callable[[int], Mapping[str, str]],
    pause_s: Callable[[int], float] | None = None,
    when_ready: Callable[[], None] = lambda: None,
    company: Company | None = None,
) -> list[AttemptOutcome]:
    """Run the job, with restarts as the policy allows; call from the main thread.

    Args:
        worth_a_restart: whether another attempt may end otherwise; asked after each failure.
        fresh_environment: new values of the variables that an attempt owns; asked before each
            restart, which a LauncherError forbids.
        pause_s: seconds to wait before the n-th restart (from 1).
        when_ready: called in each attempt when all its processes have been started.
        company: the other nodes of the job; None = this is the only one.

    Returns:
        The outcome of every attempt, in order; never empty.
    """
    pause_s = pause_s or back_off_s
    allow_files_for(len(plan.processes))
    outcomes: list[AttemptOutcome] = []
    fresh: Mapping[str, str] = {}
    first = company.first_attempt if company else next_attempt(paths)
    with Protection(plan.job_id, paths.events, console.say) as protection:
        peers = company.peers if company else None
        site = Site(paths, events, console, signals, protection, peers)
        while True:
            attempt = first + len(outcomes)
            current = for_attempt(plan, attempt, fresh)
            failed_ns = failure_time_ns(outcomes[-1]) if outcomes else None
            supervisor = Supervisor(
                current, policy, site=site, attempt=attempt, failed_ns=failed_ns
            )
            outcomes.append(supervisor.run(when_ready=when_ready))
            if company is not None:
                refusal = company.decide(outcomes, _allows_another(outcomes, policy))
            else:
                refusal = _refusal(outcomes, policy, worth_a_restart)
            if refusal is not None:
                if refusal and policy.max_restarts:
                    console.say(f"no restart: {refusal}")
                return outcomes
            wait_s = pause_s(len(outcomes))
            _announce(site, outcomes, policy.max_restarts, wait_s)
            stopped = _pause(plan, site, wait_s)
            if stopped is not None:
                outcomes[-1] = _stopped_before_restart(outcomes[-1], stopped)
                return outcomes
            try:
                fresh = fresh_environment(attempt + 1)
            except LauncherError as error:
                outcomes[-1] = _refused_restart(outcomes[-1], error)
                return outcomes


def _allows_another(outcomes: Sequence[AttemptOutcome], policy: Policy) -> bool:
    is_stopped = outcomes[-1].reason is Reason.STOPPED
    return not is_stopped and why_no_restart(outcomes, policy.max_restarts) is None


def _refusal(
    outcomes: Sequence[AttemptOutcome],
    policy: Policy,
    worth_a_restart: Callable[[AttemptOutcome], bool],
) -> str | None:
    """Return why there is no further attempt, "" where nobody asks; None if there is one."""
    if outcomes[-1].reason in (Reason.SUCCESS, Reason.STOPPED):
        return ""
    refusal = why_no_restart(outcomes, policy.max_restarts)
    if refusal is None and not worth_a_restart(outcomes[-1]):
        return "another attempt would end in the same way"
    return refusal


def next_attempt(paths: RunPaths) -> int:
    """Return the number of the first attempt: a run that is continued keeps its earlier logs."""
    folders = paths.log(0, 0).parent.parent.glob("attempt_*")
    numbers = [folder.name.removeprefix("attempt_") for folder in folders]
    return max((int(number) + 1 for number in numbers if number.isdecimal()), default=0)


def for_attempt(plan: Plan, attempt: int, fresh: Mapping[str, str]) -> Plan:
    """Return the plan of one attempt."""
    scheduler = plan.scheduler
    return plan._replace(
        workers=tuple(worker.for_attempt(attempt, fresh) for worker in plan.workers),
        scheduler=scheduler.for_attempt(attempt, fresh) if scheduler else None,
    )


def back_off_s(restart: int) -> float:
    """Return the pause before the n-th restart (from 1): 1, 2, 4 ... at most 30 seconds."""
    return float(min(FIRST_PAUSE_S * 2 ** (restart - 1), LONGEST_PAUSE_S))


def why_no_restart(outcomes: Sequence[AttemptOutcome], max_restarts: int) -> str | None:
    """Return why the run must not go on after these attempts; None if it may."""
    if len(outcomes) > max_restarts:
        return f"--max-restarts {max_restarts} is used up"
    if outcomes[-1].left_over:
        return "processes of this attempt could not be ended"
    recent = range(max(0, len(outcomes) - MOST_WITHOUT_PROGRESS), len(outcomes))
    if len(recent) == MOST_WITHOUT_PROGRESS and not any(
        made_progress(outcomes, index) for index in recent
    ):
        return f"{MOST_WITHOUT_PROGRESS} attempts in a row made no progress"
    return None


def made_progress(outcomes: Sequence[AttemptOutcome], index: int) -> bool:
    """Return whether an attempt got beyond all that came before it.

    Without heartbeats an attempt that lasted for a while counts as progress.
    """
    outcome = outcomes[index]
    if any(rank.progress is not None for rank in outcome.ranks):
        earlier = [one.last_step for one in outcomes[:index]]
        return outcome.last_step > max(earlier, default=outcome.first_step)
    return (outcome.ended_ns - outcome.started_ns) / 1e9 >= SHORT_LIFE_S


def failure_time_ns(outcome: AttemptOutcome) -> int:
    """Return when the first process failed by itself; without one, when the attempt ended."""
    failed = [
        rank.ended_ns for rank in outcome.ranks if rank.returncode and rank.signalled_ns is None
    ]
    return min(failed, default=outcome.ended_ns)


def _announce(
    site: Site, outcomes: Sequence[AttemptOutcome], max_restarts: int, pause_s: float
) -> None:
    why = outcomes[-1].detail
    site.events.write("restart", attempt=outcomes[-1].attempt + 1, pause_s=pause_s, why=why)
    site.console.say(f"restart {len(outcomes)} of {max_restarts} in {pause_s:g} s, because {why}")


def _stopped_before_restart(outcome: AttemptOutcome, number: int) -> AttemptOutcome:
    detail = f"{signal.Signals(number).name} to the launcher before a restart"
    why = NoRestart(128 + number, detail)
    return outcome._replace(reason=Reason.STOPPED, signal=number, detail=detail, no_restart=why)


def _refused_restart(outcome: AttemptOutcome, error: LauncherError) -> AttemptOutcome:
    """Return the failed attempt with what forbids another one: it stays what is reported."""
    return outcome._replace(no_restart=NoRestart(error.exit_code, str(error)))


def _pause(plan: Plan, site: Site, pause_s: float) -> int | None:
    """Wait before a restart; return the signal that forbids it, if one comes."""
    nobody = Group(plan.job_id, site.protection, site.signals)
    deadline_s = time.monotonic() + pause_s
    try:
        while (rest_s := deadline_s - time.monotonic()) > 0:
            for number in nobody.wait(rest_s).signals:
                if number in WITHOUT_WORKERS:
                    return number
    finally:
        nobody.close()
    return None
