"""Restarts: when, how often, and what each attempt owns."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping

import pytest
from conftest import (
    Launch,
    Messages,
    PlanMaker,
    read_events,
    tagged_processes,
    wait_for,
    worker_command,
)

from launcher.contract import Progress, RunPaths
from launcher.diagnosis.verdict import diagnose
from launcher.errors import NotReadyError
from launcher.outcome import AttemptOutcome, RankOutcome, Reason
from launcher.plan import Plan, Policy
from launcher.supervision.attempts import (
    back_off_s,
    for_attempt,
    made_progress,
    next_attempt,
    run_attempts,
    why_no_restart,
)
from launcher.supervision.events import EventLog
from launcher.supervision.signals import Signals

FAILED = RankOutcome(rank=0, pid=1, returncode=1, ended_ns=0)


def attempt(number: int, *, last_step: int | None = None, lasted_s: float = 1.0) -> AttemptOutcome:
    progress = None if last_step is None else Progress(0, "train", step=last_step)
    return AttemptOutcome(
        attempt=number,
        reason=Reason.FAILURE,
        ranks=[FAILED._replace(progress=progress)],
        ended_ns=int(lasted_s * 1e9),
        last_step=last_step or 0,
    )


@pytest.fixture
def run(make_plan: PlanMaker, paths: RunPaths, messages: Messages) -> Callable[..., object]:
    def run_all(
        plan: Plan,
        max_restarts: int,
        worth: Callable[[AttemptOutcome], bool] = lambda outcome: True,
        fresh: Callable[[int], Mapping[str, str]] = lambda number: {},
    ) -> list[AttemptOutcome]:
        with Signals() as signals:
            outcomes = run_attempts(
                plan,
                Policy(max_restarts=max_restarts, grace_s=5),
                paths=paths,
                events=EventLog(paths.events, messages.say),
                console=messages,
                signals=signals,
                worth_a_restart=worth,
                fresh_environment=fresh,
                pause_s=lambda restart: 0.0,
            )
        assert tagged_processes(plan.job_id) == {}
        return outcomes

    return run_all


def test_the_whole_group_is_restarted_until_it_ends_well(
    run: Callable[..., list[AttemptOutcome]], make_plan: PlanMaker, paths: RunPaths
) -> None:
    plan = make_plan(worker_command("fails_first.py", 2), worker_command("fails_first.py", 0))
    outcomes = run(plan, 5)
    assert [one.reason for one in outcomes] == [Reason.FAILURE, Reason.FAILURE, Reason.SUCCESS]
    assert [one.attempt for one in outcomes] == [0, 1, 2]
    assert all(paths.log(number, rank).exists() for number in range(3) for rank in range(2))
    events = read_events(paths)
    assert [one["attempt"] for one in events if one["event"] == "restart"] == [1, 2]
    ready = [one for one in events if one["event"] == "ready"]
    # An attempt whose first worker fails at once is not ready before it ends.
    assert all(("restart_s" in one) == (one["attempt"] > 0) for one in ready)
    assert ready[-1]["attempt"] == 2


def test_how_long_it_took_to_train_again_is_told(
    run: Callable[..., list[AttemptOutcome]],
    make_plan: PlanMaker,
    paths: RunPaths,
    messages: Messages,
) -> None:
    first, second = run(make_plan(worker_command("trains_again.py")), 1)
    assert first.restart_s is None
    assert second.restart_s is not None
    (again,) = [one for one in read_events(paths) if one.get("phase") == "train"]
    assert (again["event"], again["attempt"], again["rank"]) == ("ready", 1, 0)
    assert again["step"] > 3
    started = [one for one in read_events(paths) if one["event"] == "ready"][1]
    assert started["restart_s"] + 0.5 <= again["restart_s"] == second.restart_s
    (said,) = [one for one in messages.said if one.startswith("training again")]
    assert said.endswith(f"s after the failure, at step {again['step']}")


def test_restarts_come_to_an_end(
    run: Callable[..., list[AttemptOutcome]], make_plan: PlanMaker, messages: Messages
) -> None:
    assert len(run(make_plan(worker_command("exits.py", 3)), 1)) == 2
    assert messages.said[-1] == "no restart: --max-restarts 1 is used up"


def test_three_attempts_without_progress_are_enough(
    run: Callable[..., list[AttemptOutcome]], make_plan: PlanMaker, messages: Messages
) -> None:
    assert len(run(make_plan(worker_command("exits.py", 3)), 9)) == 3
    assert "no progress" in messages.said[-1]


def test_a_failure_that_is_not_worth_it_is_not_repeated(
    run: Callable[..., list[AttemptOutcome]], make_plan: PlanMaker
) -> None:
    assert len(run(make_plan(worker_command("exits.py", 3)), 5, lambda outcome: False)) == 1


def test_a_later_attempt_gets_fresh_values_of_what_it_owns(make_plan: PlanMaker) -> None:
    plan = make_plan(("x",), scheduler=("y",), environment={"MS_SCHED_PORT": "1"})
    later = for_attempt(plan, 2, {"MS_SCHED_PORT": "7", "UNRELATED": "8"})
    for process in later.processes:
        assert process.environment["MS_SCHED_PORT"] == "7"
        assert process.environment["LAUNCHER_WORKER_ATTEMPT"] == "2"
        assert "UNRELATED" not in process.environment


def test_attempts_are_counted_on_in_a_folder_that_has_some(paths: RunPaths) -> None:
    assert next_attempt(paths) == 0
    for name in ("attempt_0", "attempt_10", "attempt_x"):
        (paths.root / "logs" / name).mkdir(parents=True)
    assert next_attempt(paths) == 11


def test_the_pause_doubles_up_to_half_a_minute() -> None:
    assert [back_off_s(restart) for restart in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]
    assert back_off_s(1000) == 30


def test_getting_further_than_before_is_progress() -> None:
    outcomes = [attempt(0, last_step=10), attempt(1, last_step=10), attempt(2, last_step=11)]
    assert [made_progress(outcomes, index) for index in range(3)] == [True, False, True]


def test_without_heartbeats_a_long_life_is_progress() -> None:
    outcomes = [attempt(0, lasted_s=9.9), attempt(1, lasted_s=10.0)]
    assert [made_progress(outcomes, index) for index in range(2)] == [False, True]


def test_one_attempt_with_progress_keeps_the_run_going() -> None:
    outcomes = [attempt(0), attempt(1, lasted_s=60), attempt(2), attempt(3)]
    assert why_no_restart(outcomes, 9) is None
    assert why_no_restart([*outcomes, attempt(4)], 9) is not None


def test_processes_that_are_left_forbid_a_restart() -> None:
    assert why_no_restart([attempt(0)._replace(left_over=(7,))], 9) is not None


def test_an_error_before_a_restart_leaves_the_failed_attempt_with_its_exit_code(
    run: Callable[..., list[AttemptOutcome]], make_plan: PlanMaker
) -> None:
    def refuse(number: int) -> Mapping[str, str]:
        raise NotReadyError(f"attempt {number}: the table has gone")

    (outcome,) = run(make_plan(worker_command("exits.py", 3)), 5, fresh=refuse)
    assert outcome.reason is Reason.FAILURE
    assert outcome.no_restart == (75, "attempt 1: the table has gone")
    verdict = diagnose(outcome)
    assert (verdict.exit_code, verdict.root_cause_rank) == (75, 0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_during_the_pause_ends_the_run(
    launch: Callable[..., Launch], number: signal.Signals
) -> None:
    job = launch(worker_command("exits.py", 3), max_restarts=5, pause_s=600.0)
    wait_for(lambda: any(one["event"] == "restart" for one in job.events), "the pause")
    job.process.send_signal(number)
    (outcome,) = job.outcomes()
    assert outcome["reason"] == "STOPPED"
    assert outcome["signal"] == number
    job.wait_until_nothing_is_left()
