"""All ranks stop after the same step, without a word between them at most steps.

A signal reaches the ranks at different moments. Every second or so, after a step or an evaluated
batch that all know, they add up who is asked to stop; one is enough. How many steps are a second
follows from the same sum, so that all ranks know when the next one is.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from cifar_dist.runtime.collectives import Collectives
from cifar_dist.runtime.stop import StopRequest

INTERVAL_S = 1.0
MOST_TICKS = 1000
_UNIT_S = 1e-4
_MOST_UNITS = 100_000
"""Times are added as whole numbers, which float32 adds exactly in any order: of 160 ranks at least
without rounding."""


class StopAgreedError(Exception):
    """All ranks have agreed to stop here."""


class StopVote:
    """Count steps and evaluated batches, and vote now and then.

    Args:
        group: the ranks; one alone needs no vote.
        request: what signals have asked of this rank.
        clock: seconds that only rise.
    """

    def __init__(
        self,
        group: Collectives,
        request: StopRequest,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._group = group
        self._request = request
        self._clock = clock
        self._since_s = clock()
        self._ticks, self._wait = 0, 1

    def pace_changes(self) -> None:
        """Say on all ranks that ticks take another time from now on: the next one is a vote."""
        self._request.busy()
        self._ticks, self._wait, self._since_s = 0, 1, self._clock()

    def takes_long(self) -> None:
        """Say that the next tick may come late, but that the pace stays."""
        self._request.busy()

    def tick(self) -> None:
        """Call on all ranks after each step and each evaluated batch.

        Raises:
            StopAgreedError: a rank is asked to stop; raised on all ranks at the same tick.
        """
        self._request.alive()
        is_asked = self._request.number is not None
        if self._group.world_size > 1:
            self._ticks += 1
            if self._ticks < self._wait:
                return
            is_asked = self._vote(is_asked)
        if is_asked:
            raise StopAgreedError

    def _vote(self, is_asked: bool) -> bool:
        elapsed_s = self._clock() - self._since_s
        units = min(_MOST_UNITS, round(elapsed_s / self._ticks / _UNIT_S))
        asked, total = self._group.sum_floats(np.array([is_asked, units], dtype=np.float32))
        tick_s = max(1.0, float(total)) / self._group.world_size * _UNIT_S
        wanted = max(1, int(INTERVAL_S / tick_s))
        self._wait = min(wanted, 2 * self._wait, MOST_TICKS)
        self._ticks, self._since_s = 0, self._clock()
        return bool(asked > 0)
