"""Programs that take turns, and how long each of their turns took."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from cifar_dist.bench.gate import GATE, STRETCH
from cifar_dist.errors import CifarDistError

ROOT = Path(__file__).parents[2]
_END_S = 60.0
TAIL_CHARS = 2000


class BenchError(CifarDistError):
    """A program that is measured failed or did not answer in time."""

    exit_code = 1


@dataclass(frozen=True)
class Contestant:
    """A program whose stretches are timed.

    Attributes:
        name: in files and messages.
        command: what is started; it opens the gate after its warm-up and after each stretch.
        steps: of one stretch.
        images: trained in one stretch, by all of its ranks.
        environ: further variables.
    """

    name: str
    command: Sequence[str]
    steps: int
    images: int
    environ: dict[str, str] = field(default_factory=dict)


@dataclass
class Turns:
    """What one contestant's turns gave: seconds each, and what it said after each."""

    images: int
    seconds: list[float] = field(default_factory=list)
    facts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def images_per_s(self) -> list[float]:
        return [self.images / one for one in self.seconds]


def compete(
    contestants: Sequence[Contestant], *, repetitions: int, folder: Path, timeout_s: float
) -> dict[str, Turns]:
    """Let all take turns, so many times, and return their times by name.

    Args:
        contestants: started one after the other, so that none compiles beside another.
        repetitions: turns of each, after a first one that is not counted.
        folder: for sockets and logs; it exists.
        timeout_s: for the start of a program, and for each of its turns.

    Raises:
        BenchError: a program failed or did not answer in time; the end of its log is in it.
    """
    turns = {one.name: Turns(one.images) for one in contestants}
    with ExitStack() as stack:
        running = [stack.enter_context(Running(one, folder, timeout_s)) for one in contestants]
        for one in running:
            one.turn()
        for _ in range(repetitions):
            for one in running:
                seconds, facts = one.turn()
                turns[one.name].seconds.append(seconds)
                turns[one.name].facts.append(facts)
    return turns


def _environment(contestant: Contestant, gate: Path) -> dict[str, str]:
    ours = {"PYTHONPATH": str(ROOT), GATE: str(gate), STRETCH: str(contestant.steps)}
    return {**os.environ, **ours, **contestant.environ}


class Running:
    """A contestant that was started and stands at its gate."""

    def __init__(self, contestant: Contestant, folder: Path, timeout_s: float) -> None:
        self.name = contestant.name
        self._log = folder / f"{contestant.name}.log"
        path = folder / f"{contestant.name}.sock"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            server.listen(1)
            server.settimeout(1.0)
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    list(contestant.command),
                    env=_environment(contestant, path),
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            try:
                connection = self._accept(server, time.monotonic() + timeout_s)
                connection.settimeout(timeout_s)
                self._lines = connection.makefile("rw", encoding="utf-8")
                self._connection = connection
                self._answer()
            except BaseException:
                self._end()
                raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def _accept(self, server: socket.socket, deadline: float) -> socket.socket:
        while time.monotonic() < deadline:
            try:
                return server.accept()[0]
            except TimeoutError:
                if self._process.poll() is not None:
                    break
        raise BenchError(f"{self.name} did not come to its first step{self._tail()}")

    def turn(self) -> tuple[float, dict[str, Any]]:
        """Let it run one stretch; return seconds of wall time and what it says about them."""
        start = time.perf_counter()
        self._lines.write("go\n")
        self._lines.flush()
        facts = self._answer()
        return time.perf_counter() - start, facts

    def _answer(self) -> dict[str, Any]:
        try:
            line = self._lines.readline()
        except TimeoutError:
            line = ""
        if not line:
            raise BenchError(f"{self.name} ended or hung within a stretch{self._tail()}")
        facts: dict[str, Any] = json.loads(line)
        return facts

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._hang_up()
        self._end()

    def _hang_up(self) -> None:
        """Let it see that there is no next turn: a socket is open until its file is closed too."""
        with suppress(OSError):
            self._lines.close()
        self._connection.close()

    def _end(self) -> None:
        """End its whole session: a launcher ends its workers, whose sessions are their own."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is not None:
                return
            os.killpg(self._process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_S)
        if self._process.poll() is None:
            raise BenchError(f"{self.name} (process {self._process.pid}) cannot be ended")

    def _tail(self) -> str:
        text = self._log.read_text(encoding="utf-8", errors="replace")[-TAIL_CHARS:]
        return f"; the end of its log:\n{text}"
