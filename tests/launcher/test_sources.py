"""Cluster files and rank tables as they come from the command line, up to real workers."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from fake_host import FakeHost
from rank_tables import Shape, document

from launcher.errors import NotReadyError, RankTableError, UsageError
from launcher.options import LaunchSpec
from launcher.planning.sources import check_product, read_layout, refuse_another_table

SHOW = """
import json, os, sys
names = ("RANK_TABLE_FILE", "RANK_ID", "RANK_SIZE", "DEVICE_ID", "MS_ROLE", "HCCL_IF_BASE_PORT")
print(json.dumps({name: os.environ.get(name) for name in names}))
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "t.json"
    path.write_text(json.dumps(document(Shape(servers=1, devices=2))))
    return path


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    path = tmp_path / "c.yaml"
    path.write_text(
        "devices: 0-1\nnodes:\n- {name: a, address: 10.0.0.1}\n- {name: b, address: 10.0.0.2}\n"
    )
    return path


def read(**spec: object):
    return read_layout(LaunchSpec(**spec))  # type: ignore[arg-type]


def test_without_a_file_the_options_decide() -> None:
    assert read() is None


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"cluster": "c", "rank_table": Path("t")}, "--cluster and --rank-table both say"),
        ({"cluster": "c", "nproc": 2}, "--nproc and --cluster both say"),
        ({"rank_table": Path("t"), "devices": (0,)}, "--devices and --rank-table both say"),
        ({"rank_table": Path("t.json"), "device_target": "CPU"}, "--rank-table is for NPUs"),
        ({"cluster": "local_cpu.yaml", "device_target": "Ascend"}, "says CPU; leave the option"),
        ({"cluster": "local_cpu.yaml", "rendezvous": "rank-table"}, "has device_target: CPU"),
    ],
)
def test_contradictions_are_refused(spec: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read(**spec)


def test_a_table_is_kept_as_it_is_and_an_old_one_is_converted(table: Path, shared: Path) -> None:
    layout = read(rank_table=table)
    assert layout is not None
    assert layout.rank_table == table.read_text()
    old = next((shared / "samples" / "ranktables").glob("06_*"))
    converted = read(rank_table=old)
    assert converted is not None
    assert json.loads(converted.rank_table or "")["version"] == "1.0"


def test_a_restart_does_without_its_copy_of_the_table_by_saying_so(
    table: Path, tmp_path: Path
) -> None:
    spec = LaunchSpec(rank_table=table, rank_table_timeout_s=600.0)
    with pytest.raises(NotReadyError, match=r"kept.json, the rank table .* cannot be read"):
        refuse_another_table(spec, tmp_path / "kept.json")
    (tmp_path / "kept.json").write_bytes(table.read_bytes())
    refuse_another_table(spec, tmp_path / "kept.json")
    table.unlink()
    with pytest.raises(NotReadyError, match="has been written anew"):
        refuse_another_table(spec, tmp_path / "kept.json")


def test_a_table_that_is_not_completed_in_time_is_temporary(
    table: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    table.write_text('{"status": "initializing"}')
    with pytest.raises(NotReadyError, match=r"was not ready within 0.1 s"):
        read(rank_table=table, rank_table_timeout_s=0.1)
    said = capfd.readouterr().err
    assert said == f"launcher: waiting up to 0.1 s for the rank table {table}\n"


def test_the_rules_of_this_nodes_product_hold(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps(document(Shape(servers=1, devices=3))))
    layout = read(rank_table=path)
    assert layout is not None
    check_product(layout, None)
    check_product(layout, "A2")
    with pytest.raises(RankTableError, match="devices-per-server"):
        check_product(layout, "910A")


def test_a_cluster_file_can_be_met_by_rank_table(tmp_path: Path) -> None:
    layout = read(cluster="two_nodes_16p.yaml", rendezvous="rank-table")
    assert layout is not None
    assert json.loads(layout.rank_table or "")["server_count"] == "2"


def test_every_node_of_a_cluster_file_is_planned_on_any_machine(
    tmp_path: Path, cluster: Path
) -> None:
    host = FakeHost(tmp_path / "host").devices(0)
    for node_rank in (0, 1):
        options = ("--dry-run", "--cluster", cluster, "--node-rank", str(node_rank))
        done = host.launcher(*options, "--", "true", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        shown = json.loads(done.stdout)
        assert [rank["rank"] for rank in shown["ranks"]] == [2 * node_rank, 2 * node_rank + 1]
        assert (shown["scheduler"] is None) is (node_rank == 1)
        environment = shown["ranks"][0]["environment"]
        assert (environment["MS_SCHED_HOST"], environment["MS_SCHED_PORT"]) == ("10.0.0.1", "8118")


def test_a_node_finds_itself_by_its_addresses(tmp_path: Path, cluster: Path) -> None:
    host = FakeHost(tmp_path / "host").devices(0)
    host.file("proc/net/fib_trie", "  |-- 10.0.0.2\n     /32 host LOCAL\n")
    done = host.launcher("--dry-run", "--cluster", cluster, "--", "true", cwd=tmp_path)
    assert json.loads(done.stdout)["node_rank"] == 1
    host.file("proc/net/fib_trie", "")
    done = host.launcher("--dry-run", "--cluster", cluster, "--", "true", cwd=tmp_path)
    assert done.returncode == 2
    assert "say which it is with --node-rank" in done.stderr


def test_workers_read_the_table_of_their_run_directory(tmp_path: Path, table: Path) -> None:
    (tmp_path / "show.py").write_text(SHOW)
    host = FakeHost(tmp_path / "host").devices(2)
    options = ("--rank-table", table, "--run-dir", "run", "--console", "all")
    done = host.launcher(
        *options, "--", "show.py", cwd=tmp_path, env={"MS_ROLE": "MS_SCHED", "RANK_ID": "9"}
    )
    assert done.returncode == 0, done.stderr
    copy = tmp_path / "run" / "rank_table.json"
    assert copy.read_text() == table.read_text()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o640
    seen = [json.loads(line.partition("] ")[2]) for line in done.stdout.splitlines()]
    for number, one in enumerate(sorted(seen, key=lambda one: one["RANK_ID"])):
        assert one["HCCL_IF_BASE_PORT"].isdecimal()
        assert {**one, "HCCL_IF_BASE_PORT": ""} == {
            "RANK_TABLE_FILE": str(copy),
            "RANK_ID": str(number),
            "RANK_SIZE": "2",
            "DEVICE_ID": str(number),
            "MS_ROLE": None,
            "HCCL_IF_BASE_PORT": "",
        }


def test_a_table_of_absent_devices_starts_nothing(tmp_path: Path, table: Path) -> None:
    host = FakeHost(tmp_path / "host").devices(1)
    done = host.launcher("--rank-table", table, "--run-dir", "run", "--", "true", cwd=tmp_path)
    assert done.returncode == 2
    assert "NPU 1 is not visible on this node; visible: 0" in done.stderr
    assert not (tmp_path / "run").exists()
