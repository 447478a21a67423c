"""A disk that is full or read-only: one message, and nothing that was saved is lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cifar_dist.checkpoint.store import list_checkpoints, load_checkpoint
from tests.e2e.conftest import records
from tests.e2e.killing import SMALL, alone, finish


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB; skips where it cannot be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root can mount a small file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_fills_up_costs_no_checkpoint_and_is_said(
    small_disk: Path, tmp_path: Path
) -> None:
    run_dir = small_disk / "run"
    command = alone(run_dir, "lenet5", *SMALL, "checkpoint.keep=100", "train.epochs=6")
    said = finish(command, tmp_path / "log", expected=1)
    assert "No space left on device; training goes on, the last good one is step_" in said
    assert "training is done, but its last checkpoint is not in" in said
    assert "Traceback" not in said
    saved = list_checkpoints(run_dir / "ckpt")
    assert [load_checkpoint(path).step for path in saved][:3] == [8, 16, 20]
    assert all(
        path.name.startswith("step_") for path in (run_dir / "ckpt").iterdir() if path.is_dir()
    )
    assert len(records(run_dir, "train")) > 20
    for path in saved[1:-1]:
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    said = finish([*command, "checkpoint.keep=2"], tmp_path / "log2")
    assert f"resume     after step {int(saved[-1].name[5:])}" in said
    assert len(list_checkpoints(run_dir / "ckpt")) <= 3


def test_a_read_only_run_directory_is_one_message(small_disk: Path, tmp_path: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    said = finish(alone(small_disk / "run", "lenet5", *SMALL), tmp_path / "log", expected=2)
    assert "cannot be written (Read-only file system)" in said
    assert "Traceback" not in said
