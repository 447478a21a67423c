"""Ranks that agree on when to stop, with a group of threads instead of processes."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from cifar_dist.engine.vote import StopAgreedError, StopVote
from cifar_dist.runtime.collectives import Alone
from cifar_dist.runtime.stop import StopRequest

WAIT_S = 20.0


class Threads:
    """One rank of a group of threads: sums that wait for all, as an all-reduce does."""

    def __init__(self, rank: int, barrier: threading.Barrier, values: list[NDArray[np.float32]]):
        self.world_size = barrier.parties
        self.votes = 0
        self._rank, self._barrier, self._values = rank, barrier, values

    def sum_floats(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        self.votes += 1
        self._values[self._rank] = values
        self._barrier.wait(WAIT_S)
        total = np.sum(self._values, axis=0, dtype=np.float32)
        self._barrier.wait(WAIT_S)
        return total


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def stopping_ticks(
    step_s: Sequence[float], *, asked_at: int, pace_changes_at: int | None = None
) -> tuple[list[int], list[int]]:
    """Return the tick at which each rank stops, and how often each has voted.

    Args:
        step_s: seconds of a tick of each rank.
        asked_at: the tick before which the last rank is asked to stop.
        pace_changes_at: the tick before which all say that the pace changes.
    """
    ranks = len(step_s)
    barrier, values = threading.Barrier(ranks), [np.zeros(2, np.float32)] * ranks
    stopped, votes = [0] * ranks, [0] * ranks

    def run(rank: int) -> None:
        clock, request = Clock(), StopRequest()
        group = Threads(rank, barrier, values)
        vote = StopVote(group, request, clock=clock)  # type: ignore[arg-type]
        for tick in range(1, 10_000):
            if tick == pace_changes_at:
                vote.pace_changes()
            if tick == asked_at and rank == ranks - 1:
                request.ask(15)
            clock.now_s += step_s[rank]
            try:
                vote.tick()
            except StopAgreedError:
                stopped[rank], votes[rank] = tick, group.votes
                return

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(ranks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    return stopped, votes


@pytest.mark.parametrize("asked_at", [1, 2, 3, 57, 1000])
def test_all_ranks_stop_at_the_same_tick(asked_at: int) -> None:
    stopped, _ = stopping_ticks([0.01, 0.02, 0.0151], asked_at=asked_at)
    assert len(set(stopped)) == 1
    assert asked_at <= stopped[0] <= asked_at + 1.0 / 0.015


def test_fast_steps_vote_about_once_a_second() -> None:
    stopped, votes = stopping_ticks([0.02, 0.02], asked_at=3000)
    assert votes[0] <= stopped[0] * 0.02 + 10


def test_steps_longer_than_a_second_vote_each_time() -> None:
    assert stopping_ticks([3.0, 2.0], asked_at=7)[0] == [7, 7]


def test_a_change_of_pace_votes_at_once_again() -> None:
    assert stopping_ticks([0.01, 0.01], asked_at=500, pace_changes_at=500)[0] == [500, 500]


def test_one_rank_alone_stops_at_its_next_tick() -> None:
    request = StopRequest()
    vote = StopVote(Alone(), request)
    vote.tick()
    request.ask(15)
    with pytest.raises(StopAgreedError):
        vote.tick()
