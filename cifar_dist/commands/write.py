"""Files that a user asked for: written whole, or refused with one message."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cifar_dist.errors import OutputError
from launcher.contract import write_atomic


def write_file(path: Path, content: str | bytes) -> None:
    """Write a file beside its place and rename it; missing folders are made.

    Raises:
        OutputError: it cannot be written.
    """
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    try:
        write_atomic(path, data)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{path} cannot be written: {reason}; name another place") from None


def write_json(path: Path, values: Any) -> None:
    """Write an object of JSON; errors as :func:`write_file`."""
    write_file(path, json.dumps(values, indent=1, allow_nan=False) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table; errors as :func:`write_file`."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows(rows)
    write_file(path, text.getvalue())
