from __future__ import annotations

from pathlib import Path

from launcher.contract import RankEnv
from launcher.planning.environment import (
    leftovers,
    precedence_notes,
    scheduler_environment,
    worker_environment,
)
from launcher.planning.rendezvous import Scheduler

WHO = RankEnv(
    rank=1, world_size=4, local_rank=1, device_id=1, device_target="CPU", run_dir=Path("/r"),
    job_id="a1",
)  # fmt: skip
CLUSTER = Scheduler("127.0.0.1", 23456, 4, 1860)


def applied(overlay: dict[str, str | None], inherited: dict[str, str]) -> dict[str, str]:
    merged = {**inherited, **overlay}
    return {name: text for name, text in merged.items() if text is not None}


def test_a_worker_reads_back_who_it_is_beside_leftovers_of_every_other_launcher() -> None:
    inherited = {
        "RANK_TABLE_FILE": "/old.json",
        "MS_ROLE": "MS_SCHED",
        "MS_NODE_ID": "7",
        "RANK_ID": "9",
        "RANK_SIZE": "10",
        "DEVICE_ID": "3",
        "OMPI_COMMAND": "python",
        "PMIX_RANK": "0",
        "HOME": "/root",
    }
    for scheduler in (None, CLUSTER):
        overlay = worker_environment(WHO, inherited=inherited, rendezvous=scheduler)
        environ = applied(overlay, inherited)
        assert RankEnv.from_environ(environ) == WHO
        assert not {"RANK_TABLE_FILE", "OMPI_COMMAND", "PMIX_RANK"} & environ.keys()
        assert environ["HOME"] == "/root"


def test_the_dynamic_cluster_is_described_to_workers_and_scheduler_alike() -> None:
    worker = worker_environment(WHO, inherited={}, rendezvous=CLUSTER)
    scheduler = scheduler_environment(CLUSTER, WHO, inherited={})
    for name in ("MS_SCHED_HOST", "MS_SCHED_PORT", "MS_WORKER_NUM", "MS_NODE_TIMEOUT"):
        assert worker[name] == scheduler[name]
    assert (worker["MS_ROLE"], scheduler["MS_ROLE"]) == ("MS_WORKER", "MS_SCHED")
    assert worker["MS_NODE_ID"] == "1"
    assert worker["MS_SCHED_PORT"] == "23456"
    assert not {"RANK_ID", "RANK_SIZE", "DEVICE_ID", "MS_NODE_ID"} & scheduler.keys()


def test_without_a_cluster_nothing_of_mindspore_is_set() -> None:
    overlay = worker_environment(WHO, inherited={"MS_ROLE": "MS_WORKER", "MS_SCHED_PORT": "1"})
    assert {name: text for name, text in overlay.items() if name.startswith("MS_")} == {
        "MS_ROLE": None,
        "MS_SCHED_PORT": None,
    }


def test_what_the_user_has_set_stays() -> None:
    inherited = {
        "MS_NODE_TIMEOUT": "99",
        "MS_RETRY_INTERVAL_LOWER": "4",
        "OMP_NUM_THREADS": "5",
        "GLOG_v": "1",
        "PYTHONUNBUFFERED": "",
    }
    overlay = worker_environment(WHO, inherited=inherited, rendezvous=CLUSTER, threads=2)
    environ = applied(overlay, inherited)
    for name, text in inherited.items():
        assert environ[name] == text
    assert environ["MKL_NUM_THREADS"] == "2"
    assert environ["MS_TOPO_TIMEOUT"] == "1860"
    assert "MS_SUBMODULE_LOG_v" not in environ


def test_thousands_of_ranks_ask_the_scheduler_as_seldom_as_mindspore_wants() -> None:
    asked = "MS_RETRY_INTERVAL_UPPER"
    assert CLUSTER.environment("MS_WORKER", {})[asked] == "1"
    assert asked not in CLUSTER._replace(world_size=4096).environment("MS_WORKER", {})


def test_threads_are_left_alone_without_a_share_of_cores() -> None:
    assert "OMP_NUM_THREADS" not in worker_environment(WHO, inherited={})


def test_only_leftovers_that_are_there_are_removed() -> None:
    assert leftovers({"MS_ROLE": "x", "OMPI_A": "1", "OMP_NUM_THREADS": "2"}) == {
        "MS_ROLE": None,
        "OMPI_A": None,
    }


def test_what_the_shell_decides_is_said() -> None:
    shell = {"OMP_NUM_THREADS": "5", "A": "1", "B": "2"}
    assert precedence_notes(shell, {"A": "1", "B": "3", "C": "4"}) == [
        "B=2 of the shell wins over 3 of the cluster file",
        "kept as it was set: OMP_NUM_THREADS=5",
    ]
    assert precedence_notes({}, {"A": "1"}) == []


def test_a_file_may_set_waits_and_threads_for_all() -> None:
    variables = {"MS_NODE_TIMEOUT": "77", "OMP_NUM_THREADS": "3"}
    worker = worker_environment(
        WHO, inherited={}, rendezvous=CLUSTER, variables=variables, threads=2
    )
    scheduler = scheduler_environment(CLUSTER, WHO, inherited={}, variables=variables)
    assert (worker["MS_NODE_TIMEOUT"], worker["OMP_NUM_THREADS"]) == ("77", "3")
    assert scheduler["MS_NODE_TIMEOUT"] == "77"
