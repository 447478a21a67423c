"""Signals that ask a run to stop: noticed at once, obeyed by the training loop when it can save.

A signal's handler in Python runs only when the main thread comes back from native code, which
compiles for minutes and may wait for ever for a rank that is gone. A thread of its own therefore
reads the signals from a pipe, and ends the process where obeying is not possible or pointless.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
"""All mean: save and end. Slurm sends one of the user signals before a time limit (--signal)."""

PATIENCE_S = 10.0
"""How long the loop may take to its next sign of life once it was asked, if it was never slower."""
PATIENCE_FACTOR = 5.0
LONGEST_WAIT_S = 600.0
_LOOK_S = 0.1


LastWords = Callable[[int, str | None], None]


class StopRequest:
    """Whether this rank is asked to stop, and when its training loop last showed life.

    ``number`` is the signal that asks; ``is_agreed`` is set once all ranks have stopped to save;
    ``farewell`` is what a rank says that has done all it can, and waits for the others.

    Args:
        clock: seconds that only rise.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.number: int | None = None
        self.is_agreed = False
        self._clock = clock
        self._asked_s = 0.0
        self._alive_s: float | None = None
        self._longest_s = 0.0
        self._is_busy = False
        self.farewell: str | None = None

    @contextmanager
    def leaving(self, farewell: str) -> Iterator[None]:
        """Within the block only the others are waited for: once they are gone, this rank goes too.

        Args:
            farewell: what is said then.
        """
        self.farewell, self._asked_s = farewell, self._clock()
        self.busy()
        yield
        self.farewell = None

    def ask(self, number: int) -> None:
        """Note a signal; the first one counts."""
        if self.number is None:
            self.number, self._asked_s = number, self._clock()

    def alive(self) -> None:
        """Say that the loop has done a step, or a batch of an evaluation."""
        now = self._clock()
        if self._alive_s is not None and not self._is_busy:
            self._longest_s = max(self._longest_s, now - self._alive_s)
        self._alive_s, self._is_busy = now, False

    def busy(self) -> None:
        """Say that the next sign of life may take long: something is compiled or saved."""
        self._is_busy = True

    def is_hopeless(self) -> bool:
        """Return whether the loop will not come to save, or has nothing yet that it could."""
        if self.number is None and self.farewell is None:
            return False
        if self._alive_s is None:
            return True
        patience_s = max(PATIENCE_S, PATIENCE_FACTOR * self._longest_s)
        limit_s = LONGEST_WAIT_S if self._is_busy else patience_s
        return self._clock() - max(self._asked_s, self._alive_s) > limit_s


@contextmanager
def listening(*, is_alone: Callable[[], bool], last_words: LastWords) -> Iterator[StopRequest]:
    """Turn stopping signals into a request within the block; the main thread enters it.

    Call it once MindSpore has joined its group, for that replaces handlers.

    Args:
        is_alone: whether ranks of the group have ended, so that nothing can be agreed any more.
        last_words: called with the signal, and the farewell if there is one, where the process is
            ended without the loop's doing.
    """
    request = StopRequest()
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    wakeup_before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    before = {number: signal.signal(number, _only_wake_up) for number in SIGNALS}
    thread = threading.Thread(
        target=_watch, args=(reader, request, is_alone, last_words), name="stop", daemon=True
    )
    thread.start()
    try:
        yield request
    finally:
        os.write(writer, b"\0")
        thread.join(LONGEST_WAIT_S)
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        signal.set_wakeup_fd(wakeup_before)
        os.close(reader)
        os.close(writer)


def end_by_signal(number: int) -> None:
    """End this process as a signal would that nobody handles; any thread may call it."""
    ctypes.CDLL(None).signal(number, 0)
    os.kill(os.getpid(), number)


def dies_by(number: int) -> int:
    """Return the signal that a process ends by which was asked to stop by ``number``."""
    return signal.SIGINT if number == signal.SIGINT else signal.SIGTERM


def _only_wake_up(number: int, frame: FrameType | None) -> None:
    """Do nothing: the interpreter has written the number to the pipe."""


def _watch(
    reader: int,
    request: StopRequest,
    is_alone: Callable[[], bool],
    last_words: LastWords,
) -> None:
    while True:
        select.select([reader], [], [], _LOOK_S)
        for number in _read(reader):
            if number == 0:
                return
            is_impatient = number == signal.SIGINT and request.number is not None
            request.ask(number)
            if is_impatient:
                end_by_signal(number)
        farewell = request.farewell
        if farewell is None and (request.number is None or request.is_agreed):
            continue
        if request.is_hopeless() or is_alone():
            number = request.number or signal.SIGTERM
            last_words(number, farewell)
            end_by_signal(dies_by(number))


def _read(reader: int) -> bytes:
    try:
        return os.read(reader, 4096)
    except BlockingIOError:
        return b""
