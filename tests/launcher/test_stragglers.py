"""Slow ranks are named: real processes with heartbeats, one of them stopped again and again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress

from conftest import Launch, read_events, wait_for, worker_command

from launcher.contract import Progress, read_record

LIMIT_S = 120.0
STOPPED_S = 0.8


def step_of(job: Launch, rank: int) -> int:
    record = read_record(Progress, job.paths.progress(rank))
    return record.step if record is not None else 0


def named(job: Launch, event: str = "straggler") -> list[dict]:
    return [one for one in read_events(job.paths) if one["event"] == event]


def stop_once(job: Launch, rank: int) -> None:
    """Stop a rank for a while; it has taken another step when this returns."""
    pid, step = job.pid_of(rank), step_of(job, rank)
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(STOPPED_S)
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: step_of(job, rank) > step, "a step after SIGCONT", LIMIT_S)


def end(job: Launch) -> None:
    with suppress(ProcessLookupError):
        job.process.send_signal(signal.SIGINT)
    job.process.wait(LIMIT_S)


def test_a_rank_slowed_by_bursts_of_sigstop_is_named_within_ten_steps_and_cleared_after(
    launch: Callable[..., Launch],
) -> None:
    job = launch(*[worker_command("heartbeats.py", 100_000, 0.05)] * 3, grace_s=5)
    wait_for(lambda: all(step_of(job, rank) for rank in range(3)), "first steps", LIMIT_S)
    first = step_of(job, 1)
    deadline_s = time.monotonic() + LIMIT_S
    while not named(job):
        assert time.monotonic() < deadline_s
        stop_once(job, 1)
    (event,) = named(job)
    wait_for(lambda: named(job, "straggler_end"), "the rank is well again", LIMIT_S)
    end(job)
    assert event["rank"] == 1
    assert event["step"] - first <= 10
    assert event["factor"] > 1.5
    assert event["step_ms"] > event["others_step_ms"]
    assert event["host"]["load_1min"] >= 0
    assert event["host"]["memory_available_bytes"] > 0
    assert event["process"]["states"].get("T", 0) > 0
    assert {one["rank"] for one in named(job)} == {1}


def test_healthy_ranks_with_noisy_steps_are_not_named(launch: Callable[..., Launch]) -> None:
    job = launch(*[worker_command("noisy.py", 120)] * 3, grace_s=5)
    job.process.wait(LIMIT_S)
    assert [one["returncode"] for one in read_events(job.paths) if one["event"] == "exit"] == [
        0
    ] * 3
    assert named(job) == []


def test_a_factor_of_zero_names_nobody(launch: Callable[..., Launch]) -> None:
    slow, quick = (worker_command("heartbeats.py", n, s) for n, s in ((8, 0.8), (100, 0.05)))
    job = launch(quick, slow, grace_s=5, straggler_factor=0)
    job.process.wait(LIMIT_S)
    assert named(job) == []
