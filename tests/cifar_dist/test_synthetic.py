from __future__ import annotations

import hashlib

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier

from cifar_dist.data.synthetic import CLASSES, synthetic_dataset


def test_images_have_the_shapes_and_types_of_cifar() -> None:
    made = synthetic_dataset("train", 30)
    assert made.images_nchw.shape == (30, 3, 32, 32)
    assert (made.images_nchw.dtype, made.labels.dtype) == (np.uint8, np.int32)
    assert np.bincount(made.labels).tolist() == [3] * 10
    assert len(set(CLASSES)) == 10
    assert made.classes == CLASSES


def test_the_same_seed_makes_the_same_images_in_every_version() -> None:
    made = synthetic_dataset("train", 20)
    again = synthetic_dataset("train", 20)
    np.testing.assert_array_equal(made.images_nchw, again.images_nchw)
    mean = made.images_nchw.mean(axis=(1, 2, 3)).round(1)
    assert mean[:3].tolist() == [112.1, 113.4, 129.4]


def test_a_larger_set_begins_with_the_smaller_one() -> None:
    small, large = synthetic_dataset("train", 50), synthetic_dataset("train", 1100)
    np.testing.assert_array_equal(small.images_nchw, large.images_nchw[:50])


def test_no_image_of_one_split_is_in_the_other() -> None:
    splits = [synthetic_dataset("train", 500), synthetic_dataset("test", 500)]
    hashes = [{hashlib.sha256(i.tobytes()).digest() for i in s.images_nchw} for s in splits]
    assert len(hashes[0] | hashes[1]) == 1000


def test_another_seed_makes_other_images() -> None:
    one, other = (synthetic_dataset("train", 10, seed=seed).images_nchw for seed in (0, 1))
    assert not (one == other).all(axis=(1, 2, 3)).any()


def test_a_linear_classifier_stays_far_from_learning_it() -> None:
    train, test = synthetic_dataset("train", 2048), synthetic_dataset("test", 512)
    model = RidgeClassifier(alpha=100).fit(_flat(train.images_nchw), train.labels)
    assert model.score(_flat(test.images_nchw), test.labels) < 0.5


def test_the_mean_colour_of_an_image_does_not_give_its_class_away() -> None:
    made = synthetic_dataset("train", 2000)
    means = made.images_nchw.mean(axis=(2, 3))
    by_class = np.stack([means[made.labels == label].mean(axis=0) for label in range(10)])
    standard_error = means.std(axis=0) / np.sqrt(200)
    assert (np.abs(by_class - means.mean(axis=0)) / standard_error).max() < 4.5


@pytest.mark.parametrize("label", range(10))
def test_textures_tell_classes_apart_where_pixels_do_not(label: int) -> None:
    """The strength of each frequency, whatever its phase, is nearer to its own class's mean."""
    train, test = synthetic_dataset("train", 1000), synthetic_dataset("test", 300)
    centres = np.stack([_spectrum(train.images_nchw[train.labels == c]).mean(0) for c in range(10)])
    found = _spectrum(test.images_nchw[test.labels == label])
    distance = np.linalg.norm(found[:, None] - centres, axis=-1)
    assert (distance.argmin(axis=1) == label).mean() > 0.6


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1) / 255 - 0.5


def _spectrum(images: np.ndarray) -> np.ndarray:
    strength = np.abs(np.fft.rfft2(images - images.mean(axis=(2, 3), keepdims=True))).sum(axis=1)
    flat = strength.reshape(len(images), -1)
    return flat / np.linalg.norm(flat, axis=1, keepdims=True)
