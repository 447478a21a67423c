"""Signals to the launcher are read in order and leave nothing behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

from launcher.supervision.signals import Signals


def read_one(signals: Signals) -> list[int]:
    assert select.select([signals], [], [], 30)[0]
    return signals.read()


def test_signals_are_read_in_the_order_of_their_arrival() -> None:
    with Signals() as signals:
        received = []
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            os.kill(os.getpid(), number)
            received += read_one(signals)
    assert received == [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT]


def test_reading_never_waits() -> None:
    with Signals() as signals:
        assert signals.read() == []


def test_handlers_are_as_before_when_the_context_is_left() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with Signals():
        assert signal.getsignal(signal.SIGINT) != before[signal.SIGINT]
    assert {number: signal.getsignal(number) for number in before} == before


def test_a_hangup_that_was_ignored_at_the_start_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            os.kill(os.getpid(), signal.SIGTERM)
            assert read_one(signals) == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGHUP, before)


def test_signals_that_were_blocked_at_the_start_are_heard() -> None:
    program = (
        "import os, signal\n"
        "from launcher.supervision.signals import Signals\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\n"
        "with Signals() as signals:\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    assert signals.read() == [signal.SIGTERM]\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
