"""Waiting for a table that another process is writing, against real files and a real writer."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rank_tables import Shape, document

from launcher.errors import NotReadyError, RankTableError
from launcher.rank_table.wait import POLL_S, wait_for_table

GOOD = json.dumps(document(Shape(servers=2, devices=2)), indent=4)
INITIALIZING = '{"status":"initializing"}'


class Time:
    """A clock that moves only when someone sleeps, and does what is planned at its moments."""

    def __init__(self, *plan: tuple[float, Callable[[], object]]) -> None:
        self.now = 100.0
        self.plan = [(100.0 + after, act) for after, act in plan]

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        while self.plan and self.plan[0][0] <= self.now:
            self.plan.pop(0)[1]()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hccl.json"


def test_a_table_that_is_there_is_returned_at_once(path: Path) -> None:
    path.write_text(GOOD)
    fake = Time()
    ready = wait_for_table(path, timeout_s=0, clock=fake.clock, sleep=fake.sleep)
    assert ready.table.world_size == 4
    assert fake.now == 100.0


def test_every_stage_of_its_writing_is_waited_through(path: Path) -> None:
    fake = Time(
        (1, lambda: path.write_text("")),
        (2, lambda: path.write_text(INITIALIZING)),
        (3, lambda: path.write_text("")),
        (4, lambda: path.write_text(GOOD[: len(GOOD) // 2])),
        (5, lambda: path.write_text(GOOD)),
    )
    ready = wait_for_table(path, timeout_s=60, clock=fake.clock, sleep=fake.sleep)
    assert ready.table.world_size == 4
    assert fake.now - 105 <= 0.2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no such file"),
        ("", "the file is empty"),
        (INITIALIZING, "status is 'initializing'"),
        (GOOD[:100], "line 6 column"),
    ],
)
def test_past_the_bound_it_says_what_is_missing(
    path: Path, content: str | None, words: str
) -> None:
    if content is not None:
        path.write_text(content)
    fake = Time()
    with pytest.raises(NotReadyError, match=words) as caught:
        wait_for_table(path, timeout_s=2, clock=fake.clock, sleep=fake.sleep)
    assert caught.value.exit_code == 75
    assert "within 2 s" in str(caught.value)
    assert fake.now - 102 <= 2 * POLL_S


def test_a_wrong_table_is_refused_soon_not_at_the_bound(path: Path) -> None:
    path.write_text(GOOD.replace('"rank_id": "3"', '"rank_id": "0"'))
    fake = Time()
    with pytest.raises(RankTableError, match="rank 0 is already at"):
        wait_for_table(path, timeout_s=1800, clock=fake.clock, sleep=fake.sleep)
    assert fake.now - 100 <= 1


def test_a_wrong_moment_of_writing_is_waited_through(path: Path) -> None:
    path.write_text("\0" * 100 + GOOD[100:])
    fake = Time((0.3, lambda: path.write_text(GOOD)))
    assert wait_for_table(path, timeout_s=60, clock=fake.clock, sleep=fake.sleep)


def test_what_can_never_be_right_is_refused_at_once(path: Path, tmp_path: Path) -> None:
    fake = Time()
    with pytest.raises(RankTableError, match=r"does not end in \.json"):
        wait_for_table(tmp_path / "t.txt", timeout_s=60, clock=fake.clock, sleep=fake.sleep)
    path.mkdir()
    with pytest.raises(RankTableError, match="Is a directory"):
        wait_for_table(path, timeout_s=60, clock=fake.clock, sleep=fake.sleep)
    assert fake.now == 100.0


WRITER = """
import os, sys, time
path, text = sys.argv[1], sys.argv[2].encode()
pause = 1.0 / len(text)
fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
os.write(fd, b'{"status":"initializing"}')
time.sleep(0.1)
os.ftruncate(fd, 0)
os.lseek(fd, 0, os.SEEK_SET)
end = time.monotonic()
for i in range(len(text)):
    os.write(fd, text[i:i + 1])
    end += pause
    time.sleep(max(0, end - time.monotonic()))
print(time.monotonic(), flush=True)
"""


def test_a_real_writer_is_waited_for_byte_by_byte(path: Path) -> None:
    looks = 0

    def sleep(seconds: float) -> None:
        nonlocal looks
        looks += 1
        time.sleep(seconds)

    command = [sys.executable, "-c", WRITER, str(path), GOOD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        ready = wait_for_table(path, timeout_s=60, sleep=sleep)
        writer.communicate(timeout=60)
    assert writer.returncode == 0
    assert ready.content == GOOD.encode()
    assert looks > 2
