"""A rank that mpirun started: its variables become those of MindSpore's dynamic cluster.

So one path serves all launchers, on NPUs and on CPUs (where MindSpore has no MPI of its own).
Variables: Open MPI 4, FAQ "Running MPI jobs".
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, MutableMapping

from launcher.contract import LOCAL_RANK, ContractError

_ADDRESS = re.compile(r"tcp://([0-9.]+)")
_FIRST_PORT, _PORTS = 20000, 12000
_SCHEDULER = "from mindspore.communication import init\ninit('mccl')"


def is_rank(environ: Mapping[str, str]) -> bool:
    """Return whether mpirun made this process a rank, and no other launcher has done so since."""
    return "OMPI_COMM_WORLD_RANK" in environ and not {"MS_ROLE", "RANK_ID"} & environ.keys()


def cluster_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of the dynamic cluster, with the scheduler on the host of mpirun.

    Raises:
        ContractError: that host, which is also to be that of rank 0, is not told.
    """
    rank, size, local, here = (
        environ.get(f"OMPI_COMM_WORLD_{name}", "0")
        for name in ("RANK", "SIZE", "LOCAL_RANK", "LOCAL_SIZE")
    )
    told = _ADDRESS.search(environ.get("OMPI_MCA_orte_hnp_uri", ""))
    host = "127.0.0.1" if here == size else told.group(1) if told else ""
    host = environ.get("MS_SCHED_HOST") or host
    if not host:
        raise ContractError(
            "mpirun does not tell where it runs (OMPI_MCA_orte_hnp_uri): export MS_SCHED_HOST, the "
            "address of the host of rank 0, with mpirun -x MS_SCHED_HOST"
        )
    job = "".join(filter(str.isdecimal, environ.get("OMPI_MCA_ess_base_jobid", ""))) or "0"
    port = str(_FIRST_PORT + int(job) % _PORTS)
    return {
        "MS_ROLE": "MS_WORKER",
        "MS_WORKER_NUM": size,
        "MS_NODE_ID": rank,
        "MS_SCHED_HOST": host,
        "MS_SCHED_PORT": environ.get("MS_SCHED_PORT") or port,
        "RANK_ID": rank,
        "RANK_SIZE": size,
        "DEVICE_ID": local,
        LOCAL_RANK: local,
    }


def become_rank(environ: MutableMapping[str, str]) -> None:
    """Put the variables in place; rank 0 starts the scheduler, which ends by itself after the last.

    MindSpore must not see those of mpirun, or it looks for an MPI library.
    """
    variables = cluster_variables(environ)
    for name in [name for name in environ if name.startswith(("OMPI_", "PMIX_"))]:
        del environ[name]
    if variables["RANK_SIZE"] == "1":
        return
    if variables["RANK_ID"] == "0":
        subprocess.Popen(
            [sys.executable, "-c", _SCHEDULER],
            env={**environ, **variables, "MS_ROLE": "MS_SCHED"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    environ.update(variables)
