"""Signs of life of a rank, for the launcher's hang watch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from launcher.contract import Progress, RunPaths, write_record

INTERVAL_S = 0.5


class ProgressFile:
    """Write ``progress/rank_R.json`` at every change of phase, and twice a second in between.

    Not being able to write it never ends a run: the launcher then judges by logs and CPU time.
    Without a run directory nothing is written. ``on_first_step`` is told how long it took from the
    phase "compile" to the first step.
    """

    def __init__(
        self,
        run_dir: Path | None,
        rank: int,
        *,
        clock: Callable[[], float] = time.time,
        on_first_step: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._path = RunPaths(run_dir).progress(rank) if run_dir else None
        self._rank = rank
        self._clock = clock
        self._phase, self._epoch, self._step = "start", 0, 0
        self._on_first_step = on_first_step
        self._compiling_since_s: float | None = None
        self._written_s: float | None = None
        self._numbers: Callable[[], Mapping[str, Any]] = dict

    def tells(self, numbers: Callable[[], Mapping[str, Any]]) -> None:
        """Take more fields of :class:`Progress` from ``numbers`` at every write from now on."""
        self._numbers = numbers

    def phase(self, phase: str) -> None:
        """Say what begins now: "data", "compile", "train", "evaluate", "checkpoint", "done"."""
        self._phase = phase
        if phase == "compile":
            self._compiling_since_s = self._clock()
        self._write()

    @contextmanager
    def during(self, phase: str) -> Iterator[None]:
        """Say that a phase lasts as long as the block, and the one before goes on after it."""
        before = self._phase
        self.phase(phase)
        yield
        self.phase(before)

    def trained(self, epoch: int, step: int) -> None:
        """Say that a training step was finished: nothing is compiled any more."""
        if self._phase != "train":
            self.phase("train")
        if self._compiling_since_s is not None:
            self._on_first_step(self._clock() - self._compiling_since_s)
            self._compiling_since_s = None
        self.step(epoch, step)

    def step(self, epoch: int, step: int) -> None:
        """Say that a step was finished, counted over the whole run; the phase stays."""
        is_first = self._step == 0
        self._epoch, self._step = epoch, step
        self._write_now_and_then(at_once=is_first)

    def alive(self) -> None:
        """Say that work goes on within the phase."""
        self._write_now_and_then()

    def _write_now_and_then(self, *, at_once: bool = False) -> None:
        written_s = self._written_s
        if at_once or written_s is None or self._clock() - written_s >= INTERVAL_S:
            self._write()

    def _write(self) -> None:
        self._written_s = self._clock()
        if self._path is None:
            return
        state = (self._rank, self._phase, self._epoch, self._step, self._written_s)
        record = Progress(*state, **self._numbers())
        try:
            write_record(record, self._path)
        except OSError:
            return
