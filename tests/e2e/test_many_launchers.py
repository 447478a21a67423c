"""Many launchers on one machine, as many nodes would have them: start, lose a worker, end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from launcher.planning.ports import PortReservation
from tests.e2e.conftest import ROOT, run_command, succeed

NPROC = 8
LIMIT_S = 200.0


class Nodes:
    """As many launchers as there are nodes, each with sleeping workers."""

    def __init__(self, nnodes: int, folder: Path) -> None:
        with closing(PortReservation()) as ports:
            port = ports.choose()
        self.run_dir = folder / "run"
        shared = ["--nnodes", nnodes, "--master-addr", "127.0.0.1", "--master-port", port]
        shared += ["--nproc", NPROC, "--rendezvous", "none", "--device-target", "CPU"]
        shared += ["--join-timeout", int(LIMIT_S), "--run-dir", self.run_dir, "--console", "none"]
        self.launchers = [
            subprocess.Popen(
                [sys.executable, "-m", "launcher", *map(str, shared), "--node-rank", str(rank),
                 "--", "sleep", "1000"],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=(folder / f"node_{rank}.err").open("w"),
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
            for rank in range(nnodes)
        ]  # fmt: skip

    def close(self) -> None:
        for launcher in self.launchers:
            launcher.kill()
            launcher.wait(LIMIT_S)

    def workers(self) -> dict[int, int]:
        """Return the process of each rank that has been started."""
        found = {}
        for path in self.run_dir.glob("events*.jsonl"):
            for line in path.read_text().splitlines(keepends=True):
                event = json.loads(line) if line.endswith("\n") else {}
                if event.get("event") == "spawn":
                    found[event["rank"]] = event["pid"]
        return found

    def job_id(self) -> str:
        lines = (self.run_dir / "events.jsonl").read_text().splitlines()
        return str(next(json.loads(line)["job_id"] for line in lines if "job_id" in line))


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline_s, f"waited in vain: {what}"
        time.sleep(0.2)


def cost(pid: int) -> tuple[int, int]:
    """Return the resident memory of a process in KiB, and the number of its open files."""
    status = Path(f"/proc/{pid}/status").read_text()
    memory = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(memory.split()[1]), len(os.listdir(f"/proc/{pid}/fd"))


def tagged(job_id: str) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"LAUNCHER_JOB_ID={job_id}".encode() in (folder / "environ").read_bytes():
                found.append(folder.name)
        except OSError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_64_launchers_start_lose_a_worker_and_end_with_no_process_left(tmp_path: Path) -> None:
    costs = {}
    for nnodes in (4, 64):
        folder = tmp_path / str(nnodes)
        folder.mkdir()
        with closing(Nodes(nnodes, folder)) as nodes:
            wait_until(lambda n=nodes, c=nnodes: len(n.workers()) == c * NPROC, "all run")  # type: ignore[misc]
            costs[nnodes] = cost(nodes.launchers[3].pid)
            job_id = nodes.job_id()
            assert len(tagged(job_id)) >= nnodes * NPROC
            victim = nodes.workers()[NPROC * (nnodes // 2) + 1]
            os.kill(victim, signal.SIGKILL)
            codes = {launcher.wait(LIMIT_S) for launcher in nodes.launchers}
            assert codes == {128 + signal.SIGKILL}
            assert tagged(job_id) == []
            node = nnodes // 2
            said = (folder / "node_0.err").read_text()
            assert f"node {node} (" in said
            assert f"rank {NPROC * node + 1} of {nnodes * NPROC} failed: SIGKILL" in said
    memory, files = (costs[64][index] - costs[4][index] for index in range(2))
    assert memory < 2048
    assert files == 0


def test_a_plan_of_1250_nodes_is_made_and_printed(tmp_path: Path) -> None:
    nodes = "".join(
        f"  - {{name: n{i}, address: 10.1.{i // 250}.{i % 250 + 1}}}\n" for i in range(1250)
    )
    (tmp_path / "many.yaml").write_text(f"device_target: CPU\nnproc: 8\nnodes:\n{nodes}")
    launcher = (sys.executable, "-m", "launcher", "--dry-run", "--node-rank", 1249)
    by_hand = (
        "--nnodes",
        1250,
        "--master-addr",
        "10.1.0.1",
        "--nproc",
        8,
        "--device-target",
        "CPU",
    )
    for options in (("--cluster", "many.yaml"), by_hand):
        done = succeed(run_command([*launcher, *options, "--", "true"], cwd=tmp_path))
        plan = json.loads(done.stdout)
        assert (plan["world_size"], plan["nnodes"]) == (10_000, 1250)
        assert [worker["rank"] for worker in plan["ranks"]] == list(range(9992, 10_000))
