"""What a checkpoint is, and the files that it is written as: bytes in, a value out, nothing run.

arrays.safetensors      every array (safetensors holds no code)
config.yaml             the resolved recipe
state.json              step, epoch, and where the run stood
manifest.json           format and the checksums of the other parts
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
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

FORMAT = 2
ARRAYS = "arrays.safetensors"
CONFIG = "config.yaml"
STATE = "state.json"
MANIFEST = "manifest.json"
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


def manifest_of(parts: Parts) -> dict[str, Any]:
    """Return what the manifest of a checkpoint says: its format, and the checksums of its parts."""
    sums = {name: hashlib.sha256(data).hexdigest() for name, data in parts.items()}
    return {"format": FORMAT, "sha256": sums}


def load_parts(path: Path) -> dict[str, bytes]:
    """Read the files of a checkpoint, checked against its manifest.

    Raises:
        CheckpointError: a part is missing or damaged, or it is of another format.
    """
    try:
        manifest = _read_manifest(path / MANIFEST)
        parts = {name: read_bounded(path / name, MAX_PART_BYTES[name]) for name in PARTS}
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
    values = _json_object(read_bounded(path, MAX_JSON_BYTES), {"format": int, "sha256": dict})
    if values is None:
        raise CheckpointError(f"{path} is no manifest of a checkpoint; use an earlier checkpoint")
    if values["format"] != FORMAT:
        raise CheckpointError(
            f"{path} has format {values['format']}, this version reads {FORMAT}: "
            "use the version of cifar_dist that wrote it"
        )
    return values


def read_bounded(path: Path, limit: int) -> bytes:
    """Return what a plain file holds; refuse pipes and devices, and what is too large.

    Raises:
        OSError: there is no such file.
        CheckpointError: it is something else, or too large.
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
