"""A launch on several nodes: meet, plan the same job, start together, end together."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from launcher.contract import RunPaths
from launcher.diagnosis.verdict import Verdict
from launcher.environments.hostlist import expand_counts, format_counts
from launcher.environments.place import Place
from launcher.errors import LauncherError, UsageError
from launcher.host.node import Host
from launcher.options import LaunchSpec
from launcher.outcome import AttemptOutcome
from launcher.peers.ends import Bounds, JobEnd
from launcher.peers.head import Head
from launcher.peers.hello import Hello
from launcher.peers.member import Member
from launcher.peers.own_end import own_end
from launcher.peers.signalled import wait_for
from launcher.places import devices_of, layout_of
from launcher.plan import Plan
from launcher.planning.devices import Devices
from launcher.planning.layout import Layout
from launcher.planning.rendezvous import Meeting
from launcher.resume import newest_step, refuse_older
from launcher.supervision.attempts import Company, next_attempt
from launcher.supervision.events import EventLog
from launcher.supervision.ladder import AFTER_KILL_S
from launcher.supervision.signals import WITHOUT_WORKERS, Signals, TerminatedError
from launcher.terminal.console import write_error

TOKEN = "LAUNCHER_TOKEN"
_RUN_DIR = "  run directory:"
_READY_S = 1800.0
"""How long nodes may differ in checking a recipe: one of them may be downloading the data."""
_MARGIN_S = 10.0
_FEW = 8
"""So many nodes all print the whole report of the one that failed; of more only that and node 0."""


@dataclass
class Team:
    """This launcher among those of its job; node 0's tells the others what is started."""

    spec: LaunchSpec
    place: Place
    host: Host
    peers: Head | Member
    layout: Layout
    told: Mapping[str, Any] = field(default_factory=dict)
    """What node 0 said; empty on node 0."""
    job_end: JobEnd | None = None
    first_attempt: int = 0
    is_shared: bool = True
    """Whether the run directory is the same one as that of node 0."""

    @property
    def is_head(self) -> bool:
        return self.place.node_rank == 0

    @property
    def is_guest(self) -> bool:
        """Whether the run directory is on a disk of all, where node 0 writes what all read."""
        return self.is_shared and not self.is_head

    def __enter__(self) -> Team:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and self.job_end is None:
            self.peers.give_up(*_parting_words(error))
        self.peers.close()

    @property
    def job_id(self) -> str:
        """The tag of this node's processes: another one on each, for nodes may share a host."""
        return f"{self.told['job_id']}.{self.place.node_rank}"

    def meeting(self, choose_port: Callable[[], int]) -> Meeting:
        """Return what the plan needs of the others; node 0 chooses the scheduler's port."""
        if isinstance(self.peers, Head):
            address = self.peers.own_address()
            return Meeting(address, choose_port(), address, self.place.sources)
        return Meeting(
            str(self.told["scheduler_host"]),
            int(self.told["scheduler_port"]),
            self.peers.own_address,
            self.place.sources,
        )

    def folder(self, default: Path) -> Path:
        """Return the run directory: as asked for here, else as node 0 says."""
        return default if self.is_head or self.spec.run_dir else Path(self.told["run_dir"])

    def shares(self, folder: Path) -> bool:
        """Return whether node 0's run directory is this one, on a disk of both."""
        self.is_shared = self.is_head or _is_written_by(folder, str(self.told["job_id"]))
        return self.is_guest

    def announce(self, plan: Plan, meeting: Meeting) -> None:
        """Tell the others what is started, once the run directory is there."""
        paths = RunPaths(plan.run_dir)
        if not isinstance(self.peers, Head):
            self.first_attempt = int(self.told["attempt"])
            step, node_0 = int(self.told["checkpoint_step"]), self.peers.title()
            refuse_older(self.spec.resume, paths, step, node_0=node_0)
            return
        self.first_attempt = next_attempt(paths)
        events = EventLog(paths.events)
        names = [self.peers.title(rank) for rank in range(self.place.nnodes)]
        events.write("nodes", attempt=self.first_attempt, job_id=self.told["job_id"], nodes=names)
        events.close()
        self.peers.start(
            {
                **self.told,
                "host": self.place.name or self.host.name,
                "run_dir": str(plan.run_dir),
                "attempt": self.first_attempt,
                "checkpoint_step": newest_step(paths),
                "workers": format_counts(len(node.ranks) for node in self.layout.nodes),
                "scheduler_host": meeting.scheduler_host,
                "scheduler_port": meeting.scheduler_port,
            }
        )

    def line_up(self, attempt: int, port: int, signals: Signals) -> Mapping[str, str]:
        """Wait until all nodes are ready for an attempt; return the variables that it has anew."""
        message = self.peers.barrier(
            attempt,
            {"scheduler_port": port},
            limit_s=_READY_S,
            wait=wait_for(self.peers, signals, WITHOUT_WORKERS),
        )
        port = int(message["scheduler_port"])
        return {"MS_SCHED_PORT": str(port)} if port else {}

    def company(self, plan: Plan, signals: Signals) -> Company:
        """Return what the attempts need to know of the others."""

        def decide(outcomes: Sequence[AttemptOutcome], may_restart: bool) -> str | None:
            own = own_end(plan, outcomes[-1])
            end = self.peers.agree(
                replace(own, report=self._for_others(own.report, plan.run_dir)),
                Bounds(self.spec.grace_s + AFTER_KILL_S + _MARGIN_S, self.spec.exit_skew_s),
                wait=wait_for(self.peers, signals),
                may_restart=may_restart,
            )
            self.job_end = None if end.restarts else end
            return None if end.restarts else ""

        return Company(self.peers, self.first_attempt, decide)

    def tell_of_no_restart(self, last: AttemptOutcome) -> None:
        """Tell the others, who would wait for it, that this node does not start again."""
        if last.no_restart is not None:
            self.peers.give_up(*last.no_restart)

    def common(self, verdict: Verdict) -> Verdict:
        """Return this node's verdict with the exit code and the rank to blame that all have."""
        end = self.job_end
        if end is None:
            return verdict
        if end.node_rank == self.place.node_rank:
            return replace(verdict, exit_code=end.code)
        return replace(verdict, exit_code=end.code, cause=None, elsewhere=end.root_cause_rank)

    def last_words(self, own: str) -> str:
        """Return the report of the job: this node's own, or that of the node that failed."""
        end = self.job_end
        if end is None or end.code == 0 or end.node_rank == self.place.node_rank:
            return own
        lines = own.splitlines()
        report = end.report.splitlines()[1:] if self.place.nnodes <= _FEW or self.is_head else []
        theirs = [line for line in report if not line.startswith("  exit code:")]
        if not self.is_shared:
            there = f"  run directory on node {end.node_rank}:"
            theirs = [line.replace(_RUN_DIR, there, 1) for line in theirs]
        places = [line for line in lines if line.startswith(_RUN_DIR)]
        own_place = [
            line.replace("run directory", "this node's run directory")
            for line in places
            if line not in theirs
        ]
        is_news = lines and not lines[0].startswith("node ") and lines[0] not in end.headline
        ended = [f"  this node: {lines[0]}"] if is_news else []
        return "\n".join([end.headline, *theirs, *ended, *own_place, f"  exit code: {end.code}"])

    def _for_others(self, report: str, run_dir: Path) -> str:
        """Return this node's report as the others read it, who may not see its disk."""
        if self.is_shared:
            return report
        place = f"  run directory on {self.place.name or self.host.name}: {run_dir}"
        lines = report.splitlines()
        return "\n".join(place if line.startswith(_RUN_DIR) else line for line in lines)


def _parting_words(error: BaseException) -> tuple[int, str]:
    """Return the exit code of an error that ends the launcher, and what the others hear of it."""
    from launcher.recipe import RecipeRefusedError

    if isinstance(error, RecipeRefusedError):
        return error.exit_code, "its recipe was refused, see its own output"
    if isinstance(error, LauncherError):
        return error.exit_code, str(error)
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT, "stopped by SIGINT"
    if isinstance(error, TerminatedError):
        return 128 + signal.SIGTERM, "stopped by SIGTERM"
    return 1, f"{type(error).__name__}: {error}"


def meet(spec: LaunchSpec, place: Place, host: Host, layout: Layout | None) -> Team:
    """Come together with the launchers of all other nodes.

    Raises:
        NotReadyError: not all came in time.
        UsageError: this node, or what it says, does not fit the others.
    """
    mine = len(layout.nodes[place.node_rank].ranks) if layout is not None else 0
    devices = devices_of(spec, place, host) if layout is None else Devices(layout.target, mine)
    name = place.name or host.name
    own = Hello(place.node_rank, place.nnodes, name, devices.nproc, devices.target, place.job)
    token = host.environ.get(TOKEN) or place.job
    if place.node_rank > 0:
        member = Member(place, own, token=token, say=write_error)
        told = member.join(spec.join_timeout_s)
        counts = expand_counts(str(told["workers"]))
        return Team(spec, place, host, member, layout or layout_of(place, devices, counts), told)
    head = Head(place, own, token=token, say=write_error)
    team = Team(
        spec, place, host, head, layout or layout_of(place, devices, (devices.nproc,)),
        {"job_id": os.urandom(16).hex()},
    )  # fmt: skip
    try:
        hellos = head.gather(spec.join_timeout_s)
        counts = tuple(hellos[rank].nproc for rank in range(place.nnodes))
        _check_counts(counts, layout, head)
    except BaseException as error:
        team.__exit__(type(error), error, None)
        raise
    return team if layout else replace(team, layout=layout_of(place, devices, counts))


def _check_counts(counts: Sequence[int], layout: Layout | None, head: Head) -> None:
    for rank, node in enumerate(layout.nodes if layout is not None else ()):
        if counts[rank] != len(node.ranks):
            raise UsageError(
                f"{head.title(rank)} has {counts[rank]} workers by its file, and {len(node.ranks)} "
                "by that of node 0: give all nodes the same cluster file or rank table"
            )


def _is_written_by(folder: Path, job_id: str) -> bool:
    """Return whether node 0 of this job has written its first event into a folder."""
    try:
        with open(RunPaths(folder).events, encoding="utf-8", errors="replace") as file:
            return any(_job_of(line) == job_id for line in file)
    except OSError:
        return False


def _job_of(line: str) -> object:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry.get("job_id") if isinstance(entry, dict) else None
