"""What users get wrong: one message that says what to do, exit 2, nothing started, no traceback."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cifar_dist.data.cifar10 import TEST_FILES, TRAIN_FILES
from tests.e2e.conftest import launch

RECORD_BYTES = 3073


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the official layout, whose images are all black."""
    folder = tmp_path_factory.mktemp("cifar-10-batches-bin")
    records = np.zeros((10_000, RECORD_BYTES), dtype=np.uint8)
    for name in (*TRAIN_FILES, *TEST_FILES):
        (folder / name).write_bytes(records.tobytes())
    return folder


def damaged(images: Path, tmp_path: Path, data: bytes) -> Path:
    """Return the images again, with other bytes in the second file."""
    folder = tmp_path / "damaged"
    folder.mkdir()
    for path in images.iterdir():
        (folder / path.name).hardlink_to(path)
    (folder / TRAIN_FILES[1]).unlink()
    (folder / TRAIN_FILES[1]).write_bytes(data)
    return folder


def refuse(tmp_path: Path, *arguments: object, words: list[str]) -> None:
    done = launch("--config", "lenet5.yaml", *arguments, cwd=tmp_path)
    text = done.stdout + done.stderr
    assert done.returncode == 2, text
    assert "Traceback" not in text
    for word in words:
        assert text.count(word) == 1, f"{word!r} is not there exactly once:\n{text}"
    assert not list(tmp_path.glob("runs/*/*/logs")), "something was started"


def test_a_missing_folder(tmp_path: Path) -> None:
    refuse(tmp_path, "data.dir=/not/there", words=["/not/there", "data.source=synthetic"])


def test_a_truncated_file(images: Path, tmp_path: Path) -> None:
    cut = (images / TRAIN_FILES[1]).read_bytes()[:-100]
    folder = damaged(images, tmp_path, cut)
    refuse(tmp_path, f"data.dir={folder}", words=[TRAIN_FILES[1], "30,730,000", "30,729,900"])


def test_a_label_that_no_class_has(images: Path, tmp_path: Path) -> None:
    wrong = bytearray((images / TRAIN_FILES[1]).read_bytes())
    wrong[77 * RECORD_BYTES] = 11
    folder = damaged(images, tmp_path, bytes(wrong))
    refuse(tmp_path, f"data.dir={folder}", words=[TRAIN_FILES[1], "record 77"])


def test_an_unknown_key(tmp_path: Path) -> None:
    refuse(
        tmp_path,
        "data.source=synthetic",
        "data.batch_sise=32",
        words=["did you mean 'data.batch_size'"],
    )


def test_a_batch_that_cannot_be_divided(tmp_path: Path) -> None:
    arguments = ("--nproc", 3, "data.source=synthetic", "data.global_batch_size=100")
    refuse(tmp_path, *arguments, words=["'data.global_batch_size' (100)", "over 3 ranks"])


def test_no_worker_at_all(tmp_path: Path) -> None:
    refuse(tmp_path, "--nproc", 0, "data.source=synthetic", words=["--nproc: '0' is not allowed"])


@pytest.mark.skipif(any(Path("/dev").glob("davinci[0-9]*")), reason="this host has an NPU")
def test_ascend_without_an_npu(tmp_path: Path) -> None:
    arguments = ("--device-target", "Ascend", "data.source=synthetic")
    refuse(tmp_path, *arguments, words=["no NPU is visible", "--device-target CPU"])


def test_an_unknown_model(tmp_path: Path) -> None:
    arguments = ("data.source=synthetic", "model.name=resnet19")
    refuse(tmp_path, *arguments, words=["'resnet19'", "did you mean"])


def test_an_unknown_recipe_and_an_unknown_option(tmp_path: Path) -> None:
    for arguments, word in (
        (("--config", "resnet5.yaml"), "resnet50.yaml"),
        (("--nprocs", 2), "--nproc"),
    ):
        done = launch(*arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert word in done.stderr
        assert "Traceback" not in done.stderr
