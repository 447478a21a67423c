"""How long this process stood still: stopped by a signal, swapped out, or without a core.

In data-parallel training all ranks take equally long for a step, for they wait for the slowest: the
wall clock does not tell who that is. A thread that wants to wake twenty times a second, and does
not, tells that it was this process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

INTERVAL_S = 0.05
LEAST_STALL_S = 0.1
"""Waking up later than this is a stall; less is what a busy machine does to every process."""


class StallProbe:
    """Add up the time in which this process did not run, from :meth:`__enter__` to the exit.

    Args:
        clock: seconds that only rise, also while the process is stopped.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._woken_s = clock()
        self._total_s = 0.0
        self._is_over = False
        self._thread = threading.Thread(target=self._run, name="stalls", daemon=True)

    def __enter__(self) -> StallProbe:
        self._woken_s = self._clock()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._thread.join()

    def total_s(self) -> float:
        """Return the seconds so far, those of a stall that has just ended included."""
        return self._total_s + _beyond(self._clock() - self._woken_s)

    def note(self) -> None:
        """Take it that the thread woke up now."""
        now_s = self._clock()
        self._total_s += _beyond(now_s - self._woken_s)
        self._woken_s = now_s

    def _run(self) -> None:
        while not self._is_over:
            time.sleep(INTERVAL_S)  # of all ways to wait the one that costs least: 45 us each
            self.note()


def _beyond(gap_s: float) -> float:
    late_s = gap_s - INTERVAL_S
    return late_s if late_s >= LEAST_STALL_S else 0.0
