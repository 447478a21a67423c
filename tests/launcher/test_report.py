from __future__ import annotations

from pathlib import Path
from typing import Any

from launcher.contract import FailureRecord, Progress
from launcher.diagnosis.report import report
from launcher.diagnosis.verdict import diagnose
from launcher.outcome import AttemptOutcome, RankOutcome, Reason
from launcher.plan import SCHEDULER, Plan, ProcessPlan

TRACEBACK = """\
Traceback (most recent call last):
  File "train.py", line 7, in <module>
    raise ValueError("odd shape")
ValueError: odd shape
"""
FAILURE = FailureRecord(
    rank=1, type="ValueError", message="odd shape", traceback=TRACEBACK, monotonic_ns=10**9,
    host="n7", phase="train",
)  # fmt: skip


def plan_of(count: int, device_id: int | None = None) -> Plan:
    workers = tuple(
        ProcessPlan(rank, rank, ("python",), {}, device_id=device_id) for rank in range(count)
    )
    return Plan("job", Path("/runs/a"), count, "CPU", "none", workers, host="n7")


def rank(number: int, returncode: int | None, **more: Any) -> RankOutcome:
    return RankOutcome(number, 100 + number, returncode, 2 * 10**9, **more)


def text_of(plan: Plan, outcome: AttemptOutcome, ended_s: float = 1000.0) -> str:
    return report(plan, outcome, diagnose(outcome), ended_s=ended_s)


def failed(*ranks: RankOutcome, **more: Any) -> AttemptOutcome:
    return AttemptOutcome(0, Reason.FAILURE, ranks, **more)


def test_the_cause_is_the_first_line_and_everything_to_act_on_follows() -> None:
    log = ("epoch 1", *TRACEBACK.splitlines())
    cause = rank(1, 1, failure=FAILURE, log_tail=log, progress=Progress(1, "train", 2, 350))
    others = [rank(number, -15, signalled_ns=3 * 10**9) for number in (0, 2, 3)]
    text = text_of(plan_of(4), failed(others[0], cause, *others[1:]))
    lines = text.splitlines()
    assert lines[0] == "rank 1 of 4 failed: ValueError: odd shape"
    assert lines[1] == (
        "  host n7, device CPU, pid 101, exit code 1, phase train, epoch 2, step 350"
    )
    assert "    ValueError: odd shape" in lines
    assert lines[lines.index("  last lines of its log:") + 1] == "    epoch 1"
    assert text.count("Traceback (most recent call last)") == 1
    assert "  log: /runs/a/logs/attempt_0/rank_1.log" in lines
    assert "  ranks 0,2,3 were stopped by the launcher" in lines
    assert lines[-1] == "  exit code: 1"


def test_a_crash_shows_its_signal_its_last_lines_and_a_hint() -> None:
    tail = tuple(f"line {number}" for number in range(50))
    text = text_of(plan_of(2), failed(rank(0, -11, log_tail=tail), rank(1, 0)))
    assert text.startswith("rank 0 of 2 failed: SIGSEGV (signal 11)\n")
    assert "    line 30\n" in text
    assert "line 29" not in text
    assert "  hint: a crash in native code" in text
    assert text.endswith("  exit code: 139")


def test_mindspores_warnings_are_left_out_beside_a_traceback_only() -> None:
    warning = "[WARNING] DISTRIBUTED(1,7f,python): Failed to connect to the meta server"
    cause = rank(0, 1, failure=FAILURE, log_tail=(warning, "mine"))
    assert "WARNING" not in text_of(plan_of(1), failed(cause))
    assert "WARNING" in text_of(plan_of(1), failed(cause._replace(failure=None)))


def test_the_physical_device_of_an_npu_is_shown() -> None:
    assert "device CPU 6" in text_of(plan_of(1, device_id=6), failed(rank(0, 3)))


def test_a_scheduler_that_died_is_named_with_its_log() -> None:
    outcome = failed(rank(0, -15, signalled_ns=3 * 10**9), scheduler=rank(SCHEDULER, -9))
    text = text_of(plan_of(1), outcome)
    assert text.startswith("the scheduler failed: SIGKILL (signal 9)\n")
    assert "  log: /runs/a/logs/attempt_0/scheduler.log" in text


def test_a_hang_shows_every_rank_and_marks_the_odd_one_out() -> None:
    ranks = [
        rank(number, -9, signalled_ns=1, progress=Progress(number, "train", 1, step, 940.0))
        for number, step in enumerate((12, 11, 12))
    ]
    outcome = AttemptOutcome(0, Reason.HANG, ranks, suspects=(1,), detail="rank 1 hangs")
    lines = text_of(plan_of(3), outcome).splitlines()
    assert lines[0] == "hang: rank 1 hangs"
    assert "     rank 0: train, epoch 1, step 12, 60 s before the end" in lines
    assert "  -> rank 1: train, epoch 1, step 11, 60 s before the end" in lines
    assert lines[-1] == "  exit code: 124"


def test_what_the_watch_saw_of_a_rank_stands_in_its_row() -> None:
    ranks = [rank(0, 0), rank(1, -9, signalled_ns=1)]
    notes = ("rank 1: no progress for 9 s; in recv (net.py:7)",)
    outcome = AttemptOutcome(0, Reason.EXIT_SKEW, ranks, suspects=(1,), notes=notes)
    lines = text_of(plan_of(2), outcome).splitlines()
    assert lines[0] == "hang: some ranks ended well, others went on"
    assert "     rank 0: ended well" in lines
    assert "  -> rank 1: no progress for 9 s; in recv (net.py:7)" in lines
    assert not any("note:" in line for line in lines)


def test_a_hang_of_many_ranks_stays_short() -> None:
    ranks = [rank(number, -9, signalled_ns=1) for number in range(64)]
    outcome = AttemptOutcome(0, Reason.HANG, ranks, suspects=(63,))
    text = text_of(plan_of(64), outcome)
    assert "  -> rank 63: gave no sign of progress" in text
    assert "48 more ranks" in text


def test_secondary_failures_are_one_line() -> None:
    gone = FailureRecord(rank=0, type="ConnectionResetError", message="", monotonic_ns=10**9)
    text = text_of(plan_of(2), failed(rank(0, 1, failure=gone), rank(1, 3)))
    assert text.startswith("rank 1 of 2 failed: exit code 3")
    assert "  rank 0 failed as a consequence (see their logs)" in text


def test_what_could_not_be_ended_is_told() -> None:
    assert "could not be ended: pid 7, 8" in text_of(
        plan_of(1), failed(rank(0, 3), left_over=(7, 8))
    )


def test_a_stop_names_the_signal() -> None:
    outcome = AttemptOutcome(
        0, Reason.STOPPED, [rank(0, -15, signalled_ns=1)], signal=2, detail="SIGINT"
    )
    text = text_of(plan_of(1), outcome)
    assert text.startswith("stopped by SIGINT\n")
    assert text.endswith("exit code: 130")


def test_a_stop_tells_how_far_the_ranks_had_come() -> None:
    saved = [rank(n, 0, signalled_ns=1, progress=Progress(n, "save", step=40)) for n in range(3)]
    late = rank(3, -9, signalled_ns=1, progress=Progress(3, "train", step=39))
    text = text_of(plan_of(4), AttemptOutcome(0, Reason.STOPPED, [*saved, late], signal=15))
    assert text.splitlines()[:3] == [
        "stopped by SIGTERM",
        "  last heartbeat of rank 3: step 39, phase train",
        "  last heartbeat of ranks 0-2: step 40, phase save",
    ]
    assert text.endswith("exit code: 143")


def test_success_is_one_line() -> None:
    outcome = AttemptOutcome(
        0, Reason.SUCCESS, [rank(0, 0), rank(1, 0)], started_ns=10**9, ended_ns=4 * 10**9
    )
    assert text_of(plan_of(2), outcome) == "all 2 ranks ended well after 3.0 s; /runs/a"


def test_what_a_restart_took_is_told() -> None:
    again = "  after the restart it was training again in 12.3 s"
    well = AttemptOutcome(1, Reason.SUCCESS, [rank(0, 0)], restart_s=12.34)
    assert text_of(plan_of(1), well).splitlines()[1] == again
    assert again in text_of(plan_of(1), failed(rank(0, 3), restart_s=12.34)).splitlines()
