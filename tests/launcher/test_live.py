from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.contract import Progress
from launcher.terminal.live import LEAST_WIDTH, duration, live_rows, time_left_s

NOW_S = 1000.0
TRAINING = Progress(
    rank=0,
    phase="train",
    epoch=2,
    step=1234,
    time=NOW_S,
    epochs=30,
    total_steps=11730,
    loss=1.23456,
    accuracy=0.71234,
    step_ms=16.0,
    images_per_s=2000.0,
)


def rows(*signs: Progress, width: int = 80, height: int = 24, with_ranks: bool = False):
    return live_rows(
        {sign.rank: sign for sign in signs},
        world_size=2,
        started_s=NOW_S - 75,
        now_s=NOW_S,
        width=width,
        height=height,
        with_ranks=with_ranks,
    )


def test_eighty_columns_hold_everything_of_a_usual_run() -> None:
    (row,) = rows(TRAINING)
    assert "step 1234/11730" in row
    assert "loss 1.2346" in row
    assert "accuracy 0.7123" in row
    assert "0:02:48 left" in row
    assert len(row) < 80


def test_a_wide_terminal_has_a_bar_and_all_fields() -> None:
    (row,) = rows(TRAINING, width=200)
    assert row.startswith("[####-")
    assert " 11%  epoch 3/30  step 1234/11730  loss 1.2346  accuracy 0.7123  4,000 images/s" in row
    assert len(row) < 200


def test_a_narrow_terminal_keeps_the_step() -> None:
    (row,) = rows(TRAINING, width=30)
    assert row.startswith("step 1234/11730")
    assert len(row) < 30


@given(
    width=st.integers(1, 300),
    height=st.integers(1, 60),
    ranks=st.integers(1, 40),
    step=st.integers(0, 10**9),
    phase=st.sampled_from(["train", "compile", "evaluate", "checkpoint", "done", "own words"]),
)
def test_no_row_is_as_wide_as_the_terminal_nor_are_there_more_than_it_holds(
    width: int, height: int, ranks: int, step: int, phase: str
) -> None:
    signs = [TRAINING._replace(rank=rank, step=step, phase=phase) for rank in range(ranks)]
    found = rows(*signs, width=width, height=height, with_ranks=True)
    assert all(len(row) < max(width, 1) for row in found)
    assert len(found) <= max(1, height - 1)
    assert bool(found) is (width >= LEAST_WIDTH)


def test_compiling_is_shown_with_its_time() -> None:
    assert rows(Progress(0, "compile", time=NOW_S - 12)) == ["compiling 12 s"]


def test_before_the_first_sign_of_life_the_time_is_shown() -> None:
    assert rows() == ["running 0:01:15"]


def test_a_rank_that_has_gone_silent_is_shown_as_such() -> None:
    (row,) = rows(TRAINING._replace(time=NOW_S - 40))
    assert "no sign of life for 40 s" in row


def test_a_script_that_tells_only_its_step_has_a_row() -> None:
    assert rows(Progress(0, "train", step=7, time=NOW_S)) == ["epoch 1  step 7"]


def test_of_too_many_ranks_those_behind_are_shown_and_the_others_counted() -> None:
    signs = [TRAINING._replace(rank=rank) for rank in range(20)]
    signs[7] = signs[7]._replace(step=3)
    found = rows(*signs, height=8, with_ranks=True)
    assert len(found) == 7
    assert sum("step 3 " in row for row in found) == 1
    assert found[-1] == "and 15 more ranks"


@pytest.mark.parametrize(
    ("sign", "left_s"),
    [
        (TRAINING, (11730 - 1234) * 0.016),
        (TRAINING._replace(step_ms=None), None),
        (TRAINING._replace(total_steps=None), None),
        (TRAINING._replace(step=99999), 0),
    ],
)
def test_the_time_left_is_that_of_the_steps_left(sign: Progress, left_s: float | None) -> None:
    assert time_left_s(sign) == (None if left_s is None else pytest.approx(left_s))


def test_durations_of_days_say_so() -> None:
    assert duration(59.6) == "0:01:00"
    assert duration(86400 * 2 + 3661) == "2 d 1:01:01"
