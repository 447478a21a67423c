"""Archives, recipes, pictures and checkpoints from anybody: no code runs, nothing is written
outside, memory is bounded, and each refusal is one message."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from cifar_dist.checkpoint.store import CONFIG, Checkpoint, save_checkpoint
from cifar_dist.commands.saved import open_saved
from cifar_dist.config import dump_config, find_recipe, load_config
from cifar_dist.config.reader import MAX_BYTES, parse_document
from cifar_dist.data.archive import OFFICIAL, unpack
from cifar_dist.data.cifar10 import FOLDER
from cifar_dist.errors import CifarDistError, ConfigError, DataError
from cifar_dist.predict.pictures import read_picture

GIB = 1 << 30


def tar_header(size: int, kind: bytes) -> bytes:
    info = tarfile.TarInfo(f"{FOLDER}/readme.html")
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def zeros(path: Path, head: bytes, size: int) -> Path:
    """A compressed file of some bytes and many zeros: a thousandth of its size."""
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(head)
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    return path


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE])
def test_a_header_of_a_gigabyte_is_refused_before_it_fills_the_memory(
    tmp_path: Path, kind: bytes
) -> None:
    bomb = zeros(tmp_path / "bomb.tar.gz", tar_header(GIB, kind), GIB // 4)
    tracemalloc.start()
    with pytest.raises(DataError, match="unpacks to more than 200,000,000 bytes"):
        unpack(bomb, tmp_path / "inside", OFFICIAL)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < GIB // 2
    assert list((tmp_path / "inside").iterdir()) == []


def small_archive() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(FOLDER))
        for name in ("readme.html", "batches.meta.txt"):
            info = tarfile.TarInfo(f"{FOLDER}/{name}")
            info.size, info.pax_headers = 700, {"comment": "x" * 600}
            tar.addfile(info, io.BytesIO(bytes(700)))
    return packed.getvalue()


ARCHIVE = small_archive()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, len(ARCHIVE) - 1), st.integers(0, 255)), min_size=1, max_size=8
    )
)
def test_any_change_of_an_archive_is_one_message_and_nothing_is_written_outside(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    content = bytearray(ARCHIVE)
    for place, value in changes:
        content[place] = value
    (folder / "a.tar.gz").write_bytes(gzip.compress(bytes(content), 1))
    with pytest.raises(DataError):
        unpack(folder / "a.tar.gz", folder / "inside", OFFICIAL)
    assert sorted(path.name for path in folder.iterdir()) == ["a.tar.gz", "inside"]
    inside = {path.name for path in (folder / "inside").iterdir()}
    assert inside <= {"readme.html", "batches.meta.txt", *OFFICIAL.sha1}


LAUGHS = "a: &a [x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
)
CODE = (
    "!!python/object/apply:os.system ['touch {}']",
    "!!python/object/new:subprocess.Popen [['touch', '{}']]",
    "!!python/name:os.system",
    "!<tag:yaml.org,2002:python/module:os> ''",
)


def test_a_recipe_of_a_billion_laughs_is_refused_at_its_first_anchor() -> None:
    with pytest.raises(ConfigError, match=r"r\.yaml:1: anchors and aliases"):
        parse_document(LAUGHS, "r.yaml")


@pytest.mark.parametrize("tag", CODE)
def test_a_recipe_runs_no_code(tmp_path: Path, tag: str) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text("model: " + tag.format(tmp_path / "ran") + "\n")
    with pytest.raises(ConfigError, match="the tag"):
        load_config(recipe)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "unit", ["[", "{", "? ", "- ", "a:", "[[],", "'", '"\\', "&a ", "!t ", "|"]
)
def test_a_recipe_full_of_one_sign_is_refused(unit: str) -> None:
    with pytest.raises(ConfigError):
        parse_document(unit * (MAX_BYTES // len(unit)), "r.yaml")


def test_texts_of_a_picture_do_not_fill_the_memory(tmp_path: Path) -> None:
    texts = PngImagePlugin.PngInfo()
    for i in range(80):
        texts.add_text(f"k{i}", "x" * (1 << 20), zip=True)
    path = tmp_path / "texts.png"
    Image.new("RGB", (32, 32)).save(path, pnginfo=texts)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(DataError, match="is damaged"):
        read_picture(path)


PNG, JPEG = io.BytesIO(), io.BytesIO()
Image.fromarray(np.arange(3072, dtype=np.uint32).astype(np.uint8).reshape(32, 32, 3)).save(
    PNG, "PNG"
)
Image.new("RGB", (40, 33), "teal").save(JPEG, "JPEG", exif=Image.Exif())


@pytest.mark.parametrize("content", [PNG.getvalue(), JPEG.getvalue()], ids=["png", "jpeg"])
@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6))
def test_any_change_of_a_picture_is_read_or_one_message(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, changes: list[tuple[float, int]]
) -> None:
    damaged = bytearray(content)
    for place, value in changes:
        damaged[int(place * len(damaged))] = value
    path = tmp_path_factory.mktemp("any") / "p.png"
    path.write_bytes(damaged)
    shape = None
    with suppress(DataError):
        shape = read_picture(path)[0].shape
    assert shape in (None, (3, 32, 32))


def test_a_checkpoint_decides_on_no_download(tmp_path: Path) -> None:
    asked = [f"data.dir={tmp_path / 'anywhere'}", "data.download=true", "data.source=cifar10"]
    config = load_config(find_recipe("quickstart"), asked).config
    path = save_checkpoint(tmp_path, Checkpoint(1, 1, {}, dump_config(config)), keep=1)
    assert "download: true" in (path / CONFIG).read_text()
    assert open_saved(path).config.data.download is None
    assert open_saved(path, ["data.download=true"]).config.data.download is True


def test_every_refusal_is_an_error_of_the_user() -> None:
    assert issubclass(DataError, CifarDistError)
    assert issubclass(ConfigError, CifarDistError)
