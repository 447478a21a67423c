from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cifar_dist.config import DataConfig
from cifar_dist.data import source
from cifar_dist.data.cifar100 import FOLDER, NAMES_FILE, check_cifar100, read_cifar100
from cifar_dist.errors import DataError

RECORD_BYTES = 2 + 3072
NAMES = [f"name_{number}" for number in range(100)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Files of the right layout: record i has the fine label i % 100, the coarse one i % 20."""
    folder = tmp_path_factory.mktemp("cifar") / FOLDER
    folder.mkdir()
    for name, count in (("train.bin", 50_000), ("test.bin", 10_000)):
        records = np.zeros((count, RECORD_BYTES), dtype=np.uint8)
        records[:, 0], records[:, 1] = np.arange(count) % 20, np.arange(count) % 100
        records[:, 2] = np.arange(count) % 251
        records.tofile(folder / name)
    (folder / NAMES_FILE).write_text("\n".join(NAMES) + "\n")
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


def test_fine_labels_images_and_names_are_read(made: Path) -> None:
    test = read_cifar100(made.parent, "test")
    assert len(test) == 10_000
    assert test.labels[95:105].tolist() == [95, 96, 97, 98, 99, 0, 1, 2, 3, 4]
    assert test.images_nchw[300, :, 0, :2].tolist() == [[300 % 251, 0], [0, 0], [0, 0]]
    assert test.classes == tuple(NAMES)
    assert len(read_cifar100(made, "train")) == 50_000


def test_a_recipe_reads_it(made: Path) -> None:
    data = DataConfig.model_validate({"source": "cifar100", "dir": str(made.parent)})
    assert source.prepare(data) == f"CIFAR-100 in {made}"
    assert len(source.open_dataset(data, "test").classes) == 100


def test_it_is_not_fetched_and_says_where_to_get_it(tmp_path: Path) -> None:
    asked = DataConfig.model_validate(
        {"source": "cifar100", "dir": str(tmp_path), "download": True}
    )
    with pytest.raises(DataError, match=r"fetches CIFAR-10 only; for CIFAR-100\n  get https://"):
        source.prepare(asked)
    missing = asked.model_copy(update={"download": None})
    with pytest.raises(DataError, match=r"holds no \.bin files\n  get https://.*100-binary"):
        source.prepare(missing)


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [(0, 20, "record 7 has label 20: CIFAR-100 has 0 to 19"), (1, 100, "CIFAR-100 has 0 to 99")],
)
def test_a_label_out_of_range_is_refused(
    copy: Path, column: int, value: int, expected: str
) -> None:
    content = bytearray((copy / "test.bin").read_bytes())
    content[7 * RECORD_BYTES + column] = value
    damage(copy / "test.bin", bytes(content))
    with pytest.raises(DataError, match=expected):
        check_cifar100(copy)


def test_a_cut_file_is_refused_with_its_size(copy: Path) -> None:
    damage(copy / "train.bin", (copy / "train.bin").read_bytes()[:-1])
    with pytest.raises(DataError, match="record 49999 is cut after 3073 bytes"):
        check_cifar100(copy)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, f"incomplete: missing {NAMES_FILE}"),
        (b"a b c", "3 names, 3 of them different, instead of 100"),
        (b"\xff", "cannot be read"),
    ],
)
def test_names_that_are_missing_or_wrong_are_refused(
    copy: Path, text: bytes | None, expected: str
) -> None:
    (copy / NAMES_FILE).unlink()
    if text is not None:
        (copy / NAMES_FILE).write_bytes(text)
    with pytest.raises(DataError, match=expected):
        check_cifar100(copy)


def test_the_python_version_is_refused_because_of_its_pickles(tmp_path: Path) -> None:
    (tmp_path / "train").write_bytes(b"\x80\x04.")
    with pytest.raises(DataError, match="pickles could run any code"):
        check_cifar100(tmp_path)
