"""Speed and loss of training between two reports, without waiting for the device in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from mindspore import Tensor
from numpy.typing import NDArray

from cifar_dist.health.pace import Pace
from cifar_dist.runtime.collectives import Collectives


@dataclass(frozen=True)
class Reading:
    """Means over the steps of an interval.

    ``loss`` is over all ranks; ``step_s`` is None where the interval held only the first step,
    which compiles; ``own_losses`` are this rank's, float32[steps]; ``paces`` are those of all
    ranks, in their order.
    """

    loss: float
    step_s: float | None
    data_wait_s: float
    own_losses: NDArray[np.float32]
    paces: tuple[Pace, ...] = ()


@dataclass
class Spent:
    """Seconds that a process has spent beside training; one that goes back keeps them.

    ``compile_s`` is None until there was a first step: the graph of a task is compiled once,
    however often training begins anew. ``start_s`` has the parts of the start before that.
    """

    compile_s: float | None = None
    saving_s: float = 0.0
    start_s: Mapping[str, float] = field(default_factory=dict)


class Meter:
    """Collect what each step leaves behind.

    ``train_s`` counts the seconds of training: not the first step, which compiles and is
    ``compile_s``, and nothing under :meth:`paused`; ``saving_s`` those under :meth:`saving`.

    Args:
        group: all ranks.
        rank: of this one.
        stalled_s: the seconds that this process has stood still so far.
        spent: what this process has spent already, and is added to; None: nothing.
        clock: seconds that only rise.
    """

    def __init__(
        self,
        group: Collectives,
        *,
        rank: int = 0,
        stalled_s: Callable[[], float] = lambda: 0.0,
        spent: Spent | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._group = group
        self._rank = rank
        self._stalled_s = stalled_s
        self._spent = spent or Spent()
        self._clock = clock
        self._losses: list[Tensor] = []
        self._timed_steps = 0
        self._interval_start = self._step_start = clock()
        self._data_wait_s = 0.0
        self._data_wait_before_s = 0.0
        self._stalled_before_s = stalled_s()
        self.train_s = 0.0

    @property
    def compile_s(self) -> float | None:
        return self._spent.compile_s

    @property
    def saving_s(self) -> float:
        return self._spent.saving_s

    def waits_for_batch(self) -> None:
        """Call before the wait for a batch, where there was more than the step since the last."""
        self._step_start = self._clock()

    def batch_arrived(self) -> None:
        """Call between the wait for a batch and its step."""
        self._data_wait_s += self._clock() - self._step_start
        if self.compile_s is None:
            self._interval_start = self._clock()

    def step_done(self, loss: Tensor) -> None:
        """Call after a step, with its loss on the device; the first one is waited for."""
        self._losses.append(loss)
        if self.compile_s is None:
            loss.asnumpy()
            self._spent.compile_s = self._clock() - self._interval_start
            self._interval_start = self._clock()
            self._stalled_before_s = self._stalled_s()
        else:
            self._timed_steps += 1
        self._step_start = self._clock()

    @property
    def step_s_so_far(self) -> float | None:
        """The mean time of the steps since the last reading, as the host sees it; None: of none."""
        if not self._timed_steps:
            return None
        return (self._step_start - self._interval_start) / self._timed_steps

    @property
    def data_wait_s(self) -> float:
        """The seconds that were waited for batches so far."""
        return self._data_wait_before_s + self._data_wait_s

    @property
    def has_losses(self) -> bool:
        """Whether there were steps since the last reading."""
        return bool(self._losses)

    def losses(self) -> NDArray[np.float32]:
        """Wait for the device, and return the losses since the last reading: float32[steps]."""
        return np.array([loss.asnumpy() for loss in self._losses], dtype=np.float32)

    def restore(self, losses: NDArray[np.float32], *, train_s: float) -> None:
        """Go on where another meter stood: with its :meth:`losses` and its time."""
        self._losses = [Tensor(loss) for loss in losses]
        self.train_s = train_s
        self._interval_start = self._step_start = self._clock()

    def read(self) -> Reading:
        """End the interval: wait for the device, average the loss over all ranks, gather paces.

        Every rank must call it after the same steps.
        """
        steps = len(self._losses)
        own_losses = self.losses()
        mean = own_losses.mean(dtype=np.float64)
        elapsed_s = self._clock() - self._interval_start
        self.train_s += elapsed_s if self._timed_steps else 0.0
        step_s = elapsed_s / self._timed_steps if self._timed_steps else None
        data_wait_s, stalled_s = self._data_wait_s / steps, self._stalled_s()
        pace = Pace(step_s or 0.0, data_wait_s, (stalled_s - self._stalled_before_s) / steps)
        loss, paces = self._over_ranks(float(mean), pace)
        reading = Reading(loss, step_s, data_wait_s, own_losses, paces if step_s else ())
        self._data_wait_before_s += self._data_wait_s
        self._stalled_before_s = stalled_s
        self._losses, self._timed_steps, self._data_wait_s = [], 0, 0.0
        self._interval_start = self._step_start = self._clock()
        return reading

    def _over_ranks(self, mean_loss: float, pace: Pace) -> tuple[float, tuple[Pace, ...]]:
        """Return the mean loss of all ranks and the pace of each, in one collective."""
        world_size = self._group.world_size
        values = np.zeros((world_size + 1, len(pace)), dtype=np.float32)
        values[0, 0] = mean_loss
        values[1 + self._rank] = pace
        summed = self._group.sum_floats(values)
        return float(summed[0, 0]) / world_size, tuple(Pace(*map(float, row)) for row in summed[1:])

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Wait for the device, and leave what is done in the block out of every time."""
        if self._losses:
            self._losses[-1].asnumpy()
        start, stalled_s = self._clock(), self._stalled_s()
        try:
            yield
        finally:
            self._stalled_before_s += self._stalled_s() - stalled_s
            away_s = self._clock() - start
            self._interval_start += away_s
            self._step_start += away_s

    @contextmanager
    def saving(self) -> Iterator[None]:
        """As :meth:`paused`, for what training waits for so that its state can be saved."""
        with self.paused():
            start = self._clock()
            try:
                yield
            finally:
                self._spent.saving_s += self._clock() - start
