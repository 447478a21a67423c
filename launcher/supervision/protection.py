"""What keeps anything of a job from outliving its launcher: guardian, adoption and sweep."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from launcher.contract import JOB_TAG
from launcher.supervision.process import Child, spawn
from launcher.supervision.sweep import Mark, Swept, sweep

GUARDIAN = Path(__file__).resolve().with_name("guardian.py")
SHORT_LIFE_S = 0.2
MOST_SHORT_LIVES = 5
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


class Protection:
    """Lasts for a whole run, over all its attempts; entered and left by the main thread.

    While it lasts, this process adopts the orphans of its descendants and has a guardian, whose
    :attr:`guardian` handle becomes readable should it die; :meth:`renew` then starts another.
    """

    def __init__(self, job_id: str, events: Path, say: Callable[[str], None]) -> None:
        self._mark = Mark(JOB_TAG, job_id)
        self._events = events
        self._say = say
        self._short_lives = 0
        self._attempt = b"0\n"
        self.guardian: Child | None = None

    def __enter__(self) -> Protection:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._reader, self._writer = os.pipe()
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self.sweep(settle_s=0)
        if self.guardian is not None:
            self.guardian.signal(signal.SIGKILL)
            os.waitid(os.P_PIDFD, self.guardian.pidfd, os.WEXITED | os.WNOWAIT)
            self.guardian.reap()
        os.close(self._writer)
        os.close(self._reader)
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)

    def tell(self, attempt: int) -> None:
        """Let the guardian know the attempt, for its line in the events."""
        self._attempt = f"{attempt}\n".encode()
        os.write(self._writer, self._attempt)

    def renew(self) -> None:
        """Start another guardian in place of one that has died, unless none can live here."""
        dead = self.guardian
        if dead is None or not dead.reap():
            return
        self.guardian = None
        lived_s = (dead.ended_ns - dead.started_ns) / 1e9
        self._short_lives = self._short_lives + 1 if lived_s < SHORT_LIFE_S else 0
        if self._short_lives < MOST_SHORT_LIVES:
            self._say("the guardian was ended by somebody else; another one was started")
            self._start()
        else:
            self._say(
                f"the guardian ends at once, {MOST_SHORT_LIVES} times in a row (last: "
                f"{dead.returncode}): the run goes on without one; should the launcher be killed "
                "with SIGKILL, processes that workers have started may be left"
            )

    def sweep(self, *, settle_s: float) -> Swept:
        """End every process of the job that is still there (see ``supervision.sweep``)."""
        swept = sweep(self._mark, settle_s=settle_s)
        reap_orphans(self.owns)
        return swept

    def owns(self, pid: int) -> bool:
        return self.guardian is not None and self.guardian.pid == pid

    def _start(self) -> None:
        command = [sys.executable, "-I", "-S", str(GUARDIAN), *self._mark, str(self._events)]
        try:
            self.guardian = spawn(command, environment=os.environ, stdin=self._reader)
        except OSError as error:
            self._say(f"no guardian could be started ({error}): the run goes on without one")
            return
        os.write(self._writer, self._attempt)


def reap_orphans(is_ours: Callable[[int], bool]) -> None:
    """Reap adopted processes that have ended, up to the first that ``is_ours`` claims."""
    flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
    with suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, flags)) is not None:
            if is_ours(ended.si_pid):
                return
            os.waitid(os.P_PID, ended.si_pid, os.WEXITED | os.WNOHANG)
