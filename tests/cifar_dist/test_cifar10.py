from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cifar_dist.data.cifar10 import (
    CLASSES,
    FOLDER,
    RECORD_BYTES,
    RECORDS_PER_FILE,
    TEST_FILES,
    TRAIN_FILES,
    check_cifar10,
    read_cifar10,
)
from cifar_dist.errors import DataError


def write_cifar10(folder: Path) -> Path:
    """Make six files of the right layout: zeros with the labels 0 to 9 in turn."""
    folder.mkdir(parents=True)
    records = np.zeros((RECORDS_PER_FILE, RECORD_BYTES), dtype=np.uint8)
    records[:, 0] = np.arange(RECORDS_PER_FILE) % 10
    for name in (*TRAIN_FILES, *TEST_FILES):
        records.tofile(folder / name)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = write_cifar10(tmp_path_factory.mktemp("cifar") / FOLDER)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Iterator[Path]:
    """The made files by hard link: a test replaces the one that it damages."""
    folder = tmp_path / FOLDER
    shutil.copytree(made, folder, copy_function=lambda a, b: Path(b).hardlink_to(a))
    yield folder
    shutil.rmtree(folder)


def damage(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def test_the_real_training_images_have_their_known_values(cifar10_dir: Path) -> None:
    train = read_cifar10(cifar10_dir, "train")
    assert train.images_nchw.shape == (50_000, 3, 32, 32)
    assert train.labels[:8].tolist() == [6, 9, 9, 4, 1, 1, 2, 7]
    first = np.bincount(train.labels[:10_000]).tolist()
    assert first == [1005, 974, 1032, 1016, 999, 937, 1030, 1001, 1025, 981]
    assert np.bincount(train.labels).tolist() == [5000] * 10
    pixels = train.images_nchw.reshape(50_000, 3, -1)
    mean = pixels.mean(axis=(0, 2)) / 255
    square = np.square(pixels, dtype=np.uint16).mean(axis=(0, 2)) / 255**2
    assert mean.round(4).tolist() == [0.4914, 0.4822, 0.4465]
    assert np.sqrt(square - mean**2).round(4).tolist() == [0.247, 0.2435, 0.2616]


def test_the_real_test_images_have_their_known_values(cifar10_dir: Path) -> None:
    test = read_cifar10(cifar10_dir, "test")
    assert test.labels[:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]
    assert np.bincount(test.labels).tolist() == [1000] * 10
    assert test.classes[test.labels[0]] == "cat"
    assert (len(test), len(test.first(7)), len(test.first(None))) == (10_000, 7, 10_000)


def test_the_class_names_are_those_of_the_official_file(cifar10_dir: Path) -> None:
    text = (cifar10_dir / "batches.meta.txt").read_text()
    assert tuple(text.split()) == CLASSES


def test_an_image_is_laid_out_channel_row_column(cifar10_dir: Path) -> None:
    raw = (cifar10_dir / "data_batch_2.bin").read_bytes()
    start = 5 * RECORD_BYTES
    image = read_cifar10(cifar10_dir, "train").images_nchw[10_005]
    assert image[1, 2, 3] == raw[start + 1 + 1024 + 2 * 32 + 3]


def test_test_images_are_not_copied_and_cannot_be_written(made: Path) -> None:
    images = read_cifar10(made, "test").images_nchw
    assert isinstance(images, np.memmap)
    assert not images.flags.writeable
    some = images[np.array([3, 1])]
    assert some.flags.c_contiguous
    assert some.flags.writeable


def test_the_parent_folder_is_accepted_too(made: Path) -> None:
    assert check_cifar10(made.parent) == made
    assert check_cifar10(made) == made
    assert read_cifar10(made.parent, "test").labels[:3].tolist() == [0, 1, 2]


def test_a_missing_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        check_cifar10(tmp_path / "none")
    text = str(caught.value)
    assert f"no CIFAR-10 at {tmp_path / 'none'}" in text
    assert "data.download=true" in text
    assert "data.source=synthetic" in text


def test_a_folder_without_images_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no \.bin files"):
        check_cifar10(tmp_path)


def test_missing_files_are_named(copy: Path) -> None:
    (copy / "data_batch_3.bin").unlink()
    (copy / "test_batch.bin").unlink()
    for place in (copy, copy.parent):
        with pytest.raises(DataError, match=r"missing data_batch_3\.bin, test_batch\.bin"):
            check_cifar10(place)


def test_a_truncated_file_is_refused_with_its_size_and_record(copy: Path) -> None:
    path = copy / "data_batch_2.bin"
    damage(path, path.read_bytes()[: 3073 * 17 + 100])
    with pytest.raises(DataError) as caught:
        read_cifar10(copy, "train")
    assert f"{path}: 52,341 bytes instead of 30,730,000" in str(caught.value)
    assert "record 17 is cut after 100 bytes" in str(caught.value)


@pytest.mark.parametrize("records", [0, 9_999, 10_001])
def test_a_file_with_too_few_or_too_many_records_is_refused(copy: Path, records: int) -> None:
    damage(copy / "test_batch.bin", bytes(records * RECORD_BYTES))
    with pytest.raises(DataError, match=f"it holds {records:,} records"):
        check_cifar10(copy)


def test_a_label_above_nine_is_refused_with_its_record(copy: Path) -> None:
    path = copy / "data_batch_5.bin"
    content = bytearray(path.read_bytes())
    content[1234 * RECORD_BYTES] = 11
    content[9999 * RECORD_BYTES] = 255
    damage(path, bytes(content))
    for check in (check_cifar10, lambda folder: read_cifar10(folder, "train")):
        with pytest.raises(DataError, match=r"5\.bin: record 1234 has label 11 \(and 1 more\)"):
            check(copy)
    assert len(read_cifar10(copy, "test")) == 10_000


@pytest.mark.parametrize("place", ["", "cifar-10-batches-py"])
def test_the_python_version_is_refused_because_of_its_pickles(tmp_path: Path, place: str) -> None:
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / "data_batch_1").write_bytes(b"\x80\x04.")
    with pytest.raises(DataError, match="pickles could run any code"):
        check_cifar10(tmp_path)
