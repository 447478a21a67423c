"""One attempt with real processes: every way to its end."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from conftest import (
    Launch,
    Messages,
    PlanMaker,
    is_alive,
    read_events,
    tagged_processes,
    wait_for,
    worker_command,
)

from launcher.contract import RunPaths
from launcher.outcome import AttemptOutcome, Reason
from launcher.plan import Plan, Policy
from launcher.supervision.attempts import run_attempts
from launcher.supervision.events import EventLog
from launcher.supervision.samples import read_stat
from launcher.supervision.signals import Signals

OK = worker_command("ok.py")
SLEEPS = worker_command("sleeps.py")
PTRACE_SEIZE, WALL = 0x4206, 0x40000000
STUBBORN = worker_command("ignores_term.py")

Run = Callable[..., AttemptOutcome]


@pytest.fixture
def run(make_plan: PlanMaker, paths: RunPaths, messages: Messages) -> Run:
    """Run one attempt in this process; nothing may be left of it."""

    def run_once(
        *commands: tuple[str, ...],
        scheduler: tuple[str, ...] | None = None,
        plan: Plan | None = None,
        **policy: float,
    ) -> AttemptOutcome:
        plan = plan or make_plan(*commands, scheduler=scheduler)
        with Signals() as signals:
            (outcome,) = run_attempts(
                plan,
                Policy(**policy),  # type: ignore[arg-type]
                paths=paths,
                events=EventLog(paths.events, messages.say),
                console=messages,
                signals=signals,
                worth_a_restart=lambda outcome: False,
                fresh_environment=lambda attempt: {},
            )
        assert tagged_processes(plan.job_id) == {}
        return outcome

    return run_once


def codes(outcome: AttemptOutcome) -> list[int | None]:
    return [rank.returncode for rank in outcome.ranks]


def named(paths: RunPaths, event: str) -> list[dict[str, object]]:
    return [one for one in read_events(paths) if one["event"] == event]


def test_a_job_whose_ranks_end_well_succeeds(run: Run, paths: RunPaths) -> None:
    outcome = run(OK, OK, OK)
    assert outcome.reason is Reason.SUCCESS
    assert codes(outcome) == [0, 0, 0]
    assert [one["event"] for one in read_events(paths)].count("exit") == 3
    assert paths.log(0, 2).read_text() == "ready\n"
    assert not (paths.root / "stacks").exists()


def test_the_first_failure_ends_the_others(run: Run, paths: RunPaths, messages: Messages) -> None:
    outcome = run(SLEEPS, worker_command("exits.py", 3), SLEEPS)
    assert outcome.reason is Reason.FAILURE
    assert codes(outcome) == [-signal.SIGTERM, 3, -signal.SIGTERM]
    assert [rank.signalled_ns is None for rank in outcome.ranks] == [False, True, False]
    assert outcome.ranks[1].failure is not None
    assert outcome.ranks[1].log_tail == ("ready",)
    (term,) = named(paths, "term")
    assert term["ranks"] == [0, 2]
    assert "rank 1 ended with exit code 3: SIGTERM to ranks 0,2" in messages.said[0]


def test_a_rank_that_dies_by_a_signal_ends_the_others(run: Run) -> None:
    outcome = run(worker_command("dies.py", 9), SLEEPS)
    assert codes(outcome) == [-9, -15]
    assert "SIGKILL" in outcome.detail


def test_ranks_that_ignore_the_request_are_killed_after_the_grace(
    run: Run, paths: RunPaths
) -> None:
    failing = worker_command("exits.py", 1, 0.3)
    outcome = run(STUBBORN, failing, STUBBORN, grace_s=0.2)
    assert codes(outcome) == [-9, 1, -9]
    (kill,) = named(paths, "kill")
    assert kill["ranks"] == [0, 2]


def test_a_stopped_rank_is_woken_so_that_it_can_end(run: Run) -> None:
    outcome = run(worker_command("dies.py", int(signal.SIGSTOP)), worker_command("exits.py", 1, 1))
    assert codes(outcome) == [-15, 1]


def test_what_a_rank_leaves_behind_is_ended_and_said(
    run: Run, paths: RunPaths, messages: Messages
) -> None:
    outcome = run(worker_command("forks_grandchild.py", 0))
    assert outcome.reason is Reason.SUCCESS
    assert outcome.left_over == ()
    assert "left behind, 1 process: " in messages.said[0]
    assert " of rank 0 (pid" in messages.said[0]
    pid = int(paths.log(0, 0).read_text().split()[1])
    assert named(paths, "kill")[0]["pids"] == [pid]


def test_the_scheduler_is_started_first_and_ended_with_the_workers(
    run: Run, paths: RunPaths
) -> None:
    outcome = run(OK, OK, scheduler=STUBBORN)
    assert outcome.reason is Reason.SUCCESS
    assert outcome.scheduler is not None
    assert outcome.scheduler.signalled_ns is not None
    assert named(paths, "spawn")[0]["process"] == "scheduler"
    assert paths.scheduler_log(0).exists()


def test_a_scheduler_that_dies_is_a_failure_of_its_own(run: Run) -> None:
    outcome = run(SLEEPS, scheduler=worker_command("exits.py", 4))
    assert outcome.reason is Reason.FAILURE
    assert outcome.detail == "the scheduler ended with exit code 4"
    assert outcome.scheduler is not None
    assert outcome.scheduler.returncode == 4
    assert outcome.scheduler.signalled_ns is None


def test_a_scheduler_that_ends_well_before_its_workers_is_no_failure(run: Run) -> None:
    outcome = run(worker_command("sleeps.py", 0.5), scheduler=OK)
    assert outcome.reason is Reason.SUCCESS


@pytest.mark.parametrize("position", [0, 1], ids=["first", "second"])
def test_a_command_that_cannot_be_started_ends_what_was(
    run: Run, messages: Messages, position: int
) -> None:
    commands = [SLEEPS, SLEEPS]
    commands[position] = ("/does/not/exist",)
    outcome = run(*commands)
    assert outcome.reason is Reason.START
    assert f"rank {position} could not be started: No such file" in outcome.detail
    assert codes(outcome) == [-15] * position


def test_an_earlier_run_in_the_same_folder_keeps_its_logs(run: Run, paths: RunPaths) -> None:
    run(worker_command("raises.py", "old"))
    outcome = run(OK)
    assert outcome.attempt == 1
    assert outcome.ranks[0].failure is None
    assert "RuntimeError: old" in paths.log(0, 0).read_text()
    assert paths.log(1, 0).read_text() == "ready\n"


def test_heartbeats_of_an_earlier_run_are_forgotten(run: Run, paths: RunPaths) -> None:
    run(worker_command("heartbeats.py", 3, 0))
    assert paths.progress(0).exists()
    outcome = run(OK)
    assert outcome.ranks[0].progress is None


def test_steps_are_reported(run: Run) -> None:
    outcome = run(worker_command("heartbeats.py", 4, 0), worker_command("heartbeats.py", 5, 0))
    assert (outcome.first_step, outcome.last_step) == (0, 5)


@pytest.mark.parametrize("way", ["sleep", "stop", "gil"])
def test_a_hung_rank_is_found_and_blamed_with_the_stacks_of_all(
    run: Run, paths: RunPaths, way: str
) -> None:
    steady = worker_command("heartbeats.py", 10_000, 0.05)
    outcome = run(steady, worker_command("heartbeats.py", 3, 0.01, way), steady, hang_timeout_s=1)
    assert outcome.reason is Reason.HANG
    assert outcome.suspects[0] == 1
    assert "rank 1: step 3" in outcome.notes[1]
    stacks = [paths.stacks(0, rank).read_text() for rank in range(3)]
    assert all("heartbeats.py" in text for text in stacks)
    assert all("as the kernel sees it" in text for text in stacks)
    assert ("stopped" in outcome.notes[1]) == (way == "stop")
    assert [one["event"] for one in read_events(paths) if one["event"] in ("hang", "stacks")]


def test_a_silent_rank_without_heartbeats_hangs(run: Run) -> None:
    outcome = run(SLEEPS, worker_command("holds_gil.py"), hang_timeout_s=1)
    assert outcome.reason is Reason.HANG
    assert set(outcome.suspects) == {0, 1}


def test_a_rank_before_its_first_step_has_more_time(run: Run) -> None:
    slow = worker_command("heartbeats.py", 1, 1.5)
    outcome = run(slow, hang_timeout_s=0.5, first_step_timeout_s=60)
    assert outcome.reason is Reason.SUCCESS


def test_ranks_that_go_on_after_others_ended_well_are_found(run: Run, paths: RunPaths) -> None:
    outcome = run(OK, SLEEPS, exit_skew_s=0.5)
    assert outcome.reason is Reason.EXIT_SKEW
    assert outcome.suspects == (1,)
    assert "sleeps.py" in paths.stacks(0, 1).read_text()


def test_with_all_watches_off_nothing_is_ended(run: Run) -> None:
    outcome = run(
        OK, worker_command("sleeps.py", 1), hang_timeout_s=0, first_step_timeout_s=0, exit_skew_s=0
    )
    assert outcome.reason is Reason.SUCCESS


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_to_the_launcher_stops_all_workers_politely(
    launch: Callable[..., Launch], tmp_path: Path, number: signal.Signals
) -> None:
    job = launch(*[worker_command("notes_term.py", tmp_path)] * 3)
    job.wait_until_ready()
    job.process.send_signal(number)
    (outcome,) = job.outcomes()
    assert outcome["reason"] == "STOPPED"
    assert outcome["signal"] == number
    assert [rank["returncode"] for rank in outcome["ranks"]] == [0, 0, 0]
    assert len(list(tmp_path.glob("term_*"))) == 3
    job.wait_until_nothing_is_left()


def test_a_second_ctrl_c_ends_the_grace(launch: Callable[..., Launch]) -> None:
    job = launch(STUBBORN, STUBBORN, grace_s=600)
    job.wait_until_ready()
    job.process.send_signal(signal.SIGINT)
    wait_for(lambda: any(one["event"] == "term" for one in job.events), "the first step down")
    job.process.send_signal(signal.SIGINT)
    (outcome,) = job.outcomes()
    assert [rank["returncode"] for rank in outcome["ranks"]] == [-9, -9]
    job.wait_until_nothing_is_left()


def test_a_second_hangup_is_no_sign_of_haste(launch: Callable[..., Launch]) -> None:
    job = launch(STUBBORN, grace_s=600)
    job.wait_until_ready()
    job.process.send_signal(signal.SIGHUP)
    wait_for(lambda: any(one["event"] == "term" for one in job.events), "the first step down")
    job.process.send_signal(signal.SIGHUP)
    job.process.send_signal(signal.SIGUSR1)  # passed on: it ends the worker
    (outcome,) = job.outcomes()
    assert outcome["ranks"][0]["returncode"] == -signal.SIGUSR1
    assert not any(one["event"] == "kill" for one in job.events)


def test_under_nohup_a_hangup_does_not_matter(launch: Callable[..., Launch]) -> None:
    job = launch(SLEEPS, prefix=("nohup",))
    job.wait_until_ready()
    job.process.send_signal(signal.SIGHUP)
    job.process.send_signal(signal.SIGTERM)
    (outcome,) = job.outcomes()
    assert outcome["signal"] == signal.SIGTERM


def test_user_signals_are_passed_on(launch: Callable[..., Launch]) -> None:
    program = (
        "import signal; signal.signal(signal.SIGUSR1, lambda *_: exit(0)); print('ready', "
        "flush=True)\nwhile True: signal.pause()"
    )
    job = launch(*[(sys.executable, "-c", program)] * 2)
    job.wait_until_ready()
    job.process.send_signal(signal.SIGUSR1)
    (outcome,) = job.outcomes()
    assert outcome["reason"] == "SUCCESS"


def test_a_worker_that_obeys_a_user_signal_has_not_failed(launch: Callable[..., Launch]) -> None:
    program = (
        "import os, signal; signal.signal(signal.SIGUSR1, lambda *_: os.kill(os.getpid(), 15)); "
        "print('ready', flush=True)\nwhile True: signal.pause()"
    )
    job = launch(*[(sys.executable, "-c", program)] * 2)
    job.wait_until_ready()
    job.process.send_signal(signal.SIGUSR1)
    (outcome,) = job.outcomes()
    assert (outcome["reason"], outcome["signal"]) == ("STOPPED", signal.SIGTERM)


def test_a_worker_that_got_the_signal_of_all_processes_first_has_not_failed(
    launch: Callable[..., Launch],
) -> None:
    job = launch(SLEEPS, STUBBORN, grace_s=600)
    job.wait_until_ready()
    os.kill(job.pid_of(0), signal.SIGTERM)
    wait_for(lambda: any(one["event"] == "term" for one in job.events), "the first step down")
    job.process.send_signal(signal.SIGTERM)
    wait_for(lambda: any(one["event"] == "signal" for one in job.events), "the signal is noted")
    job.process.send_signal(signal.SIGINT)
    (outcome,) = job.outcomes()
    assert (outcome["reason"], outcome["signal"]) == ("STOPPED", signal.SIGTERM)


@pytest.mark.parametrize("dies_by", [signal.SIGUSR1, signal.SIGTERM])
def test_a_worker_that_obeyed_a_user_signal_of_all_processes_first_has_not_failed(
    launch: Callable[..., Launch], dies_by: signal.Signals
) -> None:
    job = launch(SLEEPS, STUBBORN, grace_s=600)
    job.wait_until_ready()
    os.kill(job.pid_of(0), dies_by)
    wait_for(lambda: any(one["event"] == "term" for one in job.events), "the first step down")
    job.process.send_signal(signal.SIGUSR1)  # it ends the other worker
    (outcome,) = job.outcomes()
    assert (outcome["reason"], outcome["signal"]) == ("STOPPED", dies_by)


def test_a_user_signal_to_the_launcher_alone_excuses_no_other_failure(
    launch: Callable[..., Launch],
) -> None:
    job = launch(worker_command("exits.py", 3, 1), STUBBORN, grace_s=600)
    wait_for(lambda: any(one["event"] == "term" for one in job.events), "the first step down")
    job.process.send_signal(signal.SIGUSR1)
    (outcome,) = job.outcomes()
    assert (outcome["reason"], outcome["ranks"][0]["returncode"]) == ("FAILURE", 3)


def test_ctrl_z_stops_all_and_continuing_wakes_all(launch: Callable[..., Launch]) -> None:
    job = launch(SLEEPS, SLEEPS)
    job.wait_until_ready()
    pids = [job.process.pid, job.pid_of(0), job.pid_of(1)]

    def state(pid: int) -> str:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]

    job.process.send_signal(signal.SIGTSTP)
    wait_for(lambda: all(state(pid) == "T" for pid in pids), "all are stopped")
    job.process.send_signal(signal.SIGCONT)
    wait_for(lambda: all(state(pid) != "T" for pid in pids), "all go on")
    job.process.send_signal(signal.SIGTERM)
    assert job.outcomes()[0]["signal"] == signal.SIGTERM


def test_orphans_that_end_while_the_job_runs_are_reaped(launch: Callable[..., Launch]) -> None:
    program = (
        "import os, time\n"
        "for _ in range(5):\n"
        "    if os.fork() == 0:\n"
        "        os.fork() or time.sleep(0.1)\n"
        "        os._exit(0)\n"
        "for _ in range(5): os.wait()\n"
        "print('ready', flush=True)\ntime.sleep(600)\n"
    )
    job = launch((sys.executable, "-c", program))
    job.wait_until_ready()
    own = {job.pid_of(0), *wait_for(job.guardians, "a guardian")}
    wait_for(lambda: children_of(job.process.pid) == own, "no zombie is left")


def children_of(parent: int) -> set[int]:
    """Return all children of a process, zombies too."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found.add(int(folder.name))
    return found


def test_a_worker_that_is_traced_is_reaped_once_its_tracer_has_let_it_go(
    launch: Callable[..., Launch],
) -> None:
    job = launch(SLEEPS, SLEEPS)
    job.wait_until_ready()
    (pid,) = [event["pid"] for event in job.events if event["event"] == "spawn"][:1]
    if ctypes.CDLL(None).ptrace(PTRACE_SEIZE, pid, None, None) != 0:
        pytest.skip("this host lets nobody trace a process that is not its child")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: read_stat(pid).state == "Z", "the worker ends")
    assert os.waitpid(pid, WALL) == (pid, signal.SIGKILL)
    (outcome,) = job.outcomes()
    assert outcome["ranks"][0]["returncode"] == -signal.SIGKILL


def test_a_signal_while_workers_are_still_being_started_stops_the_rest(
    launch: Callable[..., Launch],
) -> None:
    job = launch(*[SLEEPS] * 40)
    wait_for(lambda: any(one["event"] == "spawn" for one in job.events), "the first worker")
    job.process.send_signal(signal.SIGTERM)
    (outcome,) = job.outcomes()
    assert outcome["reason"] == "STOPPED"
    job.wait_until_nothing_is_left()


def test_256_workers_are_started_and_ended(launch: Callable[..., Launch]) -> None:
    job = launch(*[("/bin/sh", "-c", "echo ready; exec sleep 600")] * 256)
    job.wait_until_ready(limit_s=60)
    pids = [job.pid_of(rank) for rank in (0, 255)]
    job.process.send_signal(signal.SIGTERM)
    (outcome,) = job.outcomes()
    assert len(outcome["ranks"]) == 256
    assert not any(is_alive(pid) for pid in pids)
    job.wait_until_nothing_is_left()
