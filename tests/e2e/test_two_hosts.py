"""Two launchers on two hosts: they train together, and end together whatever happens to one."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.e2e.conftest import SCRIPTS, records
from tests.e2e.hosts import ADDRESSES, Hosts, Launched, two_hosts

pytestmark = pytest.mark.timeout(900)

SLEEPER = """
import os, sys, time
rank = int(os.environ["RANK_ID"])
print("rank", rank, "of", os.environ["RANK_SIZE"], flush=True)
{more}
time.sleep({seconds})
"""
PLAIN = ("--rendezvous", "none", "--console", "all")
BOUND_S = 240


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    with two_hosts(tmp_path) as pair:
        yield pair


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., Path]:
    def script(more: str = "", seconds: float = 100) -> Path:
        path = tmp_path / "worker.py"
        path.write_text(SLEEPER.format(more=more, seconds=seconds))
        return path

    return script


def wait_until_running(run_dir: Path, ranks: Sequence[int], limit_s: float = 240) -> None:
    """Wait until each of these ranks has printed something."""
    logs = [run_dir / "logs" / "attempt_0" / f"rank_{rank}.log" for rank in ranks]
    deadline_s = time.monotonic() + limit_s
    while not all(log.exists() and log.stat().st_size for log in logs):
        assert time.monotonic() < deadline_s, f"not all of {ranks} run"
        time.sleep(0.05)


def wait_until_gone(run_dir: Path) -> None:
    """Wait until the workers of both hosts are no more."""
    files = (run_dir / "events.jsonl", run_dir / "events_node_1.jsonl")
    spawned = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    pids = [event["pid"] for event in spawned if event["event"] == "spawn"]
    assert len(pids) == 2
    deadline_s = time.monotonic() + BOUND_S
    while left := [pid for pid in pids if is_tagged(pid)]:
        assert time.monotonic() < deadline_s, f"still there: {left}"
        time.sleep(0.05)


def is_tagged(pid: int) -> bool:
    """Return whether this process is there, and of a job (not another one with its number)."""
    try:
        return b"LAUNCHER_JOB_ID=" in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False


def both(pair: Sequence[Launched], limit_s: float = BOUND_S) -> list[Launched]:
    return [one.wait(limit_s) for one in pair]


def test_lenet_trains_on_real_images_over_two_hosts(
    hosts: Hosts, tmp_path: Path, cifar10_dir: Path
) -> None:
    small = ["train.max_steps=8", "monitor.log_interval=1", f"data.dir={cifar10_dir}"]
    command = ["--run-dir", "run", "--", SCRIPTS / "train_and_digest.py", "lenet5", *small]
    for one in both(hosts.pair(*command), 800):
        assert one.code == 0, one.said
    files = [tmp_path / "run" / f"digests_{rank}.json" for rank in (0, 1)]
    assert json.loads(files[0].read_text()) == json.loads(files[1].read_text())
    assert records(tmp_path / "run", "eval")[-1]["count"] == 10000
    assert {record["world_size"] for record in records(tmp_path / "run", "train")} == {2}
    assert (tmp_path / "run" / "events_node_1.jsonl").exists()


def test_nodes_may_have_different_numbers_of_workers(
    hosts: Hosts, tmp_path: Path, script: Callable[..., Path]
) -> None:
    ends = [
        hosts.launch(rank, *PLAIN, "--nproc", nproc, "--", script(seconds=0))
        for rank, nproc in ((0, 1), (1, 3))
    ]
    first, second = both(ends)
    assert (first.code, second.code) == (0, 0), first.said + second.said
    assert "rank 0 of 4" in first.said
    assert all(f"rank {rank} of 4" in second.said for rank in (1, 2, 3))
    manifests = sorted(tmp_path.glob("runs/worker/*/manifest*.json"))
    assert [path.name for path in manifests] == ["manifest.json", "manifest_node_1.json"]


def test_a_failure_on_one_host_is_told_on_both(hosts: Hosts, script: Callable[..., Path]) -> None:
    failing = script("if rank == 1: raise ValueError('odd one')")
    for one in both(hosts.pair(*PLAIN, "--", failing)):
        assert one.code == 1, one.said
        assert "rank 1 of 2 failed: ValueError: odd one" in one.said
        assert "Traceback" in one.said
        assert "host host-1" in one.said


def test_the_exit_code_of_the_root_cause_is_that_of_all_hosts(
    hosts: Hosts, script: Callable[..., Path]
) -> None:
    failing = script("if rank == 1: sys.exit(7)")
    assert [one.code for one in both(hosts.pair(*PLAIN, "--", failing))] == [7, 7]


def test_a_cut_line_ends_both_hosts_and_each_names_the_other(
    hosts: Hosts, tmp_path: Path, script: Callable[..., Path]
) -> None:
    pair = hosts.pair(*PLAIN, "--run-dir", "run", "--", script())
    wait_until_running(tmp_path / "run", (0, 1))
    hosts.cut()
    first, second = both(pair)
    assert (first.code, second.code) == (1, 1)
    assert "node 1 (host-1) is lost" in first.said
    assert "node 0 (host-0) is lost" in second.said
    wait_until_gone(tmp_path / "run")


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_launcher_ends_the_other_host_at_once(
    hosts: Hosts, tmp_path: Path, script: Callable[..., Path], victim: int
) -> None:
    pair = hosts.pair(*PLAIN, "--run-dir", "run", "--", script())
    wait_until_running(tmp_path / "run", (0, 1))
    pair[victim].process.send_signal(signal.SIGKILL)
    other = pair[1 - victim].wait(BOUND_S)
    assert other.code == 1, other.said
    assert f"node {victim} (host-{victim}) is lost" in other.said
    wait_until_gone(tmp_path / "run")


def test_a_host_that_never_started_is_named(hosts: Hosts, script: Callable[..., Path]) -> None:
    one = hosts.launch(0, *PLAIN, "--join-timeout", 3, "--", script()).wait(BOUND_S)
    assert one.code == 75
    assert "node 1 did not come to 10.213.7.1:8118 within 3 s" in one.said
    one = hosts.launch(1, *PLAIN, "--join-timeout", 3, "--", script()).wait(BOUND_S)
    assert one.code == 75
    assert "node 0 does not answer at 10.213.7.1:8118" in one.said


def test_a_third_host_that_never_started_is_named_on_both_others(
    hosts: Hosts, script: Callable[..., Path]
) -> None:
    for one in both(hosts.pair("--nnodes", 3, *PLAIN, "--join-timeout", 14, "--", script())):
        assert one.code == 75, one.said
        assert "node 2 did not come to 10.213.7.1:8118 within 14 s" in one.said


def test_a_wrong_master_address_is_told(hosts: Hosts, script: Callable[..., Path]) -> None:
    nobody = "10.213.7.9"
    wrong = ("--master-addr", nobody, "--join-timeout", 3, *PLAIN, "--", script())
    first, second = both(hosts.pair(*wrong))
    assert (first.code, second.code) == (2, 75), first.said + second.said
    assert f"--master-addr {nobody}: this is node 0, and none of its addresses" in first.said
    assert f"node 0 does not answer at {nobody}:8118" in second.said


def test_a_wrong_master_address_on_one_host_ends_both(
    hosts: Hosts, script: Callable[..., Path]
) -> None:
    plain = ("--join-timeout", 3, *PLAIN, "--", script())
    first = hosts.launch(0, *plain)
    second = hosts.launch(1, "--master-addr", ADDRESSES[1], *plain)
    assert (first.wait(BOUND_S).code, second.wait(BOUND_S).code) == (75, 75)
    assert "node 1 did not come to 10.213.7.1:8118" in first.said
    assert f"node 0 does not answer at {ADDRESSES[1]}:8118" in second.said


def test_a_taken_port_is_told(hosts: Hosts, script: Callable[..., Path]) -> None:
    code = (
        f"import socket, time; s = socket.create_server(('{ADDRESSES[0]}', 8118)); "
        "print(1, flush=True); time.sleep(900)"
    )
    holder = hosts.run(0, sys.executable, "-c", code)
    assert holder.process.stdout is not None
    assert holder.process.stdout.readline() == "1\n"
    first = hosts.launch(0, *PLAIN, "--join-timeout", 3, "--", script()).wait(BOUND_S)
    assert first.code == 75
    taken = f"node 0 (host-0): 10.213.7.1:8118 is taken by pid {holder.process.pid}"
    assert taken in first.said
    second = hosts.launch(1, *PLAIN, "--join-timeout", 3, "--", script()).wait(BOUND_S)
    assert second.code == 75
    assert "node 0 was not found: what answers at 10.213.7.1:8118 is no launcher" in second.said


def test_ctrl_c_on_one_host_ends_both(
    hosts: Hosts, tmp_path: Path, script: Callable[..., Path]
) -> None:
    pair = hosts.pair(*PLAIN, "--run-dir", "run", "--", script())
    wait_until_running(tmp_path / "run", (0, 1))
    pair[1].process.send_signal(signal.SIGINT)
    first, second = both(pair)
    assert (first.code, second.code) == (130, 130), first.said + second.said
    assert "node 1 (host-1): stopped by SIGINT" in first.said


def test_both_hosts_restart_after_a_failure_on_one(
    hosts: Hosts, tmp_path: Path, script: Callable[..., Path]
) -> None:
    more = 'if rank == 1 and os.environ["LAUNCHER_WORKER_ATTEMPT"] == "0": raise ValueError("once")'
    worker = script(more, seconds=0.5)
    pair = hosts.pair(*PLAIN, "--run-dir", "run", "--max-restarts", 1, "--", worker)
    first, second = both(pair)
    assert (first.code, second.code) == (0, 0), first.said + second.said
    assert (tmp_path / "run" / "logs" / "attempt_1" / "rank_1.log").exists()


@pytest.mark.slow
def test_a_cut_line_ends_a_training_within_a_minute(
    hosts: Hosts, tmp_path: Path, cifar10_dir: Path
) -> None:
    long = ["train.max_steps=100000", "monitor.log_interval=1", f"data.dir={cifar10_dir}"]
    pair = hosts.pair("--run-dir", "run", "--config", "lenet5.yaml", *long)
    deadline_s = time.monotonic() + 400
    while not (tmp_path / "run" / "metrics.jsonl").exists():
        assert time.monotonic() < deadline_s, "no step was trained"
        time.sleep(0.1)
    hosts.cut()
    first, second = both(pair)
    assert (first.code, second.code) == (1, 1), first.said + second.said
    assert "node 1 (host-1) is lost" in first.said
    assert "node 0 (host-0) is lost" in second.said
