"""Slow ranks are named: real processes with heartbeats, one of them stopped again and again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import cycle
from typing import Any

import pytest
from conftest import Launch, Messages, read_events, wait_for, worker_command

from launcher.contract import Progress, RunPaths, read_record, write_record
from launcher.plan import Policy
from launcher.supervision.samples import Stat
from launcher.supervision.stragglers import Stragglers

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
    job = launch(*[worker_command("heartbeats.py", 100_000, 0.3)] * 3, grace_s=5)
    wait_for(lambda: all(step_of(job, rank) for rank in range(3)), "first steps", LIMIT_S)
    slow_steps = 0
    deadline_s = time.monotonic() + LIMIT_S
    while not named(job):
        assert time.monotonic() < deadline_s
        slow_steps += 1
        stop_once(job, 1)
    (event,) = named(job)
    wait_for(lambda: named(job, "straggler_end"), "the rank is well again", LIMIT_S)
    end(job)
    assert event["rank"] == 1
    assert slow_steps <= 10
    assert event["factor"] > 1.5
    assert event["step_ms"] > event["others_step_ms"]
    assert event["host"]["load_1min"] >= 0
    assert event["host"]["memory_available_bytes"] > 0
    assert event["process"]["states"].get("T", 0) > 0
    assert event["text"].startswith(f"straggler: rank 1 at step {event['step']} takes ")
    assert "\n  its host: load " in event["text"]
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


class Watched:
    """A watch over two ranks of which the test says what they tell, and when; this process."""

    def __init__(self, paths: RunPaths, messages: Messages) -> None:
        self._paths = paths
        self.named: list[dict[str, Any]] = []
        self._watch = Stragglers(Policy(), paths=paths, tell=self._tell, say=messages.say)
        self._due_s = 0.0

    def _tell(self, event: str, **more: Any) -> None:
        self.named.append({"event": event, **more})

    def take(self, told: list[tuple[float, Progress]]) -> None:
        """Let ranks tell this, each at its time, and look as often as the launcher does."""
        for time_s, sign in sorted(told, key=lambda one: one[0]):
            while self._due_s < time_s:
                pids = {0: os.getpid(), 1: os.getpid()}
                self._due_s += self._watch.look(self._due_s, pids)
            path = self._paths.progress(sign.rank)
            write_record(sign._replace(time=1000 + time_s), path)
            os.utime(path, ns=(0, round(time_s * 1e9)))


def in_step(steps: range, begin_s: float, step_s: float = 0.25) -> Iterator[tuple[float, Progress]]:
    """Yield what two ranks tell that wait for each other in every step."""
    for number, step in enumerate(steps, 1):
        for rank in range(2):
            now_s = begin_s + number * step_s + 0.01 * rank
            yield now_s, Progress(rank, "train", step=step)


@pytest.mark.parametrize("saving_s", [0.3, 0.6, 2.0, 3.0, 6.0])
@pytest.mark.parametrize("offset_s", [0.0, 0.1, 0.2, 0.3, 0.4])
def test_nobody_is_named_where_the_others_wait_for_one_that_saves_a_checkpoint(
    paths: RunPaths, messages: Messages, saving_s: float, offset_s: float
) -> None:
    watched, now_s = Watched(paths, messages), 0.05 + offset_s
    for first in range(1, 200, 40):
        steps = range(first, first + 40)
        saves_s = now_s + len(steps) * 0.25
        watched.take(
            [
                *in_step(steps, now_s),
                (saves_s + 0.005, Progress(0, "checkpoint", step=steps[-1])),
                (saves_s + saving_s, Progress(0, "train", step=steps[-1])),
            ]
        )
        now_s = saves_s + saving_s
    assert watched.named == []


def test_a_rank_that_begins_later_than_another_does_not_make_that_one_slow(
    paths: RunPaths, messages: Messages
) -> None:
    watched = Watched(paths, messages)
    watched.take([(0.1, Progress(0, "train", step=0)), (8.0, Progress(1, "train", step=0))])
    watched.take(list(in_step(range(1, 60), 8.1)))
    assert watched.named == []


@pytest.mark.parametrize("healthy_steps", range(20, 48, 2))
def test_what_a_process_did_is_told_of_a_window_at_least(
    paths: RunPaths, messages: Messages, monkeypatch: pytest.MonkeyPatch, healthy_steps: int
) -> None:
    states = cycle("TTSS")  # of two ranks, one after the other
    monkeypatch.setattr(
        "launcher.supervision.stragglers.read_stat", lambda pid: Stat(next(states), 0, 0.0)
    )
    watched, slow_s = Watched(paths, messages), healthy_steps * 0.25
    watched.take(list(in_step(range(1, healthy_steps + 1), 0.0)))
    slow = range(healthy_steps + 1, healthy_steps + 50)
    quick = [one for one in in_step(slow, slow_s) if one[1].rank == 0]
    watched.take(quick + [one for one in in_step(slow, slow_s, 0.8) if one[1].rank == 1])
    event = watched.named[0]
    assert (event["event"], event["rank"]) == ("straggler", 1)
    assert set(event["process"]["states"]) == {"T", "S"}
    assert event["process"]["cores_used"] == 0
