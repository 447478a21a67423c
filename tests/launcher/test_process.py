"""One child: how it is started, signalled and reaped."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BOOT, LONG_S, PlanMaker, is_alive, wait_for, worker_command

from launcher.contract import JOB_TAG
from launcher.plan import SCHEDULER, ProcessPlan
from launcher.supervision.process import Child, child_environment, start
from launcher.supervision.signals import PASSED_ON, STOPPING

SHOW = (
    "import json, os, signal, sys; "
    "print(json.dumps({'stdin': os.fstat(0).st_rdev == os.stat('/dev/null').st_rdev, "
    "'session': os.getsid(0) == os.getpid(), 'cpus': sorted(os.sched_getaffinity(0)), "
    "'blocked': list(signal.pthread_sigmask(signal.SIG_BLOCK, [])), "
    "'term': int(signal.getsignal(signal.SIGTERM)), 'tag': os.environ['LAUNCHER_JOB_ID'], "
    "'mine': os.environ.get('MINE'), 'gone': os.environ.get('GONE')})); "
    "print('error', file=sys.stderr)"
)


def python(program: str, **more: object) -> ProcessPlan:
    values = {"rank": 0, "local_rank": 0, "environment": {}, **more}
    return ProcessPlan(command=(sys.executable, "-c", program), **values)  # type: ignore[arg-type]


def finish(child: Child) -> Child:
    assert select.select([child], [], [], LONG_S)[0]
    assert child.reap()
    return child


def test_a_child_has_its_own_session_default_signals_and_no_input(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "rank_0.log"
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        finish(start(python(SHOW), job_id="j", log=log))
    finally:
        signal.signal(signal.SIGTERM, before)
    seen, error = log.read_text().splitlines()
    assert error == "error"
    shown = json.loads(seen)
    assert shown["stdin"]
    assert shown["session"]
    assert shown["blocked"] == []
    assert shown["term"] == signal.SIG_DFL


def test_the_scheduler_is_deaf_to_signals_that_a_whole_step_gets(tmp_path: Path) -> None:
    finish(start(python(SHOW, rank=SCHEDULER), job_id="j", log=tmp_path / "log"))
    shown = json.loads((tmp_path / "log").read_text().splitlines()[0])
    assert set(shown["blocked"]) == {*STOPPING, *PASSED_ON}


def test_a_child_gets_the_overlay_the_tag_and_its_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(JOB_TAG, "outer")
    monkeypatch.setenv("GONE", "here")
    cpu = min(os.sched_getaffinity(0))
    plan = python(SHOW, environment={"MINE": "1", "GONE": None, JOB_TAG: "j"}, cpus=(cpu,))
    finish(start(plan, job_id="j", log=tmp_path / "log"))
    shown = json.loads((tmp_path / "log").read_text().splitlines()[0])
    assert (shown["mine"], shown["gone"], shown["tag"]) == ("1", None, "outer:j")
    assert shown["cpus"] == [cpu]


def test_the_tag_of_an_outer_job_stays_in_front() -> None:
    assert child_environment({}, {}, "b")[JOB_TAG] == "b"
    assert child_environment({JOB_TAG: "a"}, {JOB_TAG: "b"}, "b")[JOB_TAG] == "a:b"


def test_an_earlier_log_is_continued(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("before\n")
    finish(start(python("print('after')"), job_id="j", log=tmp_path / "log"))
    assert (tmp_path / "log").read_text() == "before\nafter\n"


@pytest.mark.parametrize(
    ("program", "returncode"),
    [("pass", 0), ("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", -9)],
)
def test_the_return_code_is_that_of_popen(tmp_path: Path, program: str, returncode: int) -> None:
    child = finish(start(python(program), job_id="j", log=tmp_path / "log"))
    assert child.returncode == returncode
    assert child.signalled_ns is None
    assert child.ended_ns > child.started_ns


def test_a_child_that_has_ended_already_is_not_counted_as_signalled(tmp_path: Path) -> None:
    child = start(python("pass"), job_id="j", log=tmp_path / "log")
    assert select.select([child], [], [], LONG_S)[0]
    child.signal(signal.SIGTERM)
    assert finish(child).signalled_ns is None


def test_a_signal_reaches_the_whole_process_group(tmp_path: Path) -> None:
    log = tmp_path / "log"
    program = "import os, time; os.fork(); os.write(1, b'%d\\n' % os.getpid()); time.sleep(600)"
    child = start(python(program), job_id="j", log=log)
    wait_for(lambda: log.read_bytes().count(b"\n") == 2, "both processes run")
    child.signal(signal.SIGTERM)
    assert finish(child).returncode == -signal.SIGTERM
    pids = map(int, log.read_text().split())
    for pid in pids:
        wait_for(lambda pid=pid: not is_alive(pid), f"the end of {pid}")  # type: ignore[misc]
    assert child.signalled_ns is not None


def test_a_command_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    plan = ProcessPlan(0, 0, ("/does/not/exist",), {})
    with pytest.raises(FileNotFoundError):
        start(plan, job_id="j", log=tmp_path / "log")


def test_cores_that_do_not_exist_are_an_error_that_names_them(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"\[4095\]"):
        start(python("pass", cpus=(4095,)), job_id="j", log=tmp_path / "log")


def test_a_child_dies_with_its_launcher(make_plan: PlanMaker, tmp_path: Path) -> None:
    worker = worker_command("ignores_term.py")
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom launcher.plan import ProcessPlan\n"
        "from launcher.supervision.process import start\n"
        f"child = start(ProcessPlan(0, 0, {worker!r}, {{}}), job_id='j', log=Path(sys.argv[1]))\n"
        "print(child.pid, flush=True)\ntime.sleep(600)"
    )
    log = tmp_path / "log"
    launcher = subprocess.Popen(
        [sys.executable, "-c", program, str(log)], stdout=subprocess.PIPE, text=True
    )
    assert launcher.stdout is not None
    pid = int(launcher.stdout.readline())
    wait_for(lambda: "ready" in log.read_text(), "the worker is ready")
    assert is_alive(pid)
    launcher.kill()
    launcher.communicate()
    wait_for(lambda: not is_alive(pid), "the worker dies")


def test_the_boot_module_is_where_the_tests_look_for_it() -> None:
    assert BOOT.is_file()
