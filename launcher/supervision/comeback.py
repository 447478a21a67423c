"""How long a restart takes: from the failure until the first rank trains again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from launcher.contract import RunPaths
from launcher.heartbeats import TRAINING, read_heartbeat

_LOOK_S = 0.2


class Comeback:
    """Looks at the heartbeats of one attempt until one of them says that its rank trains.

    ``restart_s`` is the answer; None where no failure came before, or nobody trains yet.
    """

    def __init__(
        self,
        failed_ns: int | None,
        ranks: Sequence[int],
        *,
        paths: RunPaths,
        tell: Callable[..., None],
        say: Callable[[str], None],
    ) -> None:
        self._failed_ns = failed_ns
        self._heartbeats = {rank: paths.progress(rank) for rank in ranks}
        self._tell = tell
        self._say = say
        self._due_s = time.monotonic()
        self.restart_s: float | None = None

    def due_s(self) -> float | None:
        """Return when to look next, on the monotonic clock; None: not any more."""
        is_awaited = self._failed_ns is not None and self.restart_s is None
        return self._due_s if is_awaited else None

    def look(self) -> None:
        """Look if it is time to."""
        due_s = self.due_s()
        if due_s is None or self._failed_ns is None or time.monotonic() < due_s:
            return
        self._due_s = time.monotonic() + _LOOK_S
        for rank, path in self._heartbeats.items():
            progress = read_heartbeat(path)
            if progress is not None and progress.phase == TRAINING:
                restart_s = (time.monotonic_ns() - self._failed_ns) / 1e9
                self.restart_s = round(restart_s, 3)
                step, phase = progress.step, progress.phase
                self._tell("ready", rank=rank, phase=phase, step=step, restart_s=self.restart_s)
                self._say(f"training again {restart_s:.1f} s after the failure, at step {step}")
                return
