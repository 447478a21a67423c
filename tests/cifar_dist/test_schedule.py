from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cifar_dist.config import OptimizerConfig, ScheduleConfig
from cifar_dist.schedule import learning_rates


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


@given(
    lr=st.floats(1e-6, 10),
    share=st.floats(0, 1),
    epochs=st.integers(1, 20),
    steps=st.integers(1, 30),
    warmup=st.floats(0, 1),
    name=st.sampled_from(["constant", "cosine"]),
)
def test_every_step_has_a_rate_that_rises_and_then_never_rises_again(
    lr: float, share: float, epochs: int, steps: int, warmup: float, name: str
) -> None:
    found = rates(lr, epochs, steps, name=name, warmup_epochs=warmup * epochs, final_lr=lr * share)
    assert len(found) == epochs * steps
    assert found.min() > 0
    assert found.max() <= np.float32(lr)
    peak = int(found.argmax())
    assert (np.diff(found[: peak + 1]) > 0).all()
    assert (np.diff(found[peak:]) <= 0).all()
