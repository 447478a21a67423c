"""Runs one attempt: starts all processes, watches them, and ends all when one fails.

What ends an attempt: every worker ended well; a worker or the scheduler failed; a hang; a signal to
us; a process that could not be started. From then on there is one way down (``ladder``).
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from launcher.contract import RunPaths
from launcher.outcome import AttemptOutcome, Halt, RankOutcome, Reason
from launcher.plan import SCHEDULER, Plan, Policy, ProcessPlan
from launcher.supervision.cgroup import memory_kills
from launcher.supervision.collect import prepare_folders, rank_outcome, tidy_folders
from launcher.supervision.comeback import Comeback
from launcher.supervision.events import Console, EventLog
from launcher.supervision.group import Group, Peers
from launcher.supervision.ladder import Ladder, Stop
from launcher.supervision.lookout import Lookout
from launcher.supervision.process import Child
from launcher.supervision.protection import Protection
from launcher.supervision.signals import PASSED_ON, STOPPING, Signals
from launcher.words import status_in_words


class Site(NamedTuple):
    """What lasts over all attempts of a run."""

    paths: RunPaths
    events: EventLog
    console: Console
    signals: Signals
    protection: Protection
    peers: Peers | None = None


class Supervisor:
    """One attempt; call :meth:`run` once, from the main thread."""

    def __init__(
        self,
        plan: Plan,
        policy: Policy,
        *,
        site: Site,
        attempt: int,
        failed_ns: int | None = None,
    ) -> None:
        """Prepare an attempt.

        Args:
            failed_ns: when the attempt before failed: what a restart took is in the events.
        """
        self._plan = plan
        self._site = site
        self._attempt = attempt
        self._tell = partial(site.events.write, attempt=attempt)
        say = site.console.say
        self._group = Group(plan.job_id, site.protection, site.signals, site.peers)
        self._ladder = Ladder(self._group, policy.grace_s, tell=self._tell, say=say)
        self._lookout = Lookout(policy, paths=site.paths, attempt=attempt, tell=self._tell, say=say)
        ranks = [worker.rank for worker in plan.workers]
        self._failed_ns = failed_ns
        self._comeback = Comeback(failed_ns, ranks, paths=site.paths, tell=self._tell, say=say)
        self._stop: Stop | None = None
        self._asked_to_stop = False
        self._passed_on: set[int] = set()
        self._first_code = 0

    def run(self, *, when_ready: Callable[[], None] = lambda: None) -> AttemptOutcome:
        """Run the attempt to its end; nothing of it is left then, or the outcome says what."""
        kills_before = memory_kills()
        started_ns = time.monotonic_ns()
        ranks = [worker.rank for worker in self._plan.workers]
        prepare_folders(self._site.paths, self._attempt, ranks)
        self._site.protection.tell(self._attempt)
        try:
            if self._start_all():
                self._tell_ready()
                when_ready()
            while self._group.workers() and not self._ladder.has_given_up:
                self._step(self._due_s())
            self._ladder.end_scheduler(self._on_end)
            left = self._ladder.sweep(self._site.protection)
        finally:
            self._group.close()
        outcome = self._outcome(started_ns, left, kills_before)
        tidy_folders(self._site.paths, self._attempt, ranks)
        return outcome

    def _start_all(self) -> bool:
        """Start every process unless something ends the attempt first; True if all run."""
        for process in self._plan.processes:
            log = process.log(self._site.paths, self._attempt)
            try:
                child = self._group.start(process, log)
            except OSError as error:
                self._begin_stop(Stop(Reason.START, _start_failure(process, error)))
                return False
            self._tell("spawn", **_of_rank(process.rank), pid=child.pid)
            self._site.console.follow(process.rank, log)
            self._step(0.0)
            if self._stop is not None:
                return False
        return True

    def _tell_ready(self) -> None:
        more: dict[str, Any] = {"world_size": self._plan.world_size}
        if self._failed_ns is not None:
            more["restart_s"] = (time.monotonic_ns() - self._failed_ns) / 1e9
        self._tell("ready", **more)

    def _due_s(self) -> float | None:
        if self._stop is not None:
            return self._ladder.due_s
        dues = [self._lookout.due_s(), self._comeback.due_s()]
        return min((due_s for due_s in dues if due_s is not None), default=None)

    def _step(self, until_s: float | None) -> None:
        """Wait for what comes next, at the longest until that time, and act on it."""
        happenings = self._group.wait(None if until_s is None else until_s - time.monotonic())
        for child in happenings.ended:
            self._on_end(child)
        for number in happenings.signals:
            self._on_signal(number)
        for halt in happenings.stops:
            self._on_peer(halt)
        self._comeback.look()
        if self._stop is not None:
            self._ladder.act()
        elif (stop := self._lookout.look(self._group.workers())) is not None:
            self._begin_stop(stop)

    def _on_end(self, child: Child) -> None:
        code = child.returncode or 0
        rank = SCHEDULER if child.rank is None else child.rank
        by_us = child.signalled_ns is not None
        self._tell("exit", **_of_rank(rank), pid=child.pid, returncode=code, signalled=by_us)
        if code == 0:
            self._lookout.note_good_end(rank)
            return
        if not by_us:
            self._tell("failure", **_of_rank(rank), returncode=code)
        is_worker = rank != SCHEDULER
        if self._stop is None and (is_worker or self._group.workers()):
            who = f"rank {rank}" if is_worker else "the scheduler"
            self._first_code = code
            self._begin_stop(self._why(f"{who} {status_in_words(code)}", code))

    def _why(self, detail: str, code: int) -> Stop:
        """Return a failure; who ends by a signal that we have passed on has only obeyed."""
        if self._obeys(code):
            return Stop(Reason.STOPPED, detail, signal=-code)
        return Stop(Reason.FAILURE, detail)

    def _obeys(self, code: int) -> bool:
        """Return whether a signal that we have passed on ends a process so.

        cifar_dist saves at SIGUSR1, and then ends as SIGTERM would end it.
        """
        return bool(self._passed_on) and -code in (*self._passed_on, signal.SIGTERM)

    def _on_peer(self, halt: Halt) -> None:
        """Begin the stop that another node wants.

        The event tells our ranks whether all others are there to agree on a step to save: they are
        where a signal to a launcher was the cause.
        """
        self._tell("peer", why=halt.why, ranks_are_gone=not halt.by_signal)
        if self._stop is None:
            self._begin_stop(Stop(Reason.PEER, halt.why))

    def _on_signal(self, number: int) -> None:
        if number in STOPPING:
            self._on_stop_signal(number)
        elif number in PASSED_ON or number == signal.SIGCONT:
            self._passed_on |= {number} & set(PASSED_ON)
            self._group.signal_workers(number, ends=False)
            if self._obeys(self._first_code):
                self._forgive()
        elif number == signal.SIGTSTP:
            self._group.signal_workers(signal.SIGSTOP, ends=False)
            self._site.console.rest()
            os.kill(os.getpid(), signal.SIGSTOP)

    def _on_stop_signal(self, number: int) -> None:
        """Begin the stop, or end the grace when asked again.

        A terminal that is closed may send SIGHUP twice (the kernel and the shell), so that a second
        SIGHUP is no sign of haste.
        """
        name = signal.Signals(number).name
        self._tell("signal", name=name)
        if self._stop is None:
            stop = Stop(Reason.STOPPED, f"{name} to the launcher", signal=number)
            self._begin_stop(stop, by_signal=True)
        elif self._stop.reason is Reason.FAILURE and self._first_code == -number:
            self._forgive()
        elif self._asked_to_stop and number != signal.SIGHUP:
            self._ladder.kill(f"{name} again")
        self._asked_to_stop = True

    def _forgive(self) -> None:
        """Count the first failure as a stop: that process got a signal before us that we get, too.

        Slurm signals every process of a step, in any order.
        """
        if self._stop is not None and self._stop.reason is Reason.FAILURE:
            self._stop = self._stop._replace(reason=Reason.STOPPED, signal=-self._first_code)

    def _begin_stop(self, stop: Stop, *, by_signal: bool = False) -> None:
        self._stop = stop
        if self._site.peers is not None:
            self._site.peers.tell_stop(Halt(stop.detail, by_signal))
        self._ladder.begin(stop.detail)

    def _outcome(
        self, started_ns: int, left: tuple[int, ...], kills_before: int | None
    ) -> AttemptOutcome:
        stop = self._stop or Stop(Reason.SUCCESS, "")
        ranks = [one for one in map(self._rank_outcome, self._plan.workers) if one is not None]
        steps = [one.progress.step for one in ranks if one.progress is not None]
        kills_after = memory_kills()
        scheduler = self._plan.scheduler
        return AttemptOutcome(
            attempt=self._attempt,
            reason=stop.reason,
            ranks=ranks,
            scheduler=None if scheduler is None else self._rank_outcome(scheduler),
            suspects=stop.suspects,
            signal=stop.signal,
            detail=stop.detail,
            memory_kills=(
                None if kills_before is None or kills_after is None else kills_after - kills_before
            ),
            left_over=left,
            started_ns=started_ns,
            ended_ns=time.monotonic_ns(),
            first_step=self._lookout.first_step or 0,
            last_step=max(steps, default=0),
            notes=stop.notes,
            restart_s=self._comeback.restart_s,
        )

    def _rank_outcome(self, process: ProcessPlan) -> RankOutcome | None:
        child = self._group.children.get(process.rank)
        if child is None:
            return None
        return rank_outcome(process, child, paths=self._site.paths, attempt=self._attempt)


def _of_rank(rank: int) -> dict[str, Any]:
    return {"process": "scheduler"} if rank == SCHEDULER else {"rank": rank}


def _start_failure(process: ProcessPlan, error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{process.title} could not be started: {reason}: {error.filename or process.command[0]}"
