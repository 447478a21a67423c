"""Signals to the launcher, as numbers read from a file descriptor."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
"""What ends the job: at first politely, the second time at once."""

PASSED_ON = (signal.SIGUSR1, signal.SIGUSR2)
"""What the workers get and the launcher does not act on."""

WITHOUT_WORKERS = (*STOPPING, *PASSED_ON)
"""What ends a launcher that has no workers to pass it on to: Slurm gives its notice once."""

HANDLED = (*STOPPING, *PASSED_ON, signal.SIGTSTP, signal.SIGCONT, signal.SIGCHLD)


class Signals:
    """Handles signals for as long as the context lasts; the main thread enters and leaves it.

    A handler only leaves the number in a pipe: :meth:`fileno` is for a selector, :meth:`read` gives
    the numbers as they came (those of one moment in any order). SIGHUP stays ignored where it was
    ignored at the start (nohup).
    """

    def __init__(self) -> None:
        self._before: dict[signal.Signals, object] = {}
        self._wakeup_before = -1
        self._reader = self._writer = -1
        self.told_to_stop = False
        """Whether one of STOPPING has been read."""

    def __enter__(self) -> Signals:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in HANDLED:
            if number == signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue
            self._before[number] = signal.signal(number, _only_wake_up)
        self._mask_before = signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)  # type: ignore[arg-type]
        signal.set_wakeup_fd(self._wakeup_before)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask_before)
        os.close(self._reader)
        os.close(self._writer)

    def fileno(self) -> int:
        return self._reader

    def read(self) -> list[int]:
        """Return the signals that came since the last call, without waiting."""
        try:
            numbers = list(os.read(self._reader, 4096))
        except BlockingIOError:
            return []
        self.told_to_stop = self.told_to_stop or any(number in STOPPING for number in numbers)
        return numbers


class TerminatedError(SystemExit):
    """SIGTERM came while nobody waits for signals."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end this process, which it would not do by itself to process 1 of a container.

    Call it from the main thread.

    Raises:
        TerminatedError: it came.
    """
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise TerminatedError


def _only_wake_up(number: int, frame: FrameType | None) -> None:
    """Do nothing: the interpreter has written the number to the wake-up pipe."""
