"""Two nodes on one disk, and two that have a disk each: where logs and failures end up."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import run_command
from tests.e2e.hosts import Loopback

pytestmark = pytest.mark.timeout(900)
PLAIN = ("--rendezvous", "none", "--nproc", 2)
WORKER = """
import os, time
rank = int(os.environ["RANK_ID"])
print("here is rank", rank, flush=True)
if rank == {fails}:
    raise ValueError("odd one")
time.sleep({seconds})
"""


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[Loopback]:
    (tmp_path / "fails.py").write_text(WORKER.format(fails=3, seconds=100))
    (tmp_path / "fails_on_node_0.py").write_text(WORKER.format(fails=1, seconds=100))
    (tmp_path / "works.py").write_text(WORKER.format(fails=None, seconds=0))
    with closing(Loopback(tmp_path)) as both:
        yield both


def read(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(path.read_text())
    return values


def test_on_a_shared_disk_all_logs_and_failures_are_in_one_directory(
    nodes: Loopback, tmp_path: Path
) -> None:
    for one in nodes.pair(*PLAIN, "--run-dir", "run", "--", "fails.py"):
        assert one.wait().code == 1, one.said
        assert "rank 3 of 4 failed: ValueError: odd one" in one.said
        assert "log: run/logs/attempt_0/rank_3.log" in one.said
        assert "on a disk of this node" not in one.said
    run_dir = tmp_path / "run"
    logs = [(run_dir / "logs" / "attempt_0" / f"rank_{rank}.log").read_text() for rank in range(4)]
    assert "here is rank 3" in logs[3]
    assert read(run_dir / "failures" / "attempt_0" / "rank_3.json")["type"] == "ValueError"
    for manifest in ("manifest.json", "manifest_node_1.json"):
        assert read(run_dir / manifest)["root_cause_rank"] == 3
    status = run_command([sys.executable, "-m", "launcher", "status", "run"], cwd=tmp_path)
    assert status.returncode == 1
    assert "root cause: rank 3: ValueError: odd one" in status.stdout


def test_on_disks_of_their_own_each_node_says_where_its_part_is(
    nodes: Loopback, tmp_path: Path
) -> None:
    pair = [nodes.launch(rank, *PLAIN, "--run-dir", f"disk_{rank}", "--", "fails.py")
            for rank in (0, 1)]  # fmt: skip
    first, second = (one.wait() for one in pair)
    assert (first.code, second.code) == (1, 1), first.said + second.said
    assert "run directory disk_1 (on a disk of this node)" in second.said
    host = read(tmp_path / "disk_1" / "manifest_node_1.json")["host"]
    assert f"run directory on {host}: {tmp_path / 'disk_1'}\n" in first.said
    assert "this node's run directory: disk_0" in first.said
    assert "run directory: disk_1" in second.said
    assert (tmp_path / "disk_1" / "failures" / "attempt_0" / "rank_3.json").exists()
    logs = {folder.name: sorted(path.name for path in folder.glob("logs/attempt_0/*"))
            for folder in tmp_path.glob("disk_*")}  # fmt: skip
    assert logs == {"disk_0": ["rank_0.log", "rank_1.log"], "disk_1": ["rank_2.log", "rank_3.log"]}


def test_the_directory_of_node_0_is_not_taken_for_one_on_another_disk(nodes: Loopback) -> None:
    pair = [nodes.launch(rank, *PLAIN, "--run-dir", f"disk_{rank}", "--", "fails_on_node_0.py")
            for rank in (0, 1)]  # fmt: skip
    first, second = (one.wait() for one in pair)
    assert (first.code, second.code) == (1, 1), first.said + second.said
    assert "  run directory: disk_0\n" in first.said
    assert "  run directory on node 0: disk_0\n" in second.said
    assert "  this node's run directory: disk_1\n" in second.said
    assert "  run directory: " not in second.said


def test_a_good_end_names_the_directory_of_each_disk(nodes: Loopback) -> None:
    pair = [nodes.launch(rank, *PLAIN, "--run-dir", f"disk_{rank}", "--", "works.py")
            for rank in (0, 1)]  # fmt: skip
    for rank, one in enumerate(pair):
        assert one.wait().code == 0, one.said
        assert "all 4 ranks ended well after " in one.said
        assert f"disk_{rank}" in one.said.splitlines()[-1]
