"""What will be started: a value, made before anything runs, printed whole by ``--dry-run``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from launcher.contract import ATTEMPT, JOB_TAG, RunPaths

SCHEDULER = -1
"""The rank number under which MindSpore's scheduler is supervised; it is no worker."""


class ProcessPlan(NamedTuple):
    """One process: its command, the variables it gets beside the launcher's own, and its place.

    ``environment`` is an overlay: a value of None removes the variable from what is inherited.
    """

    rank: int
    local_rank: int
    command: tuple[str, ...]
    environment: Mapping[str, str | None]
    cpus: tuple[int, ...] = ()
    binds_late: bool = False
    """True where the worker takes its cores itself, once it has joined the cluster."""
    device_id: int | None = None
    records_failures: bool = False
    """True where the process runs under ``launcher/boot.py``: it writes a record when it fails and
    answers the stack signal."""

    @property
    def is_scheduler(self) -> bool:
        return self.rank == SCHEDULER

    @property
    def title(self) -> str:
        return "scheduler" if self.is_scheduler else f"rank {self.rank}"

    def log(self, paths: RunPaths, attempt: int) -> Path:
        return paths.scheduler_log(attempt) if self.is_scheduler else paths.log(attempt, self.rank)

    def for_attempt(self, attempt: int, fresh: Mapping[str, str]) -> ProcessPlan:
        """Return this process for another attempt, with new values for what an attempt owns."""
        taken = {name: value for name, value in fresh.items() if name in self.environment}
        return self._replace(environment={**self.environment, **taken, ATTEMPT: str(attempt)})


class Identity(NamedTuple):
    """What makes this launch another one than the last."""

    job_id: str
    run_dir: Path

    def tag(self, environ: Mapping[str, str]) -> str:
        """Return what processes carry; a launch inside a job belongs to that job too."""
        outer = environ.get(JOB_TAG)
        return f"{outer}:{self.job_id}" if outer else self.job_id


class Plan(NamedTuple):
    """All processes of this node, in the order of their ranks."""

    job_id: str
    run_dir: Path
    world_size: int
    device_target: str
    rendezvous: str
    workers: tuple[ProcessPlan, ...]
    scheduler: ProcessPlan | None = None
    nnodes: int = 1
    node_rank: int = 0
    host: str = ""
    node: str = ""
    sources: tuple[str, ...] = ()
    """Who said which node this is and where the others are; empty for a job on one node."""
    notes: tuple[str, ...] = ()

    @property
    def processes(self) -> tuple[ProcessPlan, ...]:
        """The scheduler first: workers look for it as soon as they start."""
        return (*([self.scheduler] if self.scheduler else []), *self.workers)


class Policy(NamedTuple):
    """How long the supervisor waits for what (DESIGN section 2); 0 switches a watch off."""

    max_restarts: int = 0
    grace_s: float = 20.0
    hang_timeout_s: float = 300.0
    first_step_timeout_s: float = 1800.0
    exit_skew_s: float = 300.0
    straggler_factor: float = 1.5
    straggler_time_s: float = 3.0


def to_json(plan: Plan) -> dict[str, Any]:
    """Return the plan as ``--dry-run`` and the manifest show it."""

    def process(one: ProcessPlan) -> dict[str, Any]:
        return {
            **({} if one.is_scheduler else {"rank": one.rank, "local_rank": one.local_rank}),
            "node": plan.node or plan.host,
            "node_rank": plan.node_rank,
            "device_id": one.device_id,
            "command": list(one.command),
            "environment": dict(one.environment),
            "cores": list(one.cpus),
            "binds_late": one.binds_late,
        }

    return {
        "job_id": plan.job_id,
        "run_dir": str(plan.run_dir),
        "world_size": plan.world_size,
        "nnodes": plan.nnodes,
        "node_rank": plan.node_rank,
        "sources": list(plan.sources),
        "device_target": plan.device_target,
        "rendezvous": plan.rendezvous,
        "scheduler": process(plan.scheduler) if plan.scheduler else None,
        "ranks": [process(worker) for worker in plan.workers],
        "notes": list(plan.notes),
    }
