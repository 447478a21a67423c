"""Processes of a job are found by their tag, all of them and no others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from conftest import is_alive, wait_for

from launcher.supervision.sweep import Mark, describe, sweep, tagged

MARK = Mark("SWEEP_TEST_ID", f"tag-{os.getpid()}")
SLEEP = "import time; print('ready', flush=True); time.sleep(600)"
IGNORE = "import signal; signal.signal(15, signal.SIG_IGN); " + SLEEP

Starter = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Starter]:
    started: list[subprocess.Popen[str]] = []

    def run(tag: str | None, program: str = SLEEP, **more: str) -> subprocess.Popen[str]:
        environment = {**os.environ, **more, **({MARK.variable: tag} if tag else {})}
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()


def test_only_processes_with_the_whole_tag_are_found(start: Starter) -> None:
    ours = start(MARK.tag)
    nested = start(f"outer:{MARK.tag}:inner")
    start(None)
    start(MARK.tag + "x")
    start(None, OTHER_VARIABLE=MARK.tag)
    assert sorted(tagged(MARK)) == sorted([ours.pid, nested.pid])


def test_a_sweep_ends_ours_and_no_other(start: Starter) -> None:
    ours, stubborn, other = start(MARK.tag), start(MARK.tag, IGNORE), start(None)
    swept = sweep(MARK, settle_s=0.05)
    assert set(swept.found) == {ours.pid, stubborn.pid}
    assert swept.left == ()
    assert not is_alive(ours.pid)
    assert not is_alive(stubborn.pid)
    assert is_alive(other.pid)


def test_a_process_that_may_settle_is_asked_first(start: Starter) -> None:
    polite = start(MARK.tag)
    sweep(MARK, settle_s=30)
    assert polite.wait(timeout=30) == -15


def test_a_process_that_ends_by_itself_is_no_finding(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.supervision.sweep.LET_GO_S", 30)
    slow = "import sys, time; print('ready', flush=True); sys.stdin.read(); time.sleep(0.3)"
    tracker = start(MARK.tag, slow)
    assert tracker.stdin is not None
    tracker.stdin.close()
    assert sweep(MARK, settle_s=0.05).found == {}
    assert tracker.wait(timeout=30) == 0


def test_a_crowd_that_forks_is_ended_whole(start: Starter) -> None:
    forks = (
        "import os, time\nprint('ready', flush=True)\n"
        "for _ in range(5): os.fork() or os.setsid()\ntime.sleep(600)"
    )
    start(MARK.tag, forks)
    assert sweep(MARK).left == ()
    assert tagged(MARK) == []


def test_what_is_ended_is_named_with_its_rank(start: Starter) -> None:
    process = start(MARK.tag, RANK_ID="5")
    assert describe(process.pid).endswith(" of rank 5")
    process.kill()
    process.wait()
    wait_for(lambda: describe(process.pid) == "gone", "the process is gone")
