"""Open MPI: one launcher per node is one process of ``mpirun --map-by ppr:1:node``.

Variables: Open MPI, FAQ "Running MPI jobs"; OMPI_MCA_orte_hnp_uri (version 4) has the address of
mpirun itself, whose host is also that of rank 0 unless a host file says otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from launcher.environments.place import MEETING_PORT, Place
from launcher.environments.variables import number
from launcher.errors import UsageError

_ADDRESS = re.compile(r"tcp6?://\[?([0-9a-fA-F.:]+?)[,\]:]")

_BOUND = "cores: the few that mpirun bound this launcher to; with --bind-to none it has all"


def is_here(environ: Mapping[str, str]) -> bool:
    """Return whether mpirun started this process."""
    return all(environ.get(f"OMPI_COMM_WORLD_{name}") for name in ("SIZE", "RANK"))


def open_mpi_place(environ: Mapping[str, str], master_addr: str | None = None) -> Place:
    """Return the place of this process.

    Args:
        master_addr: where the user said that node 0 is.

    Raises:
        UsageError: there are several launchers on a node, or node 0 is not known.
    """
    size = number(environ, "OMPI_COMM_WORLD_SIZE") or 1
    rank = number(environ, "OMPI_COMM_WORLD_RANK") or 0
    local = number(environ, "OMPI_COMM_WORLD_LOCAL_SIZE") or 1
    if local > 1:
        raise UsageError(
            f"mpirun started {local} processes on this node, and each would be a launcher; one is "
            "wanted, it starts the workers itself: mpirun --map-by ppr:1:node python -m launcher "
            "..., or one process per rank without it: mpirun python -m cifar_dist train ..."
        )
    match = _ADDRESS.search(environ.get("OMPI_MCA_orte_hnp_uri", ""))
    address = master_addr or (match.group(1) if match else "")
    if size > 1 and not address:
        raise UsageError(
            f"mpirun started {size} launchers, but does not tell where rank 0 runs: say "
            "--master-addr ADDRESS"
        )
    return Place(
        nnodes=size,
        node_rank=rank,
        master_addr=address,
        master_port=MEETING_PORT,
        job=environ.get("PMIX_NAMESPACE", "") or environ.get("OMPI_MCA_ess_base_jobid", ""),
        sources=(
            f"nodes: mpirun's process {rank} of {size} (OMPI_COMM_WORLD_RANK, ..._SIZE)",
            *(() if master_addr or size == 1 else ("master: OMPI_MCA_orte_hnp_uri",)),
            *((_BOUND,) if environ.get("OMPI_MCA_orte_bound_at_launch") == "1" else ()),
        ),
    )
