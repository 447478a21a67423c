"""TensorBoard's event files: records that are appended whole, and read back or cut.

A record is its length, a checksum of that, a serialised Event and a checksum of that (TFRecord).
tensorboardX's own writer is a thread with a queue, which loses seconds of points to a kill and
waits for ever once a full disk has ended it; here every point is written when it is recorded.
"""

from __future__ import annotations

import logging
import os
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tensorboardX.crc32c import crc32c
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary

from launcher.contract import write_atomic

_log = logging.getLogger(__name__)

PATTERN = "events.out.tfevents.*"
_HEADER, _FOOTER = struct.Struct("<QI"), struct.Struct("<I")
LARGEST_RECORD = 256 << 20


class EventFile:
    """A new event file in a folder; a full disk is said once and does not end a run."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._clock = clock
        name = f"{clock():017.6f}.{os.uname().nodename}.{os.getpid()}"
        self._path = folder / PATTERN.replace("*", name)
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._works = True
        self._append(Event(wall_time=clock(), file_version="brain.Event:2"))

    def add(self, summary: Summary, step: int) -> None:
        """Append one point."""
        self._append(Event(wall_time=self._clock(), step=step, summary=summary))

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)

    def _append(self, event: Any) -> None:
        if not self._works:
            return  # after a torn record nothing behind it could be read
        record = _framed(event.SerializeToString())
        try:
            if os.write(self._descriptor, record) < len(record):
                raise OSError(0, "only a part of a record was written")
        except OSError as error:
            self._works = False
            _log.warning("%s cannot be written: %s; the run goes on", self._path, error)


def cut_events(path: Path, stays: Callable[[Any, int], bool]) -> int:
    """Take points out of a file, and all from the first damaged record on.

    Args:
        path: an event file; it is replaced whole, or removed where no point is left.
        stays: takes the tag of a value and its step.

    Returns:
        how many points are left.
    """
    data, kept, points = path.read_bytes(), [], 0
    for record in _records(data):
        event = Event.FromString(record)
        values = [one for one in event.summary.value if stays(one.tag, event.step)]
        points += len(values)
        if len(values) == len(event.summary.value):
            kept.append(_framed(record))
        elif values:
            del event.summary.value[:]
            event.summary.value.extend(values)
            kept.append(_framed(event.SerializeToString()))
    if points == 0:
        path.unlink()
    elif (whole := b"".join(kept)) != data:
        write_atomic(path, whole)
    return points


def _records(data: bytes) -> Iterator[bytes]:
    start = 0
    while start + _HEADER.size <= len(data):
        length, checksum = _HEADER.unpack_from(data, start)
        body = start + _HEADER.size
        end = body + length
        if checksum != _masked(data[start : start + 8]) or length > LARGEST_RECORD:
            return
        if end + _FOOTER.size > len(data):
            return
        record = data[body:end]
        if _FOOTER.unpack_from(data, end)[0] != _masked(record):
            return
        yield record
        start = end + _FOOTER.size


def _framed(record: bytes) -> bytes:
    length = struct.pack("<Q", len(record))
    return length + _FOOTER.pack(_masked(length)) + record + _FOOTER.pack(_masked(record))


def _masked(data: bytes) -> int:
    """Return the CRC-32C of data, rotated and shifted as TFRecord wants it."""
    value = crc32c(data) & 0xFFFFFFFF
    masked: int = (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF
    return masked
