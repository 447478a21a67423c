"""What is left behind when the launcher is killed or asked to end."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from measure import Measure
from systems import System, ours
from trial import Trial, TrialFailed, trial

LOOK_AFTER_S = 1.0
GUARDIAN_FIRST_S = 0.5
STAYS_S = 30.0


def killed(system: System, trials: int, nproc: int) -> Measure:
    """Processes left a second after kill -9 of the launcher, each worker with a grandchild.

    In every second trial of ours the guardian is killed half a second before. What is left then is
    looked at again for half a minute: a late end on a busy machine is not a leak.
    """
    left, stayed = [], 0
    for number in range(trials):
        with trial(system, nproc, "grandchild", "grandchild") as one:
            one.wait_until_ready("grandchild_")
            if system.is_ours and number % 2:
                _kill_guardian(one)
                time.sleep(GUARDIAN_FIRST_S)
            one.send(signal.SIGKILL)
            one.process.wait()
            time.sleep(LOOK_AFTER_S)
            left.append(len(one.left()))
            stayed += _stay(one)
    return Measure(left, "left", 0, "total", f"{stayed} left after {STAYS_S:g} s more")


def asked(system: System, trials: int, nproc: int, number: signal.Signals) -> Measure:
    """Processes left a second after the launcher has ended because of a signal."""
    left, codes, note = [], set(), ""
    for _ in range(trials):
        with trial(system, nproc, "grandchild", "grandchild") as one:
            one.wait_until_ready("grandchild_")
            one.send(number)
            note = _await_end(one) or note
            codes.add(one.process.returncode)
            time.sleep(LOOK_AFTER_S)
            left.append(len(one.left()))
    return Measure(left, "left", 0, "total", note or f"exit code {_listed(codes)}")


def double_ctrl_c(system: System, trials: int, nproc: int) -> Measure:
    """Processes left after two Ctrl-C, the workers ignoring what is polite."""
    left, codes, note = [], set(), ""
    system = ours("--grace", "600") if system.is_ours else system
    for _ in range(trials):
        with trial(system, nproc, "ignore", "ignore") as one:
            one.wait_until_ready()
            time.sleep(0.1)
            one.send(signal.SIGINT)
            time.sleep(0.3)
            with suppress(ProcessLookupError):
                one.send(signal.SIGINT)
            note = _await_end(one) or note
            codes.add(one.process.returncode)
            time.sleep(LOOK_AFTER_S)
            left.append(len(one.left()))
    return Measure(left, "left", 0, "total", note or f"exit code {_listed(codes)}")


def _stay(one: Trial) -> int:
    """Return how many processes do not end by themselves at all."""
    deadline_s = time.monotonic() + STAYS_S
    while (count := len(one.left())) and time.monotonic() < deadline_s:
        time.sleep(0.1)
    return count


def _await_end(one: Trial) -> str:
    try:
        one.wait_for_end(60)
    except TrialFailed as failure:
        return str(failure)
    return ""


def _kill_guardian(one: Trial) -> None:
    for pid, command in one.left().items():
        if "guardian.py" in command:
            os.kill(pid, signal.SIGKILL)


def _listed(codes: set[int | None]) -> str:
    return ", ".join(sorted(map(str, codes)))
