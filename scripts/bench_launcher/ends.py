"""How fast a job ends: after a failure, on a signal, against stubborn workers."""

from __future__ import annotations

import signal

from measure import Measure
from systems import System, ours
from trial import HERE, TrialFailed, trial

GRACE_S = 1.0


def death_to_exit(system: System, trials: int, nproc: int, limit_s: float = 0.5) -> Measure:
    """Seconds from a worker's SIGKILL to the launcher's exit, the others obeying SIGTERM."""
    return _fault_to_exit(system, trials, nproc, "sleep", limit_s)


def death_with_stubborn_others(
    system: System, trials: int, nproc: int, limit_s: float = 0.5
) -> Measure:
    """The same with others that ignore SIGTERM and a grace of one second."""
    system = ours("--grace", str(GRACE_S)) if system.is_ours else system
    return _fault_to_exit(system, trials, nproc, "ignore", GRACE_S + limit_s)


def failure_before_registering(system: System, trials: int) -> Measure:
    """Seconds from an exception before MindSpore's init() to the launcher's exit, two workers."""
    values = []
    system = ours(rendezvous="cluster") if system.is_ours else system
    for _ in range(trials):
        with trial(system, 2, script=[str(HERE / "mindspore_worker.py")]) as one:
            fault_ns = one.fault_ns()
            values.append((one.wait_for_end() - fault_ns) / 1e9)
    return Measure(values, "s", 1.0)


def term_to_handlers(system: System, trials: int, nproc: int, limit_ms: float = 50) -> Measure:
    """Milliseconds from SIGTERM to the launcher until the last worker's handler runs."""
    values: list[float] = []
    missing = 0
    for _ in range(trials):
        with trial(system, nproc, "note_term", "note_term") as one:
            one.wait_until_ready("handler_")
            sent_ns = one.send(signal.SIGTERM)
            one.wait_for_end()
            ran = one.moments("term_").values()
            missing += nproc - len(ran)
            values.append((max(ran, default=sent_ns) - sent_ns) / 1e6)
    note = f"{missing} of {trials * nproc} handlers never ran" if missing else ""
    return Measure(values if missing < trials * nproc else [], "ms", limit_ms, note=note)


def _fault_to_exit(system: System, trials: int, nproc: int, others: str, limit_s: float) -> Measure:
    values = []
    note = ""
    for number in range(trials):
        with trial(system, nproc, others, "kill", rank=number % nproc) as one:
            fault_ns = one.fault_ns()
            try:
                values.append((one.wait_for_end() - fault_ns) / 1e9)
            except TrialFailed as failure:
                note = str(failure)
    return Measure(values, "s", limit_s, note=note)
