"""The variables of a worker and of the scheduler, as overlays of what the launcher inherited."""

from __future__ import annotations

from collections.abc import Mapping

from launcher.contract import RankEnv
from launcher.planning.rendezvous import Scheduler, TableFile

_OF_ANOTHER_RENDEZVOUS = frozenset(
    {
        "MS_ROLE",
        "MS_SCHED_HOST",
        "MS_SCHED_PORT",
        "MS_WORKER_NUM",
        "MS_SERVER_NUM",
        "MS_NODE_ID",
        "MS_WORKER_IP",
        "MS_HCCL_CM_INIT",
        "RANK_TABLE_FILE",
        "MINDSPORE_HCCL_CONFIG_PATH",
        "RANK_ID",
        "RANK_SIZE",
        "DEVICE_ID",
        "ASCEND_DEVICE_ID",
    }
)
_OF_THIS_LAUNCHER = frozenset(
    f"LAUNCHER_{name}" for name in ("TOKEN", "NNODES", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT")
)
"""Not for workers: the secret, and a place that is not that of a launch inside of one."""
_OF_ANOTHER_LAUNCHER = ("OMPI_", "PMIX_", "PMI_", "CM_CHIEF_", "CM_WORKER_")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_PYTHON = {"PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}
Overlay = dict[str, str | None]


def leftovers(inherited: Mapping[str, str]) -> Overlay:
    """Return the removal of every variable there is of another rendezvous, or of another rank."""
    return {
        name: None
        for name in sorted(inherited)
        if name in _OF_ANOTHER_RENDEZVOUS | _OF_THIS_LAUNCHER
        or name.startswith(_OF_ANOTHER_LAUNCHER)
    }


def worker_environment(
    who: RankEnv,
    *,
    inherited: Mapping[str, str],
    rendezvous: Scheduler | TableFile | None = None,
    variables: Mapping[str, str] | None = None,
    threads: int | None = None,
) -> Overlay:
    """Return the overlay of one worker.

    Args:
        who: the rank; its variables are what ``RankEnv.from_environ`` reads back.
        inherited: the launcher's own environment; what the user set there wins for everything
            but the rendezvous itself.
        rendezvous: the dynamic cluster to join or the table to read; None for one worker or a
            foreign rendezvous.
        variables: what a cluster file sets, and settings of HCCL.
        threads: the worker's share of cores; None leaves the thread counts alone.
    """
    settled = {**(variables or {}), **inherited}
    overlay = leftovers(inherited)
    if isinstance(rendezvous, Scheduler):
        overlay.update(rendezvous.environment("MS_WORKER", settled))
        overlay["MS_NODE_ID"] = str(who.rank)
    elif isinstance(rendezvous, TableFile):
        overlay["RANK_TABLE_FILE"] = str(rendezvous.path)
    overlay.update(_added(variables or {}, inherited))
    if threads is not None:
        overlay.update({name: str(threads) for name in _THREADS if name not in settled})
    overlay.update({name: value for name, value in _PYTHON.items() if name not in settled})
    overlay.update(who.to_environ())
    return overlay


def scheduler_environment(
    scheduler: Scheduler,
    who: RankEnv,
    *,
    inherited: Mapping[str, str],
    variables: Mapping[str, str] | None = None,
) -> Overlay:
    """Return the overlay of the scheduler: the same cluster, no rank, one thread."""
    tags = who.to_environ()
    for name in ("RANK_ID", "RANK_SIZE", "DEVICE_ID"):
        tags.pop(name, None)
    return {
        **leftovers(inherited),
        **scheduler.environment("MS_SCHED", {**(variables or {}), **inherited}),
        **_added(variables or {}, inherited),
        **{name: "1" for name in _THREADS},
        **_PYTHON,
        **tags,
    }


def precedence_notes(inherited: Mapping[str, str], variables: Mapping[str, str]) -> list[str]:
    """Return where a variable of the shell wins over the launcher's own or over a file's."""
    notes = [
        f"{name}={inherited[name]} of the shell wins over {value} of the cluster file"
        for name, value in sorted(variables.items())
        if inherited.get(name, value) != value
    ]
    threads = [f"{name}={inherited[name]}" for name in _THREADS if name in inherited]
    return [*notes, *([f"kept as it was set: {', '.join(threads)}"] if threads else [])]


def _added(variables: Mapping[str, str], inherited: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name not in inherited}
