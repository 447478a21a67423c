"""The steps whose batches a run leaves out, because training with them went wrong.

    ckpt/left_out.json      [{"step": 13, "reason": "the loss of step 13 is not finite ..."}]

The list is written before a run that goes back trains again: killed at any later moment, it leaves
out the same batches.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from cifar_dist.checkpoint.format import MAX_JSON_BYTES, read_bounded
from cifar_dist.errors import CheckpointError
from launcher.contract import write_atomic

LEFT_OUT = "left_out.json"


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    step: int = Field(ge=1)
    reason: str


_ENTRIES = TypeAdapter(list[_Entry])


def read_left_out(folder: Path) -> dict[int, str]:
    """Return the steps that are left out and why; none where nothing is noted.

    Raises:
        CheckpointError: what is noted there is damaged.
    """
    path = folder / LEFT_OUT
    try:
        return parse_left_out(read_bounded(path, MAX_JSON_BYTES))
    except FileNotFoundError:
        return {}
    except (OSError, ValidationError) as error:
        raise CheckpointError(
            f"{path} cannot be read: remove it, and batches that go wrong are found anew"
        ) from error


def write_left_out(folder: Path, left_out: Mapping[int, str]) -> None:
    """Note the steps that are left out, whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    write_atomic(folder / LEFT_OUT, dump_left_out(left_out))


def dump_left_out(left_out: Mapping[int, str]) -> bytes:
    entries = [{"step": step, "reason": reason} for step, reason in sorted(left_out.items())]
    return json.dumps(entries, indent=1).encode() + b"\n"


def parse_left_out(data: bytes) -> dict[int, str]:
    """Undo :func:`dump_left_out`.

    Raises:
        ValidationError: it is something else.
    """
    return {entry.step: entry.reason for entry in _ENTRIES.validate_json(data)}
