"""MindSpore's profile of a few steps of one rank, into the run directory.

The profiler is that of the device: on an NPU it also has what the chip does, on a CPU the host's
operators. See https://www.mindspore.cn/tutorials/en/r2.7.1/debug/profiler.html.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mindspore.profiler import ProfilerActivity, profile, schedule, tensorboard_trace_handler

TRACE = "ASCEND_PROFILER_OUTPUT/trace_view.json"
"""Under the folder of a rank and a moment that the profiler makes, on every device."""


class StepProfile:
    """Profile the steps ``first`` to ``last``; none where they are None.

    Args:
        steps: first and last, from 1, both included.
        folder: of the run's profiles; each rank has a folder in it.
        rank: of this worker.
        say: takes where the profile is and how it is opened.
    """

    def __init__(
        self,
        steps: tuple[int, int] | None = None,
        folder: Path = Path(),
        *,
        rank: int = 0,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._first, self._last = steps or (0, 0)
        self._folder = folder / f"rank_{rank}"
        self._say = say
        self._profile: Any = None

    def starts_before(self, step: int) -> bool:
        """Whether :meth:`start` is to be called before a step."""
        return step == self._first

    def covers(self, step: int) -> bool:
        """Whether :meth:`note` is to be called after a step."""
        return self._profile is not None and step <= self._last

    def start(self) -> None:
        """Begin: what comes until the last step is recorded."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._profile = profile(
            activities=[ProfilerActivity.CPU, ProfilerActivity.NPU],
            start_profile=False,
            schedule=schedule(wait=0, active=1 + self._last - self._first, repeat=1),
            on_trace_ready=tensorboard_trace_handler(str(self._folder)),
        )
        self._profile.start()

    def note(self, step: int) -> None:
        """End a step that is profiled, once the device is done; the last one writes the profile."""
        self._profile.step()
        if step < self._last:
            return
        self._profile.stop()
        self._profile = None
        traces = sorted(self._folder.glob(f"*/{TRACE}"))
        if not traces:
            self._say(f"profile    MindSpore has written none into {self._folder}: see the log")
            return
        self._say(
            f"profile    steps {self._first} to {self._last} of each rank: {self._folder.parent}"
        )
        self._say("           open that folder with MindStudio Insight, or one rank's")
        self._say(f"           {traces[-1]}")
        self._say("           in https://ui.perfetto.dev or chrome://tracing")

    def close(self) -> None:
        """End a profile whose last step has not come: nothing more is recorded."""
        if self._profile is not None:
            self._profile.stop()
            self._profile = None
