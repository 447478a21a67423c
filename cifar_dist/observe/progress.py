"""Signs of life of a rank, for the launcher's hang watch."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from launcher.contract import Progress, RunPaths, write_record

INTERVAL_S = 0.5


class ProgressFile:
    """Write ``progress/rank_R.json`` at every change of phase, and twice a second in between.

    Not being able to write it never ends a run: the launcher then judges by logs and CPU time.
    Without a run directory nothing is written.
    """

    def __init__(
        self, run_dir: Path | None, rank: int, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = RunPaths(run_dir).progress(rank) if run_dir else None
        self._clock = clock
        self._last = Progress(rank=rank, phase="start")

    def phase(self, phase: str) -> None:
        """Say what begins now: "data", "compile", "train", "evaluate", "checkpoint", "done"."""
        self._write(phase, self._last.epoch, self._last.step)

    def step(self, epoch: int, step: int) -> None:
        """Say that a step was finished, counted over the whole run; the phase stays."""
        if self._last.step == 0 or self._clock() - self._last.time >= INTERVAL_S:
            self._write(self._last.phase, epoch, step)

    def alive(self) -> None:
        """Say that work goes on within the phase."""
        self.step(self._last.epoch, self._last.step)

    def _write(self, phase: str, epoch: int, step: int) -> None:
        self._last = Progress(self._last.rank, phase, epoch, step, self._clock())
        if self._path is None:
            return
        try:
            write_record(self._last, self._path)
        except OSError:
            return
