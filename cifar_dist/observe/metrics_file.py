"""metrics.jsonl: one object a line, each written whole."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

from cifar_dist.observe.continuation import comes_before_saving
from cifar_dist.observe.records import Record, to_json
from launcher.contract import write_atomic

_log = logging.getLogger(__name__)


class MetricsFile:
    """Append records to a file; a full disk is said once and does not end the run."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._works = True

    def record(self, record: Record) -> None:
        line = json.dumps(to_json(record), allow_nan=False) + "\n"
        try:
            written = os.write(self._descriptor, line.encode())
            if written < len(line):
                raise OSError(0, "only a part of a line was written")
        except OSError as error:
            if self._works:
                _log.warning("%s cannot be written: %s; the run goes on", self._path, error)
            self._works = False

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


def trim_metrics(path: Path, step: int) -> None:
    """Take away the records that a run makes anew which goes on from the checkpoint of a step.

    Torn lines go too. The file is replaced whole; nothing is done where there is none.
    """
    if not path.exists():
        return
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if _stays(line, step)]
    if kept != lines:
        write_atomic(path, b"".join(kept))


def is_finished(path: Path) -> bool:
    """Return whether a run has come to its end: the last record says so."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return False
    return bool(lines) and _read(lines[-1]).get("event") == "end"


def _stays(line: bytes, step: int) -> bool:
    record = _read(line) if line.endswith(b"\n") else {}
    of_step = record.get("step")
    return isinstance(of_step, int) and comes_before_saving(record.get("event"), of_step, step)


def _read(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}
