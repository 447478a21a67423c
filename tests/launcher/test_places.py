"""Where a launcher stands, by recorded environments of Slurm, MindCluster, Open MPI and msrun."""

from __future__ import annotations

import pytest
from recorded_environments import (
    BATCH,
    HETEROGENEOUS_1,
    INTERACTIVE,
    MPI_1,
    MSRUN,
    ONE_TASK,
    POD_0,
    POD_1,
    SALLOC,
    TASK_0,
    TASK_1,
)

from launcher.contract import RUN_DIR
from launcher.environments.choose import choose_place
from launcher.environments.place import Place
from launcher.environments.slurm import port_of
from launcher.errors import UsageError
from launcher.options import LaunchSpec


def place(environ: dict[str, str], **spec: object) -> Place:
    return choose_place(LaunchSpec(command=("true",), **spec), environ)  # type: ignore[arg-type]


def told(found: Place) -> tuple[int, int, str, int]:
    return found.nnodes, found.node_rank, found.master_addr, found.master_port


def test_both_tasks_of_a_step_come_to_the_same_meeting() -> None:
    port = port_of("41", "0")
    assert told(place(TASK_0)) == (2, 0, "n1", port)
    assert told(place(TASK_1)) == (2, 1, "n1", port)
    assert place(TASK_0).job == place(TASK_1).job == "slurm-41.0"
    assert place(TASK_1).title(1) == "node 1 (n2)"


def test_steps_and_jobs_beside_each_other_have_ports_of_their_own() -> None:
    ports = {port_of(str(job), str(step)) for job in range(100, 200) for step in range(3)}
    assert len(ports) == 300
    assert min(ports) >= 20000
    assert max(ports) < 32000


@pytest.mark.parametrize("environ", [SALLOC, BATCH, INTERACTIVE])
def test_without_srun_only_this_node_is_used_and_it_is_said_why(environ: dict[str, str]) -> None:
    found = place(environ)
    assert found.nnodes == 1
    assert "srun --ntasks-per-node=1 python -m launcher" in found.sources[0]


def test_the_components_of_a_heterogeneous_job_are_one_job() -> None:
    assert place(HETEROGENEOUS_1) == place(TASK_1)


def test_one_task_within_a_larger_allocation_is_alone() -> None:
    assert place(ONE_TASK).nnodes == 1


def test_several_launchers_on_a_node_are_refused_with_the_right_srun() -> None:
    many = {**TASK_0, "SLURM_STEP_NUM_TASKS": "10", "SLURM_STEP_TASKS_PER_NODE": "8,2"}
    with pytest.raises(UsageError, match=r"10 tasks on 2 nodes, 8 on one.*--ntasks-per-node=1"):
        place(many)


@pytest.mark.parametrize(
    "wrong",
    [
        {"SLURM_STEP_NODELIST": "n[1-"},
        {"SLURM_NODEID": "7"},
        {"SLURM_NODEID": "one"},
        {"SLURM_STEP_NODELIST": "", "SLURM_JOB_NODELIST": "", "SLURM_NODELIST": ""},
    ],
)
def test_damaged_variables_of_slurm_are_named(wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="SLURM_"):
        place({**TASK_0, **wrong})


def test_pods_meet_where_the_operator_says() -> None:
    assert told(place(POD_0)) == (2, 0, "10.244.0.7", 2222)
    assert told(place(POD_1)) == (2, 1, "10.96.4.2", 2222)
    assert place(POD_1).workers == (8, 8)
    assert place(POD_0).job == place(POD_1).job


def test_a_job_of_one_pod_is_alone() -> None:
    one = {**POD_1, "MS_NODE_RANK": "0", "MS_WORKER_NUM": "8", "MS_SCHED_HOST": ""}
    assert place(one).nnodes == 1


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({**POD_0, "NPU_POD": "false"}, "has no NPUs"),
        ({**POD_1, "MS_NODE_RANK": "0"}, "has no NPUs"),
        ({**POD_1, "MS_NODE_RANK": "2"}, "2 pods"),
        ({**POD_1, "MS_WORKER_NUM": "15"}, "no multiple"),
        ({**POD_1, "MS_SCHED_HOST": ""}, "MS_SCHED_HOST"),
    ],
)
def test_pods_that_cannot_work_together_are_told_why(wrong: dict[str, str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        place(wrong)


def test_mpirun_tells_rank_size_and_where_it_runs_itself() -> None:
    assert told(place(MPI_1)) == (2, 1, "10.0.0.1", 8118)
    assert place(MPI_1, master_addr="10.0.0.9").master_addr == "10.0.0.9"
    without = {name: text for name, text in MPI_1.items() if name != "OMPI_MCA_orte_hnp_uri"}
    with pytest.raises(UsageError, match="--master-addr"):
        place(without)


def test_a_launcher_that_mpirun_has_bound_to_few_cores_says_so() -> None:
    assert not any("--bind-to none" in line for line in place(MPI_1).sources)
    bound = place({**MPI_1, "OMPI_MCA_orte_bound_at_launch": "1"})
    assert any("--bind-to none" in line for line in bound.sources)


def test_several_processes_of_mpirun_on_a_node_are_refused() -> None:
    with pytest.raises(UsageError, match="ppr:1:node"):
        place({**MPI_1, "OMPI_COMM_WORLD_LOCAL_SIZE": "8"})


@pytest.mark.parametrize(
    ("environ", "winner", "loser"),
    [
        ({**POD_1, **TASK_1}, "slurm-41.0", "MindCluster"),
        ({**TASK_0, **MPI_1}, "2387542017", "Slurm"),
        ({**POD_0, **MPI_1}, "2387542017", "MindCluster"),
        ({**TASK_1, **MPI_1, "OMPI_COMM_WORLD_SIZE": "1"}, "slurm-41.0", "Open MPI"),
        ({**POD_1, **SALLOC}, "0c7c-11", ""),
        ({**MSRUN, **TASK_1}, "slurm-41.0", ""),
    ],
)
def test_of_several_voices_one_counts_and_the_other_is_named(
    environ: dict[str, str], winner: str, loser: str
) -> None:
    found = place(environ)
    assert (found.nnodes, found.job) == (2, winner)
    notes = " ".join(line for line in found.sources if line.startswith("not used:"))
    assert loser in notes
    assert bool(notes) == bool(loser)


def test_what_msrun_left_behind_decides_nothing_and_is_named() -> None:
    found = place(MSRUN)
    assert found.nnodes == 1
    assert found.sources == ("not used: MS_ROLE and the like, left by msrun or by a script",)


def test_a_launcher_within_a_worker_is_alone() -> None:
    assert place({**TASK_1, RUN_DIR: "/runs/a"}).nnodes == 1


def test_options_beat_every_environment() -> None:
    by_hand = {"nnodes": 3, "node_rank": 2, "master_addr": "h0", "master_port": 9000}
    for environ in ({}, TASK_1, POD_0, MPI_1):
        assert told(place(environ, **by_hand)) == (3, 2, "h0", 9000)
    assert place(TASK_1, nnodes=1).nnodes == 1
    assert place(TASK_1, master_addr="h9", master_port=9001)[2:4] == ("h9", 9001)


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"nnodes": 2, "master_addr": "h"}, "--node-rank"),
        ({"nnodes": 2, "node_rank": 0}, "--master-addr"),
        ({"nnodes": 2, "node_rank": 2, "master_addr": "h"}, "from 0 to 1"),
        ({"nnodes": 1, "node_rank": 1}, "node 0 only"),
        ({"master_addr": "h"}, "--nnodes"),
    ],
)
def test_incomplete_options_are_refused(spec: dict[str, object], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        place({}, **spec)
