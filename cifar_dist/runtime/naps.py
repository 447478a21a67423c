"""Cuts short the naps that native code takes on the main thread while it waits for others."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

LONGEST_S = 1.0
"""Not less: MindSpore gives up after 30 naps, so that the last rank may be half a minute late."""


@contextmanager
def short_naps(longest_s: float = LONGEST_S) -> Iterator[None]:
    """Wake the main thread again and again within the block, so that no ``sleep`` of C lasts.

    MindSpore 2.10 sleeps 3 s each time a rank asks for the address of another one that is not there
    yet (ms_collective_node.cc): joining takes that long though the others come milliseconds later.
    A signal ends such a sleep, and MindSpore asks again. In another thread than the main one, or
    where somebody uses the alarm already, nothing is done.

    Args:
        longest_s: seconds from one signal to the next.
    """
    is_free = signal.getsignal(signal.SIGALRM) is signal.SIG_DFL
    if threading.current_thread() is not threading.main_thread() or not is_free:
        yield
        return
    signal.signal(signal.SIGALRM, _wake)
    signal.setitimer(signal.ITIMER_REAL, longest_s, longest_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def _wake(number: int, frame: FrameType | None) -> None:
    return
