"""The launchers under test, and how each is told to run a script."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

Command = Callable[[int, Path, Sequence[str]], list[str]]


@dataclass(frozen=True)
class System:
    """A launcher; ``command(nproc, folder, script and arguments)`` starts a job with it."""

    name: str
    command: Command

    @property
    def is_ours(self) -> bool:
        return self.name == "launcher"


def ours(*options: str, rendezvous: str = "none") -> System:
    """Return our launcher with further options."""

    def command(nproc: int, folder: Path, script: Sequence[str]) -> list[str]:
        fixed = ["--nproc", str(nproc), "--run-dir", str(folder / "run"), "--console", "none"]
        start = [sys.executable, "-m", "launcher", *fixed, "--rendezvous", rendezvous, *options]
        return [*start, "--", *script]

    return System("launcher", command)


def msrun(program: str) -> System:
    """Return MindSpore's own launcher, told to wait for its workers."""

    def command(nproc: int, folder: Path, script: Sequence[str]) -> list[str]:
        workers = ["--worker_num", str(nproc), "--local_worker_num", str(nproc)]
        place = ["--master_port", str(_free_port()), "--log_dir", str(folder / "msrun")]
        return [program, *workers, *place, "--join", "True", *script]

    return System("msrun", command)


def torchrun(program: str) -> System:
    """Return torchrun."""

    def command(nproc: int, folder: Path, script: Sequence[str]) -> list[str]:
        place = ["--master-port", str(_free_port()), "--log-dir", str(folder / "torchrun")]
        return [program, "--nproc-per-node", str(nproc), *place, *script]

    return System("torchrun", command)


def rivals(torchrun_program: str | None = None) -> list[System]:
    """Return the other launchers that are installed here."""
    found: list[System] = []
    for name, make in (("msrun", msrun), ("torchrun", torchrun)):
        beside = Path(sys.executable).with_name(name)
        program = torchrun_program if name == "torchrun" and torchrun_program else None
        program = program or (str(beside) if beside.exists() else shutil.which(name))
        if program:
            found.append(make(program))
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
