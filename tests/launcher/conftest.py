"""Small jobs of real processes, without a framework, for the tests of the launcher."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from launcher.contract import JOB_TAG, RankEnv, RunPaths
from launcher.plan import SCHEDULER, Plan, ProcessPlan

WORKERS = Path(__file__).resolve().parent / "workers"
BOOT = Path(__file__).resolve().parents[2] / "launcher" / "boot.py"
LONG_S = 30.0
"""A wait that only a defect makes this long."""


def worker_command(name: str, *args: object) -> tuple[str, ...]:
    """Return how a script of tests/launcher/workers is run under the boot module."""
    return (sys.executable, "-u", str(BOOT), str(WORKERS / name), *map(str, args))


@dataclass(frozen=True)
class PlanMaker:
    """Makes plans whose run directory is a test's own."""

    run_dir: Path

    def __call__(
        self,
        *commands: tuple[str, ...],
        scheduler: tuple[str, ...] | None = None,
        environment: Mapping[str, str] | None = None,
        job_id: str = "",
    ) -> Plan:
        """Return a plan with one worker per command."""
        job_id = job_id or f"test-{os.getpid()}-{time.monotonic_ns()}"

        def process(rank: int, command: tuple[str, ...]) -> ProcessPlan:
            own = RankEnv(
                rank=max(rank, 0),
                world_size=len(commands),
                local_rank=max(rank, 0),
                run_dir=self.run_dir,
                device_target="CPU",
            )
            overlay = {**own.to_environ(), **(environment or {})}
            return ProcessPlan(
                rank=rank, local_rank=max(rank, 0), command=command, environment=overlay
            )

        return Plan(
            job_id=job_id,
            run_dir=self.run_dir,
            world_size=len(commands),
            device_target="CPU",
            rendezvous="cluster",
            workers=tuple(process(rank, command) for rank, command in enumerate(commands)),
            scheduler=None if scheduler is None else process(SCHEDULER, scheduler),
        )


@pytest.fixture
def make_plan(tmp_path: Path) -> PlanMaker:
    return PlanMaker(tmp_path / "run")


@pytest.fixture
def paths(make_plan: PlanMaker) -> RunPaths:
    return RunPaths(make_plan.run_dir)


@dataclass
class Messages:
    """A console that keeps what it was told; a test may wait for a message."""

    said: list[str] = field(default_factory=list)
    followed: list[tuple[int, Path]] = field(default_factory=list)
    on_say: Callable[[str], None] | None = None

    def say(self, text: str) -> None:
        self.said.append(text)
        if self.on_say is not None:
            self.on_say(text)

    def follow(self, rank: int, path: Path) -> None:
        self.followed.append((rank, path))

    def rest(self) -> None:
        self.said.append("(rests)")


@pytest.fixture
def messages() -> Messages:
    return Messages()


def wait_for(condition: Callable[[], Any], what: str, limit_s: float = LONG_S) -> Any:
    """Return the first true value of a condition; fails with ``what`` when none comes."""
    deadline_s = time.monotonic() + limit_s
    while not (value := condition()):
        if time.monotonic() > deadline_s:
            pytest.fail(f"waited {limit_s:g} s in vain for: {what}")
        time.sleep(0.01)
    return value


def read_events(paths: RunPaths) -> list[dict[str, Any]]:
    """Return all whole lines of events.jsonl."""
    if not paths.events.exists():
        return []
    lines = paths.events.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def is_alive(pid: int) -> bool:
    """Return whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def tagged_processes(job_id: str) -> dict[int, str]:
    """Return {pid: command line} of what carries a job's tag (written apart from the launcher)."""
    found: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        for variable in variables:
            name, _, value = variable.partition(b"=")
            if name == JOB_TAG.encode() and job_id.encode() in value.split(b":"):
                found[int(folder.name)] = command
    return found


@contextmanager
def when(condition: Callable[[], Any], action: Callable[[], Any]) -> Iterator[None]:
    """Do something beside the test's own work as soon as a condition holds."""
    leave = threading.Event()

    def watch() -> None:
        deadline_s = time.monotonic() + LONG_S
        while not leave.wait(0.01) and time.monotonic() < deadline_s:
            if condition():
                action()
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        leave.set()
        thread.join()


def ready_ranks(paths: RunPaths, plan: Plan, attempt: int = 0) -> bool:
    """Return whether every worker has printed 'ready'."""
    logs = [worker.log(paths, attempt) for worker in plan.workers]
    return all(log.exists() and b"ready" in log.read_bytes() for log in logs)


@dataclass
class Launch:
    """A launcher that runs in a process of its own (see drive.py)."""

    plan: Plan
    paths: RunPaths
    process: subprocess.Popen[str]

    @property
    def events(self) -> list[dict[str, Any]]:
        return read_events(self.paths)

    def pid_of(self, rank: int) -> int:
        """Return the process id of a rank in the newest attempt."""
        return next(
            event["pid"]
            for event in reversed(self.events)
            if event["event"] == "spawn" and event.get("rank") == rank
        )

    def wait_until_ready(self, limit_s: float = LONG_S) -> None:
        """Wait until every worker has printed 'ready' and its start is in the events."""
        wait_for(lambda: ready_ranks(self.paths, self.plan), "all workers print 'ready'", limit_s)
        wait_for(lambda: any(one["event"] == "ready" for one in self.events), "the ready event")

    def guardians(self) -> list[int]:
        """Return the launcher's guardians, known by this job's tag in their command line."""
        return [
            int(folder.name)
            for folder in Path("/proc").glob("[0-9]*")
            if self.plan.job_id in _command_line(folder) and "guardian.py" in _command_line(folder)
        ]

    def outcomes(self) -> list[dict[str, Any]]:
        """Wait for the launcher's end and return its outcomes."""
        output, _ = self.process.communicate(timeout=LONG_S)
        return json.loads(output.splitlines()[-1])

    def wait_until_nothing_is_left(self) -> None:
        wait_for(
            lambda: not tagged_processes(self.plan.job_id) and not self.guardians(),
            "no process of the job and no guardian is left",
        )


def _command_line(folder: Path) -> str:
    try:
        return (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


@pytest.fixture
def launch(make_plan: PlanMaker) -> Iterator[Callable[..., Launch]]:
    """Start a launcher in a process of its own; whatever is left of it is ended afterwards."""
    started: list[Launch] = []

    def start(
        *commands: tuple[str, ...],
        scheduler: tuple[str, ...] | None = None,
        pause_s: float = 0.0,
        prefix: tuple[str, ...] = (),
        **policy: object,
    ) -> Launch:
        plan = make_plan(*commands, scheduler=scheduler)
        settings = {
            "job_id": plan.job_id,
            "commands": commands,
            "scheduler": scheduler,
            "policy": policy,
            "pause_s": pause_s,
        }
        drive = Path(__file__).with_name("drive.py")
        process = subprocess.Popen(
            [*prefix, sys.executable, str(drive), str(plan.run_dir), json.dumps(settings)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(Launch(plan, RunPaths(plan.run_dir), process))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
        for pid in [*tagged_processes(one.plan.job_id), *one.guardians()]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
