"""The launcher is killed with SIGKILL: nothing that it started may be left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from conftest import Launch, is_alive, read_events, tagged_processes, wait_for, worker_command

GRANDCHILD = worker_command("forks_grandchild.py")


def kill(launch: Launch) -> None:
    launch.process.send_signal(signal.SIGKILL)
    launch.process.wait()


def test_grandchildren_in_own_sessions_are_ended(launch: Callable[..., Launch]) -> None:
    job = launch(GRANDCHILD, GRANDCHILD)
    job.wait_until_ready()
    assert len(tagged_processes(job.plan.job_id)) == 4
    kill(job)
    job.wait_until_nothing_is_left()
    (swept,) = [event for event in job.events if event.get("by") == "guardian"]
    assert swept["left"] == []
    assert len(swept["pids"]) >= 2


def test_a_guardian_that_was_killed_before_has_a_successor(launch: Callable[..., Launch]) -> None:
    job = launch(GRANDCHILD, GRANDCHILD)
    job.wait_until_ready()
    (first,) = wait_for(job.guardians, "a guardian")
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: job.guardians() not in ([], [first]), "another guardian")
    kill(job)
    job.wait_until_nothing_is_left()


def test_polite_signals_do_not_end_the_guardian(launch: Callable[..., Launch]) -> None:
    job = launch(GRANDCHILD)
    job.wait_until_ready()
    (pid,) = wait_for(job.guardians, "a guardian")
    ignored = "0000000000004007"  # HUP, INT, QUIT, TERM
    status = Path(f"/proc/{pid}/status")
    wait_for(
        lambda: (
            int(status.read_text().split("SigIgn:")[1].split()[0], 16) & int(ignored, 16)
            == int(ignored, 16)
        ),
        "the guardian ignores polite signals",
    )
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(pid, number)
    kill(job)
    job.wait_until_nothing_is_left()


def test_other_processes_of_the_user_are_left_alone(launch: Callable[..., Launch]) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        job = launch(GRANDCHILD)
        job.wait_until_ready()
        kill(job)
        job.wait_until_nothing_is_left()
        assert is_alive(other.pid)
    finally:
        other.kill()
        other.wait()


def test_the_guardian_of_an_outer_job_ends_the_inner_job_too(
    launch: Callable[..., Launch], tmp_path: Path
) -> None:
    settings = {
        "job_id": "inner",
        "commands": [GRANDCHILD],
        "scheduler": None,
        "policy": {},
        "pause_s": 0,
    }
    drive = str(Path(__file__).with_name("drive.py"))
    inner_dir = tmp_path / "inner"
    job = launch((sys.executable, drive, str(inner_dir), json.dumps(settings)))
    log = inner_dir / "logs" / "attempt_0" / "rank_0.log"
    wait_for(lambda: log.exists() and "ready" in log.read_text(), "the inner worker is ready")
    assert len(tagged_processes(job.plan.job_id)) == 4  # launcher, guardian, worker, grandchild
    kill(job)
    job.wait_until_nothing_is_left()
    assert tagged_processes("inner") == {}


def test_the_line_of_the_guardian_names_the_attempt(launch: Callable[..., Launch]) -> None:
    job = launch(worker_command("fails_first.py", 1), GRANDCHILD, max_restarts=1, grace_s=0.1)
    wait_for(
        lambda: any(one["event"] == "ready" and one["attempt"] == 1 for one in job.events),
        "the second attempt",
    )
    kill(job)
    job.wait_until_nothing_is_left()
    (swept,) = [event for event in read_events(job.paths) if event.get("by") == "guardian"]
    assert swept["attempt"] == 1
