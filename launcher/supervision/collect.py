"""What the processes of an attempt have left behind in the run directory, as outcomes."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from launcher.contract import FailureRecord, RunPaths, read_record
from launcher.heartbeats import read_heartbeat
from launcher.outcome import RankOutcome
from launcher.plan import ProcessPlan
from launcher.supervision.process import Child

TAIL_LINES = 20
_TAIL_BYTES = 64 * 1024


def rank_outcome(
    process: ProcessPlan, child: Child, *, paths: RunPaths, attempt: int
) -> RankOutcome:
    """Return how a process ended, with the records that it wrote."""
    device = "" if process.device_id is None else str(process.device_id)
    return RankOutcome(
        rank=process.rank,
        pid=child.pid,
        returncode=child.returncode,
        ended_ns=child.ended_ns,
        signalled_ns=child.signalled_ns,
        failure=None if process.is_scheduler else _failure(paths.failure(attempt, process.rank)),
        progress=None if process.is_scheduler else read_heartbeat(paths.progress(process.rank)),
        device=device,
        log_tail=() if child.returncode == 0 else log_tail(process.log(paths, attempt)),
    )


def log_tail(path: Path, lines: int = TAIL_LINES) -> tuple[str, ...]:
    """Return the last lines of a log, read from its end; bytes that are no UTF-8 are replaced."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = file.seek(max(0, size - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ()
    found = text.splitlines()
    return tuple(found[1 if start else 0 :][-lines:])


def prepare_folders(paths: RunPaths, attempt: int, ranks: list[int]) -> None:
    """Make the folders of an attempt and forget the heartbeats of an earlier one."""
    for folder in (
        paths.scheduler_log(attempt).parent,
        paths.failure(attempt, 0).parent,
        paths.stacks(attempt, 0).parent,
        paths.progress(0).parent,
    ):
        folder.mkdir(parents=True, exist_ok=True)
    for rank in ranks:
        paths.progress(rank).unlink(missing_ok=True)


def tidy_folders(paths: RunPaths, attempt: int, ranks: list[int]) -> None:
    """Remove what has stayed empty: stacks files of ranks that were never asked, folders."""
    for rank in ranks:
        path = paths.stacks(attempt, rank)
        if path.exists() and path.stat().st_size == 0:
            path.unlink()
    for file in (paths.stacks(attempt, 0), paths.failure(attempt, 0), paths.progress(0)):
        _remove_if_empty(file.parent)
        if file.parent.name.startswith("attempt_"):
            _remove_if_empty(file.parent.parent)


def _remove_if_empty(folder: Path) -> None:
    """Remove a folder, which the launcher of another node may be doing at this moment, too."""
    with suppress(OSError):
        folder.rmdir()


def _failure(path: Path) -> FailureRecord | None:
    """Return the record that a rank, or its script, has written; None where a value is no such."""
    record = read_record(FailureRecord, path)
    if not isinstance(record, FailureRecord):
        return None
    kinds = map(type, FailureRecord(rank=0, type="", message=""))
    return record if list(map(type, record)) == list(kinds) else None
