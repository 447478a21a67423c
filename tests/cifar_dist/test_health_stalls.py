from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from cifar_dist.health.stalls import StallProbe

STOPPED_S = 1.0
DEADLINE_S = 120.0

STOPPED_ONCE = """
import sys
from cifar_dist.health.stalls import StallProbe
with StallProbe() as probe:
    print("ready", flush=True)
    sys.stdin.readline()
    print(probe.total_s(), flush=True)
"""


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_waking_a_little_late_is_no_stall() -> None:
    clock = Clock()
    probe = StallProbe(clock=clock)
    for late_s in (0.05, 0.06, 0.149):
        clock.now_s += late_s
        probe.note()
    assert probe.total_s() == 0


def test_a_stall_counts_by_what_it_is_beyond_the_interval() -> None:
    clock = Clock()
    probe = StallProbe(clock=clock)
    for gap_s in (0.05, 1.05, 0.05, 2.05):
        clock.now_s += gap_s
        probe.note()
    assert probe.total_s() == pytest.approx(3)


def test_a_stall_that_has_just_ended_counts_before_the_thread_wakes_up() -> None:
    clock = Clock()
    probe = StallProbe(clock=clock)
    clock.now_s += 1.05
    assert probe.total_s() == pytest.approx(1)
    probe.note()
    assert probe.total_s() == pytest.approx(1)


def test_a_process_that_was_stopped_by_a_signal_knows_how_long() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STOPPED_ONCE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        os.kill(child.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(STOPPED_S)
        os.kill(child.pid, signal.SIGCONT)
        child.stdin.write("now\n")
        child.stdin.close()
        stalled_s = float(child.stdout.readline())
        assert child.wait(DEADLINE_S) == 0
    assert stalled_s >= 0.8 * STOPPED_S
