"""events.jsonl: whole lines, never an error for the supervisor."""

from __future__ import annotations

import json
import os
from pathlib import Path

from launcher.supervision.events import EventLog


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_an_event_is_one_json_line_with_time_attempt_and_rank(tmp_path: Path) -> None:
    path = tmp_path / "new" / "events.jsonl"
    log = EventLog(path)
    log.write("exit", attempt=1, rank=3, returncode=-9, where=Path("/x"))
    log.write("ready", attempt=1)
    first, second = lines_of(path)
    assert first.pop("time") > 0
    assert first == {"event": "exit", "attempt": 1, "rank": 3, "returncode": -9, "where": "/x"}
    assert "rank" not in second


def test_an_earlier_log_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for _ in range(2):
        log = EventLog(path)
        log.write("plan", attempt=0)
        log.close()
    assert len(lines_of(path)) == 2


def test_a_log_that_cannot_be_written_is_reported_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said: list[str] = []
    log = EventLog(tmp_path / "file" / "events.jsonl", said.append)
    log.write("plan", attempt=0)
    log.write("spawn", attempt=0, rank=0)
    assert len(said) == 1
    assert "events.jsonl cannot be written" in said[0]


def test_a_full_disk_is_reported_and_survived() -> None:
    said: list[str] = []
    log = EventLog(Path("/dev/full"), said.append)
    log.write("plan", attempt=0)
    log.write("verdict", attempt=0)
    assert len(said) == 1
    assert "No space left" in said[0]
    log.close()


def test_a_text_that_is_no_utf8_is_written_escaped(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    EventLog(path).write("failure", attempt=0, why=os.fsdecode(b"\xff"))
    assert len(path.read_bytes().splitlines()) == 1
