"""How the ranks of a job find each other: MindSpore's dynamic cluster, a rank table, or neither."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from launcher.errors import UsageError
from launcher.options import LaunchSpec
from launcher.planning.layout import Layout

CLUSTER, RANK_TABLE, NONE = "cluster", "rank-table", "none"
_MASTER_PORT = 8118
_LEAST_PATIENCE_S = 1800
_MOST_THAT_ASK_OFTEN = 512
_ASKING_OFTEN = {"MS_RETRY_INTERVAL_LOWER": "1", "MS_RETRY_INTERVAL_UPPER": "1"}
"""Seconds from one heartbeat of a rank to the next. With one of them a rank learns that the cluster
is complete, and for one of them its end waits. MindSpore's 3 to 5 are for thousands of ranks. With
MS_DISABLE_HEARTBEAT=1 and 0 or 1 here, MindSpore 2.10 crashed 3 times in some 40 jobs of two ranks;
which of the two settings does it was not told apart. With 1 and heartbeats: 0 in 22."""
_QUIET = "{DISTRIBUTED:3,DEVICE:3}"
"""Errors only from these two modules of MindSpore: while ranks wait for the scheduler they warn of
failed connections several times a second, which buries what the script prints."""


class Scheduler(NamedTuple):
    """Where MindSpore's scheduler listens, and how long its cluster waits.

    ``own_address`` is this node's, which only a cluster of IPv6 addresses needs; "" = not given.
    """

    host: str
    port: int
    world_size: int
    patience_s: int
    """Longer than the launcher's own watches: the launcher sees a lost rank at once and explains
    it, MindSpore's heartbeat would end the other ranks after 30 s without a reason."""
    own_address: str = ""

    def environment(self, role: str, inherited: Mapping[str, str]) -> dict[str, str]:
        """Return the cluster's variables for a role; what the user set of waits and logs wins."""
        habits = {
            "MS_NODE_TIMEOUT": str(self.patience_s),
            "MS_TOPO_TIMEOUT": str(self.patience_s),
        }
        if self.world_size <= _MOST_THAT_ASK_OFTEN:
            habits.update(_ASKING_OFTEN)
        if "GLOG_v" not in inherited:
            habits["MS_SUBMODULE_LOG_v"] = _QUIET
        return {
            "MS_ROLE": role,
            "MS_SCHED_HOST": self.host,
            "MS_SCHED_PORT": str(self.port),
            "MS_WORKER_NUM": str(self.world_size),
            **({"MS_WORKER_IP": self.own_address} if self.own_address else {}),
            **{name: value for name, value in habits.items() if name not in inherited},
        }


class Meeting(NamedTuple):
    """What the launchers of several nodes know of each other when they plan.

    Args:
        scheduler_host: the address of MindSpore's scheduler; "" where they have not met.
        scheduler_port: its port.
        own_address: this node's, by which it reaches node 0.
        sources: who said which node this is, and where the others are.
    """

    scheduler_host: str = ""
    scheduler_port: int = 0
    own_address: str = ""
    sources: tuple[str, ...] = ()


class TableFile(NamedTuple):
    """The rank table that HCCL reads; it needs no scheduler."""

    path: Path


def choose_rendezvous(spec: LaunchSpec, layout: Layout) -> str:
    """Return cluster, rank-table or none.

    Raises:
        UsageError: a rank table is wanted, and there is none.
    """
    if spec.rendezvous == RANK_TABLE and layout.rank_table is None:
        raise UsageError(
            "--rendezvous rank-table: there is no table; name one with --rank-table, or a cluster "
            "file with --cluster"
        )
    if spec.rendezvous != "auto":
        return spec.rendezvous
    if layout.rank_table is not None:
        return RANK_TABLE
    return CLUSTER if layout.world_size > 1 else NONE


def master_port(spec: LaunchSpec, layout: Layout | None) -> int | None:
    """Return the scheduler's port where it is fixed: nodes that are told nothing must agree."""
    if spec.master_port is not None or layout is None:
        return spec.master_port
    return layout.master_port or (_MASTER_PORT if layout.nnodes > 1 else None)


def scheduler_of(spec: LaunchSpec, layout: Layout, node_rank: int, port: int) -> Scheduler:
    """Return the scheduler of a job: it runs on the first node.

    Raises:
        UsageError: the first node has a name, but no address: MindSpore takes addresses only.
    """
    from launcher.rank_table.fields import parse_address

    host = layout.nodes[0].address
    address = parse_address(host)
    if address is None:
        raise UsageError(
            f"{layout.source}: the dynamic cluster needs an address of node 0, and {host!r} is a "
            "name; give its host_ip in the table, or its address in a cluster file (--cluster)"
        )
    own = layout.nodes[node_rank].address if address.version == 6 else ""
    return Scheduler(host, port, layout.world_size, _patience_s(spec), own)


def scheduler_at(spec: LaunchSpec, layout: Layout, meeting: Meeting) -> Scheduler:
    """Return the scheduler that node 0 has told of."""
    own = meeting.own_address if ":" in meeting.scheduler_host else ""
    return Scheduler(
        meeting.scheduler_host, meeting.scheduler_port, layout.world_size, _patience_s(spec), own
    )


def _patience_s(spec: LaunchSpec) -> int:
    return max(_LEAST_PATIENCE_S, int(max(spec.hang_timeout_s, spec.exit_skew_s)) + 60)
