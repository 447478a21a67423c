"""Who holds up a step that takes all ranks equally long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Pace(NamedTuple):
    """One rank's seconds per step over an interval.

    ``step_s`` is by the wall clock, and much the same on all ranks; ``data_wait_s`` of it went to
    waiting for the batch, ``stalled_s`` to standing still (see :mod:`cifar_dist.health.stalls`).
    """

    step_s: float
    data_wait_s: float
    stalled_s: float

    @property
    def delay_s(self) -> float:
        """What this rank alone was late by, as far as can be told, within its step."""
        return min(self.step_s, self.data_wait_s + self.stalled_s)


def own_step_s(paces: Sequence[Pace]) -> list[float]:
    """Return what each rank would need for a step if it never waited for the others.

    The rank with the longest delay waited for nobody: what is left of its time is the step itself,
    on any rank.
    """
    if not paces:
        return []
    bare_s = min(max(0.0, pace.step_s - max(one.delay_s for one in paces)) for pace in paces)
    return [bare_s + pace.delay_s for pace in paces]
