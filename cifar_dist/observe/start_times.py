"""How long the parts of a start took, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


class StartTimes:
    """Seconds of each part of a start, by its name and in order; the first begins now.

    Args:
        clock: seconds that only rise.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since_s = clock()
        self._parts_s: dict[str, float] = {}

    @property
    def parts_s(self) -> Mapping[str, float]:
        return self._parts_s

    def ends(self, part: str) -> None:
        """Say that a part has ended here; the next one begins."""
        before_s, self._since_s = self._since_s, self._clock()
        self._parts_s[part] = round(self._since_s - before_s, 3)
