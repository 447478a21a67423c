"""Environments as schedulers make them, shortened to what says who is where.

Slurm's were recorded with Slurm 22.05 (two nodes n1 and n2, tests/e2e/slurm_cluster.py); those of
mpirun with Open MPI 4.1.4 (two hosts of network namespaces, another address); those of pods were
written by the source of ascend-operator.
"""

from __future__ import annotations

SLURM_JOB = {
    "SLURM_JOB_ID": "41",
    "SLURM_JOB_NODELIST": "n[1-2]",
    "SLURM_JOB_NUM_NODES": "2",
    "SLURM_NNODES": "2",
    "SLURM_NODELIST": "n[1-2]",
    "SLURM_SUBMIT_HOST": "login",
}
SALLOC = {**SLURM_JOB, "SLURM_TASKS_PER_NODE": "2(x2)"}
"""The shell of ``salloc -N2``."""
BATCH = {**SALLOC, "SLURM_NODEID": "0", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
"""A batch script of ``sbatch -N2``."""
_STEP = {
    **SLURM_JOB,
    "SLURM_LAUNCH_NODE_IPADDR": "127.0.0.1",
    "SLURM_LOCALID": "0",
    "SLURM_NPROCS": "2",
    "SLURM_NTASKS": "2",
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NODELIST": "n[1-2]",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_STEP_NUM_TASKS": "2",
    "SLURM_STEP_TASKS_PER_NODE": "1(x2)",
    "SLURM_TASKS_PER_NODE": "1(x2)",
}
TASK_0 = {**_STEP, "SLURM_NODEID": "0", "SLURM_PROCID": "0", "SLURMD_NODENAME": "n1"}
TASK_1 = {**_STEP, "SLURM_NODEID": "1", "SLURM_PROCID": "1", "SLURMD_NODENAME": "n2"}
"""``srun -N2 --ntasks-per-node=1``."""
ONE_TASK = {
    **TASK_0,
    "SLURM_NNODES": "1",
    "SLURM_NTASKS": "1",
    "SLURM_STEP_NODELIST": "n1",
    "SLURM_STEP_NUM_NODES": "1",
    "SLURM_STEP_NUM_TASKS": "1",
    "SLURM_STEP_TASKS_PER_NODE": "1",
    "SLURM_TASKS_PER_NODE": "1",
}
"""``srun -N1 -n1`` within the allocation of two nodes; also what ``srun --pty bash`` has."""
INTERACTIVE = {**ONE_TASK, "SLURM_STEP_ID": "4294967290", "SLURM_NNODES": "2"}
"""The shell of ``salloc -N2`` where LaunchParameters has use_interactive_step."""
HETEROGENEOUS_1 = {
    **TASK_1,
    "SLURM_HET_SIZE": "2",
    "SLURM_JOB_ID_PACK_GROUP_0": "41",
    "SLURM_JOB_ID_PACK_GROUP_1": "42",
    "SLURM_JOB_NODELIST_PACK_GROUP_0": "n1",
    "SLURM_JOB_NODELIST_PACK_GROUP_1": "n2",
}
"""The second component of ``srun -N1 COMMAND : -N1 COMMAND``: the step is that of both."""

POD_0 = {
    "HOSTNAME": "job-scheduler-0",
    "MINDX_TASK_ID": "0c7c-11",
    "MS_LOCAL_WORKER": "8",
    "MS_NODE_RANK": "0",
    "MS_ROLE": "MS_SCHED",
    "MS_SCHED_HOST": "10.244.0.7",
    "MS_SCHED_PORT": "2222",
    "MS_SERVER_NUM": "0",
    "MS_WORKER_NUM": "16",
    "NPU_POD": "true",
}
POD_1 = {
    **POD_0,
    "HOSTNAME": "job-worker-0",
    "MS_NODE_RANK": "1",
    "MS_ROLE": "MS_WORKER",
    "MS_SCHED_HOST": "10.96.4.2",
}
"""A worker knows node 0 by the address of its service."""

MPI_1 = {
    "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_RANK": "0",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "1",
    "OMPI_MCA_orte_hnp_uri": "2387542016.0;tcp://10.0.0.1,172.17.0.1:43991",
    "OMPI_MCA_ess_base_jobid": "2387542017",
    "PMIX_NAMESPACE": "2387542017",
}
"""``mpirun --map-by ppr:1:node --bind-to none`` on two hosts."""

MSRUN = {
    "MS_ROLE": "MS_WORKER",
    "MS_SCHED_HOST": "127.0.0.1",
    "MS_SCHED_PORT": "8118",
    "MS_WORKER_NUM": "8",
    "MS_NODE_ID": "3",
    "RANK_ID": "3",
    "RANK_SIZE": "8",
    "DEVICE_ID": "3",
    "MS_TOPO_TIMEOUT": "600",
}
"""A worker of msrun 2.10, or a shell that sourced a script of the time before launchers."""
