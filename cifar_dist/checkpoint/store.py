"""Checkpoints on disk: arrays as safetensors (which holds no code) and a manifest with checksums.

    ckpt/step_00000390/arrays.safetensors
    ckpt/step_00000390/config.yaml        the resolved recipe
    ckpt/step_00000390/state.json         step, epoch, and where the run stood
    ckpt/step_00000390/manifest.json      format and the checksums of the other parts
    ckpt/best.json                        which of them has the best accuracy

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
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from cifar_dist.errors import CheckpointError
from launcher.contract import write_atomic

FORMAT = 2
ARRAYS = "arrays.safetensors"
CONFIG = "config.yaml"
STATE = "state.json"
MANIFEST = "manifest.json"
BEST = "best.json"
PARTS = (ARRAYS, CONFIG, STATE)
MAX_JSON_BYTES = 1 << 20
MAX_PART_BYTES = {ARRAYS: 8 << 30, CONFIG: MAX_JSON_BYTES, STATE: MAX_JSON_BYTES}
"""What is read of a file that may come from anybody; ResNet-50 with AdamW has 0.3 GB."""

Arrays = Mapping[str, NDArray[Any]]
Parts = Mapping[str, bytes]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of a run after a step.

    Attributes:
        step: finished optimizer steps.
        epoch: finished epochs.
        arrays: every parameter by its name, those of the optimizer and the scaler too.
        config_yaml: the resolved recipe.
        state: what else a run needs to go on, as JSON; empty where only the weights matter.
    """

    step: int
    epoch: int
    arrays: Arrays
    config_yaml: str
    state: Mapping[str, Any] = field(default_factory=dict)


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
        write_atomic(beside / MANIFEST, json.dumps(_manifest(parts), indent=1) + "\n")
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
        path = checkpoint_path(folder, json.loads(_read(folder / BEST, MAX_JSON_BYTES))["step"])
        return path if path.is_dir() else None
    return None


def to_parts(checkpoint: Checkpoint) -> dict[str, bytes]:
    """Return the files of a checkpoint, without the manifest."""
    state = {"step": checkpoint.step, "epoch": checkpoint.epoch, **checkpoint.state}
    return {
        ARRAYS: save({name: np.asarray(a, order="C") for name, a in checkpoint.arrays.items()}),
        CONFIG: checkpoint.config_yaml.encode(),
        STATE: json.dumps(state, indent=1).encode(),
    }


def from_parts(parts: Parts, *, origin: object) -> Checkpoint:
    """Undo :func:`to_parts`.

    Raises:
        CheckpointError: a part is not what it should be; ``origin`` is what the message names.
    """
    state = _json_object(parts[STATE], {"step": int, "epoch": int})
    if state is None or state["step"] < 0 or state["epoch"] < 0:
        raise CheckpointError(f"checkpoint {origin}: {STATE} is not readable")
    try:
        arrays, config_yaml = load(parts[ARRAYS]), parts[CONFIG].decode()
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"checkpoint {origin} is not readable: {error}") from error
    except KeyError as error:
        raise CheckpointError(
            f"checkpoint {origin} is not readable: NumPy has no numbers of kind {error}"
        ) from error
    return Checkpoint(state.pop("step"), state.pop("epoch"), arrays, config_yaml, state)


def _manifest(parts: Parts) -> dict[str, Any]:
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()}
    return {"format": FORMAT, "sha256": sums}


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints of a run, the oldest step first."""
    found = [path for path in folder.glob("step_*") if re.fullmatch(r"step_\d+", path.name)]
    return sorted(found, key=_step_of)


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


def load_parts(path: Path) -> dict[str, bytes]:
    """Read the files of a checkpoint, checked against its manifest; errors as above."""
    try:
        manifest = _read_manifest(path / MANIFEST)
        parts = {name: _read(path / name, MAX_PART_BYTES[name]) for name in PARTS}
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} cannot be read: {error}") from error
    for name, data in parts.items():
        if hashlib.sha256(data).hexdigest() != manifest["sha256"].get(name):
            raise CheckpointError(
                f"checkpoint {path} is damaged: {name} ({len(data):,} bytes) does not have the "
                f"checksum of its {MANIFEST}; use an earlier one"
            )
    return parts


def _read_manifest(path: Path) -> dict[str, Any]:
    """Return a manifest that has every key with its type."""
    values = _json_object(_read(path, MAX_JSON_BYTES), {"format": int, "sha256": dict})
    if values is None:
        raise CheckpointError(f"{path} is no manifest of a checkpoint; use an earlier checkpoint")
    if values["format"] != FORMAT:
        raise CheckpointError(
            f"{path} has format {values['format']}, this version reads {FORMAT}: "
            "use the version of cifar_dist that wrote it"
        )
    return values


def _read(path: Path, limit: int) -> bytes:
    """Return what a plain file holds; refuse pipes and devices, and what is too large.

    Raises:
        OSError: there is no such file.
        CheckpointError: as above.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise CheckpointError(f"{path} is no plain file: no checkpoint has such")
        if status.st_size > limit:
            raise CheckpointError(
                f"{path} has {status.st_size:,} bytes, more than the {limit:,} that a checkpoint "
                "may have there"
            )
        return file.read(limit)


def _json_object(text: bytes, wanted: Mapping[str, type]) -> dict[str, Any] | None:
    """Return a JSON object that has each key with its type; None for anything else."""
    values: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        values = json.loads(text)
    if not isinstance(values, dict):
        return None
    sound = all(isinstance(values.get(key), kind) for key, kind in wanted.items())
    return values if sound else None
