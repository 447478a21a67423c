"""Which rank is slower than the others, from their signs of life: functions of values.

Ranks that wait for each other in every step are all as slow as the slowest one. Of those the
delays tell it: the time that a rank waited for its data or stood still, which it tells itself
(``Progress.data_wait_s`` and ``stalled_s``). Ranks that do not wait for each other, or tell no
delays, differ in the time between two steps.

A mean over few steps says little where steps are noisy, so that a rank must also be slower by
several standard errors of what the others' steps take.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from launcher.contract import Progress
from launcher.heartbeats import TRAINING

LEAST_STEPS = 5
STANDARD_ERRORS = 4.0
_KEPT = 64
_PARTS = 512
"""Into so many parts a window is cut at the most: of a part the newest beat is enough."""
_MOST_DELAY = 0.98
"""Of the time: a rank that did nothing but stand still is not infinitely slower."""


class Beat(NamedTuple):
    """One sign of life of a rank in training; the delays count from its start."""

    time_s: float
    step: int
    data_wait_s: float = 0.0
    stalled_s: float = 0.0


class Span(NamedTuple):
    """One rank over its newest steps; ``noise_s`` is the standard deviation of one step."""

    steps: int
    elapsed_s: float
    data_wait_s: float
    stalled_s: float
    noise_s: float

    @property
    def step_s(self) -> float:
        return self.elapsed_s / self.steps

    @property
    def delay(self) -> float:
        """The share of its time, 0 to 1, that this rank alone was late by."""
        return min(_MOST_DELAY, (self.data_wait_s + self.stalled_s) / self.elapsed_s)


class Slow(NamedTuple):
    """A rank that takes ``factor`` times what the others take for a step, over ``span``."""

    factor: float
    step_s: float
    others_step_s: float
    span: Span


class Track:
    """The newest beats of one rank: at least ``window_s`` seconds and LEAST_STEPS steps of them."""

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._beats: deque[Beat] = deque()
        self._samples: deque[tuple[int, float]] = deque(maxlen=_KEPT)
        self._passed_step: int | None = None

    def begin_anew(self, progress: Progress | None) -> None:
        """Forget all, this newest sign of life too: the time after it may not be a step's alone."""
        self._beats.clear()
        self._passed_step = None if progress is None else progress.step

    def add(self, progress: Progress | None) -> None:
        """Take a sign of life; what is no training step begins the track anew."""
        if progress is None or not is_training(progress):
            self._beats.clear()
            return
        beat = Beat(
            progress.time, progress.step, progress.data_wait_s or 0.0, progress.stalled_s or 0.0
        )
        if beat.step == self._passed_step:
            return
        self._passed_step = None
        if self._beats:
            last = self._beats[-1]
            if beat.step == last.step:
                return
            if beat.step < last.step or beat.time_s <= last.time_s:
                self._beats.clear()
            else:
                self._samples.append((beat.step - last.step, beat.time_s - last.time_s))
        self._keep(beat)
        while len(self._beats) > 2 and self._is_enough(self._beats[1]):
            self._beats.popleft()

    def _keep(self, beat: Beat) -> None:
        """Append a beat, in place of the last one where that is hardly newer than one before."""
        is_crowded = len(self._beats) > 1 and (
            beat.time_s - self._beats[-2].time_s < self._window_s / _PARTS
        )
        if is_crowded:
            self._beats.pop()
        self._beats.append(beat)

    def span(self) -> Span | None:
        """Return the newest steps that are enough to judge by; None: there are not yet."""
        if len(self._beats) < 2 or not self._is_enough(self._beats[0]):
            return None
        first, last = self._beats[0], self._beats[-1]
        return Span(
            last.step - first.step,
            last.time_s - first.time_s,
            max(0.0, last.data_wait_s - first.data_wait_s),
            max(0.0, last.stalled_s - first.stalled_s),
            noise_s(self._samples),
        )

    def _is_enough(self, first: Beat) -> bool:
        last = self._beats[-1]
        return (
            last.time_s - first.time_s >= self._window_s and last.step - first.step >= LEAST_STEPS
        )


def is_training(progress: Progress | None) -> bool:
    """Return whether a rank's newest sign of life is a step of training."""
    return progress is not None and progress.phase == TRAINING


def noise_s(samples: Iterable[tuple[int, float]]) -> float:
    """Return the standard deviation of one step, from times of several: (steps, seconds)."""
    known = list(samples)
    if len(known) < 2:
        return 0.0
    mean_s = sum(time_s for _, time_s in known) / sum(steps for steps, _ in known)
    squares = sum(steps * (time_s / steps - mean_s) ** 2 for steps, time_s in known)
    return math.sqrt(squares / (len(known) - 1))


def slow_ranks(spans: Mapping[int, Span], factor: float) -> dict[int, Slow]:
    """Return the ranks that are slower than the others by a factor.

    Args:
        spans: of every rank that can be compared.
        factor: above 1.
    """
    found = {}
    for rank, span in spans.items():
        others = [one for other, one in spans.items() if other != rank]
        if others:
            slow = max(_by_delays(span, others), _by_steps(span, others))
            if slow.factor >= factor:
                found[rank] = slow
    return found


def _by_delays(span: Span, others: list[Span]) -> Slow:
    """Compare ranks that wait for each other: all take equally long, for different reasons."""
    delays = [one.delay for one in others]
    bare = 1.0 - max(span.delay, *delays)
    own, other = bare + span.delay, bare + median(delays)
    return Slow(own / other, span.step_s * own, span.step_s * other, span)


def _by_steps(span: Span, others: list[Span]) -> Slow:
    """Compare ranks that go on by themselves."""
    other_s = median(one.step_s for one in others)
    noise = median(one.noise_s for one in others)
    steps = median(one.steps for one in others)
    error_s = noise * math.sqrt(1 / span.steps + 1 / steps)
    certain = span.step_s - other_s > STANDARD_ERRORS * error_s
    return Slow(span.step_s / other_s if certain else 1.0, span.step_s, other_s, span)


def median(values: Iterable[float]) -> float:
    """Return the median of at least one value (that of the standard library loads for long)."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    return (ordered[middle] + ordered[~middle]) / 2
