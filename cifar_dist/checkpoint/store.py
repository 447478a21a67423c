"""Checkpoints on disk: arrays as safetensors (which holds no code) and a manifest with checksums.

    ckpt/step_00000390/arrays.safetensors
    ckpt/step_00000390/config.yaml        the resolved recipe
    ckpt/step_00000390/manifest.json      format, step, epoch, checksums

A checkpoint is written into a folder beside its place, synced, and renamed: a folder named
``step_*`` is whole. MindSpore's ``save_checkpoint`` removes the old file first and is not used.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from cifar_dist.errors import CheckpointError
from launcher.contract import write_atomic

FORMAT = 1
ARRAYS = "arrays.safetensors"
CONFIG = "config.yaml"
MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 16 << 20

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of a run after a step.

    Attributes:
        step: finished optimizer steps.
        epoch: finished epochs.
        arrays: every parameter by its name, those of the optimizer and the scaler too.
        config_yaml: the resolved recipe.
    """

    step: int
    epoch: int
    arrays: Arrays
    config_yaml: str


def save_checkpoint(folder: Path, checkpoint: Checkpoint, *, keep: int) -> Path:
    """Write a checkpoint, then remove the oldest beyond ``keep``.

    Returns:
        the folder of the checkpoint.

    Raises:
        OSError: it could not be written; earlier checkpoints are as they were.
    """
    place = folder / f"step_{checkpoint.step:08d}"
    if place.exists():
        return place
    beside = folder / f".{place.name}.{os.getpid()}.tmp"
    beside.mkdir(parents=True)
    try:
        parts = {
            ARRAYS: save({name: np.asarray(a, order="C") for name, a in checkpoint.arrays.items()}),
            CONFIG: checkpoint.config_yaml.encode(),
        }
        for name, data in parts.items():
            write_atomic(beside / name, data)
        write_atomic(beside / MANIFEST, json.dumps(_manifest(checkpoint, parts), indent=1) + "\n")
        _sync_folder(beside)
        os.replace(beside, place)
        _sync_folder(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    for old in list_checkpoints(folder)[:-keep]:
        shutil.rmtree(old)
    return place


def _manifest(checkpoint: Checkpoint, parts: Mapping[str, bytes]) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "step": checkpoint.step,
        "epoch": checkpoint.epoch,
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()},
    }


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints of a run, the oldest step first."""
    found = [path for path in folder.glob("step_*") if re.fullmatch(r"step_\d+", path.name)]
    return sorted(found, key=lambda path: int(path.name[5:]))


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
    try:
        manifest = _read_manifest(path / MANIFEST)
        parts = {name: (path / name).read_bytes() for name in (ARRAYS, CONFIG)}
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} cannot be read: {error}") from error
    for name, data in parts.items():
        if hashlib.sha256(data).hexdigest() != manifest["sha256"].get(name):
            raise CheckpointError(
                f"checkpoint {path} is damaged: {name} ({len(data):,} bytes) does not have the "
                f"checksum of its {MANIFEST}; use an earlier one"
            )
    try:
        arrays = load(parts[ARRAYS])
    except SafetensorError as error:
        raise CheckpointError(f"checkpoint {path}: {ARRAYS} is not readable: {error}") from error
    return Checkpoint(manifest["step"], manifest["epoch"], arrays, parts[CONFIG].decode())


def _read_manifest(path: Path) -> dict[str, Any]:
    """Return a manifest that has every key with its type."""
    with open(path, "rb") as file:
        text = file.read(MAX_MANIFEST_BYTES + 1)
    wanted = {"format": int, "step": int, "epoch": int, "sha256": dict}
    values: Any = None
    if len(text) <= MAX_MANIFEST_BYTES:
        with contextlib.suppress(ValueError):
            values = json.loads(text)
    sound = isinstance(values, dict) and all(
        isinstance(values.get(key), kind) for key, kind in wanted.items()
    )
    if not sound:
        raise CheckpointError(f"{path} is no manifest of a checkpoint; use an earlier checkpoint")
    if values["format"] != FORMAT:
        raise CheckpointError(
            f"{path} has format {values['format']}, this version reads {FORMAT}: "
            "use the version of cifar_dist that wrote it"
        )
    result: dict[str, Any] = values
    return result
