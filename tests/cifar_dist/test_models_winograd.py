"""The matrices of Winograd's algorithm against convolutions written out."""

from __future__ import annotations

import numpy as np
import pytest

from cifar_dist.models.winograd import PRODUCTS, of_kernel, of_pixels, of_result, tiles_along


@pytest.mark.parametrize("px", [1, 2, 3, 4, 5, 7, 8, 16, 30, 32])
def test_a_row_is_filtered_as_by_its_definition(px: int) -> None:
    random = np.random.default_rng(5)
    row, kernel = random.normal(size=px), random.normal(size=3)
    products = of_kernel() @ kernel
    found = np.einsum("pty,pt->y", of_result(px), products[:, None] * (of_pixels(px) @ row))
    np.testing.assert_allclose(found, np.correlate(np.pad(row, 1), kernel, "valid"), atol=1e-5)


def test_a_row_of_16_takes_24_products() -> None:
    assert of_pixels(16).shape == of_result(16).shape == (PRODUCTS, 4, 16)
    assert PRODUCTS * tiles_along(16) == 24


def test_nothing_is_read_beside_the_tile() -> None:
    pixels = of_pixels(16)
    assert not pixels[:, 1, :3].any()
    assert not pixels[:, 1, 9:].any()
    assert pixels[:, 1, 3:9].any(axis=0).all()
