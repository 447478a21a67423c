"""Hangs are found in time, with all stacks; slow steps are no hangs."""

from __future__ import annotations

import time

from measure import Measure
from systems import System, ours
from trial import TrialFailed, trial

LIMIT_S = 2.0
KINDS = ("hang_sleep", "hang_stop", "hang_lock")


def found(trials: int, nproc: int) -> tuple[Measure, Measure]:
    """Seconds beyond the limit until a hang is found, and the number of ranks with a stack."""
    late_s, stacks = [], []
    system = ours("--hang-timeout", str(LIMIT_S), "--grace", "1")
    for kind in KINDS:
        for number in range(trials):
            with trial(system, nproc, "chatter", kind, rank=number % nproc) as one:
                fault_s = one.fault_ns() / 1e9
                one.wait_for_end()
                now = time.time() - time.monotonic()
                hang = [event for event in one.events() if event["event"] == "hang"]
                late_s.append(hang[0]["time"] - now - fault_s - LIMIT_S if hang else 1e9)
                folder = one.folder / "run" / "stacks" / "attempt_0"
                texts = [path.read_text() for path in folder.glob("rank_*.txt")]
                stacks.append(sum("worker.py" in text and "wchan" in text for text in texts))
    return (
        Measure(late_s, "s late", 2.0, note="sleep, SIGSTOP, held interpreter lock"),
        Measure(stacks, "ranks", nproc, "least"),
    )


def found_by(system: System, nproc: int, patience_s: float = 30.0) -> Measure:
    """Whether another launcher ends a hung job at all, within a bound."""
    with trial(system, nproc, "sleep", "hang_stop") as one:
        one.fault_ns()
        try:
            one.wait_for_end(patience_s)
        except TrialFailed:
            return Measure([], "s", note=f"not found in {patience_s:g} s; it has no hang watch")
        return Measure([patience_s], "s")


def false_alarms(steps: int, nproc: int) -> Measure:
    """Alarms in a run of so many steps, all workers together, of which a tenth are ten times slow.

    Steps take 0.05 s or 0.5 s, the limit is 1 s; half of the ranks write heartbeats.
    """
    system = ours("--hang-timeout", "1", "--first-step-timeout", "1")
    with trial(system, nproc, "bursts", "bursts", value=steps // nproc) as one:
        one.wait_for_end(600)
        alarms = sum(event["event"] == "hang" for event in one.events())
        return Measure(
            [alarms], "alarms", 0, "total", f"{steps} steps, exit code {one.process.returncode}"
        )
