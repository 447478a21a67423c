"""The exit codes of DESIGN section 3, each met with real processes: the truth table."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

TIMEOUT_S = 60
PRELUDE = """
import os, signal, sys, threading, time
rank = int(os.environ["RANK_ID"])
attempt = int(os.environ["LAUNCHER_WORKER_ATTEMPT"])
def for_ever():
    print("ready", flush=True)
    while True:
        time.sleep(60)
"""
WAIT = "for_ever()"
SAVES = """
def save(number, frame):
    from launcher.contract import Progress, RankEnv, RunPaths, write_record
    own = RankEnv.from_environ(os.environ)
    write_record(Progress(rank, "save", step=40), RunPaths(own.run_dir).progress(rank))
    sys.exit({})
signal.signal(signal.SIGTERM, save)
for_ever()
"""
DIE = "if rank == 1: {}\nfor_ever()"


@dataclass(frozen=True)
class Row:
    """One way to end: what two workers run, what is done to the launcher, what must come out."""

    name: str
    code: int
    script: str = ""
    options: tuple[str, ...] = ()
    arguments: tuple[str, ...] | None = None
    signals: tuple[int, ...] = ()
    says: tuple[str, ...] = ()
    root_cause: int | None = None
    environ: dict[str, str] = field(default_factory=dict)
    ignored: tuple[int, ...] = ()


def dies(name: str, statement: str, code: int, *says: str) -> Row:
    return Row(name, code, DIE.format(statement), says=says, root_cause=1)


def refused(name: str, *arguments: str, says: str, **more: dict[str, str]) -> Row:
    return Row(name, 2, arguments=arguments, says=(says,), **more)


VICTIM_FIRST = """
import pathlib
told = pathlib.Path("told")
if rank == 0:
    try:
        sys.exit(7)
    finally:
        import atexit
        atexit.register(lambda: (told.touch(), time.sleep(1)))
while not told.exists():
    time.sleep(0.01)
raise ConnectionResetError("Connection reset by peer")
"""
SLOW_TO_DIE = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if rank == 1:
    sys.exit(5)
for_ever()
"""
FAILS_ONCE = "if attempt == 0 and rank == 1: sys.exit(3)"
THREAD_FAILS = """
def fail(): raise ValueError("only a thread")
thread = threading.Thread(target=fail); thread.start(); thread.join()
"""
IGNORES_TERM = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nfor_ever()"
WAITS_FOR_HUP = """
import pathlib
print("ready", flush=True)
while not pathlib.Path("signalled").exists():
    time.sleep(0.01)
"""

ROWS = (
    Row("every rank ends with 0", 0, "print('ready')", says=("all 2 ranks ended well",)),
    Row("an exception ends a thread only", 0, THREAD_FAILS),
    dies("exit code 1", "sys.exit(1)", 1, "rank 1 of 2 failed: exit code 1"),
    dies("exit code 2 is ours", "sys.exit(2)", 1, "own exit code was 2"),
    dies("exit code 3", "sys.exit(3)", 3, "rank 1 of 2 failed: exit code 3"),
    dies("exit code 3 without a record", "os._exit(3)", 3, "rank 1 of 2 failed: exit code 3"),
    dies("exit code 75 is ours", "sys.exit(75)", 1, "own exit code was 75"),
    dies("exit code 119", "sys.exit(119)", 119),
    dies("exit code 120", "sys.exit(120)", 1, "own exit code was 120"),
    dies("exit code 137 without a signal", "sys.exit(137)", 1, "own exit code was 137"),
    dies("exit code 255", "sys.exit(255)", 1, "own exit code was 255"),
    dies("a text as exit code", "sys.exit('no data')", 1, "rank 1 of 2 failed: no data"),
    dies("an exception", "raise ValueError('odd')", 1, "rank 1 of 2 failed: ValueError: odd"),
    dies("SIGKILL", "os.kill(os.getpid(), 9)", 137, "SIGKILL (signal 9)", "memory killer"),
    dies("SIGSEGV", "os.kill(os.getpid(), 11)", 139, "SIGSEGV (signal 11)"),
    dies("SIGABRT", "os.abort()", 134, "SIGABRT (signal 6)"),
    dies("SIGTERM by itself", "os.kill(os.getpid(), 15)", 143, "the launcher did not send"),
    Row("a missing module", 1, options=("--", "-m", "no_such_package.main"),
        says=("No module named", "hint: 'no_such_package' is not installed")),
    Row("the victim ends before the cause", 7, VICTIM_FIRST, root_cause=0,
        says=("rank 0 of 2 failed: exit code 7",)),
    Row("others ignore SIGTERM", 5, SLOW_TO_DIE, ("--grace", "0.5"), root_cause=1),
    Row("one ends well, the other fails later", 3,
        "if rank == 0: sys.exit(0)\ntime.sleep(0.3)\nsys.exit(3)", root_cause=1),
    Row("a restart ends well", 0, FAILS_ONCE, ("--max-restarts", "1"), says=("(attempt 1)",)),
    Row("no restart is left", 3, "if rank == 1: sys.exit(3)\nfor_ever()",
        ("--max-restarts", "1"), root_cause=1, says=("attempt 1",)),
    Row("hang", 124, WAIT, ("--hang-timeout", "1", "--first-step-timeout", "1"),
        says=("hang", "exit code: 124")),
    Row("exit skew", 124, "if rank == 0: sys.exit(0)\nfor_ever()", ("--exit-skew", "1"),
        root_cause=1, says=("hang: rank 1 still ran 1 s",)),
    Row("SIGTERM to the launcher", 143, WAIT, signals=(signal.SIGTERM,),
        says=("stopped by SIGTERM",)),
    *(Row(f"SIGTERM, workers save and leave with {codes}", 143, SAVES.format(f"{codes}[rank]"),
          signals=(signal.SIGTERM,),
          says=("step 40, phase save", "exit code: 143"))
      for codes in ((0, 0), (143, 143), (0, 143), (3, 0))),
    Row("SIGINT to the launcher", 130, WAIT, signals=(signal.SIGINT,)),
    Row("SIGHUP to the launcher", 129, WAIT, signals=(signal.SIGHUP,)),
    Row("SIGQUIT to the launcher", 131, WAIT, signals=(signal.SIGQUIT,)),
    Row("SIGINT twice", 130, IGNORES_TERM, ("--grace", "50"),
        signals=(signal.SIGINT, signal.SIGINT)),
    Row("SIGHUP under nohup", 0, WAITS_FOR_HUP, signals=(signal.SIGHUP,),
        ignored=(signal.SIGHUP,)),
    Row("a program ends with 0", 0, options=("--", "true")),
    Row("a program fails", 4, options=("--", "sh", "-c", "exit 4"), says=("exit code 4",)),
    Row("help", 0, arguments=("--help",)),
    Row("dry run", 0, "sys.exit(9)", ("--dry-run",)),
    refused("nproc 0", "--nproc", "0", "--", "true", says="--nproc: '0' is not allowed"),
    refused("nproc of the environment", "--", "true", says="LAUNCHER_NPROC: 'x' is not allowed",
            environ={"LAUNCHER_NPROC": "x"}),
    refused("unknown option", "--nprocs", "2", "--", "true", says="did you mean --nproc?"),
    refused("option without its value", "--nproc", "--", "true", says="expected one argument"),
    refused("nothing to run", "--nproc", "2", says="nothing to run"),
    refused("script without --", "train.py", says="python -m launcher -- train.py"),
    refused("missing script", "--", "missing.py", says="there is no such script"),
    refused("missing program", "--", "no-such-program", says="nor a program on PATH"),
    refused("no NPU here", "--device-target", "Ascend", "--", "true", says="no NPU is visible"),
    refused("unknown recipe", "--config", "resnet5O.yaml", says="no recipe of that name"),
    refused("override without a recipe", "train.epochs=3", "--", "true", says="name it with"),
    refused("two things to run", "--config", "a.yaml", "--", "true", says="give one"),
    refused("run directory in use", "--run-dir", ".", "--", "true", says="is not empty"),
)  # fmt: skip


@dataclass(frozen=True)
class Ended:
    """What a launch showed."""

    code: int
    out: str
    err: str
    verdict: dict[str, object] | None
    tag: str


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[Ended]]]:
    with ThreadPoolExecutor(6) as pool:
        yield {row.name: pool.submit(launch, row, tmp_path_factory.mktemp("row")) for row in ROWS}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_exit_code(row: Row, ended: dict[str, Future[Ended]]) -> None:
    result = ended[row.name].result(TIMEOUT_S * 2)
    assert result.code == row.code, result.err
    for text in row.says:
        assert text in result.err
    if row.root_cause is not None:
        assert result.verdict is not None
        assert result.verdict["root_cause_rank"] == row.root_cause
        assert result.verdict["exit_code"] == row.code
    if row.code == 2:
        assert result.verdict is None
        assert "Traceback" not in result.err
        assert result.err.count("launcher: ") == 1
    assert carriers(result.tag) == []


def test_a_taken_master_port_is_temporary(tmp_path: Path) -> None:
    with listening() as port:
        options = ("--master-port", str(port), "--rendezvous", "cluster", "--", "true")
        result = launch(Row("port", 75, arguments=options), tmp_path)
    assert result.code == 75
    assert f"--master-port {port} is taken by pid {os.getpid()}" in result.err


def launch(row: Row, folder: Path) -> Ended:
    (folder / "worker.py").write_text(PRELUDE + row.script)
    arguments = row.arguments
    if arguments is None:
        common = ("--nproc", "2", "--rendezvous", "none", "--device-target", "CPU", "--run-dir")
        target = () if "--" in row.options else ("--", "worker.py")
        arguments = (*common, "run", *row.options, *target)
    tag = f"{os.getpid()}-{folder.name}"
    process = subprocess.Popen(
        [sys.executable, "-m", "launcher", *arguments],
        cwd=folder,
        env={**clean_environ(), "EXIT_CODE_TEST": tag, **row.environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: [signal.signal(one, signal.SIG_IGN) for one in row.ignored],
    )
    try:
        out = send_signals(process, row.signals, folder)
        rest, err = process.communicate(timeout=TIMEOUT_S)
    finally:
        process.kill()
    return Ended(process.returncode, out + rest, err, read_verdict(folder), tag)


def send_signals(process: subprocess.Popen[str], numbers: tuple[int, ...], folder: Path) -> str:
    assert process.stdout is not None
    assert process.stderr is not None
    if not numbers:
        return ""
    out = process.stdout.readline()
    assert "ready" in out
    for index, number in enumerate(numbers):
        if index:
            while "SIGKILL after" not in (line := process.stderr.readline()):
                assert line
        process.send_signal(number)
    (folder / "signalled").touch()
    return out


def read_verdict(folder: Path) -> dict[str, object] | None:
    events = folder / "run" / "events.jsonl"
    lines = events.read_text().splitlines() if events.exists() else []
    verdicts = [event for line in lines if (event := json.loads(line))["event"] == "verdict"]
    return verdicts[0] if verdicts else None


def carriers(tag: str) -> list[int]:
    """Return the processes that carry this test's mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"EXIT_CODE_TEST={tag}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def clean_environ() -> dict[str, str]:
    return {name: text for name, text in os.environ.items() if not name.startswith("LAUNCHER_")}


@contextmanager
def listening() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]
