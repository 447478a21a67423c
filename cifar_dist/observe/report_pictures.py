"""Pictures of the newest evaluation, where the launcher's report finds them: in report/."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from cifar_dist.observe.records import EvalRecord, Record
from launcher.contract import write_atomic

_log = logging.getLogger(__name__)


class ReportPictures:
    """Keep a picture of the surest right and wrong answers; a full disk does not end a run.

    Args:
        folder: report/ of a run directory.
        has_pictures: says of an evaluation whether it is drawn.
    """

    def __init__(self, folder: Path, *, has_pictures: Callable[[EvalRecord], bool]) -> None:
        self._folder = folder
        self._has_pictures = has_pictures
        self._works = True

    def record(self, record: Record) -> None:
        if not isinstance(record, EvalRecord) or record.seen is None:
            return
        if record.weights != "last" or not self._has_pictures(record):
            return
        try:
            for name, draw in record.seen.pictures.items():
                write_atomic(self._folder / f"{name}.png", draw(), sync=False)
        except OSError as error:
            if self._works:
                _log.warning("%s cannot be written: %s; the run goes on", self._folder, error)
            self._works = False

    def sync(self) -> None:
        return  # the next evaluation draws them anew

    def close(self) -> None:
        return
