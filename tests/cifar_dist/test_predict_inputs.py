"""Files from anybody: what is read, how it is converted, and what is refused."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_dist.data.cifar10 import CLASSES, LAYOUT
from cifar_dist.data.cifar100 import LAYOUT as LAYOUT_100
from cifar_dist.errors import DataError
from cifar_dist.predict import files, inputs
from cifar_dist.predict.files import find_inputs, printable
from cifar_dist.predict.inputs import read_inputs, read_records
from cifar_dist.predict.pictures import read_picture

PIXELS = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def png(path: Path, array: np.ndarray = PIXELS, mode: str | None = None) -> Path:
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path)
    return path


def records(path: Path, labels: list[int], layout: object = LAYOUT) -> Path:
    rows = np.zeros((len(labels), LAYOUT.record_bytes), dtype=np.uint8)
    rows[:, 0] = labels
    rows[:, 1:] = np.moveaxis(PIXELS, 2, 0).reshape(-1)
    path.write_bytes(rows.tobytes())
    return path


def test_a_picture_of_the_right_size_arrives_unchanged(tmp_path: Path) -> None:
    picture, note = read_picture(png(tmp_path / "a.png"))
    np.testing.assert_array_equal(picture, np.moveaxis(PIXELS, 2, 0))
    assert note == ""


def test_transparent_parts_lie_on_white_and_it_is_said(tmp_path: Path) -> None:
    clear = np.dstack([PIXELS, np.full((32, 32), 255, dtype=np.uint8)])
    clear[:16, :, 3] = 0
    picture, note = read_picture(png(tmp_path / "a.png", clear))
    assert (picture[:, :16] == 255).all()
    np.testing.assert_array_equal(picture[:, 16:], np.moveaxis(PIXELS[16:], 2, 0))
    assert note == "transparent parts on white"


@pytest.mark.parametrize(("mode", "word"), [("L", "from L"), ("P", "from P"), ("1", "from 1")])
def test_grey_and_indexed_pictures_become_three_channels(
    tmp_path: Path, mode: str, word: str
) -> None:
    picture, note = read_picture(png(tmp_path / "a.png", mode=mode))
    assert picture.shape == (3, 32, 32)
    assert note == word


def test_another_size_is_cut_to_a_square_and_scaled(tmp_path: Path) -> None:
    wide = np.zeros((64, 192, 3), dtype=np.uint8)
    wide[:, 64:128] = 200
    picture, note = read_picture(png(tmp_path / "a.png", wide))
    assert picture.shape == (3, 32, 32)
    assert (picture[:, :, 2:30] == 200).all()
    assert picture.min() > 180
    assert note == "from 192 x 64 pixels"


def test_a_photograph_is_turned_as_its_camera_says(tmp_path: Path) -> None:
    half = np.zeros((32, 32, 3), dtype=np.uint8)
    half[:16] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    Image.fromarray(half).save(tmp_path / "a.jpg", exif=exif, quality=95)
    picture, _ = read_picture(tmp_path / "a.jpg")
    assert picture[:, 20:].mean() > 250
    assert picture[:, :12].mean() < 5


def bomb(path: Path) -> Path:
    """A PNG of 70 bytes that claims 100,000 x 100,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def wide_numbers(path: Path) -> Path:
    Image.fromarray(np.zeros((32, 32), dtype=np.uint16)).save(path)
    return path


def truncated(path: Path) -> Path:
    data = png(path).read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def text(path: Path) -> Path:
    path.write_text("no picture")
    return path


def another_format(path: Path) -> Path:
    Image.fromarray(PIXELS).save(path, format="GIF")
    return path


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (text, "no PNG or JPEG"),
        (another_format, "no PNG or JPEG"),
        (truncated, "is damaged: "),
        (bomb, "more than the 40,000,000 pixels"),
        (wide_numbers, "8-bit RGB"),
        (lambda path: png(path, PIXELS[:1, :1]), "1 x 1 pixels are too few"),
        (lambda path: png(path, np.zeros((10_000, 10_000), dtype=np.uint8)), "more than the 40,"),
        (
            lambda path: png(path, np.zeros((8000, 8000), dtype=np.uint8)),
            "8000 x 8000 pixels are more",
        ),
    ],
)
def test_what_is_no_usable_picture_is_one_message_with_its_name(
    tmp_path: Path, make: object, words: str
) -> None:
    path = make(tmp_path / "a.png")  # type: ignore[operator]
    with pytest.raises(DataError, match=words) as caught:
        read_picture(path)
    assert str(caught.value).count(str(path)) == 1
    assert "\n" not in str(caught.value)


def test_a_file_of_too_many_bytes_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    with open(path, "wb") as file:
        file.truncate(33 << 20)
    with pytest.raises(DataError, match="34,603,008 bytes"):
        read_picture(path)


def test_records_of_any_number_have_their_labels(tmp_path: Path) -> None:
    images, labels = read_records(records(tmp_path / "x.bin", [3, 9]), LAYOUT)
    assert labels == [3, 9]
    np.testing.assert_array_equal(images[1], np.moveaxis(PIXELS, 2, 0))


def test_of_two_label_bytes_the_second_counts(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(bytes([4, 77]) + bytes(3072))
    assert read_records(path, LAYOUT_100)[1] == [77]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no whole number"),
        (bytes(3000), "no whole number"),
        (bytes(3073) + b"\x0c" + bytes(3072), "record 1 has label 12"),
    ],
)
def test_a_file_that_is_no_cifar_file_is_refused(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_records(path, LAYOUT)


def test_more_records_than_memory_may_hold_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    with open(path, "wb") as file:
        file.truncate(LAYOUT.record_bytes * 100_001)
    with pytest.raises(DataError, match="100,001 images"):
        read_records(path, LAYOUT)


def test_a_folder_named_after_a_class_says_the_truth(tmp_path: Path) -> None:
    (tmp_path / "dog").mkdir()
    found = read_inputs([png(tmp_path / "dog" / "a.png"), png(tmp_path / "b.png")], CLASSES, LAYOUT)
    assert [source.truth for source in found.sources] == [5, None]
    assert found.images_nchw.shape == (2, 3, 32, 32)


def test_every_bad_file_is_named_in_one_message(tmp_path: Path) -> None:
    paths = [text(tmp_path / f"{n}.png") for n in range(12)]
    with pytest.raises(DataError) as caught:
        read_inputs([*paths, png(tmp_path / "good.png")], CLASSES, LAYOUT)
    lines = str(caught.value).splitlines()
    assert len(lines) == 11
    assert lines[-1].strip() == "and 2 more files"


def test_a_folder_gives_its_files_sorted_with_subfolders(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    for name in ("c.png", "b/a.JPG", "a.bin", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    names = [str(path.relative_to(tmp_path)) for path in find_inputs([tmp_path])]
    assert names == ["a.bin", "c.png", "b/a.JPG"]


def test_a_pipe_in_a_folder_is_passed_over_and_a_named_one_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(DataError, match="holds no CIFAR file"):
        find_inputs([tmp_path])
    with pytest.raises(DataError, match="neither a file nor a folder"):
        find_inputs([tmp_path / "pipe.png"])


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.png", "no such file"),
        ("notes.txt", "by its name"),
        ("a" * 300 + ".png", "cannot be read: File name too long"),
    ],
)
def test_a_path_that_is_nothing_to_predict_is_refused(
    tmp_path: Path, name: str, words: str
) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=words):
        find_inputs([tmp_path / name])


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_FILES", 2)
    for n in range(3):
        (tmp_path / f"{n}.png").touch()
    with pytest.raises(DataError, match="more than 2 files"):
        find_inputs([tmp_path])


def test_too_many_images_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "MOST_IMAGES", 3)
    paths = [records(tmp_path / f"{n}.bin", [0, 1]) for n in range(2)]
    with pytest.raises(DataError, match="more than 3 images"):
        read_inputs(paths, CLASSES, LAYOUT)


def test_a_name_cannot_act_on_a_terminal() -> None:
    assert printable("a\x1b[31m\n.png") == "a\\x1b[31m\\n.png"
    assert printable("caf\xe9 \udcff") == "caf\xe9 \\udcff"
