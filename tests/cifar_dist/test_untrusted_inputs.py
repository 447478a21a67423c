"""Archives, recipes, pictures and checkpoints from anybody: no code runs, nothing is written
outside, memory is bounded, and each refusal is one message."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import pickle
import struct
import tarfile
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from safetensors.numpy import save

from cifar_dist.checkpoint.format import CONFIG, MANIFEST, PARTS, Checkpoint
from cifar_dist.checkpoint.store import BEST, load_checkpoint, read_best, save_checkpoint
from cifar_dist.commands.saved import open_saved
from cifar_dist.config import dump_config, find_recipe, load_config
from cifar_dist.config.reader import MAX_BYTES, parse_document
from cifar_dist.data.archive import OFFICIAL, unpack
from cifar_dist.data.cifar10 import FOLDER
from cifar_dist.errors import CheckpointError, ConfigError, DataError
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


def safetensors(header: object, data: bytes = b"abcd") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(kind: str, shape: list[int], size: int = 4) -> dict[str, object]:
    return {"dtype": kind, "shape": shape, "data_offsets": [0, size]}


ARRAYS_OF_OTHERS = {
    "no numbers of NumPy": safetensors({"a": tensor("F8_E4M3", [4])}),
    "objects": safetensors({"a": tensor("O", [4])}),
    "overlapping": safetensors({"a": tensor("F32", [1]), "b": tensor("F32", [1])}),
    "a shape that overflows": safetensors({"a": tensor("F32", [2**62, 4])}),
    "an empty shape that overflows": safetensors({"a": tensor("F32", [0, 2**62], 0)}, b""),
    "too many dimensions": safetensors({"a": tensor("F32", [1] * 100)}),
    "a header of an exabyte": struct.pack("<Q", 2**60),
    "a nested header": safetensors(b'{"a":' * 100_000),
    "a pickle": pickle.dumps({"a": np.zeros(3)}),
    "nothing": b"",
}


def foreign(folder: Path, **parts: bytes) -> Path:
    """A checkpoint whose manifest fits whatever somebody has put into its parts."""
    path = save_checkpoint(folder, Checkpoint(7, 1, {"w": np.zeros(3)}, "a: 1\n"), keep=1)
    manifest = json.loads((path / MANIFEST).read_text())
    for stem, content in parts.items():
        (name,) = (name for name in PARTS if name.startswith(stem))
        (path / name).write_bytes(content)
        manifest["sha256"][name] = hashlib.sha256(content).hexdigest()
    (path / MANIFEST).write_text(json.dumps(manifest))
    return path


@pytest.mark.parametrize("kind", ARRAYS_OF_OTHERS)
def test_arrays_of_a_foreign_checkpoint_are_refused(tmp_path: Path, kind: str) -> None:
    path = foreign(tmp_path, arrays=ARRAYS_OF_OTHERS[kind])
    with pytest.raises(CheckpointError, match="step_00000007 is not readable"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "state",
    [
        b"[" * 900_000,
        b'{"a":' * 100_000,
        b'{"step": -1, "epoch": 0}',
        b'{"step": 1e400, "epoch": 0}',
        b'{"step": "7", "epoch": 0}',
        b'{"step": ' + b"9" * 5000 + b', "epoch": 0}',
        b"\xff",
    ],
)
def test_the_state_of_a_foreign_checkpoint_is_refused(tmp_path: Path, state: bytes) -> None:
    with pytest.raises(CheckpointError, match=r"state\.json is not readable"):
        load_checkpoint(foreign(tmp_path, state=state))


@pytest.mark.parametrize("name", [*PARTS, MANIFEST])
def test_a_checkpoint_with_a_device_a_pipe_or_a_huge_file_is_not_read(
    tmp_path: Path, name: str
) -> None:
    path = foreign(tmp_path)
    part = path / name
    part.unlink()
    part.symlink_to("/dev/zero")
    with pytest.raises(CheckpointError, match="is no plain file"):
        load_checkpoint(path)
    part.unlink()
    os.mkfifo(part)
    with pytest.raises(CheckpointError, match="is no plain file"):
        load_checkpoint(path)
    part.unlink()
    with part.open("wb") as file:
        file.truncate(9 << 30)
    with pytest.raises(CheckpointError, match="9,663,676,416 bytes, more than the"):
        load_checkpoint(path)


def test_a_checkpoint_under_the_name_of_another_step_is_refused(tmp_path: Path) -> None:
    renamed = foreign(tmp_path).rename(tmp_path / "step_00000099")
    with pytest.raises(CheckpointError, match="is that of step 7 by its state"):
        load_checkpoint(renamed)


def test_names_in_a_foreign_checkpoint_are_no_paths(tmp_path: Path) -> None:
    path = foreign(tmp_path / "ckpt", arrays=save({"../../evil": np.zeros(1)}))
    assert list(load_checkpoint(path).arrays) == ["../../evil"]
    (tmp_path / "ckpt" / BEST).write_text(json.dumps({"step": "../../x"}))
    assert read_best(tmp_path / "ckpt") is None
    assert [one.name for one in tmp_path.iterdir()] == ["ckpt"]


def test_a_link_among_the_checkpoints_leads_to_no_removal_outside(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    folder = tmp_path / "ckpt"
    folder.mkdir()
    (folder / "step_00000001").symlink_to(outside)
    (folder / ".x.tmp").symlink_to(outside)
    foreign(folder)
    assert (outside / "precious").read_text() == "x"
