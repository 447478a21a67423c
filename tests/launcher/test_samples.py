"""What /proc and the run directory tell of a rank."""

from __future__ import annotations

import os
import subprocess
import sys

from conftest import wait_for

from launcher.contract import Progress, RunPaths, write_record
from launcher.plan import Policy
from launcher.supervision.samples import Sampler, cpu_by_session, parse_stat, read_stat

STAT = "4242 (a) b (c) S 1 4242 4200 0 -1 4194560 961 0 0 0 150 50 25 25 20 0 1 0 8 1 2 3 4 5 6 7 8"


def test_a_name_with_blanks_and_parentheses_does_not_confuse_the_parser() -> None:
    stat = parse_stat(STAT)
    assert (stat.state, stat.session) == ("S", 4200)
    assert stat.cpu_s == 250 / os.sysconf("SC_CLK_TCK")


def test_our_own_state_is_running_and_a_gone_process_has_none() -> None:
    own = read_stat(os.getpid())
    assert own is not None
    assert own.state == "R"
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert read_stat(gone.pid) is None


def test_cpu_time_of_helpers_is_counted_for_their_session() -> None:
    spin = "import os; os.fork(); \nwhile True: pass"
    worker = subprocess.Popen([sys.executable, "-c", spin], start_new_session=True)
    try:
        wait_for(lambda: cpu_by_session().get(worker.pid, 0) > 0.05, "CPU time of the session")
    finally:
        os.killpg(worker.pid, 9)
        worker.wait()


def test_a_silent_rank_hangs_and_one_with_a_heartbeat_does_not(paths: RunPaths) -> None:
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        wait_for(lambda: (stat := read_stat(sleeper.pid)) and stat.state == "S", "it sleeps")
        sampler = Sampler(paths, 0, Policy(hang_timeout_s=2, first_step_timeout_s=2))
        pids = {0: sleeper.pid, 1: sleeper.pid}
        hung: tuple[int, ...] = ()
        for second in range(20):
            write_record(Progress(1, "train", step=second), paths.progress(1))
            hung = sampler.check(100.0 + second * 0.2, pids)
            if hung:
                break
        assert hung == (0,)
    finally:
        sleeper.kill()
        sleeper.wait()


def test_the_time_in_which_everything_stood_still_is_not_held_against_a_rank(
    paths: RunPaths,
) -> None:
    sampler = Sampler(paths, 0, Policy(hang_timeout_s=100, first_step_timeout_s=100))
    write_record(Progress(0, "train", step=1), paths.progress(0))
    assert sampler.check(0.0, {0: os.getpid()}) == ()
    assert sampler.check(5000.0, {0: os.getpid()}) == ()


def test_without_limits_no_check_is_ever_due(paths: RunPaths) -> None:
    sampler = Sampler(paths, 0, Policy(hang_timeout_s=0, first_step_timeout_s=0))
    assert sampler.due_s(1.0) is None
