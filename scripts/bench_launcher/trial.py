"""One launch under test: started, watched from outside, and cleared away whatever happens."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from systems import System

HERE = Path(__file__).resolve().parent
WORKER = str(HERE / "worker.py")
LONGEST_S = 120.0


class TrialFailed(Exception):
    """What a trial waits for did not come."""


class Trial:
    """A running launch; everything of it carries BENCH_DIR, by which it is found again."""

    def __init__(self, system: System, folder: Path, nproc: int, script: Sequence[str]) -> None:
        self.folder = folder
        self.nproc = nproc
        environment = {**os.environ, "BENCH_DIR": str(folder), "PYTHONPATH": str(HERE.parents[1])}
        self._output = (folder / "output").open("wb")
        self.started_ns = time.monotonic_ns()
        self.process = subprocess.Popen(
            system.command(nproc, folder, script),
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait_until_ready(self, prefix: str = "ready_") -> None:
        self.wait_for(lambda: len(self.moments(prefix)) >= self.nproc, f"{self.nproc} {prefix}")

    def wait_for(self, condition: Callable[[], Any], what: str, limit_s: float = LONGEST_S) -> Any:
        """Return a condition's first true value."""
        deadline_s = time.monotonic() + limit_s
        while not (value := condition()):
            if time.monotonic() > deadline_s:
                raise TrialFailed(f"{what} did not come in {limit_s:g} s\n{self.output()[-2000:]}")
            time.sleep(0.005)
        return value

    def wait_for_end(self, limit_s: float = LONGEST_S) -> int:
        """Return when the launcher ended, in CLOCK_MONOTONIC nanoseconds."""
        try:
            self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            raise TrialFailed(f"the launcher ran on for {limit_s:g} s") from None
        return time.monotonic_ns()

    def moments(self, prefix: str) -> dict[str, int]:
        """Return what workers have left in the folder, {file name: nanoseconds}."""
        found = [path for path in self.folder.glob(f"{prefix}*") if path.suffix == ""]
        return {path.name: int(path.read_text()) for path in found}

    def fault_ns(self) -> int:
        return int(self.wait_for(lambda: self.moments("fault"), "the fault")["fault"])

    def send(self, number: int) -> int:
        """Signal the launcher; return when (just before)."""
        moment_ns = time.monotonic_ns()
        self.process.send_signal(number)
        return moment_ns

    def left(self) -> dict[int, str]:
        """Return {pid: command line} of all living processes of this trial but the launcher."""
        mark = f"BENCH_DIR={self.folder}".encode()
        found: dict[int, str] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            pid = int(folder.name)
            with suppress(OSError):
                if pid != self.process.pid and mark in (folder / "environ").read_bytes().split(
                    b"\0"
                ):
                    command = (folder / "cmdline").read_bytes().replace(b"\0", b" ")
                    found[pid] = command.decode(errors="replace")
        return found

    def events(self) -> list[dict[str, Any]]:
        path = self.folder / "run" / "events.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def output(self) -> str:
        return (self.folder / "output").read_text(errors="replace")

    def clear(self) -> None:
        """End everything of the trial and remove its folder."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        deadline_s = time.monotonic() + 10
        while (left := self.left()) and time.monotonic() < deadline_s:
            for pid in left:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        self._output.close()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def trial(
    system: System,
    nproc: int,
    others: str = "sleep",
    culprit: str = "sleep",
    *,
    rank: int = 0,
    value: object = "",
    script: Sequence[str] = (),
) -> Iterator[Trial]:
    """Start workers of which ``rank`` behaves as ``culprit`` and the rest as ``others``."""
    folder = Path(tempfile.mkdtemp(prefix="bench_launcher_"))
    behaviour = [WORKER, others, culprit, str(rank), str(nproc), *([str(value)] if value else [])]
    one = Trial(system, folder, nproc, script or behaviour)
    try:
        yield one
    finally:
        one.clear()
