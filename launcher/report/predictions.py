"""The rows of predictions.csv, and the pictures that they name."""

from __future__ import annotations

import base64
import csv
import io
import struct
import zlib
from pathlib import Path

from launcher.report.files import read_bytes, size_of
from launcher.report.run import Prediction

PLACES = ("report/predictions.csv", "predictions/predictions.csv", "predictions.csv")
MOST_CSV_BYTES = 8 << 20
MOST_PICTURE_BYTES = 64 << 10
_SIDE = 32
_PLANE = _SIDE * _SIDE
_LABEL_BYTES = (1, 2)
"""Before the pixels of a CIFAR-10 record there is one byte, of a CIFAR-100 record two."""


def read_predictions(run_dir: Path) -> list[Prediction]:
    """Return the rows of the first predictions.csv that there is; rows that are none are left."""
    for place in PLACES:
        content = read_bytes(run_dir / place, limit=MOST_CSV_BYTES)
        if content is not None:
            return parse_predictions(content.decode("utf-8", "replace"))
    return []


def parse_predictions(content: str) -> list[Prediction]:
    """Return the rows of a table with the columns file, record, label, probability, truth."""
    found = []
    try:
        for row in csv.DictReader(io.StringIO(content.replace("\0", ""))):
            one = _prediction(row)
            if one is not None:
                found.append(one)
    except csv.Error:
        return found
    return found


def _prediction(row: dict[str, str]) -> Prediction | None:
    try:
        probability = float(row.get("probability") or "")
    except (TypeError, ValueError):
        return None
    record = row.get("record") or ""
    if not 0 <= probability <= 1:
        return None
    return Prediction(
        file=str(row.get("file") or "")[:500],
        record=int(record) if record.isascii() and record.isdecimal() and len(record) < 9 else None,
        label=str(row.get("label") or "")[:60],
        probability=probability,
        truth=str(row.get("truth") or "")[:60],
    )


def picture_of(one: Prediction, folders: list[Path]) -> str:
    """Return the picture of a row as a data address; "" where it cannot be had.

    Args:
        one: the row.
        folders: where its file may lie, if it is named relatively.
    """
    for folder in folders:
        path = folder / one.file
        if one.record is not None and path.suffix == ".bin":
            content = _record(path, one.record)
        elif one.record is None:
            content = read_bytes(path, limit=MOST_PICTURE_BYTES + 1)
        else:
            content = None
        if content is not None and (address := data_address(content, MOST_PICTURE_BYTES)):
            return address
    return ""


def data_address(content: bytes, limit: int) -> str:
    """Return PNG or JPEG bytes as a data address; "" for anything else or too much."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        kind = "png"
    elif content.startswith(b"\xff\xd8\xff"):
        kind = "jpeg"
    else:
        return ""
    if len(content) > limit:
        return ""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _record(path: Path, index: int) -> bytes | None:
    """Return one record of a CIFAR file (red, green and blue plane after its labels) as PNG."""
    size = size_of(path)
    for labels in _LABEL_BYTES:
        length = labels + 3 * _PLANE
        if size and size % length == 0 and index < size // length:
            start = index * length + labels
            planes = read_bytes(path, start=start, limit=3 * _PLANE) or b""
            if len(planes) == 3 * _PLANE:
                return png(planes, _SIDE)
    return None


def png(planes: bytes, side: int) -> bytes:
    """Return a square picture of three planes of 8 bits as a PNG file (RFC 2083)."""
    area = side * side
    pixels = bytearray(3 * area)
    for channel in range(3):
        pixels[channel::3] = planes[channel * area : (channel + 1) * area]
    rows = b"".join(b"\0" + pixels[row * 3 * side : (row + 1) * 3 * side] for row in range(side))

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )
