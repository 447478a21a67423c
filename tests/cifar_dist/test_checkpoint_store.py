from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cifar_dist.checkpoint.format import ARRAYS, CONFIG, MANIFEST, STATE, Checkpoint
from cifar_dist.checkpoint.store import (
    BEST,
    find_checkpoint,
    list_checkpoints,
    load_checkpoint,
    read_best,
    save_checkpoint,
    set_aside_later,
    write_best,
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


@pytest.mark.parametrize("part", [ARRAYS, CONFIG, STATE])
@pytest.mark.parametrize("place", [0, 10, -1])
def test_one_flipped_bit_is_noticed(tmp_path: Path, part: str, place: int) -> None:
    path = save_checkpoint(tmp_path, checkpoint(), keep=3)
    data = bytearray((path / part).read_bytes())
    data[place] ^= 1
    (path / part).write_bytes(data)
    with pytest.raises(CheckpointError, match=f"damaged: {part}"):
        load_checkpoint(path)


@pytest.mark.parametrize("part", [ARRAYS, CONFIG, STATE, MANIFEST])
def test_a_part_that_was_cut_is_noticed(tmp_path: Path, part: str) -> None:
    path = save_checkpoint(tmp_path, checkpoint(), keep=3)
    data = (path / part).read_bytes()
    (path / part).write_bytes(data[: len(data) // 2])
    with pytest.raises(CheckpointError, match=r"damaged|no manifest"):
        load_checkpoint(path)


@pytest.mark.parametrize("change", [{"format": None}, {"sha256": []}, {"format": 99}])
def test_a_foreign_manifest_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = save_checkpoint(tmp_path, checkpoint(), keep=3)
    manifest = json.loads((path / MANIFEST).read_text())
    (path / MANIFEST).write_text(json.dumps({**manifest, **change}))
    with pytest.raises(CheckpointError, match=r"no manifest|format 99"):
        load_checkpoint(path)


def test_the_manifest_of_another_checkpoint_is_noticed(tmp_path: Path) -> None:
    path, other = (save_checkpoint(tmp_path, checkpoint(step), keep=3) for step in (7, 8))
    (path / MANIFEST).write_bytes((other / MANIFEST).read_bytes())
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(path)


def test_the_best_one_is_kept_beside_the_newest(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, checkpoint(step), keep=2)
        if step == 1:
            write_best(tmp_path, 1, 0.9)
    save_checkpoint(tmp_path, checkpoint(4), keep=2)
    assert [path.name[-1] for path in list_checkpoints(tmp_path)] == ["1", "3", "4"]
    assert read_best(tmp_path) == tmp_path / "step_00000001"


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"step": "x"}', '{"step": 5}'])
def test_a_note_of_the_best_that_says_nothing_protects_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / BEST).write_text(text)
    assert read_best(tmp_path) is None
    save_checkpoint(tmp_path, checkpoint(1), keep=1)
    assert len(list_checkpoints(tmp_path)) == 1


def test_what_saves_that_were_cut_short_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".step_00000002.99.tmp").mkdir()
    (tmp_path / ".best.json.99.tmp").touch()
    save_checkpoint(tmp_path, checkpoint(3), keep=1)
    assert [path.name for path in tmp_path.iterdir()] == ["step_00000003"]


def test_a_checkpoint_of_the_same_step_is_replaced(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, checkpoint(), keep=3)
    (path / ARRAYS).write_bytes(b"damaged")
    save_checkpoint(tmp_path, checkpoint(), keep=3)
    assert load_checkpoint(path).step == 7
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_later_checkpoints_are_set_aside_and_not_found_again(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, checkpoint(step), keep=9)
    moved = set_aside_later(tmp_path, 1)
    assert [path.name for path in moved] == ["aside_step_00000002", "aside_step_00000003"]
    assert [path.name for path in list_checkpoints(tmp_path)] == ["step_00000001"]
    assert load_checkpoint(moved[1]).step == 3
