"""Shortens the waits of native code on the main thread while ranks find each other."""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType

LONGEST_S = 1.0
"""Not less: MindSpore gives up after 30 naps, so that the last rank may be half a minute late."""

EARLY_S = (1.25, 1.5, 1.75, 2.25, 2.5, 2.75)
"""More wakings when ranks that began together are joined. They are six of the 30."""

SLACK_S = 0.004
"""How late a sleep may end. MindSpore looks every 0.5 s whether all are there, and asks for it once
a second: without slack it looks 0.1 ms before the answer comes, and then half a second later."""

_SET_TIMER_SLACK = 29  # PR_SET_TIMERSLACK of linux/prctl.h; 0 is what the thread began with
_MONOTONIC = 1  # CLOCK_MONOTONIC of linux/time.h


@contextmanager
def short_naps(longest_s: float = LONGEST_S, early_s: Sequence[float] = EARLY_S) -> Iterator[None]:
    """Wake the main thread again and again within the block, so that no ``sleep`` of C lasts.

    MindSpore 2.10 sleeps 3 s each time a rank asks for the address of another one that is not there
    yet (ms_collective_node.cc): joining takes that long though the others come milliseconds later.
    A signal ends such a sleep, and MindSpore asks again. In another thread than the main one, or
    where somebody uses the alarm already, nothing is done.

    Args:
        longest_s: seconds from one signal to the next.
        early_s: seconds from now at which there is one more.
    """
    is_free = signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    if threading.current_thread() is not threading.main_thread() or not is_free:
        yield
        return
    signal.signal(signal.SIGALRM, _wake)
    signal.setitimer(signal.ITIMER_REAL, longest_s, longest_s)
    try:
        with _late_sleeps(SLACK_S), ExitStack() as alarms:
            for moment_s in early_s:
                alarms.enter_context(_alarm(moment_s))
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def _wake(number: int, frame: FrameType | None) -> None:
    return


@contextmanager
def _late_sleeps(slack_s: float) -> Iterator[None]:
    """Let sleeps of this thread, and of threads that it starts, end so much late (prctl(2))."""
    libc = ctypes.CDLL(None)
    libc.prctl(_SET_TIMER_SLACK, ctypes.c_ulong(round(1e9 * slack_s)), 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(_SET_TIMER_SLACK, ctypes.c_ulong(0), 0, 0, 0)


class _TimerSpec(ctypes.Structure):
    """struct itimerspec: seconds and nanoseconds between rings, and until the first one."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Have SIGALRM sent once, so many seconds from now; not where the system has no timer left.

    Python has the one timer of setitimer only (timer_create(2), whose default signal is SIGALRM).
    """
    libc, timer = ctypes.CDLL(None), ctypes.c_void_p()
    if not hasattr(libc, "timer_create") or libc.timer_create(
        _MONOTONIC, None, ctypes.byref(timer)
    ):
        yield
        return
    whole, rest = divmod(round(1e9 * seconds), 10**9)
    try:
        libc.timer_settime(timer, 0, ctypes.byref(_TimerSpec(0, 0, whole, rest)), None)
        yield
    finally:
        libc.timer_delete(timer)
