"""The guardian: outlives its launcher and ends what that one left behind.

Run by file path, as ``python -I -S guardian.py VARIABLE TAG EVENTS``, with the read end of a pipe
as its standard input. Only the launcher holds the other end, through which it tells the number of
each attempt; end of file means that the launcher is gone, whatever ended it. The guardian then
kills every process that carries the job's tag. At a normal end the launcher kills the guardian.

It is started just before the workers, so it leaves the cores to them at first: it loads what it
needs when they are under way, or when the launcher has gone. Until then what would end it politely
is blocked: that is how the launcher starts it.
"""

from __future__ import annotations

import os
import select
import sys
import time

QUIET_S = 0.3
SWEEP_LIMIT_S = 30.0


def main(variable: str, tag: str, events: str) -> None:
    """Wait for the launcher's end, then sweep."""
    _wait_for_hangup(QUIET_S)
    import signal

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.path.insert(0, os.path.dirname(package))
    from launcher.supervision.sweep import Mark, sweep

    attempt = b"0"
    while told := os.read(0, 64):
        attempt = told.split()[-1]
    swept = sweep(Mark(variable, tag), limit_s=SWEEP_LIMIT_S)
    _log(events, attempt.decode(), sorted(swept.found), sorted(swept.left))


def _wait_for_hangup(limit_s: float) -> None:
    poller = select.poll()
    poller.register(0, 0)
    poller.poll(limit_s * 1000)


def _log(events: str, attempt: str, killed: list[int], left: list[int]) -> None:
    """Append what was done as one line; a full disk or a removed folder must not matter."""
    line = (
        f'{{"time": {time.time()}, "event": "kill", "attempt": {attempt}, "by": "guardian", '
        f'"why": "the launcher is gone", "pids": {killed}, "left": {left}}}\n'
    )
    try:
        file = os.open(events, os.O_WRONLY | os.O_APPEND)
        os.write(file, line.encode())
        os.close(file)
    except OSError:
        return


if __name__ == "__main__":
    main(*sys.argv[1:4])
