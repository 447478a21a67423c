"""Checkpoints on disk: a folder for each, whole or not there.

    ckpt/step_00000390/     see :mod:`cifar_dist.checkpoint.format`
    ckpt/best.json          which of them has the best accuracy

A checkpoint is written into a folder beside its place, synced, and renamed: a folder named
``step_*`` is whole. MindSpore's ``save_checkpoint`` removes the old file first and is not used.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from pathlib import Path

from cifar_dist.checkpoint.format import (
    ARRAYS,
    MANIFEST,
    MAX_JSON_BYTES,
    STATE,
    Checkpoint,
    from_parts,
    load_parts,
    manifest_of,
    read_bounded,
    to_parts,
)
from cifar_dist.errors import CheckpointError
from launcher.contract import write_atomic

BEST = "best.json"


def save_checkpoint(folder: Path, checkpoint: Checkpoint, *, keep: int) -> Path:
    """Write a checkpoint, then remove the oldest beyond ``keep``; the best one stays.

    One of the same step is replaced: a run that was taken back to an earlier step comes there anew.

    Returns:
        the folder of the checkpoint.

    Raises:
        OSError: it could not be written; earlier checkpoints are as they were.
    """
    place = checkpoint_path(folder, checkpoint.step)
    beside = folder / f".{place.name}.{os.getpid()}.tmp"
    beside.mkdir(parents=True)
    try:
        parts = to_parts(checkpoint)
        for name, data in parts.items():
            write_atomic(beside / name, data)
        write_atomic(beside / MANIFEST, json.dumps(manifest_of(parts), indent=1) + "\n")
        _sync_folder(beside)
        if place.exists():
            os.replace(place, folder / f".{place.name}.{os.getpid()}.old.tmp")
        os.replace(beside, place)
        _sync_folder(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    remove_leftovers(folder)
    best = read_best(folder)
    for old in list_checkpoints(folder)[:-keep]:
        if old != best:
            shutil.rmtree(old, ignore_errors=True)
    return place


def checkpoint_path(folder: Path, step: int) -> Path:
    """Return where the checkpoint of a step is, or would be."""
    return folder / f"step_{step:08d}"


def remove_leftovers(folder: Path) -> None:
    """Remove what saves that were cut short have left; nobody may be saving meanwhile."""
    for path in folder.glob(".*.tmp"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def set_aside_later(folder: Path, step: int) -> list[Path]:
    """Rename the checkpoints after a step, so that a run going on from there does not meet them.

    Returns:
        their new places, ``aside_step_*``.
    """
    moved = []
    for path in list_checkpoints(folder):
        if _step_of(path) > step:
            aside = path.with_name(f"aside_{path.name}")
            shutil.rmtree(aside, ignore_errors=True)
            os.replace(path, aside)
            moved.append(aside)
    return moved


def write_best(folder: Path, step: int, accuracy: float) -> None:
    """Note which checkpoint has the best accuracy: it is kept as long as it is the best."""
    write_atomic(folder / BEST, json.dumps({"step": step, "accuracy": accuracy}) + "\n")


def read_best(folder: Path) -> Path | None:
    """Return the checkpoint noted as the best; None where none is, or it is not there."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, CheckpointError):
        path = checkpoint_path(
            folder, json.loads(read_bounded(folder / BEST, MAX_JSON_BYTES))["step"]
        )
        return path if path.is_dir() else None
    return None


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def list_checkpoints(folder: Path, *, before: int | None = None) -> list[Path]:
    """Return the checkpoints of a run, or of its steps before one; the oldest step first."""
    found = [path for path in folder.glob("step_*") if re.fullmatch(r"step_\d+", path.name)]
    return sorted((one for one in found if before is None or _step_of(one) < before), key=_step_of)


def _step_of(path: Path) -> int:
    return int(path.name.removeprefix("step_"))


def find_checkpoint(path: Path) -> Path:
    """Return a checkpoint's folder: the path itself, or the newest one of a run directory.

    Raises:
        CheckpointError: there is none.
    """
    if (path / MANIFEST).is_file() and (path / ARRAYS).is_file():
        return path
    for folder in (path / "ckpt", path):
        if newest := list_checkpoints(folder)[-1:]:
            return newest[0]
    raise CheckpointError(
        f"there is no checkpoint at {path}: give a run directory that has ckpt/step_*, "
        "or one such folder"
    )


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint and check it against its manifest.

    Raises:
        CheckpointError: a part is missing or damaged, or it is of another format.
    """
    checkpoint = from_parts(load_parts(path), origin=path)
    if re.fullmatch(r"step_\d+", path.name) and _step_of(path) != checkpoint.step:
        raise CheckpointError(
            f"checkpoint {path} is that of step {checkpoint.step} by its {STATE}: "
            "give it back its name, or use another one"
        )
    return checkpoint
