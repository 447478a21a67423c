"""The hang watch: what counts as progress, and whom to blame."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.contract import Progress
from launcher.plan import Policy
from launcher.supervision.watch import (
    LONGEST_INTERVAL_S,
    Sample,
    Vitals,
    interval_s,
    is_hung,
    limit_s,
    needs_a_close_look,
    observe,
    suspects,
)

POLICY = Policy(hang_timeout_s=10, first_step_timeout_s=100)


def beat(step: int, phase: str = "train") -> Sample:
    return Sample(progress=Progress(0, phase, step=step))


def follow(samples: list[Sample], elapsed_s: float = 1.0) -> Vitals:
    vitals = observe(None, samples[0], 0.0)
    for sample in samples[1:]:
        vitals = observe(vitals, sample, elapsed_s)
    return vitals


def test_a_rank_whose_record_stays_the_same_hangs_at_its_limit() -> None:
    vitals = follow([beat(0), beat(1), *[beat(1)] * 9])
    assert not is_hung(vitals, POLICY)
    assert is_hung(observe(vitals, beat(1), 1.0), POLICY)


def test_the_first_step_has_its_own_limit() -> None:
    vitals = follow([beat(0, "compile")] * 50)
    assert limit_s(vitals, POLICY) == 100
    assert not is_hung(vitals, POLICY)
    assert is_hung(follow([beat(0, "compile")] * 102), POLICY)


def test_a_resumed_rank_that_compiles_is_not_under_way_yet() -> None:
    resumed = follow([beat(500, "compile"), beat(500, "compile")])
    assert limit_s(resumed, POLICY) == 100
    assert limit_s(observe(resumed, beat(501), 1.0), POLICY) == 10


def test_a_phase_change_is_progress() -> None:
    vitals = follow([beat(0), *[beat(1)] * 9, beat(1, "evaluate")])
    assert vitals.idle_s == 0


def test_a_rank_that_is_done_does_not_hang() -> None:
    assert not is_hung(follow([beat(0), *[beat(9, "done")] * 500]), POLICY)


def test_limits_of_zero_switch_the_watch_off() -> None:
    off = Policy(hang_timeout_s=0, first_step_timeout_s=0)
    assert interval_s(off) is None
    assert not is_hung(follow([beat(0), *[beat(1)] * 5000]), off)
    assert not is_hung(follow([Sample()] * 5000), off)


@pytest.mark.parametrize(
    "change",
    [{"log_bytes": 1}, {"cpu_s": 1.0}, {"state": "R"}],
    ids=["log grows", "cpu time", "wants to run"],
)
def test_without_heartbeats_other_signs_of_life_count(change: dict[str, object]) -> None:
    silent = follow([Sample()] * 9)
    assert silent.idle_s == 8
    assert observe(silent, Sample()._replace(**change), 1.0).idle_s == 0


def test_threads_that_keep_a_connection_alive_are_no_progress() -> None:
    ticks = [Sample(cpu_s=0.001 * second) for second in range(12)]
    assert is_hung(follow(ticks), POLICY)


def test_helper_processes_that_work_are_progress_of_a_silent_rank() -> None:
    silent = follow([Sample()] * 7)
    assert needs_a_close_look(silent, POLICY)
    looked = observe(silent, Sample(session_cpu_s=50.0), 1.0)
    assert looked.idle_s == 7
    assert observe(looked, Sample(session_cpu_s=50.0), 1.0).idle_s == 8
    assert observe(looked, Sample(session_cpu_s=50.5), 1.0).idle_s == 0


@given(st.lists(st.floats(min_value=0.05, max_value=0.99), min_size=2, max_size=200))
def test_bursty_steps_below_the_limit_raise_no_alarm(gaps: list[float]) -> None:
    policy = Policy(hang_timeout_s=10)
    vitals = observe(None, beat(0), 0.0)
    for step, gap in enumerate(gaps):
        waited = 0.0
        while waited + 0.5 < gap * 10:
            vitals = observe(vitals, beat(step), 0.5)
            assert not is_hung(vitals, policy)
            waited += 0.5
        vitals = observe(vitals, beat(step + 1), 0.5)


@given(st.floats(min_value=0.5, max_value=1e6))
def test_a_check_comes_often_enough_to_be_at_most_two_seconds_late(limit: float) -> None:
    interval = interval_s(Policy(hang_timeout_s=limit, first_step_timeout_s=0))
    assert interval is not None
    assert interval <= LONGEST_INTERVAL_S < 2


def idle(step: int, idle_s: float = 10.0, state: str = "S") -> Vitals:
    sample = beat(step)._replace(state=state)
    return Vitals(now=sample, last=sample, idle_s=idle_s, first=Progress(0, "train"))


def test_the_rank_with_the_lowest_step_is_the_first_suspect() -> None:
    group = {0: idle(7), 1: idle(7), 2: idle(6), 3: idle(7)}
    assert suspects(group, POLICY)[0] == 2


def test_a_stopped_rank_is_the_first_suspect() -> None:
    group = {0: idle(6), 1: idle(7, idle_s=3.0, state="T"), 2: idle(6)}
    assert suspects(group, POLICY)[0] == 1


def test_among_equal_steps_the_one_in_another_place_is_suspected() -> None:
    group = {rank: idle(7) for rank in range(4)}
    places = {0: "wait (a.py:1)", 1: "wait (a.py:1)", 2: "load (b.py:9)", 3: "wait (a.py:1)"}
    assert suspects(group, POLICY, places)[0] == 2


def test_ranks_that_make_progress_are_no_suspects() -> None:
    assert suspects({0: idle(7, idle_s=1.0), 1: idle(9)}, POLICY) == (1,)
