"""A job from its first process to the last word."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from launcher.contract import RESUME
from launcher.manifest import Manifest
from launcher.options import LaunchSpec
from launcher.outcome import AttemptOutcome
from launcher.plan import Plan, to_json
from launcher.planning.planner import policy, shown_ranks
from launcher.planning.ports import PortReservation
from launcher.planning.rendezvous import RANK_TABLE
from launcher.planning.sources import refuse_another_table
from launcher.ranges import format_ranges
from launcher.resume import AUTO, for_another_attempt
from launcher.run_directory import shown
from launcher.supervision.attempts import run_attempts
from launcher.supervision.events import EventLog
from launcher.supervision.signals import STOPPING, Signals
from launcher.terminal.console import TerminalConsole
from launcher.terminal.screen import has_room_for_live_rows

if TYPE_CHECKING:
    from launcher.diagnosis.verdict import Verdict
    from launcher.team import Team


class LaunchResult(NamedTuple):
    """How a launch ended; a dry run has no verdict and no outcomes (one per attempt)."""

    exit_code: int
    run_dir: Path
    verdict: Verdict | None = None
    outcomes: Sequence[AttemptOutcome] = ()


class Job(NamedTuple):
    """What is to be run, planned and written down; :meth:`run` starts it and waits for its end."""

    spec: LaunchSpec
    plan: Plan
    manifest: Manifest
    signals: Signals
    first_attempt: int
    team: Team | None = None

    def run(self, ports: PortReservation) -> LaunchResult:
        console = self._console()
        events = EventLog(self.manifest.paths.events, console.say)
        last_words = ""
        try:
            place = "" if self.team is None or self.team.is_shared else " (on a disk of this node)"
            lines = (self._announcement() + place, *self.plan.sources, *self.plan.notes)
            for line in lines:
                console.say(line)
            events.write("plan", attempt=self.first_attempt, plan=to_json(self.plan))
            with self._viewer(console):
                outcomes = self._attempts(console, events, ports)
            verdict, last_words = self._judge(outcomes, events)
        finally:
            events.close()
            console.close(last_words, hurry=self._is_told_to_stop)
        return LaunchResult(verdict.exit_code, self.plan.run_dir, verdict, outcomes)

    def _viewer(self, console: TerminalConsole) -> AbstractContextManager[object]:
        if not self.spec.tensorboard or self.plan.node_rank > 0:
            return nullcontext()
        from launcher.supervision.viewer import Viewer

        return Viewer(
            self.manifest.paths,
            self.spec.tensorboard_host,
            console.say,
            is_ending=lambda: self.signals.told_to_stop,
        )

    def _console(self) -> TerminalConsole:
        plan, paths = self.plan, self.manifest.paths
        live = None
        if has_room_for_live_rows(1, 2):
            from launcher.terminal.view import live_view

            own = [worker.rank for worker in plan.workers]
            live = live_view(self.spec.live, paths, own, world_size=plan.world_size)
        return TerminalConsole(shown_ranks(self.spec, plan.world_size), live=live)

    def _announcement(self) -> str:
        text = _announcement(self.plan)
        if self.first_attempt:
            return f"{text}, which goes on with attempt {self.first_attempt}"
        is_new = self.spec.resume == AUTO
        return text + (" (a new one: there is no run to go on with)" if is_new else "")

    def _attempts(
        self, console: TerminalConsole, events: EventLog, ports: PortReservation
    ) -> list[AttemptOutcome]:
        def fresh_environment(attempt: int) -> Mapping[str, str]:
            if self.spec.rank_table is not None and self.plan.rendezvous == RANK_TABLE:
                refuse_another_table(self.spec, self.manifest.paths.rank_table)
            port = 0
            if self.plan.scheduler is not None:
                port = ports.choose()
                ports.release()
            manifest = self.manifest
            resume = for_another_attempt(self.spec.resume, manifest.paths, manifest.started_s)
            if self.team is not None:
                return {**self.team.line_up(attempt, port, self.signals), RESUME: resume}
            return {**({"MS_SCHED_PORT": str(port)} if port else {}), RESUME: resume}

        ports.release()
        company = None
        if self.team is not None:
            self.team.line_up(self.team.first_attempt, 0, self.signals)
            company = self.team.company(self.plan, self.signals)
        outcomes = run_attempts(
            self.plan,
            policy(self.spec),
            paths=self.manifest.paths,
            events=events,
            console=console,
            signals=self.signals,
            worth_a_restart=_worth_a_restart,
            fresh_environment=fresh_environment,
            when_ready=self._complete_manifest,
            company=company,
        )
        if self.team is not None:
            self.team.tell_of_no_restart(outcomes[-1])
        return outcomes

    def _complete_manifest(self) -> None:
        """Write what has become known since the start."""
        with suppress(OSError):
            self.manifest.write_start()

    def _is_told_to_stop(self) -> bool:
        return any(number in STOPPING for number in self.signals.read())

    def _judge(self, outcomes: Sequence[AttemptOutcome], events: EventLog) -> tuple[Verdict, str]:
        """Write down how it ended; return the verdict and the report."""
        from launcher.diagnosis.report import report
        from launcher.diagnosis.verdict import diagnose

        last, ended_s = outcomes[-1], time.time()
        verdict = diagnose(last)
        text = report(self.plan, last, verdict, ended_s=ended_s)
        if self.team is not None:
            text, verdict = self.team.last_words(text), self.team.common(verdict)
        events.write(
            "verdict",
            attempt=last.attempt,
            exit_code=verdict.exit_code,
            root_cause_rank=verdict.root_cause_rank,
            reason=verdict.reason.name.lower(),
            explanation=verdict.explanation,
        )
        if self.team is not None:
            traffic = vars(self.team.peers.traffic)
            events.write("traffic", attempt=last.attempt, **traffic)
        with suppress(OSError):
            self.manifest.write_end(outcomes, verdict)
        return verdict, f"launcher: {text}\n"


def _worth_a_restart(outcome: AttemptOutcome) -> bool:
    from launcher.diagnosis.verdict import worth_a_restart

    return worth_a_restart(outcome)


def _announcement(plan: Plan) -> str:
    count = f"{len(plan.workers)} worker" + ("s" if len(plan.workers) > 1 else "")
    ids = [worker.device_id for worker in plan.workers if worker.device_id is not None]
    place = f"NPU {format_ranges(ids)}" if ids else plan.device_target
    if plan.nnodes > 1:
        count += f" of {plan.world_size} (node {plan.node_rank} of {plan.nnodes})"
    return f"{count} on {place}; run directory {shown(plan.run_dir)}"
