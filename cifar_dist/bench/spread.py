"""Repeated measurements as minimum, median and maximum, and their ratios."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """What repetitions of one measurement gave, in one unit."""

    minimum: float
    median: float
    maximum: float

    def __str__(self) -> str:
        shown = (_short(value) for value in (self.median, self.minimum, self.maximum))
        return "{} ({} to {})".format(*shown)


def spread(values: Sequence[float]) -> Spread:
    """Return the spread of at least one value."""
    return Spread(min(values), statistics.median(values), max(values))


def times_faster(own_s: Sequence[float], rival_s: Sequence[float]) -> list[float]:
    """Return for each repetition how many times longer the rival took.

    The n-th measurements of both were taken right after each other, so that whatever else the
    machine did then is in both.
    """
    return [rival / own for own, rival in zip(own_s, rival_s, strict=True)]


def _short(value: float) -> str:
    """Return three digits, without an exponent."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
