"""metrics.jsonl: one object a line, each written whole."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from cifar_dist.observe.records import Record, to_json

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

    def close(self) -> None:
        os.close(self._descriptor)
