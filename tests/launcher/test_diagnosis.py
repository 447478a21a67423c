from __future__ import annotations

import signal
from typing import Any

import pytest

from launcher.contract import FailureRecord
from launcher.diagnosis.verdict import Verdict, diagnose, exit_code_of, is_chatter, worth_a_restart
from launcher.outcome import AttemptOutcome, RankOutcome, Reason
from launcher.plan import SCHEDULER

S = 1_000_000_000


def rank(number: int, returncode: int | None, ended_s: float, **more: Any) -> RankOutcome:
    said, at_s = more.pop("said", None), more.pop("at_s", ended_s)
    stopped_s = more.pop("stopped_s", None)
    if said is not None:
        kind, _, message = said.partition(": ")
        more["failure"] = FailureRecord(
            rank=number,
            type=kind,
            message=message,
            monotonic_ns=int(at_s * S),
            fatal=more.pop("fatal", True),
        )
    if stopped_s is not None:
        more["signalled_ns"] = int(stopped_s * S)
    return RankOutcome(number, 100 + number, returncode, int(ended_s * S), **more)


def judge(*ranks: RankOutcome, reason: Reason = Reason.FAILURE, **more: Any) -> Verdict:
    return diagnose(AttemptOutcome(0, reason, ranks, **more))


def test_success_is_0() -> None:
    assert judge(rank(0, 0, 1), reason=Reason.SUCCESS).exit_code == 0


def test_the_rank_that_failed_is_told_from_those_that_were_stopped() -> None:
    verdict = judge(rank(0, -15, 2, stopped_s=1.1), rank(1, 3, 1), rank(2, -9, 3, stopped_s=1.1))
    assert (verdict.root_cause_rank, verdict.exit_code) == (1, 3)
    assert (verdict.stopped, verdict.secondary) == ((0, 2), ())


def test_the_earliest_exception_beats_the_earliest_exit() -> None:
    verdict = judge(
        rank(0, 1, 5, said="RuntimeError: later", at_s=2),
        rank(1, 1, 9, said="ValueError: first", at_s=1),
    )
    assert verdict.root_cause_rank == 1
    assert verdict.secondary == (0,)


def test_a_rank_that_was_stopped_after_its_own_failure_is_still_the_cause() -> None:
    verdict = judge(
        rank(0, -9, 9, said="SystemExit: exit code 7", at_s=1, stopped_s=2),
        rank(1, 9, 1.5, said="ConnectionResetError: Connection reset by peer", at_s=1.4),
    )
    assert (verdict.root_cause_rank, verdict.exit_code) == (0, 7)
    assert verdict.secondary == (1,)
    assert verdict.stopped == ()


def test_an_error_while_being_stopped_is_no_failure_of_its_own() -> None:
    verdict = judge(
        rank(0, 1, 2, said="RuntimeError: interrupted", at_s=1.6, stopped_s=1.5),
        rank(1, 4, 1.4),
    )
    assert verdict.root_cause_rank == 1
    assert verdict.stopped == (0,)


@pytest.mark.parametrize(
    "words",
    [
        "RuntimeError: EI0006: Getting socket times out",
        "RuntimeError: The state of the cluster is error, total nodes num: 2",
        "RuntimeError: The total number of timed out node is 1",
        "RuntimeError: Failed to connect to the meta server.",
        "ConnectionResetError: [Errno 104] Connection reset by peer",
        "BrokenPipeError: [Errno 32] Broken pipe",
        "RuntimeError: Connection closed by peer [10.0.0.1]",
        "RuntimeError: EI0002 notify wait timeout",
    ],
)
def test_who_says_that_a_peer_is_gone_is_secondary(words: str) -> None:
    verdict = judge(rank(0, 1, 1.0, said=words), rank(1, -9, 1.2))
    assert (verdict.root_cause_rank, verdict.exit_code) == (1, 137)
    assert verdict.secondary == (0,)


def test_last_words_in_the_log_count_where_there_is_no_record() -> None:
    tail = ("[ERROR] DISTRIBUTED(1): The state of the cluster is error",)
    assert judge(rank(0, 1, 1.0, log_tail=tail), rank(1, 5, 1.1)).root_cause_rank == 1


def test_warnings_of_every_healthy_start_are_no_last_words() -> None:
    line = "[WARNING] DISTRIBUTED(77,7f,python):2026 Failed to connect to the meta server node"
    assert is_chatter(line)
    assert not is_chatter("[ERROR] DISTRIBUTED(77,7f,python):2026 gone")
    assert judge(rank(0, 1, 1.0, log_tail=(line,)), rank(1, 5, 1.1)).root_cause_rank == 0


def test_a_sigterm_that_nobody_of_us_sent_is_secondary() -> None:
    verdict = judge(rank(0, -15, 1.0), rank(1, 1, 1.3, said="ValueError: x", at_s=1.2))
    assert verdict.root_cause_rank == 1


def test_a_sigterm_from_outside_alone_is_the_cause() -> None:
    verdict = judge(rank(0, -15, 1.0), rank(1, -15, 1.5, stopped_s=1.1))
    assert (verdict.root_cause_rank, verdict.exit_code) == (0, 143)
    assert "did not send" in verdict.explanation


def test_an_abort_soon_after_a_peers_loss_is_secondary_but_not_without_one() -> None:
    assert judge(rank(0, -6, 3.0), rank(1, 1, 2.0)).root_cause_rank == 1
    assert judge(rank(0, -6, 1.0), rank(1, 1, 2.0)).root_cause_rank == 0
    assert judge(rank(0, -6, 100.0), rank(1, 3, 2.0)).root_cause_rank == 1


def test_a_victim_can_only_be_one_of_a_failure_before_it() -> None:
    verdict = judge(
        rank(0, 1, 1.0, said="ConnectionResetError: Connection reset by peer"),
        rank(1, 1, 60.0, said="ValueError: no data"),
    )
    assert verdict.root_cause_rank == 0


def test_where_all_are_victims_the_first_one_is_named() -> None:
    words = "RuntimeError: EI0006: Getting socket times out"
    verdict = judge(rank(0, 1, 2.0, said=words), rank(1, 1, 1.0, said=words))
    assert (verdict.root_cause_rank, verdict.secondary) == (1, (0,))


def test_the_scheduler_is_the_cause_only_if_no_worker_failed_before() -> None:
    scheduler = rank(SCHEDULER, -9, 1.0)
    stopped = rank(0, -15, 2.0, stopped_s=1.5)
    verdict = judge(stopped, scheduler=scheduler)
    assert verdict.cause is scheduler
    assert (verdict.root_cause_rank, verdict.exit_code) == (None, 137)
    assert judge(rank(0, 3, 0.5), scheduler=scheduler).root_cause_rank == 0


def test_an_exception_in_a_thread_does_not_date_the_failure() -> None:
    verdict = judge(
        rank(0, 1, 5.0, said="ValueError: a thread", at_s=0.1, fatal=False),
        rank(1, 1, 2.0, said="KeyError: x"),
    )
    assert verdict.root_cause_rank == 1


@pytest.mark.parametrize(
    ("returncode", "code"),
    [(1, 1), (2, 1), (3, 3), (75, 1), (119, 119), (120, 1), (124, 1), (137, 1), (255, 1),
     (-9, 137), (-11, 139), (-6, 134), (None, 1)],
)  # fmt: skip
def test_exit_codes_of_a_cause(returncode: int | None, code: int) -> None:
    assert exit_code_of(rank(0, returncode, 1)) == code


@pytest.mark.parametrize(("number", "code"), [(1, 129), (2, 130), (15, 143)])
def test_the_launchers_own_signal_is_its_exit_code(number: int, code: int) -> None:
    verdict = judge(rank(0, -15, 2, stopped_s=1), reason=Reason.STOPPED, signal=number)
    assert verdict.exit_code == code
    assert verdict.root_cause_rank is None


@pytest.mark.parametrize("reason", [Reason.HANG, Reason.EXIT_SKEW])
def test_a_hang_is_124_and_blames_the_first_suspect(reason: Reason) -> None:
    ranks = [rank(number, -9, 2, stopped_s=1) for number in range(3)]
    verdict = judge(*ranks, reason=reason, suspects=(2, 0))
    assert (verdict.exit_code, verdict.root_cause_rank) == (124, 2)


def test_a_process_that_could_not_be_started_is_1() -> None:
    verdict = judge(rank(0, -15, 2, stopped_s=1), reason=Reason.START, detail="no memory")
    assert (verdict.exit_code, verdict.root_cause_rank) == (1, None)


@pytest.mark.parametrize(
    ("kills", "words"),
    [(2, "by the kernel's memory killer"), (0, "was not seen"), (None, "cannot be read")],
)
def test_the_memory_killer_is_named_only_with_proof(kills: int | None, words: str) -> None:
    assert words in judge(rank(0, -9, 1), memory_kills=kills).explanation


def test_a_kill_by_the_launcher_is_not_laid_on_the_memory_killer() -> None:
    killed = rank(0, -9, 3, said="ValueError: x", at_s=1, stopped_s=2)
    assert judge(killed, memory_kills=1).explanation == ""


@pytest.mark.parametrize(
    ("outcome", "worth"),
    [
        (AttemptOutcome(0, Reason.FAILURE, [rank(0, 1, 1, said="RuntimeError: x")]), True),
        (AttemptOutcome(0, Reason.FAILURE, [rank(0, -9, 1)]), True),
        (AttemptOutcome(0, Reason.FAILURE, [rank(0, 75, 1)]), True),
        (AttemptOutcome(0, Reason.HANG, [rank(0, -9, 1, stopped_s=0)]), True),
        (AttemptOutcome(0, Reason.FAILURE, [rank(0, 2, 1)]), False),
        (AttemptOutcome(0, Reason.FAILURE, [rank(0, 1, 1, said="SyntaxError: x")]), False),
        (AttemptOutcome(0, Reason.FAILURE, [rank(0, 1, 1, said="ImportError: x")]), False),
        (AttemptOutcome(0, Reason.FAILURE, [rank(0, 1, 1, said="a.b.ConfigError: x")]), False),
        (AttemptOutcome(0, Reason.STOPPED, [rank(0, -15, 1)], signal=signal.SIGTERM), False),
        (AttemptOutcome(0, Reason.START, [rank(0, None, 1)]), False),
        (AttemptOutcome(0, Reason.SUCCESS, [rank(0, 0, 1)]), False),
    ],
)
def test_only_what_may_end_better_is_worth_a_restart(outcome: AttemptOutcome, worth: bool) -> None:
    assert worth_a_restart(outcome) is worth
