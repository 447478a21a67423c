"""Pods of MindCluster: what its ascend-operator puts into the environment of a MindSpore job.

The replica ``Scheduler`` that has NPUs of its own is node 0; workers reach it by the address of its
service, where only the one port of that service leads. So that is where the launchers meet.
Source: Ascend/mind-cluster, component/ascend-operator/pkg/controllers/v1/env.go.
"""

from __future__ import annotations

from collections.abc import Mapping

from launcher.environments.place import Place
from launcher.environments.variables import number
from launcher.errors import UsageError

_OPERATOR_PORT = 2222


def is_here(environ: Mapping[str, str]) -> bool:
    """Return whether the operator made this pod: both variables are its own."""
    return all(environ.get(name) for name in ("MS_LOCAL_WORKER", "MS_NODE_RANK"))


def mindcluster_place(environ: Mapping[str, str]) -> Place:
    """Return the place of this pod in its job.

    Raises:
        UsageError: the variables contradict each other, or the pod is a scheduler without NPUs.
    """
    local = number(environ, "MS_LOCAL_WORKER") or 0
    total = number(environ, "MS_WORKER_NUM") or 0
    node_rank = number(environ, "MS_NODE_RANK") or 0
    if not local or not total or total % local:
        raise UsageError(
            f"MS_WORKER_NUM={total} is no multiple of MS_LOCAL_WORKER={local}: pods of one job "
            "must ask for the same number of NPUs each"
        )
    nnodes = total // local
    _refuse_a_bare_scheduler(environ, nnodes)
    if node_rank >= nnodes:
        raise UsageError(
            f"MS_NODE_RANK={node_rank}, but the job has {nnodes} pods with NPUs "
            f"(MS_WORKER_NUM={total} / MS_LOCAL_WORKER={local})"
        )
    host = environ.get("MS_SCHED_HOST", "")
    if nnodes > 1 and not host:
        raise UsageError(
            "MS_SCHED_HOST is not set: a job of several pods needs the replica Scheduler, which "
            "the operator gives an address (see deploy/)"
        )
    return Place(
        nnodes=nnodes,
        node_rank=node_rank,
        master_addr=host,
        master_port=number(environ, "MS_SCHED_PORT") or _OPERATOR_PORT,
        name=environ.get("HOSTNAME", ""),
        job=environ.get("MINDX_TASK_ID", ""),
        workers=(local,) * nnodes,
        sources=(
            f"nodes: MindCluster pod {node_rank} of {nnodes} with {local} workers each "
            "(MS_NODE_RANK, MS_WORKER_NUM, MS_LOCAL_WORKER)",
            "master: MS_SCHED_HOST, MS_SCHED_PORT of the pod",
        ),
    )


def _refuse_a_bare_scheduler(environ: Mapping[str, str], nnodes: int) -> None:
    role, has_npus = environ.get("MS_ROLE"), environ.get("NPU_POD", "true") != "false"
    node_rank = number(environ, "MS_NODE_RANK") or 0
    is_scheduler_alone = role == "MS_SCHED" and not has_npus
    if is_scheduler_alone or (role == "MS_WORKER" and node_rank == 0 and nnodes > 1):
        raise UsageError(
            "the replica Scheduler of this job has no NPUs, so that no pod is node 0 of the "
            "launchers: give it the NPUs of one node and Worker one replica less (see deploy/)"
        )
