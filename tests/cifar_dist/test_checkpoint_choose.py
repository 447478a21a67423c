"""Which checkpoint a run starts from, whatever has happened to the others."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from cifar_dist.checkpoint.choose import choose
from cifar_dist.checkpoint.format import ARRAYS, MANIFEST, PARTS, Checkpoint
from cifar_dist.checkpoint.store import save_checkpoint
from cifar_dist.errors import CheckpointError


def save(folder: Path, *steps: int) -> list[Path]:
    arrays = {"network.weight": np.arange(50, dtype=np.float32)}
    return [
        save_checkpoint(folder, Checkpoint(step, 0, arrays, "model: {}\n"), keep=9)
        for step in steps
    ]


def test_none_asks_for_nothing(tmp_path: Path) -> None:
    save(tmp_path, 1)
    assert choose("none", tmp_path).checkpoint is None


def test_auto_without_checkpoints_begins_anew(tmp_path: Path) -> None:
    assert choose("auto", tmp_path / "ckpt").path is None


def test_auto_takes_the_newest(tmp_path: Path) -> None:
    paths = save(tmp_path, 9, 10)
    assert choose("auto", tmp_path).path == paths[1]


def test_a_run_directory_and_a_checkpoint_can_be_named(tmp_path: Path) -> None:
    paths = save(tmp_path / "ckpt", 9, 10)
    assert choose(str(tmp_path), tmp_path / "mine").path == paths[1]
    assert choose(str(paths[0]), tmp_path / "mine").path == paths[0]


def test_a_damaged_one_that_was_named_is_refused(tmp_path: Path) -> None:
    paths = save(tmp_path, 9, 10)
    (paths[1] / ARRAYS).write_bytes(b"")
    with pytest.raises(CheckpointError, match="damaged"):
        choose(str(paths[1]), tmp_path)


def test_nothing_but_damaged_ones_is_refused(tmp_path: Path) -> None:
    for path in save(tmp_path, 9, 10):
        (path / MANIFEST).unlink()
    with pytest.raises(
        CheckpointError, match=r"(?s)every checkpoint .*step_00000010.*step_00000009"
    ):
        choose("auto", tmp_path)


def test_one_cut_at_any_place_is_named_and_passed_over(tmp_path: Path) -> None:
    good, bad = save(tmp_path, 9, 10)
    draw = random.Random(0)
    for _ in range(20):
        part = bad / draw.choice((*PARTS, MANIFEST))
        whole = part.read_bytes()
        part.write_bytes(whole[: draw.randrange(len(whole) - 1)])
        choice = choose("auto", tmp_path)
        assert choice.path == good
        assert "step_00000010" in choice.notes[0]
        part.write_bytes(whole)
    assert choose("auto", tmp_path).path == bad


def test_one_flipped_bit_at_any_place_never_gives_other_contents(tmp_path: Path) -> None:
    good, bad = save(tmp_path, 9, 10)
    draw = random.Random(1)
    for _ in range(20):
        part = bad / draw.choice((*PARTS, MANIFEST))
        whole = part.read_bytes()
        place = draw.randrange(len(whole))
        flipped = bytes([whole[place] ^ 1 << draw.randrange(8)])
        part.write_bytes(whole[:place] + flipped + whole[place + 1 :])
        choice = choose("auto", tmp_path)
        if choice.path == bad:  # a space of the manifest that became another one
            assert part.name == MANIFEST
            assert whole[place : place + 1].isspace()
        else:
            assert choice.path == good
            assert len(choice.notes) == 1
        part.write_bytes(whole)
