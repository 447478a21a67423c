"""What is read from, and kept tidy in, the run directory."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import PlanMaker

from launcher.contract import FailureRecord, Progress, RunPaths, write_record
from launcher.supervision.collect import log_tail, prepare_folders, rank_outcome, tidy_folders
from launcher.supervision.process import Child


def test_the_last_lines_of_a_log_are_read_from_its_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(50_000)))
    assert log_tail(log, 2) == ("line 49998", "line 49999")


def test_a_short_log_is_read_whole_and_bad_bytes_are_replaced(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"first\nsecond \xff")
    assert log_tail(log) == ("first", "second \ufffd")
    assert log_tail(tmp_path / "none") == ()


def test_a_single_endless_line_gives_no_more_than_a_bounded_part(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * 1_000_000)
    assert sum(map(len, log_tail(log))) <= 64 * 1024


def test_the_records_of_a_rank_are_part_of_its_outcome(
    make_plan: PlanMaker, paths: RunPaths
) -> None:
    worker = make_plan(("x",)).workers[0]
    write_record(FailureRecord.now(0, "ValueError", "bad"), paths.failure(2, 0))
    write_record(Progress(0, "train", step=9), paths.progress(0))
    child = Child(pid=5, pidfd=-1, started_ns=1, rank=0, returncode=1, ended_ns=7)
    outcome = rank_outcome(worker, child, paths=paths, attempt=2)
    assert (outcome.pid, outcome.returncode, outcome.ended_ns) == (5, 1, 7)
    assert outcome.failure is not None
    assert outcome.failure.message == "bad"
    assert outcome.progress == Progress(0, "train", step=9)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"rank": 0, "type": "E"}',
        '{"rank": 0, "type": "E", "message": 7}',
        '{"rank": 0, "type": "E", "message": "m", "monotonic_ns": "now"}',
        '{"rank": 0, "type": "E", "message": "m", "traceback": null}',
    ],
)
def test_a_damaged_record_is_no_record(make_plan: PlanMaker, paths: RunPaths, text: str) -> None:
    worker = make_plan(("x",)).workers[0]
    paths.failure(0, 0).parent.mkdir(parents=True)
    paths.failure(0, 0).write_text(text)
    child = Child(pid=5, pidfd=-1, started_ns=1, rank=0, returncode=1)
    assert rank_outcome(worker, child, paths=paths, attempt=0).failure is None


def test_folders_that_stay_empty_are_removed_and_others_are_kept(paths: RunPaths) -> None:
    prepare_folders(paths, 0, [0, 1])
    paths.stacks(0, 0).touch()
    paths.failure(0, 1).write_text("{}")
    tidy_folders(paths, 0, [0, 1])
    assert not (paths.root / "stacks").exists()
    assert paths.failure(0, 1).exists()
    assert paths.log(0, 0).parent.is_dir()
