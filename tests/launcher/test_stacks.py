"""Stacks of running, stopped, stuck and foreign processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import BOOT, PlanMaker, wait_for, worker_command

from launcher.contract import RunPaths
from launcher.supervision import stacks
from launcher.supervision.samples import read_stat
from launcher.supervision.stacks import innermost_place, take

Starter = Callable[..., subprocess.Popen[bytes]]

DUMP = """Thread 0x00007f11 (most recent call first):
  File "/x/queue.py", line 5 in get
Current thread 0x00007f10 (most recent call first):
  File "/x/train.py", line 12 in step
  File "/x/train.py", line 90 in <module>
"""


@pytest.fixture
def start(make_plan: PlanMaker, paths: RunPaths) -> Iterator[Starter]:
    """Start a rank and wait for its 'ready'."""
    started: list[subprocess.Popen[bytes]] = []

    def run(rank: int, command: tuple[str, ...]) -> subprocess.Popen[bytes]:
        paths.stacks(0, rank).parent.mkdir(parents=True, exist_ok=True)
        environment = make_plan(*[command] * 4).workers[rank].environment
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},  # type: ignore[dict-item]
            stdout=subprocess.PIPE,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def test_the_main_threads_innermost_frame_is_the_place() -> None:
    assert innermost_place(DUMP) == "step (train.py:12)"
    assert innermost_place("") == ""
    assert innermost_place("Thread 0x1 (most recent call first):\n  <no Python frame>\n") == ""


def test_all_ranks_are_asked_at_once_and_each_file_tells_where_it_stands(
    start: Starter, paths: RunPaths
) -> None:
    ranks = {
        0: start(0, worker_command("sleeps.py")),
        1: start(1, worker_command("holds_gil.py")),
    }
    taken = take({rank: one.pid for rank, one in ranks.items()}, lambda rank: paths.stacks(0, rank))
    assert taken[0].place.startswith("<module> (sleeps.py:")
    assert taken[1].place.startswith("<module> (holds_gil.py:")
    assert all(stack.answered for stack in taken.values())
    text = paths.stacks(0, 1).read_text()
    assert "wchan=" in text
    assert f"thread {ranks[1].pid}" in text


def test_a_stopped_process_is_said_to_be_stopped_and_can_still_answer(
    start: Starter, paths: RunPaths
) -> None:
    process = start(0, worker_command("sleeps.py"))
    process.send_signal(signal.SIGSTOP)
    wait_for(lambda: (stat := read_stat(process.pid)) and stat.state == "T", "it is stopped")
    stack = take({0: process.pid}, lambda rank: paths.stacks(0, rank))[0]
    assert (stack.state, stack.answered) == ("T", True)
    assert "T (stopped)" in paths.stacks(0, 0).read_text()


def test_a_process_that_would_die_of_the_signal_is_not_asked(
    start: Starter, paths: RunPaths
) -> None:
    program = "import time; print('ready', flush=True); time.sleep(600)"
    process = start(0, (sys.executable, "-c", program))
    stack = take({0: process.pid}, lambda rank: paths.stacks(0, rank))[0]
    assert not stack.answered
    assert stack.place.startswith("kernel: ")
    assert process.poll() is None
    assert "Python did not answer" in paths.stacks(0, 0).read_text()


def test_a_process_that_is_gone_is_said_to_be_gone(paths: RunPaths) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    stack = take({0: process.pid}, lambda rank: paths.stacks(0, rank))[0]
    assert stack.state == "X"
    assert "is gone" in paths.stacks(0, 0).read_text()


def test_threads_without_end_do_not_make_the_file_endless(
    start: Starter, paths: RunPaths, tmp_path: Path
) -> None:
    count = stacks._MOST_THREADS + 10
    file = tmp_path / "threads.py"
    file.write_text(
        "import threading\n"
        f"for _ in range({count}):\n"
        "    threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "print('ready', flush=True)\nthreading.Event().wait()\n"
    )
    process = start(0, (sys.executable, str(BOOT), str(file)))
    take({0: process.pid}, lambda rank: paths.stacks(0, rank))
    assert "... and 11 more threads" in paths.stacks(0, 0).read_text()
