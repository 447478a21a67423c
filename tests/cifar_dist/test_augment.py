from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cifar_dist.data.augment import (
    MEAN_BYTES,
    MEAN_RGB,
    STD_RGB,
    Border,
    Views,
    draw_views,
    gather,
    normalise,
    pad_images,
)
from cifar_dist.data.cifar10 import read_cifar10


def random_images(count: int, *, height: int = 32, width: int = 32) -> np.ndarray:
    generator = np.random.default_rng(count)
    return generator.integers(1, 256, (count, 3, height, width), dtype=np.uint8)


def slow_gather(
    images: np.ndarray, indices: np.ndarray, views: Views, padding: int, border: str = "zeros"
) -> np.ndarray:
    """One image after the other, by slices of an image that is padded on all sides."""
    height, width = images.shape[2:]
    batch = []
    for image, top, left, flipped in zip(
        images[indices], views.top, views.left, views.flipped, strict=True
    ):
        room = ((0, 0), (padding, padding), (padding, padding))
        if border == "reflect":
            around = np.pad(image, room, mode="reflect")
        else:
            around = np.pad(image, room)
            outside = np.pad(np.zeros(image.shape, bool), room, constant_values=True)
            colour = MEAN_BYTES if border == "mean" else (0, 0, 0)
            around = np.where(outside, np.reshape(np.uint8(colour), (3, 1, 1)), around)
        crop = around[:, top : top + height, left : left + width]
        batch.append(crop[:, :, ::-1] if flipped else crop)
    return np.stack(batch)


@settings(max_examples=100)
@given(
    data=st.data(),
    count=st.integers(1, 5),
    padding=st.integers(0, 6),
    height=st.sampled_from([8, 32]),
    width=st.sampled_from([8, 16, 32]),
    border=st.sampled_from(["zeros", "mean", "reflect"]),
)
def test_a_batch_equals_crops_made_one_by_one(
    data: st.DataObject, count: int, padding: int, height: int, width: int, border: Border
) -> None:
    images = random_images(count, height=height, width=width)
    size = data.draw(st.integers(1, 12))

    def numbers(upper: int) -> np.ndarray:
        return np.array(data.draw(st.lists(st.integers(0, upper), min_size=size, max_size=size)))

    indices = numbers(count - 1)
    views = Views(numbers(2 * padding), numbers(2 * padding), numbers(1).astype(bool))
    padded = pad_images(images, padding, border=border)
    batch = gather(padded, indices, views)
    assert batch.dtype == np.uint8
    assert batch.flags.c_contiguous
    np.testing.assert_array_equal(batch, slow_gather(images, indices, views, padding, border))


@pytest.mark.parametrize("border", ["zeros", "mean", "reflect"])
def test_every_corner_of_the_first_and_the_last_image_is_right(border: Border) -> None:
    images, padding = random_images(2), 4
    each = [range(2), range(9), range(9), range(2)]
    which, top, left, flipped = (axis.ravel() for axis in np.meshgrid(*each))
    views = Views(top, left, flipped.astype(bool))
    batch = gather(pad_images(images, padding, border=border), which, views)
    np.testing.assert_array_equal(batch, slow_gather(images, which, views, padding, border))


def test_a_batch_is_no_view_of_the_data_set() -> None:
    padded = pad_images(random_images(2), 4)
    views = Views(np.array([4]), np.array([4]), np.array([True]))
    first = gather(padded, np.array([0]), views)
    kept = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(gather(padded, np.array([0]), views), kept)


def test_images_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match="30 pixels wide"):
        pad_images(random_images(1, width=30), 4)


def test_views_depend_on_the_image_and_the_epoch_but_not_on_the_batch() -> None:
    whole = draw_views(np.arange(1000), seed=5, epoch=2, padding=4, flip="random")
    some = np.array([3, 999, 3, 0])
    part = draw_views(some, seed=5, epoch=2, padding=4, flip="random")
    for name in ("top", "left", "flipped"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[some])
    later = draw_views(np.arange(1000), seed=5, epoch=3, padding=4, flip="random")
    assert (later.top == whole.top).mean() < 0.2


def test_all_crops_and_both_sides_are_equally_likely_and_independent() -> None:
    count = 162_000
    views = draw_views(np.arange(count), seed=0, epoch=0, padding=4, flip="random")
    table = np.bincount((views.top * 9 + views.left) * 2 + views.flipped, minlength=162)
    expected = count / 162
    assert float(((table - expected) ** 2 / expected).sum()) < 161 + 5 * np.sqrt(2 * 161)


def test_an_alternating_flip_shows_both_sides_of_every_image_in_any_two_epochs() -> None:
    indices = np.arange(1000)
    epochs = [
        draw_views(indices, seed=2, epoch=epoch, padding=4, flip="alternating").flipped
        for epoch in range(4)
    ]
    assert 400 < epochs[0].sum() < 600
    for now, later in pairwise(epochs):
        np.testing.assert_array_equal(later, ~now)


def test_without_padding_and_flip_an_image_stays_as_it_is() -> None:
    images = random_images(6)
    indices = np.arange(6)
    views = draw_views(indices, seed=1, epoch=1, padding=0, flip="none")
    np.testing.assert_array_equal(gather(pad_images(images, 0), indices, views), images)


def test_padding_costs_no_more_memory_than_shared_borders_need() -> None:
    rows = pad_images(random_images(10), 4).rows
    assert rows.strides[0] == 3 * 36 * 36


def test_normalised_real_images_have_mean_zero_and_deviation_one(cifar10_dir: Path) -> None:
    train = read_cifar10(cifar10_dir, "train").first(10_000)
    pixels = normalise(train.images_nchw)
    assert pixels.dtype == np.float32
    assert np.abs(pixels.mean(axis=(0, 2, 3))).max() < 0.02
    assert np.abs(pixels.std(axis=(0, 2, 3)) - 1).max() < 0.02


def test_normalising_is_the_published_formula_per_channel() -> None:
    image = np.zeros((1, 3, 2, 8), dtype=np.uint8)
    image[0, 1] = 255
    pixels = normalise(image)
    assert pixels[0, 0, 0, 0] == pytest.approx(-MEAN_RGB[0] / STD_RGB[0])
    assert pixels[0, 1, 1, 7] == pytest.approx((1 - MEAN_RGB[1]) / STD_RGB[1])
