"""Which of several voices says where this launcher stands; what it does not follow, it names.

The rule, from the strongest to the weakest:

1. a cluster file or a rank table (its nodes, found by address or ``--node-rank``);
2. ``--nnodes``, with ``--node-rank`` and ``--master-addr``; ``--nnodes 1`` is the way out;
3. a launcher inside of a worker of ours is alone;
4. mpirun, which is started inside of the others, where it started more than one process;
5. a step of Slurm, also inside of a pod (there Slurm's daemons run in pods);
6. a pod of MindCluster;
7. nothing: this node alone. Variables of msrun, or of Slurm outside of a step, decide nothing.

``--master-addr`` and ``--master-port`` beat what 4 to 6 say.
"""

from __future__ import annotations

from collections.abc import Mapping

from launcher.contract import RUN_DIR
from launcher.environments import mindcluster, open_mpi, slurm
from launcher.environments.place import MEETING_PORT, Place
from launcher.errors import UsageError
from launcher.options import LaunchSpec

_NAMES = {
    "Open MPI": (open_mpi.is_here, "OMPI_COMM_WORLD_RANK"),
    "Slurm": (slurm.is_task, "SLURM_STEP_ID"),
    "MindCluster": (mindcluster.is_here, "MS_NODE_RANK"),
}


def choose_place(spec: LaunchSpec, environ: Mapping[str, str]) -> Place:
    """Return this launcher's place by options and environment (no file says it).

    Raises:
        UsageError: options or variables contradict each other, or something is missing.
    """
    if spec.nnodes is not None:
        return _by_hand(spec, environ)
    if environ.get(RUN_DIR):
        return Place(sources=("nodes: this one: a launcher inside of a worker is alone",))
    present = [name for name, (is_here, _) in _NAMES.items() if is_here(environ)]
    if present[:1] == ["Open MPI"] and environ["OMPI_COMM_WORLD_SIZE"] == "1" and present[1:]:
        present = present[1:]
    place = _of(present[0], spec, environ) if present else _without_a_launcher(environ)
    unused = [name for name in _NAMES if _NAMES[name][0](environ) and name not in present[:1]]
    notes = [
        f"not used: {_NAMES[name][1]} and the like of {name}, because {present[0]} comes first"
        for name in unused
    ]
    return _with_options(place._replace(sources=(*place.sources, *notes)), spec)


def _of(name: str, spec: LaunchSpec, environ: Mapping[str, str]) -> Place:
    if name == "Open MPI":
        return open_mpi.open_mpi_place(environ, spec.master_addr)
    if name == "Slurm":
        return slurm.slurm_place(environ)
    return mindcluster.mindcluster_place(environ)


def _without_a_launcher(environ: Mapping[str, str]) -> Place:
    if slurm.is_here(environ):
        return slurm.slurm_place(environ)
    if environ.get("MS_ROLE") or environ.get("MS_SCHED_HOST"):
        return Place(sources=("not used: MS_ROLE and the like, left by msrun or by a script",))
    return Place()


def _by_hand(spec: LaunchSpec, environ: Mapping[str, str]) -> Place:
    assert spec.nnodes is not None
    notes = [
        f"not used: what {name} says of nodes, because --nnodes comes first"
        for name, (is_here, _) in _NAMES.items()
        if is_here(environ)
    ]
    if spec.nnodes == 1:
        if spec.node_rank:
            raise UsageError(f"--node-rank {spec.node_rank}: with --nnodes 1 there is node 0 only")
        return Place(sources=("nodes: this one (--nnodes 1)", *notes))
    if spec.node_rank is None:
        raise UsageError(
            f"--nnodes {spec.nnodes}: say which of them this is with --node-rank, from 0 to "
            f"{spec.nnodes - 1}, another one on every node"
        )
    if spec.node_rank >= spec.nnodes:
        raise UsageError(
            f"--node-rank {spec.node_rank}: with --nnodes {spec.nnodes} they go from 0 to "
            f"{spec.nnodes - 1}"
        )
    if spec.master_addr is None:
        raise UsageError(
            f"--nnodes {spec.nnodes}: say where node 0 is with --master-addr, the same on all nodes"
        )
    place = Place(
        nnodes=spec.nnodes,
        node_rank=spec.node_rank,
        sources=(f"nodes: node {spec.node_rank} of {spec.nnodes} (--nnodes, --node-rank)", *notes),
    )
    return _with_options(place, spec)


def _with_options(place: Place, spec: LaunchSpec) -> Place:
    if place.nnodes == 1:
        if spec.master_addr is not None:
            raise UsageError(
                f"--master-addr {spec.master_addr}: nothing says that there is more than one node; "
                "give --nnodes and --node-rank too, or leave it out"
            )
        return place
    options = (("--master-addr", spec.master_addr), ("--master-port", spec.master_port))
    given = [f"{name} {value}" for name, value in options if value is not None]
    return place._replace(
        master_addr=spec.master_addr or place.master_addr,
        master_port=spec.master_port or place.master_port or MEETING_PORT,
        sources=(*place.sources, *([f"master: {', '.join(given)}"] if given else [])),
    )
