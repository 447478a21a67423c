from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cifar_dist.data.mixing import cutmix, mixup, partners, shares

INDICES = np.arange(20_000)


def random_images(count: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)


@pytest.mark.parametrize("alpha", [0.1, 0.2, 0.5, 1.0, 2.0, 8.0])
def test_shares_have_the_beta_distribution(alpha: float) -> None:
    drawn = shares(INDICES, seed=0, epoch=0, alpha=alpha).astype(np.float64)
    assert 0 <= drawn.min() <= drawn.max() <= 1
    lower = drawn[drawn < 0.5]  # near 1, float32 has too few values for a test of this kind
    assert abs(len(lower) / len(drawn) - 0.5) < 0.02
    distance = stats.kstest(lower, lambda x: 2 * stats.beta(alpha, alpha).cdf(x)).statistic
    assert distance < 1.95 / np.sqrt(len(lower))


@pytest.mark.parametrize("alpha", [0, -1, float("nan")])
def test_an_alpha_that_is_not_above_zero_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha must be above 0"):
        shares(INDICES, seed=0, epoch=0, alpha=alpha)


def test_partners_are_any_images_and_change_with_the_epoch() -> None:
    first, second = (partners(INDICES, seed=0, epoch=epoch, num_images=50) for epoch in (0, 1))
    assert np.bincount(first, minlength=50).min() > 300
    assert (first == second).mean() < 0.05
    some = np.array([7, 7, 19_999])
    part = partners(some, seed=0, epoch=0, num_images=50)
    assert part.tolist() == first[some].tolist()


def test_mixup_is_the_weighted_mean_rounded_to_bytes() -> None:
    images, others = random_images(4), random_images(4, seed=1)
    share = np.array([0, 1, 0.5, 0.3], dtype=np.float32)
    mixed = mixup(images, others, share)
    weight = share.astype(np.float64)[:, None, None, None]
    exact = weight * images + (1 - weight) * others
    assert mixed.dtype == np.uint8
    assert np.abs(mixed - exact).max() <= 0.5 + 1e-4
    np.testing.assert_array_equal(mixed[0], others[0])
    np.testing.assert_array_equal(mixed[1], images[1])


def test_cutmix_says_how_much_of_each_image_stayed() -> None:
    images = np.zeros((500, 3, 32, 32), dtype=np.uint8)
    others = np.full_like(images, 255)
    share = cutmix(images, others, np.arange(500), seed=0, epoch=0, alpha=1.0)
    stayed = (images == 0).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(share, stayed, atol=1e-6)
    assert share.dtype == np.float32
    assert share.min() < 0.3
    assert share.max() > 0.99


def test_cutmix_draws_the_same_for_an_image_in_any_batch() -> None:
    whole, others = random_images(50), random_images(50, seed=1)
    part = whole[30:40].copy()
    keys = {"seed": 3, "epoch": 1, "alpha": 1.0}
    share = cutmix(whole, others, np.arange(50), **keys)
    np.testing.assert_array_equal(
        cutmix(part, others[30:40], np.arange(30, 40), **keys), share[30:40]
    )
    np.testing.assert_array_equal(part, whole[30:40])
