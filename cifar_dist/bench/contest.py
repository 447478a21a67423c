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

    def start(self, folder: Path, timeout_s: float) -> Running:
        return Running(self, folder, timeout_s)


@dataclass(frozen=True)
class Together:
    """Programs whose stretches run at the same time, and that share nothing but the machine."""

    name: str
    contestants: Sequence[Contestant]

    @property
    def images(self) -> int:
        return sum(one.images for one in self.contestants)

    def start(self, folder: Path, timeout_s: float) -> Beside:
        return Beside(self.contestants, folder, timeout_s)


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
    contestants: Sequence[Contestant | Together],
    *,
    repetitions: int,
    folder: Path,
    timeout_s: float,
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
        running: list[Running | Beside] = []
        for each in contestants:
            started = each.start(folder, timeout_s)
            stack.push(started)
            running.append(started)
        for one in running:
            one.turn()
        for _ in range(repetitions):
            for each, one in zip(contestants, running, strict=True):
                seconds, facts = one.turn()
                turns[each.name].seconds.append(seconds)
                turns[each.name].facts.append(facts)
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
                self.answer()
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
        self.go()
        facts = self.answer()
        return time.perf_counter() - start, facts

    def go(self) -> None:
        """Let it begin a stretch."""
        self._lines.write("go\n")
        self._lines.flush()

    def answer(self) -> dict[str, Any]:
        """Wait until its stretch is done, and return what it says about it."""
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


class Beside:
    """Contestants that were started one after the other, and run their stretches together."""

    def __init__(self, contestants: Sequence[Contestant], folder: Path, timeout_s: float) -> None:
        with ExitStack() as stack:
            self._running = [
                stack.enter_context(one.start(folder, timeout_s)) for one in contestants
            ]
            self._stack = stack.pop_all()

    def __enter__(self) -> Beside:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def turn(self) -> tuple[float, dict[str, Any]]:
        """Let all run one stretch; return the seconds until the last one was done."""
        start = time.perf_counter()
        for one in self._running:
            one.go()
        for one in self._running:
            one.answer()
        return time.perf_counter() - start, {}
