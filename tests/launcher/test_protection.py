"""Guardian, adoption and sweep, and what happens when somebody kills the guardian."""

from __future__ import annotations

import os
import select
import signal
import sys
from pathlib import Path

from conftest import LONG_S, Messages, PlanMaker, is_alive, tagged_processes, wait_for

from launcher.supervision import protection
from launcher.supervision.process import start
from launcher.supervision.protection import MOST_SHORT_LIVES, Protection


def test_nothing_of_the_guardian_is_left_at_the_end(tmp_path: Path, messages: Messages) -> None:
    with Protection("job", tmp_path / "events", messages.say) as kept:
        assert kept.guardian is not None
        pid = kept.guardian.pid
        assert is_alive(pid)
        assert kept.owns(pid)
    assert not is_alive(pid)
    assert not Path(f"/proc/{pid}").exists()


def test_a_killed_guardian_is_replaced(tmp_path: Path, messages: Messages) -> None:
    with Protection("job", tmp_path / "events", messages.say) as kept:
        first = kept.guardian
        assert first is not None
        os.kill(first.pid, signal.SIGKILL)
        assert select.select([first], [], [], LONG_S)[0]
        kept.renew()
        assert kept.guardian is not None
        assert is_alive(kept.guardian.pid)
    assert messages.said == ["the guardian was ended by somebody else; another one was started"]


def test_a_guardian_that_cannot_live_is_given_up_with_a_message(
    tmp_path: Path, messages: Messages, monkeypatch: object
) -> None:
    original = protection.GUARDIAN
    protection.GUARDIAN = tmp_path / "missing.py"
    try:
        with Protection("job", tmp_path / "events", messages.say) as kept:
            for _ in range(MOST_SHORT_LIVES):
                assert kept.guardian is not None
                assert select.select([kept.guardian], [], [], LONG_S)[0]
                kept.renew()
            assert kept.guardian is None
    finally:
        protection.GUARDIAN = original
    assert "the run goes on without one" in messages.said[-1]


def test_an_orphan_is_adopted_ended_and_reaped(
    make_plan: PlanMaker, tmp_path: Path, messages: Messages
) -> None:
    orphan = "import os, time\nif os.fork() == 0: os.setsid(); time.sleep(600)\n"
    plan = make_plan((sys.executable, "-c", orphan))
    with Protection(plan.job_id, tmp_path / "events", messages.say) as kept:
        child = start(plan.workers[0], job_id=plan.job_id, log=tmp_path / "log")
        assert select.select([child], [], [], LONG_S)[0]
        child.reap()
        (pid,) = wait_for(lambda: tagged_processes(plan.job_id), "the orphan runs")
        swept = kept.sweep(settle_s=0)
        assert list(swept.found) == [pid]
        assert not Path(f"/proc/{pid}").exists()


def test_an_error_of_the_launcher_itself_leaves_nothing(
    make_plan: PlanMaker, tmp_path: Path, messages: Messages
) -> None:
    plan = make_plan((sys.executable, "-c", "import time; time.sleep(600)"))
    try:
        with Protection(plan.job_id, tmp_path / "events", messages.say):
            child = start(plan.workers[0], job_id=plan.job_id, log=tmp_path / "log")
            raise RuntimeError("a defect of ours")
    except RuntimeError:
        assert not is_alive(child.pid)
