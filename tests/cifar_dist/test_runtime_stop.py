"""Signals that ask a run to stop, in processes of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cifar_dist.runtime.stop import LONGEST_WAIT_S, PATIENCE_S, StopRequest, dies_by

WORKER = """
import sys, threading
from pathlib import Path
from cifar_dist.runtime.stop import listening

def last_words(number, farewell):
    print(farewell or "last words", number, flush=True)

alone, how = Path(sys.argv[2]), sys.argv[1]
with listening(is_alone=alone.exists, last_words=last_words) as stop:
    if how != "compiles":
        stop.alive()
    if how == "saves":
        stop.busy()
    print("ready", flush=True)
    if how == "loops":
        while stop.number is None:
            threading.Event().wait(0.01)
        stop.alive()
        print("asked by", stop.number, flush=True)
        sys.exit(0)
    if how == "leaves":
        stop.is_agreed = True
        with stop.leaving("farewell"):
            threading.Event().wait(60)
    if how == "saves":
        while stop.number is None:
            threading.Event().wait(0.01)
        print("asked", flush=True)
    threading.Event().wait(60)
"""


class Worker:
    """A process that listens for signals and is told what it is doing."""

    def __init__(self, how: str, folder: Path) -> None:
        self.alone = folder / "alone"
        command = [sys.executable, "-c", WORKER, how, str(self.alone)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.line() == "ready"

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def end(self) -> tuple[int, str]:
        said, _ = self.process.communicate(timeout=30)
        return self.process.returncode, said.strip()


@pytest.fixture
def workers() -> Iterator[list[Worker]]:
    started: list[Worker] = []
    yield started
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGINT])
def test_a_loop_learns_which_signal_asks(
    number: signal.Signals, tmp_path: Path, workers: list[Worker]
) -> None:
    workers.append(Worker("loops", tmp_path))
    workers[0].process.send_signal(number)
    assert workers[0].end() == (0, f"asked by {int(number)}")


def test_before_the_first_step_there_is_nothing_to_save(
    tmp_path: Path, workers: list[Worker]
) -> None:
    workers.append(Worker("compiles", tmp_path))
    workers[0].process.send_signal(signal.SIGTERM)
    assert workers[0].end() == (-signal.SIGTERM, "last words 15")


def test_a_rank_that_waits_for_one_that_is_gone_ends_at_once(
    tmp_path: Path, workers: list[Worker]
) -> None:
    workers.append(Worker("waits", tmp_path))
    workers[0].alone.touch()
    workers[0].process.send_signal(signal.SIGTERM)
    assert workers[0].end() == (-signal.SIGTERM, "last words 15")


@pytest.mark.parametrize("is_asked", [True, False])
def test_a_rank_that_has_saved_goes_once_the_others_are_gone(
    is_asked: bool, tmp_path: Path, workers: list[Worker]
) -> None:
    workers.append(Worker("leaves", tmp_path))
    if is_asked:
        workers[0].process.send_signal(signal.SIGTERM)
    workers[0].alone.touch()
    assert workers[0].end() == (-signal.SIGTERM, "farewell 15")


def test_a_second_interrupt_ends_at_once(tmp_path: Path, workers: list[Worker]) -> None:
    workers.append(Worker("saves", tmp_path))
    workers[0].process.send_signal(signal.SIGTERM)
    assert workers[0].line() == "asked"
    workers[0].process.send_signal(signal.SIGINT)
    assert workers[0].end() == (-signal.SIGINT, "")


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def request_after(clock: Clock, *steps_s: float) -> StopRequest:
    request = StopRequest(clock=clock)
    request.alive()
    for step_s in steps_s:
        clock.now_s += step_s
        request.alive()
    request.ask(signal.SIGTERM)
    return request


def test_a_loop_that_gives_no_sign_is_given_up() -> None:
    clock = Clock()
    request = request_after(clock, 0.1)
    clock.now_s += PATIENCE_S - 0.1
    assert not request.is_hopeless()
    clock.now_s += 0.2
    assert request.is_hopeless()


def test_a_loop_of_long_steps_is_given_time() -> None:
    clock = Clock()
    request = request_after(clock, 30.0, 20.0)
    clock.now_s += 140.0
    assert not request.is_hopeless()


def test_saving_and_compiling_are_given_time_within_a_bound() -> None:
    clock = Clock()
    request = request_after(clock, 0.1)
    request.busy()
    clock.now_s += LONGEST_WAIT_S - 1
    assert not request.is_hopeless()
    clock.now_s += 2
    assert request.is_hopeless()


def test_nobody_is_hopeless_who_was_not_asked() -> None:
    assert not StopRequest().is_hopeless()


def test_the_first_signal_counts() -> None:
    request = StopRequest()
    request.ask(signal.SIGUSR1)
    request.ask(signal.SIGTERM)
    assert request.number == signal.SIGUSR1
    assert dies_by(request.number) == signal.SIGTERM
    assert dies_by(signal.SIGINT) == signal.SIGINT
