from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cifar_dist.checkpoint.store import (
    ARRAYS,
    CONFIG,
    MANIFEST,
    Checkpoint,
    find_checkpoint,
    list_checkpoints,
    load_checkpoint,
    save_checkpoint,
)
from cifar_dist.errors import CheckpointError


def checkpoint(step: int = 7) -> Checkpoint:
    arrays = {
        "network.weight": np.arange(6, dtype=np.float32).reshape(2, 3) + step,
        "step.steps": np.array(step, dtype=np.int32),
    }
    return Checkpoint(step=step, epoch=2, arrays=arrays, config_yaml="model:\n  name: lenet5\n")


def test_what_is_saved_is_read_back(tmp_path: Path) -> None:
    saved = checkpoint()
    path = save_checkpoint(tmp_path, saved, keep=3)
    found = load_checkpoint(path)
    assert (found.step, found.epoch, found.config_yaml) == (7, 2, saved.config_yaml)
    assert found.arrays.keys() == saved.arrays.keys()
    for name, array in saved.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array)
        assert found.arrays[name].dtype == array.dtype
        assert found.arrays[name].shape == array.shape


def test_the_newest_are_kept_in_the_order_of_their_steps(tmp_path: Path) -> None:
    for step in (9, 10, 100, 11):
        save_checkpoint(tmp_path, checkpoint(step), keep=3)
    assert [path.name for path in list_checkpoints(tmp_path)] == [
        "step_00000010",
        "step_00000011",
        "step_00000100",
    ]


def test_a_save_that_fails_leaves_no_folder_and_keeps_the_old_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path, checkpoint(1), keep=3)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cifar_dist.checkpoint.store.write_atomic", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(tmp_path, checkpoint(2), keep=3)
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000001"]


def test_a_half_written_folder_is_never_found(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, checkpoint(1), keep=3)
    (tmp_path / ".step_00000002.99.tmp").mkdir()
    (tmp_path / "step_x").mkdir()
    assert find_checkpoint(tmp_path).name == "step_00000001"


@pytest.mark.parametrize("of", ["run directory", "its ckpt folder", "the checkpoint itself"])
def test_a_checkpoint_is_found_from_any_of_its_folders(tmp_path: Path, of: str) -> None:
    path = save_checkpoint(tmp_path / "ckpt", checkpoint(), keep=3)
    given = {"run directory": tmp_path, "its ckpt folder": path.parent}.get(of, path)
    assert find_checkpoint(given) == path


def test_no_checkpoint_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="give a run directory"):
        find_checkpoint(tmp_path / "nothing")


@pytest.mark.parametrize("part", [ARRAYS, CONFIG])
@pytest.mark.parametrize("place", [0, 10, -1])
def test_one_flipped_bit_is_noticed(tmp_path: Path, part: str, place: int) -> None:
    path = save_checkpoint(tmp_path, checkpoint(), keep=3)
    data = bytearray((path / part).read_bytes())
    data[place] ^= 1
    (path / part).write_bytes(data)
    with pytest.raises(CheckpointError, match=f"damaged: {part}"):
        load_checkpoint(path)


@pytest.mark.parametrize("part", [ARRAYS, CONFIG, MANIFEST])
def test_a_part_that_was_cut_is_noticed(tmp_path: Path, part: str) -> None:
    path = save_checkpoint(tmp_path, checkpoint(), keep=3)
    data = (path / part).read_bytes()
    (path / part).write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match=r"damaged|no manifest"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "change", [{"step": "7"}, {"format": None}, {"sha256": []}, {"format": 99}]
)
def test_a_foreign_manifest_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = save_checkpoint(tmp_path, checkpoint(), keep=3)
    manifest = json.loads((path / MANIFEST).read_text())
    (path / MANIFEST).write_text(json.dumps({**manifest, **change}))
    with pytest.raises(CheckpointError, match=r"no manifest|format 99"):
        load_checkpoint(path)
