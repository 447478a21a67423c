"""As many launchers on this machine as a job has nodes, each with sleeping workers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 600.0


class FailedError(Exception):
    """The job did not do what it has to; the message says what."""


@dataclass
class Launcher:
    """The launcher of one node."""

    process: subprocess.Popen[bytes]
    said: Path
    code: int | None = None
    cpu_s: float = 0.0
    """All of it, with the processes that it started; known when it has ended."""

    def poll(self) -> bool:
        """Return whether it has ended."""
        if self.code is None:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
                self.process.returncode = self.code
                self.cpu_s = usage.ru_utime + usage.ru_stime
        return self.code is not None

    def used_s(self) -> float:
        """Return the CPU seconds of the launcher itself so far."""
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def memory_kib(self) -> int:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


@dataclass
class Job:
    """A job of several nodes in one run directory."""

    nnodes: int
    nproc: int
    run_dir: Path
    launchers: list[Launcher] = field(default_factory=list)
    _read: dict[Path, int] = field(default_factory=dict)
    _events: dict[Path, list[dict[str, Any]]] = field(default_factory=dict)

    def start(self) -> None:
        """Start all launchers, as their nodes would at the same time."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        shared = ["--nnodes", self.nnodes, "--master-addr", "127.0.0.1", "--master-port", port]
        shared += ["--nproc", self.nproc, "--rendezvous", "none", "--device-target", "CPU"]
        shared += ["--join-timeout", LIMIT_S, "--run-dir", self.run_dir, "--console", "none"]
        for rank in range(self.nnodes):
            said = self.run_dir.with_name(f"{self.run_dir.name}_node_{rank}.err")
            command = [sys.executable, "-m", "launcher", *map(str, shared), "--node-rank"]
            with said.open("wb") as file:
                process = subprocess.Popen(
                    [*command, str(rank), "--", "sleep", "3600"],
                    cwd=self.run_dir.parent,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=file,
                    env={**os.environ, "PYTHONPATH": str(ROOT)},
                )
            self.launchers.append(Launcher(process, said))

    def wait_until_running(self) -> None:
        """Wait until every node has said that all its workers are there."""
        _wait_until(lambda: self._are_ready() or self._has_ended(), "all workers run")
        if not self._are_ready():
            raise FailedError(f"a launcher has ended before the start\n{self._last_words()}")

    def wait_until_ended(self) -> None:
        _wait_until(lambda: all([one.poll() for one in self.launchers]), "all launchers end")

    def workers(self) -> dict[int, int]:
        """Return the process of each rank."""
        found = [event for node in self._nodes() for event in node if event["event"] == "spawn"]
        return {event["rank"]: event["pid"] for event in found}

    def events(self, name: str) -> Iterator[dict[str, Any]]:
        """Give the events of this name, in the order of the nodes."""
        for node in self._nodes():
            yield from (event for event in node if event["event"] == name)

    def left(self) -> list[int]:
        """Return the processes that carry the tag of this job."""
        tag = next(self.events("nodes"))["job_id"].encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if b"LAUNCHER_JOB_ID=" + tag in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
        return found

    def said(self, node_rank: int) -> str:
        return self.launchers[node_rank].said.read_text()

    def kill(self) -> None:
        for one in self.launchers:
            if not one.poll():
                one.process.send_signal(signal.SIGKILL)
                one.process.wait(LIMIT_S)

    def _are_ready(self) -> bool:
        return sum(1 for _ in self.events("ready")) == self.nnodes

    def _has_ended(self) -> bool:
        return any([one.poll() for one in self.launchers])

    def _last_words(self) -> str:
        ended = [rank for rank, one in enumerate(self.launchers) if one.code is not None]
        return "\n".join(f"node {rank}: {self.said(rank)[-500:]}" for rank in ended[:3])

    def _nodes(self) -> list[list[dict[str, Any]]]:
        """Return the events of each node; only what is new is read."""
        names = ["events.jsonl"] + [f"events_node_{n}.jsonl" for n in range(1, self.nnodes)]
        return [self._read_on(self.run_dir / name) for name in names]

    def _read_on(self, path: Path) -> list[dict[str, Any]]:
        known = self._events.setdefault(path, [])
        if path.exists():
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                for line in file:
                    if line.endswith(b"\n"):
                        known.append(json.loads(line))
                        self._read[path] = self._read.get(path, 0) + len(line)
        return known


@contextmanager
def running(nnodes: int, nproc: int, folder: Path) -> Iterator[Job]:
    """Start a job, and take away what is left of it."""
    job = Job(nnodes, nproc, folder / f"run_{nnodes}")
    try:
        job.start()
        job.wait_until_running()
        yield job
    finally:
        job.kill()


def _wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > deadline_s:
            raise FailedError(f"waited {LIMIT_S:g} s in vain: {what}")
        time.sleep(0.05)


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
