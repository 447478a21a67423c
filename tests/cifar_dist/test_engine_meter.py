from __future__ import annotations

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor

from cifar_dist.engine.meter import Meter, Spent
from cifar_dist.health.pace import Pace
from cifar_dist.runtime.collectives import Alone


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def take(meter: Meter, clock: Clock, *, wait_s: float, step_s: float, loss: float = 1.0) -> None:
    clock.now_s += wait_s
    meter.batch_arrived()
    clock.now_s += step_s
    meter.step_done(Tensor(loss, ms.float32))


def test_the_first_step_is_compilation_and_counts_in_no_speed() -> None:
    clock = Clock()
    meter = Meter(Alone(), clock=clock)
    take(meter, clock, wait_s=1, step_s=30, loss=4.0)
    take(meter, clock, wait_s=1, step_s=3, loss=2.0)
    take(meter, clock, wait_s=1, step_s=3, loss=3.0)
    reading = meter.read()
    assert meter.compile_s == pytest.approx(30)
    assert reading.step_s == pytest.approx(4)
    assert reading.data_wait_s == pytest.approx(1)
    assert reading.loss == pytest.approx(3)
    assert meter.train_s == pytest.approx(8)


def test_an_interval_of_the_first_step_alone_has_no_speed() -> None:
    clock = Clock()
    meter = Meter(Alone(), clock=clock)
    take(meter, clock, wait_s=1, step_s=30)
    assert meter.read().step_s is None
    assert meter.train_s == 0


def test_pauses_count_nowhere() -> None:
    clock = Clock()
    meter = Meter(Alone(), clock=clock)
    take(meter, clock, wait_s=0, step_s=30)
    take(meter, clock, wait_s=0, step_s=2)
    with meter.paused():
        clock.now_s += 50
    take(meter, clock, wait_s=1, step_s=2)
    reading = meter.read()
    assert reading.step_s == pytest.approx(2.5)
    assert reading.data_wait_s == pytest.approx(1 / 3)


def test_the_pace_of_a_rank_leaves_out_stalls_of_the_first_step_and_of_pauses() -> None:
    clock, stalled_s = Clock(), [0.0]
    meter = Meter(Alone(), stalled_s=lambda: stalled_s[0], clock=clock)
    stalled_s[0] = 7
    take(meter, clock, wait_s=0, step_s=30)
    with meter.paused():
        stalled_s[0] = 17
    stalled_s[0] = 19
    take(meter, clock, wait_s=2, step_s=2)
    (pace,) = meter.read().paces
    assert pace == pytest.approx(Pace(step_s=4, data_wait_s=1, stalled_s=1))
    assert meter.data_wait_s == pytest.approx(2)


def test_an_interval_without_a_speed_has_no_paces() -> None:
    clock = Clock()
    meter = Meter(Alone(), clock=clock)
    take(meter, clock, wait_s=1, step_s=30)
    assert meter.read().paces == ()


def test_what_else_is_done_between_two_steps_is_no_wait_for_data() -> None:
    clock = Clock()
    meter = Meter(Alone(), clock=clock)
    take(meter, clock, wait_s=0, step_s=30)
    clock.now_s += 7
    meter.waits_for_batch()
    take(meter, clock, wait_s=1, step_s=2)
    reading = meter.read()
    assert reading.data_wait_s == pytest.approx(0.5)
    assert reading.step_s == pytest.approx(10)


def test_before_the_first_reading_the_speed_is_that_of_the_steps_so_far() -> None:
    clock = Clock()
    meter = Meter(Alone(), clock=clock)
    assert meter.step_s_so_far is None
    take(meter, clock, wait_s=1, step_s=30)
    assert meter.step_s_so_far is None
    take(meter, clock, wait_s=1, step_s=3)
    take(meter, clock, wait_s=1, step_s=1)
    assert meter.step_s_so_far == pytest.approx(3)


def test_what_is_waited_for_to_save_is_a_pause_with_a_time_of_its_own() -> None:
    clock = Clock()
    meter = Meter(Alone(), clock=clock)
    take(meter, clock, wait_s=0, step_s=30)
    for _ in range(2):
        take(meter, clock, wait_s=0, step_s=2)
        with meter.saving():
            clock.now_s += 0.25
    with meter.paused():
        clock.now_s += 50
    assert meter.read().step_s == pytest.approx(2)
    assert meter.saving_s == pytest.approx(0.5)
    assert meter.train_s == pytest.approx(4)


def test_where_the_graph_is_compiled_already_the_first_step_is_one_like_others() -> None:
    clock, spent = Clock(), Spent(compile_s=30.0, saving_s=1.0)
    meter = Meter(Alone(), spent=spent, clock=clock)
    clock.now_s += 9  # a checkpoint is read
    meter.restore(np.float32([3.0]), train_s=8)
    take(meter, clock, wait_s=1, step_s=2, loss=2.0)
    with meter.saving():
        clock.now_s += 0.5
    reading = meter.read()
    assert (reading.step_s, reading.data_wait_s) == pytest.approx((3, 0.5))
    assert meter.train_s == pytest.approx(11)
    assert (spent.compile_s, spent.saving_s) == (30.0, 1.5)
