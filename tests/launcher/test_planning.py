from __future__ import annotations

import sys
from pathlib import Path

import pytest

import launcher
import launcher.scheduler
from launcher.contract import RankEnv
from launcher.errors import NotReadyError, UsageError
from launcher.host.node import Host
from launcher.host.npus import Holder, Npus
from launcher.options import LaunchSpec
from launcher.plan import Identity, Plan, to_json
from launcher.planning.command import worker_command
from launcher.planning.layout import Layout, NodeLayout
from launcher.planning.planner import make_plan, policy, shown_ranks
from launcher.planning.rendezvous import master_port

HOST = Host("n1", {"HOME": "/h"}, npus=Npus(), cores=(0, 1, 2, 3), numa_nodes=((0, 1), (2, 3)))
IDENTITY = Identity("job1", Path("/runs/a"))
BOOT = str(Path(launcher.__file__).with_name("boot.py"))


class SomePorts:
    def choose(self) -> int:
        return 23456

    def choose_block(self, size: int) -> int:
        return 25600


def plan(host: Host = HOST, layout: Layout | None = None, **spec: object) -> Plan:
    wanted = LaunchSpec(**{"command": ("true",), **spec})  # type: ignore[arg-type]
    return make_plan(wanted, host, IDENTITY, ports=SomePorts(), layout=layout)


def test_two_workers_get_a_scheduler_an_even_share_of_cores_and_their_ranks() -> None:
    made = plan(nproc=2)
    assert made.rendezvous == "cluster"
    assert made.scheduler is not None
    assert made.scheduler.cpus == ()
    assert [worker.cpus for worker in made.workers] == [(0, 1), (2, 3)]
    for rank, worker in enumerate(made.workers):
        environ = {name: text for name, text in worker.environment.items() if text is not None}
        who = RankEnv.from_environ(environ)
        assert (who.rank, who.world_size, who.run_dir) == (rank, 2, IDENTITY.run_dir)
        assert environ["OMP_NUM_THREADS"] == "2"


def test_the_scheduler_is_no_copy_of_the_users_script() -> None:
    made = plan(nproc=2)
    assert made.scheduler is not None
    python, unbuffered, script = made.scheduler.command
    assert (python, unbuffered) == (sys.executable, "-u")
    assert script == launcher.scheduler.__file__


@pytest.mark.parametrize(
    ("nproc", "rendezvous", "has_scheduler"),
    [(1, "auto", False), (1, "cluster", True), (2, "auto", True), (2, "none", False)],
)
def test_a_scheduler_is_started_only_where_ranks_must_meet(
    nproc: int, rendezvous: str, has_scheduler: bool
) -> None:
    made = plan(nproc=nproc, rendezvous=rendezvous)
    assert (made.scheduler is not None) is has_scheduler
    assert ("MS_ROLE" in made.workers[0].environment) is has_scheduler


def test_npus_are_planned_by_physical_id_and_renumbered() -> None:
    made = plan(HOST._replace(npus=Npus.counted(0, 1, 2, 3)), devices=(1, 3))
    assert [worker.device_id for worker in made.workers] == [1, 3]
    for rank, worker in enumerate(made.workers):
        assert worker.environment["ASCEND_RT_VISIBLE_DEVICES"] == "1,3"
        assert worker.environment["DEVICE_ID"] == str(rank)


def test_binding_can_follow_numa_nodes_or_be_left_out() -> None:
    assert [one.cpus for one in plan(nproc=1, bind="numa").workers] == [(0, 1)]
    bare = plan(nproc=2, bind="none")
    assert bare.workers[0].cpus == ()
    assert "OMP_NUM_THREADS" not in bare.workers[0].environment
    fallen_back = plan(HOST._replace(numa_nodes=()), nproc=2, bind="numa")
    assert [one.cpus for one in fallen_back.workers] == [(0, 1), (2, 3)]
    assert "no NUMA nodes" in fallen_back.notes[0]


def test_a_share_of_one_core_is_taken_only_after_the_cluster_was_joined() -> None:
    many = plan(nproc=4)
    assert all(worker.binds_late for worker in many.workers)
    assert [worker.environment["LAUNCHER_WORKER_CPUS"] for worker in many.workers] == [*"0123"]
    assert not any(worker.binds_late for worker in plan(nproc=2).workers)
    assert not any(worker.binds_late for worker in plan(nproc=4, rendezvous="none").workers)


def test_more_workers_than_cores_share_them_in_turn() -> None:
    assert [one.cpus for one in plan(nproc=6).workers] == [(0,), (1,), (2,), (3,), (0,), (1,)]


def test_a_launch_inside_a_job_belongs_to_that_job_too() -> None:
    inner = plan(HOST._replace(environ={"LAUNCHER_JOB_ID": "outer"}))
    assert inner.job_id == "job1"
    assert inner.workers[0].environment["LAUNCHER_JOB_ID"] == "outer:job1"


def test_scripts_and_modules_run_under_boot_and_programs_do_not(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.touch()
    python = (sys.executable, "-u", BOOT)

    def command(*given: str) -> tuple[tuple[str, ...], bool]:
        return worker_command(LaunchSpec(command=given), IDENTITY.run_dir)

    assert command(str(script), "--lr", "1") == ((*python, str(script), "--lr", "1"), True)
    assert command("-m", "a.b", "x") == ((*python, "-m", "a.b", "x"), True)
    assert command("sh", "-c", "ls")[1] is False
    assert command("sh")[0][0].startswith("/")


def test_a_recipe_trains_by_the_resolved_recipe_of_the_run_directory() -> None:
    command, records = worker_command(LaunchSpec(recipe="lenet5.yaml"), Path("/r"))
    assert command[3:] == ("-m", "cifar_dist", "train", "--config", "/r/config.yaml")
    assert records


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("-m",), "the name of a module must follow"),
        (("missing.py",), "there is no such script"),
        (("no-such-program",), "nor a program on PATH"),
        (("-c", "1"), "nor a program on PATH"),
    ],
)
def test_what_cannot_be_run_is_refused(command: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan(command=command)


def test_the_time_limits_reach_the_supervisor() -> None:
    made = policy(LaunchSpec(grace_s=1, hang_timeout_s=2, exit_skew_s=3, max_restarts=4))
    assert (made.grace_s, made.hang_timeout_s, made.exit_skew_s, made.max_restarts) == (1, 2, 3, 4)
    slow = policy(LaunchSpec(straggler_factor=2.5, straggler_time_s=7))
    assert (slow.straggler_factor, slow.straggler_time_s) == (2.5, 7)


def test_mindspores_own_patience_is_longer_than_the_hang_watch() -> None:
    environ = plan(nproc=2, hang_timeout_s=5000).workers[0].environment
    assert int(environ["MS_NODE_TIMEOUT"] or 0) > 5000


def test_only_ranks_that_there_are_can_be_shown() -> None:
    assert shown_ranks(LaunchSpec(console=None), 3) == {0, 1, 2}
    assert shown_ranks(LaunchSpec(console=frozenset()), 3) == frozenset()
    assert shown_ranks(LaunchSpec(console=frozenset({2})), 3) == {2}
    with pytest.raises(UsageError, match=r"there is no rank 5; this job's ranks are 0,1"):
        plan(nproc=2, console=frozenset({0, 5}))


def test_the_plan_can_be_shown_as_json() -> None:
    shown = to_json(plan(nproc=2))
    assert [rank["rank"] for rank in shown["ranks"]] == [0, 1]
    assert shown["ranks"][0]["node"] == "n1"


TABLE = Layout(
    "Ascend",
    (NodeLayout("n0", (0, 1), (0, 1), "10.0.0.1"), NodeLayout("n1", (2, 3), (6, 7), "10.0.0.2")),
    "--rank-table t.json",
    rank_table="{}",
)
EIGHT = HOST._replace(npus=Npus.counted(*range(8)))


def test_a_table_means_the_rank_table_rendezvous_unless_told_otherwise() -> None:
    assert plan(EIGHT, TABLE, node_rank=0).rendezvous == "rank-table"
    made = plan(EIGHT, TABLE, node_rank=0, rendezvous="cluster")
    assert made.scheduler is not None
    assert made.scheduler.environment["MS_SCHED_HOST"] == "10.0.0.1"
    with pytest.raises(UsageError, match="--rendezvous rank-table: there is no table"):
        plan(rendezvous="rank-table")


def test_each_node_plans_its_own_ranks() -> None:
    made = plan(EIGHT._replace(addresses=("10.0.0.2",)), TABLE)
    assert (made.node_rank, made.nnodes, made.world_size) == (1, 2, 4)
    assert [(one.rank, one.local_rank, one.device_id) for one in made.workers] == [
        (2, 0, 6),
        (3, 1, 7),
    ]


def test_any_node_can_be_planned_anywhere_but_started_only_where_its_npus_are() -> None:
    made = plan(HOST, TABLE, node_rank=1, dry_run=True)
    assert made.notes == ("NPU 6,7 is not visible where this was planned",)
    with pytest.raises(UsageError, match=r"--rank-table t.json, node 1: NPU 6,7 is not visible"):
        plan(HOST, TABLE, node_rank=1)


def test_a_device_that_is_held_is_told_before_anything_starts() -> None:
    held = EIGHT._replace(npus=EIGHT.npus._replace(holders=(Holder(1, 99, "python"),)))
    with pytest.raises(NotReadyError, match=r"NPU 1 is held by pid 99 \(python\)"):
        plan(held, nproc=2)
    assert plan(held, nproc=2, dry_run=True).notes == ("NPU 1 is held by pid 99 (python)",)
    assert plan(held, nproc=1).notes == ()


def test_nodes_that_are_told_no_port_agree_on_one() -> None:
    assert master_port(LaunchSpec(), None) is None
    assert master_port(LaunchSpec(), TABLE) == 8118
    assert master_port(LaunchSpec(), TABLE._replace(master_port=9000)) == 9000
    assert master_port(LaunchSpec(master_port=9001), TABLE) == 9001
    assert master_port(LaunchSpec(), TABLE._replace(nodes=TABLE.nodes[:1])) is None


def test_a_quota_limits_the_threads_that_the_plan_shows() -> None:
    made = plan(HOST._replace(cpu_quota=2.0), nproc=2)
    assert made.workers[0].environment["OMP_NUM_THREADS"] == "1"
    assert "the time of 2 cores" in made.notes[0]


def test_a_cluster_of_ipv6_addresses_is_told_each_nodes_own() -> None:
    nodes = tuple(node._replace(address=f"fd00::{n}") for n, node in enumerate(TABLE.nodes))
    layout = TABLE._replace(nodes=nodes, rank_table=None)
    environment = plan(EIGHT, layout, node_rank=1).workers[0].environment
    assert (environment["MS_SCHED_HOST"], environment["MS_WORKER_IP"]) == ("fd00::0", "fd00::1")


def test_a_scheduler_needs_an_address_and_not_a_name() -> None:
    layout = TABLE._replace(nodes=tuple(node._replace(address=node.name) for node in TABLE.nodes))
    with pytest.raises(UsageError, match="needs an address of node 0, and 'n0' is a name"):
        plan(EIGHT, layout, node_rank=0, rendezvous="cluster")


def test_what_the_shell_hides_is_said() -> None:
    hiding = EIGHT._replace(environ={"ASCEND_RT_VISIBLE_DEVICES": "2,3"})
    made = plan(hiding)
    assert [worker.device_id for worker in made.workers] == [2, 3]
    assert made.notes == ("ASCEND_RT_VISIBLE_DEVICES=2,3 leaves NPU 2,3 of 0-7",)
    with pytest.raises(UsageError, match=r"visible: 2,3 \(ASCEND_RT_VISIBLE_DEVICES=2,3 leaves"):
        plan(hiding, TABLE, node_rank=0)


def test_an_npu_smi_that_does_not_answer_is_said() -> None:
    silent = EIGHT._replace(npus=EIGHT.npus._replace(problem="npu-smi info: no answer within 10 s"))
    assert plan(silent, nproc=1).notes == (
        "npu-smi info: no answer within 10 s: it is not known whether the NPUs are free",
    )


def test_devices_go_up_where_cann_counts_them_and_follow_a_table_where_it_is_read() -> None:
    node = NodeLayout("n0", (0, 1), (5, 2))
    layout = TABLE._replace(nodes=(node,))
    by_table = plan(EIGHT, layout)
    assert [one.environment["DEVICE_ID"] for one in by_table.workers] == ["5", "2"]
    assert [one.device_id for one in by_table.workers] == [5, 2]
    counted = plan(EIGHT, layout, rendezvous="cluster")
    assert [one.device_id for one in counted.workers] == [2, 5]
    assert counted.workers[0].environment["ASCEND_RT_VISIBLE_DEVICES"] == "2,5"


def test_a_dry_run_takes_no_port_of_another_node() -> None:
    layout = TABLE._replace(rank_table=None)
    assert plan(EIGHT, layout, node_rank=0).workers[0].environment["MS_SCHED_PORT"] == "23456"
    shown = plan(EIGHT, layout, node_rank=0, dry_run=True).workers[0].environment
    assert shown["MS_SCHED_PORT"] == "8118"
