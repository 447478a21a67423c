"""The model of scaling against published figures, and against sums done by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cifar_dist.bench.predict import Machine, Workload, all_reduce_s, predict, slowest_s
from cifar_dist.bench.published import checks

PLAIN = Machine(alpha_s=0.0, alpha_between_s=0.0, jitter=0.0)
RESNET18 = Workload("resnet18", gradient_bytes=45e6, batch_size=128, images_per_s=8000)


def test_the_figures_that_gave_defaults_come_out_and_the_others_within_a_point() -> None:
    found = checks(Machine())
    assert [check.published.is_fitted for check in found] == [True, False, True, False]
    for check in found:
        assert abs(check.error) < (0.001 if check.published.is_fitted else 0.01)


def test_a_ring_of_one_server_sends_each_byte_nearly_twice() -> None:
    assert all_reduce_s(20e9, 4, PLAIN) == pytest.approx(2 * 3 / 4)
    assert all_reduce_s(0, 8, Machine(alpha_s=1e-3)) == pytest.approx(14e-3)


def test_between_servers_each_device_sends_its_share() -> None:
    within = 2 * 7 / 8 * 16e9 / PLAIN.bytes_per_s
    between = 2 * 3 / 4 * 2e9 / PLAIN.bytes_per_s_between
    assert all_reduce_s(16e9, 32, PLAIN) == pytest.approx(within + between)


def test_one_device_waits_for_nobody() -> None:
    alone = predict(RESNET18, Machine(), 1)
    assert (alone.efficiency, alone.images_per_s) == (1.0, pytest.approx(8000))


def test_the_slowest_of_eight_is_as_late_as_the_largest_of_eight_normal_numbers() -> None:
    draws = np.random.default_rng(0).standard_normal((200_000, 8)).max(axis=1)
    assert slowest_s(1.0, 8, Machine(jitter=1.0)) == pytest.approx(draws.mean(), rel=0.02)


def test_a_host_that_is_too_slow_is_named_as_the_limit() -> None:
    fed = predict(RESNET18, Machine(host_images_per_s=10_000), 8)
    assert fed.limit == "host"
    assert fed.images_per_s == pytest.approx(10_000)


@given(
    power=st.integers(0, 11),
    gradient_bytes=st.floats(1e3, 1e9),
    images_per_s=st.floats(10, 1e5),
    overlap=st.booleans(),
)
def test_more_devices_train_faster_and_less_efficiently(
    power: int, gradient_bytes: float, images_per_s: float, overlap: bool
) -> None:
    work = Workload("any", gradient_bytes, 256, images_per_s)
    few, many = (predict(work, Machine(), 2**p, overlap=overlap) for p in (power, power + 1))
    assert many.efficiency <= few.efficiency * (1 + 1e-9)
    assert 0 < many.efficiency <= 1
    assert math.isclose(
        many.images_per_s, many.efficiency * many.devices * images_per_s, rel_tol=1e-9
    )
    plain = predict(work, Machine(), 2 ** (power + 1), overlap=False)
    assert many.step_s <= plain.step_s * (1 + 1e-9)
