"""From a run directory to a :class:`Run`: nothing in it is needed, nothing in it is believed."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

from launcher.contract import RunPaths
from launcher.report.files import (
    Lines,
    list_folder,
    mapping,
    number,
    read_bytes,
    read_object,
    size_of,
    tail_lines,
    text,
    whole,
)
from launcher.report.life import events_of, lives_of
from launcher.report.metrics import collect
from launcher.report.predictions import read_predictions
from launcher.report.run import Event, Failure, LogTail, RankSign, Run, State

LOG_LINES = 60
MOST_FILES = 64
MOST_NOTES, MOST_NOTE_BYTES = 8, 8 << 10
MOST_RECIPE_BYTES = 64 << 10
QUIET_S = 60.0
"""A run without a launcher that has given a sign of life so lately still goes on."""

_EXPECTED = {
    "manifest.json": "what was run, and how it ended",
    "events.jsonl": "the time line",
    "metrics.jsonl": "curves, accuracy and classes",
    "config.yaml": "the recipe",
}


def read_run(
    path: Path, *, is_alive: Callable[[str], bool], clock: Callable[[], float] = time.time
) -> Run:
    """Return what a run directory says.

    Args:
        path: the directory.
        is_alive: whether processes of the job with this id ("": it is not known) run on this host.
        clock: seconds of the wall clock.
    """
    paths, now_s = RunPaths(Path(os.path.realpath(path))), clock()
    manifest = read_object(paths.manifest)
    event_files, metric_lines = _event_files(paths), Lines(paths.metrics)
    events, metrics = events_of(chain.from_iterable(event_files)), collect(metric_lines)
    signs = read_signs(paths)
    verdict = _verdict(manifest or {}, events)
    exit_code = whole(verdict.get("exit_code"))
    return Run(
        path=paths.root,
        state=_state(exit_code, manifest or {}, events, signs, is_alive=is_alive, now_s=now_s),
        exit_code=exit_code,
        reason=text(verdict.get("reason"), 60),
        explanation=text(verdict.get("explanation"), 2000),
        root_cause_rank=whole(verdict.get("root_cause_rank")),
        start_s=moment(mapping(manifest).get("start")) or (events[0].time_s if events else None),
        end_s=moment(mapping(manifest).get("end")) or _end_of(events),
        manifest=manifest or {},
        recipe=(read_bytes(paths.config, limit=MOST_RECIPE_BYTES) or b"").decode(
            "utf-8", "replace"
        ),
        metrics=metrics,
        events=events,
        lives=lives_of(events),
        failures=_failures(paths),
        logs=_logs(paths),
        signs=signs,
        predictions=read_predictions(paths.root),
        pictures=_pictures(paths),
        bad_numbers=_bad_numbers(paths),
        missing=_missing(paths, manifest, [*event_files, metric_lines]),
        read_s=now_s,
    )


def _event_files(paths: RunPaths) -> list[Lines]:
    """Return the events of node 0 and those that other nodes wrote beside them."""
    others = _numbered(list_folder(paths.root), r"events_node_(\d{1,6})\.jsonl")
    return [Lines(file) for file in (paths.events, *(file for file, _ in others[:MOST_FILES]))]


def read_signs(paths: RunPaths) -> list[RankSign]:
    """Return the last sign of life of every rank that has given one."""
    found = []
    for file, rank in _numbered(list_folder(paths.progress(0).parent), r"rank_(\d{1,6})\.json"):
        values = read_object(file)
        if values is not None:
            found.append(
                RankSign(
                    rank=rank,
                    phase=text(values.get("phase"), 40),
                    epoch=whole(values.get("epoch")),
                    step=whole(values.get("step")),
                    time_s=number(values.get("time")),
                    images_per_s=number(values.get("images_per_s")),
                    step_ms=number(values.get("step_ms")),
                )
            )
    return sorted(found, key=lambda sign: sign.rank)


def job_id_of(manifest: Mapping[str, Any], events: Sequence[Event] = ()) -> str:
    """Return the id that the processes of a run carry; "" where it is not known."""
    found = text(mapping(manifest.get("plan")).get("job_id"), 200)
    if found:
        return found
    plans = (event.values.get("plan") for event in events if event.name == "plan")
    return next((text(mapping(plan).get("job_id"), 200) for plan in plans), "")


def moment(value: object) -> float | None:
    """Return a time of the manifest in seconds of the wall clock."""
    for form in ("%Y-%m-%dT%H:%M:%S.%f%z", "%Y-%m-%dT%H:%M:%S%z"):
        try:
            return datetime.strptime(text(value, 60), form).timestamp()
        except (ValueError, OverflowError, OSError):
            continue
    return None


def _verdict(manifest: Mapping[str, Any], events: Sequence[Event]) -> Mapping[str, Any]:
    said = [event.values for event in events if event.name == "verdict"]
    verdict = said[-1] if said else {}
    names = ("exit_code", "root_cause_rank", "reason", "explanation")
    return {name: _first(manifest.get(name), verdict.get(name)) for name in names}


def _first(*values: object) -> object:
    return next((value for value in values if value is not None), None)


def _state(
    exit_code: int | None,
    manifest: Mapping[str, Any],
    events: Sequence[Event],
    signs: Sequence[RankSign],
    *,
    is_alive: Callable[[str], bool],
    now_s: float,
) -> State:
    if exit_code is not None:
        return State.ENDED_WELL if exit_code == 0 else State.FAILED
    job_id = job_id_of(manifest, events)
    if is_alive(job_id):
        return State.RUNNING
    times = [sign.time_s for sign in signs if sign.time_s is not None and sign.phase != "done"]
    if any(0 <= now_s - time_s < QUIET_S for time_s in times) and not job_id:
        return State.RUNNING
    return State.LOST if manifest or events else State.UNKNOWN


def _end_of(events: Sequence[Event]) -> float | None:
    return next((one.time_s for one in reversed(events) if one.name == "verdict"), None)


def _failures(paths: RunPaths) -> list[Failure]:
    found = []
    for file, attempt, rank in _by_attempt(paths.root / "failures", r"rank_(\d{1,6})\.json"):
        values = read_object(file)
        if values is not None:
            time_ns = number(values.get("time_ns"))
            found.append(
                Failure(
                    attempt=attempt,
                    rank=rank,
                    type=text(values.get("type"), 200) or "failure",
                    message=text(values.get("message"), 4000),
                    traceback=text(values.get("traceback")),
                    host=text(values.get("host"), 200),
                    device=text(values.get("device"), 40),
                    phase=text(values.get("phase"), 40),
                    time_s=None if time_ns is None else time_ns / 1e9,
                )
            )
    return found


def _logs(paths: RunPaths) -> list[LogTail]:
    found = []
    pattern = r"(?:rank_(\d{1,6})|scheduler)\.log"
    for file, attempt, rank in _by_attempt(paths.root / "logs", pattern):
        title = "scheduler" if rank < 0 else f"rank {rank}"
        size, lines = size_of(file) or 0, tail_lines(file, LOG_LINES)
        found.append(LogTail(attempt, title, file, size, lines))
    return found


def _by_attempt(folder: Path, pattern: str) -> list[tuple[Path, int, int]]:
    """Return (file, attempt, rank) of the newest attempts first; a file without a rank has -1."""
    attempts = _numbered(list_folder(folder), r"attempt_(\d{1,6})")
    found = []
    for place, attempt in sorted(attempts, key=lambda one: -one[1]):
        files = sorted(_numbered(list_folder(place), pattern), key=lambda one: one[1])
        found += [(file, attempt, rank) for file, rank in files]
        if len(found) >= MOST_FILES:
            break
    return found[:MOST_FILES]


def _numbered(files: Sequence[Path], pattern: str) -> list[tuple[Path, int]]:
    found = []
    for file in files:
        match = re.fullmatch(pattern, file.name, re.ASCII)
        if match:
            found.append((file, -1 if match[1] is None else int(match[1])))
    return found


def _pictures(paths: RunPaths) -> list[Path]:
    return [file for file in list_folder(paths.report) if file.suffix == ".png"][:MOST_FILES]


def _bad_numbers(paths: RunPaths) -> list[tuple[str, str]]:
    files = _numbered(list_folder(paths.report), r"bad_numbers_step_(\d{1,12})\.json")
    return [
        (file.name, (read_bytes(file, limit=MOST_NOTE_BYTES) or b"").decode("utf-8", "replace"))
        for file, _ in sorted(files, key=lambda one: one[1])[:MOST_NOTES]
    ]


def _missing(
    paths: RunPaths, manifest: Mapping[str, Any] | None, lines: Sequence[Lines]
) -> list[str]:
    """Return what is absent, damaged or only sampled, in words."""
    found = []
    for name, use in _EXPECTED.items():
        if name == "config.yaml" and size_of(paths.metrics) is None:
            continue
        if size_of(paths.root / name) is None:
            found.append(f"{name} is not there: {use} cannot be shown")
    if manifest is None and size_of(paths.manifest) is not None:
        found.append("manifest.json is damaged: it holds no whole JSON object")
    for one in lines:
        if one.damaged:
            verb = "lines are" if one.damaged > 1 else "line is"
            found.append(f"{one.path.name}: {one.damaged:,} {verb} damaged or half-written")
        if one.sampled:
            found.append(f"{one.path.name} is large: a part of its lines was read, evenly spread")
    return found
