"""Slurm: one launcher per node is one task of a step (``srun --ntasks-per-node=1``).

What counts is the *step*, never the allocation: in a batch script and in the shell of an
interactive allocation the variables of the job are set as well, and yet only one launcher runs.
Variables: the manual pages of srun and sbatch, "OUTPUT ENVIRONMENT VARIABLES".
"""

from __future__ import annotations

from collections.abc import Mapping

from launcher.environments.hostlist import expand_counts, expand_hosts
from launcher.environments.place import Place
from launcher.environments.variables import number
from launcher.errors import UsageError

_FIRST_PORT, _PORTS = 20000, 12000
_INTERACTIVE = "4294967290"
"""The step of a shell that salloc opens on a node (LaunchParameters=use_interactive_step)."""


def is_here(environ: Mapping[str, str]) -> bool:
    """Return whether this process belongs to a job of Slurm."""
    return bool(environ.get("SLURM_JOB_ID"))


def is_task(environ: Mapping[str, str]) -> bool:
    """Return whether srun started this process, or the shell that it came from."""
    is_in_a_step = all(
        environ.get(name) for name in ("SLURM_STEP_ID", "SLURM_PROCID", "SLURM_NODEID")
    )
    return is_in_a_step and environ["SLURM_STEP_ID"] != _INTERACTIVE


def slurm_place(environ: Mapping[str, str]) -> Place:
    """Return the place of this task in its step; without a step, or with one node, it is alone.

    Raises:
        UsageError: the step has more than one launcher on a node, or contradicts itself.
    """
    job = environ["SLURM_JOB_ID"]
    if not is_task(environ):
        return Place(sources=(_outside_of_a_step(environ),))
    nodes = _hosts(environ)
    tasks = number(environ, "SLURM_STEP_NUM_TASKS") or number(environ, "SLURM_NTASKS") or len(nodes)
    if tasks > len(nodes):
        _refuse_several_on_a_node(environ, tasks, len(nodes))
    node_rank = number(environ, "SLURM_NODEID") or 0
    if node_rank >= len(nodes):
        raise UsageError(
            f"SLURM_NODEID={node_rank}, but SLURM_STEP_NODELIST names {len(nodes)} nodes: these "
            "variables are not of one step; start the launcher with srun"
        )
    step = environ["SLURM_STEP_ID"]
    return Place(
        nnodes=len(nodes),
        node_rank=node_rank,
        master_addr=nodes[0],
        master_port=port_of(job, step),
        name=nodes[node_rank],
        names=nodes,
        job=f"slurm-{job}.{step}",
        sources=(
            f"nodes: Slurm job {job}, step {step}: {len(nodes)} nodes, this is {nodes[node_rank]} "
            "(SLURM_STEP_NODELIST, SLURM_NODEID)",
            "master port: made of SLURM_JOB_ID and SLURM_STEP_ID",
        ),
    )


def port_of(job: str, step: str) -> int:
    """Return a port that all nodes of a step come to, and other steps hardly ever."""
    key = [int("".join(filter(str.isdecimal, text)) or 0) for text in (job, step)]
    return _FIRST_PORT + (key[0] * 31 + key[1]) % _PORTS


def run_name(environ: Mapping[str, str]) -> str:
    """Return the name of the run directory: the same one when the job is requeued."""
    return f"slurm-{environ['SLURM_JOB_ID']}"


def _hosts(environ: Mapping[str, str]) -> tuple[str, ...]:
    for name in ("SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"):
        if text := environ.get(name):
            try:
                return expand_hosts(text)
            except ValueError as error:
                raise UsageError(f"{name}={text!r}: {error}") from None
    raise UsageError(
        "Slurm's SLURM_STEP_NODELIST is not set, so that the nodes of the step are not known; "
        "start the launcher with srun, or say --nnodes, --node-rank and --master-addr"
    )


def _refuse_several_on_a_node(environ: Mapping[str, str], tasks: int, nnodes: int) -> None:
    text = environ.get("SLURM_STEP_TASKS_PER_NODE") or environ.get("SLURM_TASKS_PER_NODE", "")
    try:
        most = max(expand_counts(text))
    except ValueError:
        most = -(-tasks // nnodes)
    raise UsageError(
        f"this step has {tasks} tasks on {nnodes} node{'s' if nnodes > 1 else ''}, {most} on one "
        "of them, and each would be a launcher; one is wanted on each node, it starts the workers "
        "itself: srun --ntasks-per-node=1 python -m launcher ..."
    )


def _outside_of_a_step(environ: Mapping[str, str]) -> str:
    job = environ["SLURM_JOB_ID"]
    nnodes = number(environ, "SLURM_JOB_NUM_NODES") or number(environ, "SLURM_NNODES") or 1
    if nnodes == 1:
        return f"nodes: this one, of Slurm job {job} (not in a step)"
    return (
        f"nodes: only this one, although Slurm job {job} has {nnodes}: srun did not start this "
        "launcher; to use them all: srun --ntasks-per-node=1 python -m launcher ..."
    )
