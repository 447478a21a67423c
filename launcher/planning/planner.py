"""From what was asked for and what this host has to the plan: a function of values."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from launcher.contract import RankEnv, RunPaths
from launcher.errors import UsageError
from launcher.host.node import Host
from launcher.options import LaunchSpec
from launcher.plan import SCHEDULER, Identity, Plan, Policy, ProcessPlan
from launcher.planning.affinity import Shares, share_cores, thread_count
from launcher.planning.command import worker_command
from launcher.planning.devices import (
    ASCEND,
    VISIBLE_DEVICES,
    choose_devices,
    held_message,
    refuse_absent,
    refuse_held,
    refuse_ring,
    visibility_note,
    visible_npus,
    worker_visible,
)
from launcher.planning.environment import (
    Overlay,
    precedence_notes,
    scheduler_environment,
    worker_environment,
)
from launcher.planning.hccl import PORTS, HcclSettings, hccl_settings
from launcher.planning.layout import Layout, NodeLayout, alone
from launcher.planning.ports import Ports
from launcher.planning.rendezvous import (
    CLUSTER,
    NONE,
    RANK_TABLE,
    Meeting,
    Scheduler,
    TableFile,
    choose_rendezvous,
    master_port,
    scheduler_at,
    scheduler_of,
)
from launcher.ranges import format_ranges

_SCHEDULER = Path(__file__).resolve().parent.parent / "scheduler.py"


class _Job(NamedTuple):
    """What all processes of this node have in common."""

    spec: LaunchSpec
    host: Host
    identity: Identity
    layout: Layout
    node_rank: int
    rendezvous: str

    @property
    def node(self) -> NodeLayout:
        return self.layout.nodes[self.node_rank]

    @property
    def is_on_npus(self) -> bool:
        return self.layout.target == ASCEND

    @property
    def device_ids(self) -> tuple[int, ...]:
        """Physical ids by local rank: as a table says, else as CANN counts the visible ones."""
        ids, logical = self.node.device_ids, self.host.npus.logical
        if self.rendezvous == RANK_TABLE:
            return ids
        return tuple(sorted(ids, key=lambda number: logical.get(number, number)))


def make_plan(
    spec: LaunchSpec,
    host: Host,
    identity: Identity,
    *,
    ports: Ports,
    layout: Layout | None = None,
    meeting: Meeting | None = None,
) -> Plan:
    """Return every process of this node.

    Args:
        ports: asked only for what is needed: a scheduler's port, a block for HCCL.
        layout: which node runs what; None = this node alone, by the options.
        meeting: what the nodes have agreed on; None = alone, or only to show it.

    Raises:
        UsageError: what was asked for cannot be run here.
        NotReadyError: a device is held by another process, or no port is free.
    """
    if layout is None:
        layout = alone(choose_devices(spec, npus=host.npus, environ=host.environ), host.name)
    node_rank = layout.node_rank(spec.node_rank, host.addresses)
    job = _Job(spec, host, identity, layout, node_rank, choose_rendezvous(spec, layout))
    shown_ranks(spec, layout.world_size)
    command, records_failures = worker_command(spec, identity.run_dir)
    device_notes = _check_devices(job)
    near = [host.npus.near.get(number, ()) for number in job.device_ids]
    shares = share_cores(spec.bind, host, len(job.node.ranks), near)
    scheduler = _cluster(job, ports, meeting) if job.rendezvous == CLUSTER else None
    hccl = _hccl(job, ports)
    settings = _Settings(command, records_failures, shares, scheduler, hccl)
    return Plan(
        job_id=identity.job_id,
        run_dir=identity.run_dir,
        world_size=layout.world_size,
        device_target=layout.target,
        rendezvous=job.rendezvous,
        workers=tuple(_worker(job, settings, number) for number in range(len(job.node.ranks))),
        scheduler=_scheduler(job, scheduler) if scheduler and node_rank == 0 else None,
        nnodes=layout.nnodes,
        node_rank=node_rank,
        host=host.name,
        node=job.node.name,
        sources=meeting.sources if meeting else (),
        notes=(
            *device_notes,
            *shares.notes,
            *precedence_notes(host.environ, job.node.environment),
            *hccl.notes,
        ),
    )


class _Settings(NamedTuple):
    """What was found out for the workers of this node before the first of them is described."""

    command: tuple[str, ...]
    records_failures: bool
    shares: Shares
    scheduler: Scheduler | None
    hccl: HcclSettings


def _worker(job: _Job, settings: _Settings, local_rank: int) -> ProcessPlan:
    cpus = settings.shares.cores[local_rank]
    count = len(settings.shares.cores)
    overlay = worker_environment(
        _who(job, local_rank)._replace(cpus=cpus),
        inherited=job.host.environ,
        rendezvous=settings.scheduler or _table(job),
        variables={**job.node.environment, **settings.hccl.environment},
        threads=thread_count(cpus, job.host.cpu_quota, count) if cpus else None,
    )
    return ProcessPlan(
        rank=job.node.ranks[local_rank],
        local_rank=local_rank,
        command=settings.command,
        environment={**overlay, **_visible(job)},
        cpus=cpus,
        # From one core MindSpore 2.10 joins a cluster only after many failed attempts: 63 to
        # 88 s measured against 5 s. cifar_dist binds itself later; other scripts stay free.
        binds_late=settings.scheduler is not None and len(cpus) == 1,
        device_id=job.device_ids[local_rank] if job.is_on_npus else None,
        records_failures=settings.records_failures,
    )


def _who(job: _Job, local_rank: int) -> RankEnv:
    # With a rank table CANN opens the device of the table; else the visible ones, counted from 0.
    from_table = job.rendezvous == RANK_TABLE
    return RankEnv(
        rank=job.node.ranks[local_rank],
        world_size=job.layout.world_size,
        local_rank=local_rank,
        node_rank=job.node_rank,
        device_id=job.device_ids[local_rank] if from_table else local_rank,
        device_target=job.layout.target,
        run_dir=job.identity.run_dir,
        job_id=job.identity.tag(job.host.environ),
        resume=job.spec.resume,
    )


def _cluster(job: _Job, ports: Ports, meeting: Meeting | None) -> Scheduler:
    if meeting is not None and meeting.scheduler_host:
        return scheduler_at(job.spec, job.layout, meeting)
    fixed = master_port(job.spec, job.layout)
    listens = job.node_rank == 0 and not job.spec.dry_run
    port = ports.choose() if listens or fixed is None else fixed
    return scheduler_of(job.spec, job.layout, job.node_rank, port)


def _table(job: _Job) -> TableFile | None:
    is_used = job.rendezvous == RANK_TABLE
    return TableFile(RunPaths(job.identity.run_dir).rank_table) if is_used else None


def _scheduler(job: _Job, scheduler: Scheduler) -> ProcessPlan:
    return ProcessPlan(
        rank=SCHEDULER,
        local_rank=SCHEDULER,
        command=(sys.executable, "-u", str(_SCHEDULER)),
        environment=scheduler_environment(
            scheduler,
            _who(job, 0),
            inherited=job.host.environ,
            variables=job.node.environment,
        ),
    )


def _hccl(job: _Job, ports: Ports) -> HcclSettings:
    if not job.is_on_npus or job.rendezvous == NONE:
        return HcclSettings({})
    is_alone = job.layout.nnodes == 1
    return hccl_settings(
        {**job.node.environment, **job.host.environ},
        hang_timeout_s=job.spec.hang_timeout_s,
        choose_base_port=(lambda: ports.choose_block(PORTS)) if is_alone else None,
    )


def _visible(job: _Job) -> Overlay:
    """Return which NPUs CANN shows the workers: all of them with a rank table (`ascend.md` 2.4)."""
    if not job.is_on_npus:
        return {}
    if job.rendezvous == RANK_TABLE:
        return {VISIBLE_DEVICES: None} if VISIBLE_DEVICES in job.host.environ else {}
    return {VISIBLE_DEVICES: worker_visible(job.host.npus, job.device_ids)}


def _check_devices(job: _Job) -> tuple[str, ...]:
    """Refuse devices that are not here or not free; a dry run, perhaps of another node, tells it.

    Raises:
        UsageError: a device is not visible here, or the product does not join these.
        NotReadyError: another process holds one.
    """
    if not job.is_on_npus:
        return ()
    npus, environ, wanted = job.host.npus, job.host.environ, job.device_ids
    if job.rendezvous != NONE:
        refuse_ring(npus, wanted)
    notes = [visibility_note(npus, environ)]
    if npus.problem:
        notes.append(f"{npus.problem}: it is not known whether the NPUs are free")
    if job.spec.dry_run:
        missing = format_ranges(set(wanted) - set(visible_npus(npus, environ)))
        notes.append(held_message(npus, wanted))
        notes.append(f"NPU {missing} is not visible where this was planned" if missing else "")
    else:
        refuse_absent(npus, environ, wanted, f"{job.layout.source}, node {job.node_rank}")
        refuse_held(npus, wanted)
    return tuple(filter(None, notes))


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
        straggler_factor=spec.straggler_factor,
        straggler_time_s=spec.straggler_time_s,
    )
