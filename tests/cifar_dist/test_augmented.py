from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cifar_dist.config import Config
from cifar_dist.data.augmented import AugmentedImages
from cifar_dist.data.boxes import MEAN_BYTES
from cifar_dist.data.dataset import Dataset
from cifar_dist.data.epoch_views import Augmentation, augmentation_of

PLAIN = {"random_crop_padding": 0, "flip": "none"}
INDICES = np.array([5, 1, 1, 60, 33], dtype=np.int64)
RECIPES: dict[str, dict[str, object]] = {
    "reflect": {"crop_padding_mode": "reflect"},
    "alternating": {"flip": "alternating"},
    "cutout": {"cutout_px": 12},
    "mixup": {"mixup_alpha": 0.4},
    "cutmix": {"cutmix_alpha": 1.0},
    "both": {"mixup_alpha": 0.4, "cutmix_alpha": 1.0, "cutout_px": 8},
}


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (64, 3, 32, 32), dtype=np.uint8)
    return Dataset(images, np.arange(64, dtype=np.int32) % 10, tuple("abcdefghij"), origin="test")


def augmented(dataset: Dataset, **keys: object) -> AugmentedImages:
    return AugmentedImages(dataset, Augmentation(**keys), seed=7)  # type: ignore[arg-type]


@pytest.mark.parametrize("keys", RECIPES.values(), ids=RECIPES)
def test_an_image_does_not_depend_on_the_rest_of_its_batch(
    dataset: Dataset, keys: dict[str, object]
) -> None:
    images = augmented(dataset, **keys)
    for epoch in (0, 3):
        whole = images.see(INDICES, epoch=epoch)
        for position, index in enumerate(INDICES):
            alone = images.see(np.array([index]), epoch=epoch)
            for of_batch, one in zip(whole, alone, strict=True):
                assert (of_batch is None) == (one is None)
                if of_batch is not None:
                    np.testing.assert_array_equal(of_batch[position], one[0])


def test_without_augmentation_images_are_as_they_are(dataset: Dataset) -> None:
    seen = augmented(dataset, **PLAIN).see(INDICES, epoch=2)
    np.testing.assert_array_equal(seen.images_nchw, dataset.images_nchw[INDICES])
    assert (seen.partner_labels, seen.share) == (None, None)


def test_alternating_flips_show_both_sides_in_two_epochs(dataset: Dataset) -> None:
    images = augmented(dataset, **PLAIN | {"flip": "alternating"})
    first, second, third = (images.see(INDICES, epoch=epoch).images_nchw for epoch in range(3))
    np.testing.assert_array_equal(first, second[..., ::-1])
    np.testing.assert_array_equal(first, third)


def test_reflected_borders_hold_no_zeros() -> None:
    ones = Dataset(np.ones((9, 3, 32, 32), np.uint8), np.zeros(9, np.int32), ("a",), origin="test")
    indices = np.arange(9)
    mirrored = augmented(ones, crop_padding_mode="reflect", random_crop_padding=8)
    assert (mirrored.see(indices, epoch=0).images_nchw == 1).all()
    assert (augmented(ones).see(indices, epoch=0).images_nchw == 0).any()


def test_cutout_blanks_at_most_a_square(dataset: Dataset) -> None:
    seen = augmented(dataset, **PLAIN | {"cutout_px": 12}).see(INDICES, epoch=1).images_nchw
    blanked = (seen == np.array(MEAN_BYTES).reshape(3, 1, 1)).all(axis=1).sum(axis=(1, 2))
    assert ((blanked >= 36) & (blanked <= 144 + 5)).all()


@pytest.mark.parametrize("keys", [{"mixup_alpha": 1.0}, {"cutmix_alpha": 1.0}], ids=str)
def test_a_mixed_image_is_made_of_both_in_the_stated_share(
    dataset: Dataset, keys: dict[str, object]
) -> None:
    """All images of class c are the byte c: the mean of a mixed one tells its two labels."""
    flat = np.broadcast_to(20 * dataset.labels[:, None, None, None], (64, 3, 32, 32))
    images = AugmentedImages(
        Dataset(flat.astype(np.uint8), dataset.labels, dataset.classes, origin="test"),
        Augmentation(**PLAIN | keys),  # type: ignore[arg-type]
        seed=7,
    )
    indices = np.arange(64)
    seen = images.see(indices, epoch=4)
    assert seen.share is not None
    assert seen.partner_labels is not None
    first, second = 20 * dataset.labels, 20 * seen.partner_labels
    wanted = seen.share * first + (1 - seen.share) * second
    np.testing.assert_allclose(seen.images_nchw.mean(axis=(1, 2, 3)), wanted, atol=0.51)
    assert (seen.partner_labels != dataset.labels).mean() > 0.5


def test_each_image_is_blended_or_pasted_where_both_are_asked_for(dataset: Dataset) -> None:
    def shares(**keys: object) -> np.ndarray:
        share = augmented(dataset, **keys).see(np.arange(64), epoch=0).share
        assert share is not None
        return share

    both = shares(mixup_alpha=0.3, cutmix_alpha=1.0)
    blended = both == shares(mixup_alpha=0.3)
    pasted = both == shares(cutmix_alpha=1.0)
    assert (blended | pasted).all()
    assert 16 <= blended.sum() <= 48


def test_the_recipe_says_what_is_done() -> None:
    keys = {
        "random_crop_padding": 2,
        "crop_padding_mode": "reflect",
        "flip": "alternating",
        "cutout_px": 4,
        "mixup_alpha": 0.5,
        "cutmix_alpha": 0.25,
    }
    config = Config.model_validate(
        {
            "model": {"name": "lenet5"},
            "data": keys,
            "train": {"epochs": 1},
            "optimizer": {"lr": 0.1},
        }
    )
    assert augmentation_of(config.data) == Augmentation(**keys)  # type: ignore[arg-type]


@pytest.mark.parametrize("keys", RECIPES.values(), ids=RECIPES)
def test_batches_are_bit_identical_for_any_number_of_threads(
    dataset: Dataset, keys: dict[str, object]
) -> None:
    jobs = [(np.roll(INDICES, shift), epoch) for epoch in range(4) for shift in range(5)]
    alone = augmented(dataset, **keys)
    expected = [alone.see(indices, epoch=epoch) for indices, epoch in jobs]
    for threads in (2, 5):
        images = augmented(dataset, **keys)
        with ThreadPoolExecutor(threads) as pool:
            seen = list(pool.map(lambda job: images.see(job[0], epoch=job[1]), jobs))  # noqa: B023
        for one, other in zip(expected, seen, strict=True):
            for of_one, of_other in zip(one, other, strict=True):
                np.testing.assert_array_equal(of_one, of_other)
