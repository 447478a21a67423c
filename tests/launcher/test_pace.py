from __future__ import annotations

import random

import pytest

from launcher.contract import Progress
from launcher.supervision.pace import LEAST_STEPS, Span, Track, noise_s, slow_ranks

FACTOR = 1.5


def track(
    times_s: list[float], *, window_s: float = 3.0, stalled_s: list[float] | None = None
) -> Track:
    made, now_s, stalls = Track(window_s), 100.0, 0.0
    made.add(Progress(0, "train", step=0, time=now_s, stalled_s=0.0))
    for step, step_s in enumerate(times_s, 1):
        now_s += step_s
        stalls += stalled_s[step - 1] if stalled_s else 0.0
        made.add(Progress(0, "train", step=step, time=now_s, stalled_s=stalls))
    return made


def span(step_s: float, *, delay: float = 0.0, steps: int = 10, noise: float = 0.0) -> Span:
    return Span(steps, step_s * steps, 0.0, delay * step_s * steps, noise)


def test_nothing_is_judged_before_both_the_time_and_the_steps_are_over() -> None:
    assert track([0.1] * 25).span() is None
    assert track([10.0] * (LEAST_STEPS - 1)).span() is None
    found = track([0.1] * 40).span()
    assert found is not None
    assert found.elapsed_s == pytest.approx(3, abs=0.2)
    assert found.step_s == pytest.approx(0.1)


@pytest.mark.parametrize("window_s", [60.0, 3600.0, 36_000.0])
def test_a_long_time_is_looked_back_on_with_few_beats(window_s: float) -> None:
    steps = int(1.5 * window_s / 0.5)
    one = track([1.5] * 10 + [0.5] * steps, window_s=window_s)
    found = one.span()
    assert found is not None
    assert found.elapsed_s == pytest.approx(window_s, rel=0.02)
    assert found.step_s == pytest.approx(0.5)
    assert len(one._beats) < 1200


def test_old_steps_are_forgotten() -> None:
    found = track([1.0] * 50 + [0.1] * 50).span()
    assert found is not None
    assert found.step_s == pytest.approx(0.1)


def test_what_is_no_training_begins_anew() -> None:
    one = track([1.0] * 10)
    one.add(Progress(0, "evaluate", step=10, time=200))
    one.add(Progress(0, "train", step=11, time=300))
    assert one.span() is None


def test_a_clock_that_was_set_back_begins_anew() -> None:
    one = track([1.0] * 10)
    one.add(Progress(0, "train", step=11, time=5))
    assert one.span() is None


def test_a_rank_that_goes_on_by_itself_is_slow_by_its_steps() -> None:
    found = slow_ranks({0: span(0.1), 1: span(0.3), 2: span(0.1)}, FACTOR)
    assert list(found) == [1]
    assert found[1].factor == pytest.approx(3)
    assert found[1].others_step_s == pytest.approx(0.1)


def test_of_ranks_that_wait_for_each_other_the_delayed_one_is_slow() -> None:
    found = slow_ranks({0: span(0.8), 1: span(0.8, delay=0.75), 2: span(0.8)}, FACTOR)
    assert list(found) == [1]
    assert found[1].factor == pytest.approx(4)
    assert found[1].step_s == pytest.approx(0.8)
    assert found[1].others_step_s == pytest.approx(0.2)


def test_delays_that_all_have_name_nobody() -> None:
    assert slow_ranks({0: span(0.8, delay=0.7), 1: span(0.8, delay=0.72)}, FACTOR) == {}


def test_a_rank_alone_is_not_slow() -> None:
    assert slow_ranks({0: span(0.8, delay=0.7)}, FACTOR) == {}


def test_a_rank_below_the_factor_is_not_slow() -> None:
    assert slow_ranks({0: span(0.1), 1: span(0.14)}, FACTOR) == {}


def test_few_noisy_steps_are_no_evidence() -> None:
    noisy = {0: span(0.1, steps=6, noise=0.08), 1: span(0.2, steps=6, noise=0.08)}
    assert slow_ranks(noisy, FACTOR) == {}
    many = {0: span(0.1, steps=600, noise=0.08), 1: span(0.2, steps=600, noise=0.08)}
    assert list(slow_ranks(many, FACTOR)) == [1]


def test_noise_is_that_of_one_step_also_where_a_sample_holds_several() -> None:
    draw = random.Random(0)
    singles = [(1, draw.uniform(0, 2)) for _ in range(2000)]
    fours = [(4, sum(time_s for _, time_s in singles[i : i + 4])) for i in range(0, 2000, 4)]
    assert noise_s(singles) == pytest.approx(0.577, rel=0.05)
    assert noise_s(fours) == pytest.approx(0.577, rel=0.1)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("mean_s", [0.03, 0.3, 2.0])
def test_an_hour_of_healthy_but_noisy_ranks_names_none(seed: int, mean_s: float) -> None:
    draw = random.Random(seed)
    ranks = {rank: Track(3.0) for rank in range(4)}
    for step in range(1000):
        for rank, one in ranks.items():
            last = one._beats[-1].time_s if one._beats else 0.0
            step_s = draw.uniform(0.1, 1.9) * mean_s
            one.add(Progress(rank, "train", step=step, time=last + step_s))
        spans = {rank: found for rank, one in ranks.items() if (found := one.span())}
        assert slow_ranks(spans, FACTOR) == {}
