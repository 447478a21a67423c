"""From what was asked for and what this host has to the plan: a function of values."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from launcher.affinity import Cores, allowed_cores, read_numa_nodes, split_cores, split_numa
from launcher.contract import JOB_TAG, RankEnv, RunPaths
from launcher.devices import Devices, choose_devices, list_npus
from launcher.environment import Scheduler, scheduler_environment, worker_environment
from launcher.errors import UsageError
from launcher.options import LaunchSpec
from launcher.plan import SCHEDULER, Plan, Policy, ProcessPlan
from launcher.ranges import format_ranges

_BOOT = Path(__file__).with_name("boot.py")
_SCHEDULER = "from mindspore.communication import init\ninit('mccl')"
_LEAST_PATIENCE_S = 1800


@dataclass(frozen=True)
class Host:
    """What a plan depends on besides the options."""

    name: str
    environ: Mapping[str, str]
    npus: tuple[int, ...]
    cores: Cores
    numa_nodes: tuple[Cores, ...]

    @classmethod
    def observe(cls) -> Host:
        """Return what this node has now."""
        return cls(
            name=os.uname().nodename,
            environ=dict(os.environ),
            npus=list_npus(),
            cores=allowed_cores(),
            numa_nodes=read_numa_nodes(),
        )


@dataclass(frozen=True)
class Identity:
    """What makes this launch another one than the last."""

    job_id: str
    run_dir: Path

    def tag(self, environ: Mapping[str, str]) -> str:
        """Return what processes carry; a launch inside a job belongs to that job too."""
        outer = environ.get(JOB_TAG)
        return f"{outer}:{self.job_id}" if outer else self.job_id


def make_plan(
    spec: LaunchSpec, host: Host, identity: Identity, *, choose_port: Callable[[], int]
) -> Plan:
    """Return every process of this node.

    Args:
        choose_port: called only where a scheduler is needed.

    Raises:
        UsageError: what was asked for cannot be run here.
    """
    devices = choose_devices(spec, npus=host.npus, environ=host.environ)
    command, records_failures = worker_command(spec, identity.run_dir)
    shown_ranks(spec, devices.nproc)
    cores, notes = _cores(spec, host, devices.nproc)
    scheduler = None
    if spec.rendezvous == "cluster" or (spec.rendezvous == "auto" and devices.nproc > 1):
        patience_s = max(_LEAST_PATIENCE_S, int(max(spec.hang_timeout_s, spec.exit_skew_s)) + 60)
        scheduler = Scheduler("127.0.0.1", choose_port(), devices.nproc, patience_s)

    def worker(rank: int) -> ProcessPlan:
        who = replace(_who(rank, devices, identity, host), cpus=cores[rank])
        overlay = worker_environment(
            who,
            inherited=host.environ,
            scheduler=scheduler,
            threads=len(cores[rank]) if cores[rank] else None,
        )
        return ProcessPlan(
            rank=rank,
            local_rank=rank,
            command=command,
            environment={**overlay, **devices.environment()},
            cpus=cores[rank],
            # From one core MindSpore 2.10 joins a cluster only after many failed attempts: 63 to
            # 88 s measured against 5 s. cifar_dist binds itself later; other scripts stay free.
            binds_late=scheduler is not None and len(cores[rank]) == 1,
            device_id=devices.device_id(rank),
            records_failures=records_failures,
        )

    return Plan(
        job_id=identity.job_id,
        run_dir=identity.run_dir,
        world_size=devices.nproc,
        device_target=devices.target,
        rendezvous="cluster" if scheduler else "none",
        workers=tuple(worker(rank) for rank in range(devices.nproc)),
        scheduler=_scheduler(scheduler, devices, identity, host) if scheduler else None,
        host=host.name,
        notes=notes,
    )


def _who(rank: int, devices: Devices, identity: Identity, host: Host) -> RankEnv:
    return RankEnv(
        rank=rank,
        world_size=devices.nproc,
        local_rank=rank,
        device_id=rank,
        device_target=devices.target,
        run_dir=identity.run_dir,
        job_id=identity.tag(host.environ),
    )


def _scheduler(
    scheduler: Scheduler, devices: Devices, identity: Identity, host: Host
) -> ProcessPlan:
    who = _who(0, devices, identity, host)
    return ProcessPlan(
        rank=SCHEDULER,
        local_rank=SCHEDULER,
        command=(sys.executable, "-u", "-c", _SCHEDULER),
        environment=scheduler_environment(scheduler, who, inherited=host.environ),
    )


def _cores(spec: LaunchSpec, host: Host, nproc: int) -> tuple[tuple[Cores, ...], tuple[str, ...]]:
    if spec.bind == "none":
        return ((),) * nproc, ()
    if spec.bind == "numa":
        shares = split_numa(host.cores, host.numa_nodes, nproc)
        if shares:
            return shares, ()
        note = "--bind numa: this host shows no NUMA nodes; cores are shared evenly instead"
        return split_cores(host.cores, nproc), (note,)
    return split_cores(host.cores, nproc), ()


def worker_command(spec: LaunchSpec, run_dir: Path) -> tuple[tuple[str, ...], bool]:
    """Return the command of every worker, and whether it runs under boot (and so records failures).

    Raises:
        UsageError: there is nothing of that name to run.
    """
    boot = (sys.executable, "-u", str(_BOOT))
    if spec.recipe is not None:
        config = str(RunPaths(run_dir).config)
        return (*boot, "-m", "cifar_dist", "train", "--config", config), True
    first, *rest = spec.command
    if first == "-m":
        if not rest:
            raise UsageError("-m: the name of a module must follow, as in -- -m package.module")
        return (*boot, *spec.command), True
    if first.endswith(".py"):
        if not Path(first).is_file():
            raise UsageError(f"{first}: there is no such script (looked in {Path.cwd()})")
        return (*boot, *spec.command), True
    program = shutil.which(first)
    if program is None:
        raise UsageError(
            f"{first}: neither a Python script (they end in .py) nor a program on PATH; "
            "after -- comes script.py, -m package.module, or a program, then its arguments"
        )
    return (program, *rest), False


def shown_ranks(spec: LaunchSpec, world_size: int) -> frozenset[int]:
    """Return the ranks whose output reaches the terminal.

    Raises:
        UsageError: a rank was named that the job does not have.
    """
    everyone = frozenset(range(world_size))
    unknown = (spec.console or everyone) - everyone
    if unknown:
        raise UsageError(
            f"--console: there is no rank {format_ranges(unknown)}; this job's ranks are "
            f"{format_ranges(everyone)}"
        )
    return everyone if spec.console is None else spec.console


def policy(spec: LaunchSpec) -> Policy:
    """Return how long the supervisor waits for what."""
    return Policy(
        max_restarts=spec.max_restarts,
        grace_s=spec.grace_s,
        hang_timeout_s=spec.hang_timeout_s,
        first_step_timeout_s=spec.first_step_timeout_s,
        exit_skew_s=spec.exit_skew_s,
    )
