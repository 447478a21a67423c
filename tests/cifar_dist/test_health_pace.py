from __future__ import annotations

import pytest

from cifar_dist.health.pace import Pace, own_step_s


def test_ranks_without_a_delay_of_their_own_need_what_the_wall_clock_says() -> None:
    assert own_step_s([Pace(0.2, 0, 0), Pace(0.2, 0, 0)]) == pytest.approx([0.2, 0.2])


def test_a_rank_that_stood_still_needs_longer_than_those_that_waited_for_it() -> None:
    found = own_step_s([Pace(0.8, 0, 0), Pace(0.8, 0, 0.6), Pace(0.8, 0, 0)])
    assert found == pytest.approx([0.2, 0.8, 0.2])


def test_waiting_for_its_data_counts_as_a_rank_s_own_time() -> None:
    assert own_step_s([Pace(0.5, 0.4, 0), Pace(0.5, 0.1, 0)]) == pytest.approx([0.5, 0.2])


def test_a_stall_within_the_wait_for_data_counts_no_more_than_the_step_lasted() -> None:
    assert own_step_s([Pace(0.5, 0.5, 0.5), Pace(0.5, 0, 0)]) == pytest.approx([0.5, 0.0])


def test_of_no_rank_nothing_is_known() -> None:
    assert own_step_s([]) == []
