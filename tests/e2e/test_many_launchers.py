"""Many launchers on one machine, as many nodes would have them: start, lose a worker, end."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, run_command, succeed


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_64_launchers_start_lose_a_worker_and_end_with_no_process_left(tmp_path: Path) -> None:
    bench = [sys.executable, ROOT / "scripts" / "bench_nodes", "--plans", 0]
    sizes = ["--nodes", 4, 64, "--json", "costs.json"]
    done = succeed(run_command([*bench, *sizes], cwd=tmp_path, limit_s=1700))
    assert "PASS  no process is left" in done.stdout
    rows = json.loads((tmp_path / "costs.json").read_text())["rows"]
    assert [row["nodes"] for row in rows] == [4, 64]


def test_a_plan_of_1250_nodes_is_made_and_printed(tmp_path: Path) -> None:
    nodes = "".join(
        f"  - {{name: n{i}, address: 10.1.{i // 250}.{i % 250 + 1}}}\n" for i in range(1250)
    )
    (tmp_path / "many.yaml").write_text(f"device_target: CPU\nnproc: 8\nnodes:\n{nodes}")
    launcher = (sys.executable, "-m", "launcher", "--dry-run", "--node-rank", 1249)
    by_hand = ("--nnodes", 1250, "--master-addr", "10.1.0.1", "--nproc", 8)
    for options in (("--cluster", "many.yaml"), (*by_hand, "--device-target", "CPU")):
        done = succeed(run_command([*launcher, *options, "--", "true"], cwd=tmp_path))
        plan = json.loads(done.stdout)
        assert (plan["world_size"], plan["nnodes"]) == (10_000, 1250)
        assert [worker["rank"] for worker in plan["ranks"]] == list(range(9992, 10_000))
