"""The whole environment of workers, for each rendezvous, against tables written out here."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher.host.node import Host
from launcher.host.npus import Npus
from launcher.options import LaunchSpec
from launcher.plan import Identity, Plan
from launcher.planning.layout import Layout, NodeLayout
from launcher.planning.planner import make_plan

LEFT_OVER = {
    "MS_ROLE": "MS_SCHED",
    "MS_SCHED_HOST": "10.9.9.9",
    "MS_SCHED_PORT": "8118",
    "MS_WORKER_NUM": "64",
    "MS_SERVER_NUM": "0",
    "MS_NODE_ID": "7",
    "MS_WORKER_IP": "10.9.9.8",
    "RANK_TABLE_FILE": "/old/table.json",
    "MINDSPORE_HCCL_CONFIG_PATH": "/older/table.json",
    "RANK_ID": "63",
    "RANK_SIZE": "64",
    "DEVICE_ID": "5",
    "ASCEND_DEVICE_ID": "5",
    "OMPI_COMMAND": "python",
    "OMPI_COMM_WORLD_RANK": "3",
    "PMIX_RANK": "3",
    "CM_CHIEF_IP": "10.9.9.9",
}
SHELL = {"HOME": "/home/me", "PATH": "/usr/bin"}
TWO = NodeLayout("n0", (0, 1), (4, 6))


class SomePorts:
    def choose(self) -> int:
        return 23456

    def choose_block(self, size: int) -> int:
        assert size == 32
        return 25600


def make(layout: Layout, environ: dict[str, str], **options: object) -> Plan:
    host = Host("h", environ, Npus.counted(*range(8)), cores=tuple(range(8)))
    spec = LaunchSpec(command=("true",), **options)  # type: ignore[arg-type]
    identity = Identity("job1", Path("/runs/a"))
    return make_plan(spec, host, identity, ports=SomePorts(), layout=layout)


def whole(planned: Plan, environ: dict[str, str], rank: int) -> dict[str, str]:
    """Return what a process of the plan would see."""
    process = next(one for one in planned.processes if one.rank == rank)
    merged = {**environ, **process.environment}
    return {name: text for name, text in merged.items() if text is not None}


def common(rank: int) -> dict[str, str]:
    return {
        **SHELL,
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        "OMP_NUM_THREADS": "4",
        "OPENBLAS_NUM_THREADS": "4",
        "MKL_NUM_THREADS": "4",
        "RANK_ID": str(rank),
        "RANK_SIZE": "2",
        "LAUNCHER_WORKER_LOCAL_RANK": str(rank),
        "LAUNCHER_WORKER_NODE_RANK": "0",
        "LAUNCHER_WORKER_ATTEMPT": "0",
        "LAUNCHER_WORKER_RUN_DIR": "/runs/a",
        "LAUNCHER_WORKER_CPUS": ["0,1,2,3", "4,5,6,7"][rank],
        "LAUNCHER_JOB_ID": "job1",
        "LAUNCHER_RESUME": "none",
    }


CLUSTER = {
    "MS_ROLE": "MS_WORKER",
    "MS_SCHED_HOST": "127.0.0.1",
    "MS_SCHED_PORT": "23456",
    "MS_WORKER_NUM": "2",
    "MS_NODE_TIMEOUT": "1800",
    "MS_TOPO_TIMEOUT": "1800",
    "MS_RETRY_INTERVAL_LOWER": "1",
    "MS_RETRY_INTERVAL_UPPER": "1",
    "MS_SUBMODULE_LOG_v": "{DISTRIBUTED:3,DEVICE:3}",
}
HCCL = {
    "HCCL_CONNECT_TIMEOUT": "600",
    "HCCL_EXEC_TIMEOUT": "1836",
    "HCCL_IF_BASE_PORT": "25600",
}


@pytest.mark.parametrize("rank", [0, 1])
def test_npus_of_a_dynamic_cluster(rank: int) -> None:
    environ = {**SHELL, **LEFT_OVER}
    planned = make(Layout("Ascend", (TWO,)), environ)
    assert whole(planned, environ, rank) == {
        **common(rank),
        **CLUSTER,
        **HCCL,
        "MS_NODE_ID": str(rank),
        "DEVICE_ID": str(rank),
        "ASCEND_RT_VISIBLE_DEVICES": "4,6",
        "LAUNCHER_WORKER_DEVICE_TARGET": "Ascend",
    }
    assert [worker.device_id for worker in planned.workers] == [4, 6]


@pytest.mark.parametrize("rank", [0, 1])
def test_npus_of_a_rank_table(rank: int) -> None:
    environ = {**SHELL, **LEFT_OVER, "ASCEND_RT_VISIBLE_DEVICES": "4,5,6"}
    planned = make(Layout("Ascend", (TWO,), rank_table="{}"), environ)
    assert planned.scheduler is None
    assert whole(planned, environ, rank) == {
        **common(rank),
        **HCCL,
        "RANK_TABLE_FILE": "/runs/a/rank_table.json",
        "DEVICE_ID": ["4", "6"][rank],
        "LAUNCHER_WORKER_DEVICE_TARGET": "Ascend",
    }


def test_the_scheduler_of_a_dynamic_cluster() -> None:
    environ = {**SHELL, **LEFT_OVER}
    planned = make(Layout("Ascend", (TWO,)), environ)
    assert whole(planned, environ, -1) == {
        **SHELL,
        **CLUSTER,
        "MS_ROLE": "MS_SCHED",
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "LAUNCHER_WORKER_LOCAL_RANK": "0",
        "LAUNCHER_WORKER_NODE_RANK": "0",
        "LAUNCHER_WORKER_ATTEMPT": "0",
        "LAUNCHER_WORKER_RUN_DIR": "/runs/a",
        "LAUNCHER_WORKER_DEVICE_TARGET": "Ascend",
        "LAUNCHER_JOB_ID": "job1",
        "LAUNCHER_RESUME": "none",
    }


@pytest.mark.parametrize("rank", [0, 1])
def test_workers_of_a_cpu(rank: int) -> None:
    environ = {**SHELL, **LEFT_OVER}
    planned = make(Layout("CPU", (NodeLayout("n0", (0, 1)),)), environ)
    assert whole(planned, environ, rank) == {
        **common(rank),
        **CLUSTER,
        "MS_NODE_ID": str(rank),
        "DEVICE_ID": str(rank),
        "LAUNCHER_WORKER_DEVICE_TARGET": "CPU",
    }


def test_a_rendezvous_that_is_not_ours_is_left_alone() -> None:
    environ = {**SHELL, **LEFT_OVER}
    planned = make(Layout("Ascend", (TWO,)), environ, rendezvous="none")
    assert whole(planned, environ, 1) == {
        **common(1),
        "DEVICE_ID": "1",
        "ASCEND_RT_VISIBLE_DEVICES": "4,6",
        "LAUNCHER_WORKER_DEVICE_TARGET": "Ascend",
    }


TWO_NODES = Layout(
    "Ascend",
    (
        NodeLayout("n0", (0, 1), (4, 6), "10.0.0.1"),
        NodeLayout("n1", (2,), (0,), "10.0.0.2", environment={"HCCL_SOCKET_IFNAME": "=eth1"}),
    ),
)


def test_the_second_of_two_unequal_nodes() -> None:
    planned = make(TWO_NODES, SHELL, node_rank=1)
    assert planned.scheduler is None
    assert (planned.world_size, planned.nnodes, planned.node_rank) == (3, 2, 1)
    assert whole(planned, SHELL, 2) == {
        **SHELL,
        **{**CLUSTER, "MS_SCHED_HOST": "10.0.0.1", "MS_SCHED_PORT": "8118", "MS_WORKER_NUM": "3"},
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        "OMP_NUM_THREADS": "8",
        "OPENBLAS_NUM_THREADS": "8",
        "MKL_NUM_THREADS": "8",
        "HCCL_CONNECT_TIMEOUT": "600",
        "HCCL_EXEC_TIMEOUT": "1836",
        "HCCL_SOCKET_IFNAME": "=eth1",
        "MS_NODE_ID": "2",
        "RANK_ID": "2",
        "RANK_SIZE": "3",
        "DEVICE_ID": "0",
        "ASCEND_RT_VISIBLE_DEVICES": "0",
        "LAUNCHER_WORKER_LOCAL_RANK": "0",
        "LAUNCHER_WORKER_NODE_RANK": "1",
        "LAUNCHER_WORKER_ATTEMPT": "0",
        "LAUNCHER_WORKER_RUN_DIR": "/runs/a",
        "LAUNCHER_WORKER_CPUS": "0,1,2,3,4,5,6,7",
        "LAUNCHER_WORKER_DEVICE_TARGET": "Ascend",
        "LAUNCHER_JOB_ID": "job1",
        "LAUNCHER_RESUME": "none",
    }


def test_what_the_shell_says_wins_over_the_file_and_is_shown() -> None:
    environ = {**SHELL, "HCCL_SOCKET_IFNAME": "=bond0", "HCCL_CONNECT_TIMEOUT": "300"}
    planned = make(TWO_NODES, environ, node_rank=1)
    seen = whole(planned, environ, 2)
    assert (seen["HCCL_SOCKET_IFNAME"], seen["HCCL_CONNECT_TIMEOUT"]) == ("=bond0", "300")
    assert planned.notes == (
        "HCCL_SOCKET_IFNAME==bond0 of the shell wins over =eth1 of the cluster file",
        "kept as it was set: HCCL_CONNECT_TIMEOUT=300, HCCL_SOCKET_IFNAME==bond0",
    )
