from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cifar_dist.config import DataConfig
from cifar_dist.data.source import open_dataset, split_for_training
from cifar_dist.data.validation import held_out
from cifar_dist.errors import DataError


def test_5000_of_50000_are_500_of_each_class() -> None:
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 5000)).astype(np.int32)
    chosen = held_out(labels, 5000, seed=0)
    assert np.bincount(labels[chosen]).tolist() == [500] * 10
    assert (chosen == held_out(labels, 5000, seed=0)).all()
    other = held_out(labels, 5000, seed=1)
    assert 300 < (chosen & other).sum() < 700


@given(
    labels=st.lists(st.integers(0, 6), min_size=1, max_size=60),
    share=st.floats(0, 1),
    seed=st.integers(0, 3),
)
def test_every_class_gives_its_part_to_within_one_image(
    labels: list[int], share: float, seed: int
) -> None:
    classes = np.array(labels, dtype=np.int32)
    count = round(share * len(labels))
    chosen = held_out(classes, count, seed=seed)
    assert chosen.sum() == count
    sizes, given = np.bincount(classes), np.bincount(classes[chosen], minlength=max(labels) + 1)
    assert (np.abs(given - sizes * count / len(labels)) < 1).all()


@pytest.mark.parametrize("count", [-1, 4])
def test_more_than_all_or_less_than_none_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="cannot be held out of 3"):
        held_out(np.zeros(3, np.int32), count, seed=0)


def data(**keys: object) -> DataConfig:
    given = {"source": "synthetic", "synthetic_train_images": 100, "synthetic_test_images": 40}
    return DataConfig.model_validate({**given, **keys})


def test_training_and_validation_images_are_the_training_set_without_overlap() -> None:
    whole = {image.tobytes() for image in open_dataset(data(), "train").images_nchw}
    split = data(validation_images=20, validation_seed=5)
    train, validation, test = (
        open_dataset(split, name) for name in ("train", "validation", "test")
    )
    assert (len(train), len(validation), len(test)) == (80, 20, 40)
    assert np.bincount(validation.labels).tolist() == [2] * 10
    parts = [{image.tobytes() for image in part.images_nchw} for part in (train, validation)]
    assert parts[0] | parts[1] == whole
    assert not parts[0] & parts[1]


def test_the_limit_on_training_images_does_not_touch_the_validation_set() -> None:
    limited = data(validation_images=20, max_train_images=7)
    validation = open_dataset(limited, "validation")
    unlimited = open_dataset(data(validation_images=20), "validation")
    np.testing.assert_array_equal(validation.images_nchw, unlimited.images_nchw)
    assert len(open_dataset(limited, "train")) == 7


def test_training_is_judged_on_the_test_set_only_without_a_validation_set() -> None:
    assert split_for_training(data()) == "test"
    assert split_for_training(data(validation_images=1)) == "validation"


def test_a_validation_set_of_everything_is_refused() -> None:
    with pytest.raises(DataError, match=r"\(100\) leaves nothing to train on: there are 100"):
        open_dataset(data(validation_images=100), "train")
