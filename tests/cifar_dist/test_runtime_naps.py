"""Sleeps of native code on the main thread end early, and nothing is left behind."""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Iterator

import pytest

from cifar_dist.runtime.naps import SLACK_S, short_naps

LIBC = ctypes.CDLL(None)
NAP_S = 60


def timer_slack_s() -> float:
    """Return how late a sleep of this thread may end (PR_GET_TIMERSLACK)."""
    return LIBC.prctl(30, 0, 0, 0, 0) / 1e9


@pytest.fixture(autouse=True)
def free_alarm() -> Iterator[None]:
    """Take the alarm from pytest-timeout, and give it back."""
    handler = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    timer = signal.setitimer(signal.ITIMER_REAL, 0)
    yield
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, *timer)


def test_a_sleep_of_c_is_cut_short() -> None:
    with short_naps(0.01):
        left_s = LIBC.sleep(NAP_S)
    assert left_s > 0


def test_an_early_waking_comes_before_the_first_of_the_others() -> None:
    with short_naps(NAP_S, early_s=(0.01, 0.02)):
        assert LIBC.sleep(NAP_S) > 0
        assert LIBC.sleep(NAP_S) > 0


def test_sleeps_end_late_within_and_on_time_afterwards() -> None:
    with short_naps():
        assert timer_slack_s() == pytest.approx(SLACK_S)
    assert timer_slack_s() < SLACK_S / 10


def test_early_wakings_that_did_not_come_to_ring_are_gone() -> None:
    with short_naps(NAP_S, early_s=(0.05,)):
        pass
    rings: list[int] = []
    signal.signal(signal.SIGALRM, lambda number, frame: rings.append(number))
    threading.Event().wait(0.1)
    assert rings == []


def test_afterwards_no_alarm_rings_and_its_signal_is_as_it_was() -> None:
    with short_naps(0.01):
        LIBC.sleep(NAP_S)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is signal.SIG_DFL


def test_an_alarm_of_somebody_else_is_left_alone() -> None:
    def own(number: int, frame: object) -> None:
        return

    signal.signal(signal.SIGALRM, own)
    with short_naps():
        assert signal.getsignal(signal.SIGALRM) is own
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_another_thread_than_the_main_one_naps_as_ever() -> None:
    timers: list[tuple[float, float]] = []

    def look() -> None:
        with short_naps():
            timers.append(signal.getitimer(signal.ITIMER_REAL))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert timers == [(0.0, 0.0)]
