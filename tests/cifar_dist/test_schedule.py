from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cifar_dist.config import OptimizerConfig, ScheduleConfig
from cifar_dist.schedule import batch_factor, learning_rates


def rates(
    lr: float = 0.4, epochs: int = 10, steps_per_epoch: int = 5, **keys: object
) -> np.ndarray:
    return learning_rates(
        OptimizerConfig.model_validate({"lr": lr}),
        ScheduleConfig.model_validate(keys),
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
    )


def test_a_constant_rate_is_constant() -> None:
    np.testing.assert_array_equal(rates(name="constant"), np.full(50, 0.4, dtype=np.float32))


def test_a_cosine_begins_at_its_peak_passes_half_way_and_ends_just_above_the_last_rate() -> None:
    found = rates(final_lr=0.1)
    assert found.dtype == np.float32
    assert found[0] == np.float32(0.4)
    assert found[25] == pytest.approx(0.25)
    assert found[-1] == pytest.approx(0.1 + 0.15 * (1 + math.cos(math.pi * 49 / 50)), rel=1e-6)


def test_warm_up_grows_evenly_to_the_peak_without_a_step_of_zero() -> None:
    found = rates(name="constant", warmup_epochs=2)
    np.testing.assert_allclose(found[:10], 0.4 * np.arange(1, 11) / 10, rtol=1e-6)
    assert set(found[9:].tolist()) == {float(np.float32(0.4))}


def test_warm_up_may_take_a_part_of_an_epoch_or_the_whole_run() -> None:
    assert int((rates(name="constant", warmup_epochs=0.5) < 0.4).sum()) == 1
    np.testing.assert_allclose(rates(warmup_epochs=10), 0.4 * np.arange(1, 51) / 50, rtol=1e-6)


def test_stairs_fall_at_each_milestone_of_the_run() -> None:
    found = rates(name="step", warmup_epochs=1, milestones_epochs=[4, 8.2], factor=0.5)
    assert set(found[5:20].tolist()) == {float(np.float32(0.4))}
    assert set(found[20:41].tolist()) == {float(np.float32(0.2))}
    assert set(found[41:].tolist()) == {float(np.float32(0.1))}


@pytest.mark.parametrize("power", [1, 2, 0.5])
def test_a_polynomial_takes_a_power_of_what_is_left(power: float) -> None:
    found = rates(name="poly", power=power, final_lr=0.1)
    left = 1 - np.arange(50) / 50
    np.testing.assert_allclose(found, 0.1 + 0.3 * left**power, rtol=1e-6)


def test_one_cycle_is_a_straight_line_up_and_another_down() -> None:
    found = rates(name="one_cycle", warmup_epochs=2, initial_lr=0.08, final_lr=0.04)
    np.testing.assert_allclose(np.diff(found[:10]), 0.032, rtol=1e-4)
    np.testing.assert_allclose(np.diff(found[10:]), -0.009, rtol=1e-4)
    assert (found[0], found[9], found[10]) == pytest.approx((0.112, 0.4, 0.4))


def test_rates_grow_with_the_batch_only_where_the_recipe_asks() -> None:
    def given(**keys: object) -> OptimizerConfig:
        return OptimizerConfig.model_validate({"lr": 0.1, **keys})

    assert batch_factor(given(), 1024) == 1
    assert batch_factor(given(lr_for_batch_size=256), 1024) == 4
    assert batch_factor(given(lr_for_batch_size=256), 64) == 0.25


@given(
    lr=st.floats(1e-6, 10),
    share=st.floats(0, 1),
    epochs=st.integers(1, 20),
    steps=st.integers(1, 30),
    warmup=st.floats(0, 1),
    name=st.sampled_from(["constant", "cosine", "step", "poly", "one_cycle"]),
)
def test_every_step_has_a_rate_that_rises_and_then_never_rises_again(
    lr: float, share: float, epochs: int, steps: int, warmup: float, name: str
) -> None:
    keys: dict[str, object] = {"milestones_epochs": [0.5, 3]} if name == "step" else {}
    rise = max(warmup, 0.01) * epochs
    found = rates(lr, epochs, steps, name=name, warmup_epochs=rise, final_lr=lr * share, **keys)
    assert len(found) == epochs * steps
    assert found.min() > 0
    assert found.max() <= np.float32(lr)
    peak = int(found.argmax())
    assert (np.diff(found[: peak + 1]) > 0).all()
    assert (np.diff(found[peak:]) <= 0).all()
