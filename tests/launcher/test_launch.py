"""Whole launches, as a user sees them: run directory, console, terminal, signals."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.contract import RunPaths

WORKER = """
import os, sys, time
rank = int(os.environ["RANK_ID"])
"""
ALONE = ("--rendezvous", "none", "--device-target", "CPU", "--nproc", "2")
TIMEOUT_S = 60


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    def start(script: str, *options: str, **more: object) -> subprocess.Popen[str]:
        (tmp_path / "worker.py").write_text(WORKER + script)
        arguments = [*ALONE, "--run-dir", "run", *options, "--", "worker.py"]
        settings = {"stdin": subprocess.DEVNULL, "stdout": -1, "stderr": -1, **more}
        return subprocess.Popen(
            [sys.executable, "-m", "launcher", *arguments], cwd=tmp_path, text=True, **settings
        )

    return start


@pytest.fixture
def launch(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., tuple[int, str, str]]:
    def launch(script: str, *options: str, **more: object) -> tuple[int, str, str]:
        process = start(script, *options, **more)
        try:
            out, err = process.communicate(timeout=TIMEOUT_S)
        finally:
            process.kill()
        return process.returncode, out, err

    return launch


def test_a_run_leaves_one_folder_with_everything(
    launch: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    code, out, err = launch("print('hello of', rank)")
    paths = RunPaths(tmp_path / "run")
    assert (code, out) == (0, "[rank 0] hello of 0\n")
    assert paths.log(0, 1).read_text() == "hello of 1\n"
    manifest = json.loads(paths.manifest.read_text())
    assert manifest["exit_code"] == 0
    assert manifest["command"][:3] == ["python", "-m", "launcher"]
    events = [json.loads(line) for line in paths.events.read_text().splitlines()]
    names = [event["event"] for event in events]
    assert (names[0], names[-1]) == ("plan", "verdict")
    assert names.count("spawn") == names.count("exit") == 2
    assert events[-1]["exit_code"] == 0
    assert "all 2 ranks ended well" in err


def test_a_failure_shows_the_traceback_of_a_rank_that_is_not_on_the_console(
    launch: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    code, out, err = launch("if rank == 1: raise ValueError('odd')\ntime.sleep(60)")
    assert (code, out) == (1, "")
    report = err[err.index("launcher: rank 1 of 2 failed") :].splitlines()
    assert report[0] == "launcher: rank 1 of 2 failed: ValueError: odd"
    assert '      File "' in report[3]
    assert "  log: run/logs/attempt_0/rank_1.log" in report
    assert "  rank 0 was stopped by the launcher" in report
    record = json.loads(RunPaths(tmp_path / "run").failure(0, 1).read_text())
    assert record["type"] == "ValueError"


def test_the_console_can_show_all_ranks_or_none(
    launch: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    _, out, _ = launch("print('same'); print('of', rank)", "--console", "all")
    apart = out.replace("[0,1] same\n", "[rank 0] same\n[rank 1] same\n")
    expected = ["[rank 0] of 0", "[rank 0] same", "[rank 1] of 1", "[rank 1] same"]
    assert sorted(apart.splitlines()) == expected
    _, out, _ = launch("print('same')", "--console", "none", "--run-dir", "other")
    assert out == ""


def test_nothing_is_lost_of_a_rank_that_is_killed(
    launch: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    lines = 20_000
    code, out, _ = launch(
        "if rank: time.sleep(60)\n"
        f"for n in range({lines}): print('line', n)\n"
        "os.kill(os.getpid(), 9)"
    )
    assert code == 137
    assert out.splitlines() == [f"[rank 0] line {number}" for number in range(lines)]


def test_each_restart_has_a_log_of_its_own(
    launch: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    script = (
        "attempt = os.environ['LAUNCHER_WORKER_ATTEMPT']\n"
        "print('attempt', attempt)\n"
        "sys.exit(3 if attempt == '0' and rank == 0 else 0)"
    )
    code, out, _ = launch(script, "--max-restarts", "1")
    assert code == 0
    assert out == "[rank 0] attempt 0\n[rank 0] attempt 1\n"
    paths = RunPaths(tmp_path / "run")
    assert [paths.log(attempt, 0).read_text() for attempt in (0, 1)] == [
        "attempt 0\n",
        "attempt 1\n",
    ]
    assert [one["reason"] for one in json.loads(paths.manifest.read_text())["attempts"]] == [
        "failure",
        "success",
    ]


def test_output_into_a_pipe_that_is_closed_does_not_matter(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = start("for n in range(20000): print('line', n)")
    assert process.stdout is not None
    assert process.stdout.readline() == "[rank 0] line 0\n"
    process.stdout.close()
    process.wait(TIMEOUT_S)
    assert process.returncode == 0
    assert len((tmp_path / "run/logs/attempt_0/rank_0.log").read_text().splitlines()) == 20_000


def test_closed_standard_streams_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(WORKER + "print('hello')")
    command = " ".join([sys.executable, "-m", "launcher", *ALONE, "--run-dir", "run"])
    done = subprocess.run(
        ["sh", "-c", f"exec {command} -- worker.py <&- >&- 2>&-"], cwd=tmp_path, timeout=TIMEOUT_S
    )
    assert done.returncode == 0
    assert (tmp_path / "run/logs/attempt_0/rank_0.log").read_text() == "hello\n"
    events = (tmp_path / "run/events.jsonl").read_text().splitlines()
    assert all(json.loads(line) for line in events)


def test_a_terminal_that_stands_still_does_not_keep_the_job_from_ending(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = start("for n in range(100000): print('line', n)\nopen(f'done{rank}', 'w').close()")
    try:
        process.wait(TIMEOUT_S)
        assert process.returncode == 0
        assert (tmp_path / "done0").exists()
        assert process.stderr is not None
        assert "did not keep up; the rest of the output is in" in process.stderr.read()
    finally:
        process.kill()


def test_ctrl_c_in_a_terminal_ends_the_job_with_130(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(WORKER + "print('ready')\ntime.sleep(60)")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        arguments = [*ALONE, "--run-dir", "run", "--", "worker.py"]
        os.execv(sys.executable, [sys.executable, "-m", "launcher", *arguments])
    limit = threading.Timer(TIMEOUT_S, os.kill, (pid, signal.SIGKILL))
    limit.start()
    shown = b""
    try:
        while data := read_terminal(terminal):
            shown += data
            if b"[rank 0] ready" in shown:
                os.write(terminal, b"\x03")
                break
        while data := read_terminal(terminal):
            shown += data
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        limit.cancel()
        os.close(terminal)
    assert code == 130
    assert b"launcher: stopped by SIGINT" in shown


def read_terminal(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


def test_a_refused_recipe_leaves_no_run_directory(tmp_path: Path) -> None:
    package = tmp_path / "cifar_dist"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("raise SystemExit(2)")
    (tmp_path / "a.yaml").touch()
    done = subprocess.run(
        [sys.executable, "-m", "launcher", "--config", "a.yaml", "--run-dir", "run"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "")
    assert not (tmp_path / "run").exists()
