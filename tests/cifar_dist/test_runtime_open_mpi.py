from __future__ import annotations

import pytest

from cifar_dist.runtime.open_mpi import become_rank, cluster_variables, is_rank
from launcher.contract import ContractError, RankEnv

RANK_1 = {
    "HOME": "/root",
    "OMPI_COMMAND": "python",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_MCA_ess_base_jobid": "1514864641",
    "OMPI_MCA_orte_hnp_uri": "1514864640.0;tcp://192.0.2.2,172.17.0.1:36421;tcp6://[fd00::2]:50815",
    "PMIX_NAMESPACE": "1514864641",
}
"""Recorded with Open MPI 4.1.4."""


def test_a_rank_of_mpirun_is_a_worker_of_a_dynamic_cluster() -> None:
    environ = dict(RANK_1)
    become_rank(environ)
    found = RankEnv.from_environ(environ)
    assert (found.rank, found.world_size, found.local_rank, found.device_id) == (1, 2, 1, 1)
    assert environ["MS_ROLE"] == "MS_WORKER"
    assert environ["MS_SCHED_HOST"] == "127.0.0.1"
    assert 20000 <= int(environ["MS_SCHED_PORT"]) < 32000
    assert not [name for name in environ if name.startswith(("OMPI_", "PMIX_"))]


def test_over_several_hosts_the_scheduler_is_where_mpirun_runs() -> None:
    environ = {**RANK_1, "OMPI_COMM_WORLD_SIZE": "4"}
    assert cluster_variables(environ)["MS_SCHED_HOST"] == "192.0.2.2"
    given = {**environ, "MS_SCHED_HOST": "10.0.0.1", "MS_SCHED_PORT": "9000"}
    assert cluster_variables(given)["MS_SCHED_HOST"] == "10.0.0.1"
    assert cluster_variables(given)["MS_SCHED_PORT"] == "9000"
    del environ["OMPI_MCA_orte_hnp_uri"]
    with pytest.raises(ContractError, match="mpirun -x MS_SCHED_HOST"):
        cluster_variables(environ)


def test_a_single_process_of_mpirun_needs_no_cluster() -> None:
    environ = {**RANK_1, "OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"}
    become_rank(environ)
    assert environ == {"HOME": "/root"}


def test_what_another_launcher_said_since_counts_more() -> None:
    assert is_rank(RANK_1)
    assert not is_rank({**RANK_1, "MS_ROLE": "MS_WORKER"})
    assert not is_rank({**RANK_1, "RANK_ID": "0"})
    assert not is_rank({})
