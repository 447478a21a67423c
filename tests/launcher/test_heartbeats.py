"""Signs of life are written by any script: what is read of them can be counted on."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launcher.contract import Progress, RunPaths, write_record
from launcher.heartbeats import Heartbeats, read_heartbeat
from launcher.supervision.pace import Track
from launcher.terminal.live import live_rows

WHOLE = Progress(0, "train", 1, 5, 1000.0, 3, 60, 0.5, 0.25, 12.5, 640.0, 0.1, 0.0)
NUMBERS = st.integers() | st.floats() | st.sampled_from([10**400, -(10**400), 1e308])
VALUES = st.none() | st.booleans() | NUMBERS | st.text() | st.lists(st.integers(), max_size=2)


def write(paths: RunPaths, **values: Any) -> None:
    path = paths.progress(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**WHOLE._asdict(), **values}))


def test_what_a_rank_has_written_is_read(paths: RunPaths) -> None:
    assert read_heartbeat(paths.progress(0)) is None
    write_record(WHOLE, paths.progress(0))
    assert read_heartbeat(paths.progress(0)) == WHOLE
    assert Heartbeats(paths).of(0) == WHOLE
    write_record(Progress(0, "compile"), paths.progress(0))
    assert Heartbeats(paths).of(0) == Progress(0, "compile")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rank", None),
        ("phase", 3),
        ("phase", "\x1b[2J"),
        ("epoch", -1),
        ("step", "7"),
        ("step", 7.5),
        ("step", True),
        ("step", 10**400),
        ("time", math.nan),
        ("time", math.inf),
        ("time", None),
    ],
)
def test_without_what_a_rank_must_tell_there_is_no_sign_of_life(
    paths: RunPaths, field: str, value: object
) -> None:
    write(paths, **{field: value})
    assert read_heartbeat(paths.progress(0)) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 2.5),
        ("total_steps", -1),
        ("loss", math.nan),
        ("accuracy", "high"),
        ("step_ms", math.inf),
        ("step_ms", -1.0),
        ("images_per_s", [1]),
        ("data_wait_s", True),
        ("stalled_s", 10**400),
    ],
)
def test_a_wrong_value_of_what_a_rank_may_tell_is_left_out(
    paths: RunPaths, field: str, value: object
) -> None:
    write(paths, **{field: value})
    assert read_heartbeat(paths.progress(0)) == WHOLE._replace(**{field: None})


def test_a_loss_below_zero_is_one(paths: RunPaths) -> None:
    write(paths, loss=-3.5)
    assert read_heartbeat(paths.progress(0)) == WHOLE._replace(loss=-3.5)


@pytest.mark.parametrize("content", [b"", b"[", b"[" * 200_000, b"7", b"[1]", b"\xff"])
def test_what_is_no_record_is_none(paths: RunPaths, content: bytes) -> None:
    path = paths.progress(0)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert read_heartbeat(path) is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(st.sampled_from(Progress._fields), VALUES))
def test_whatever_a_record_holds_it_can_be_drawn_and_compared(
    paths: RunPaths, values: dict[str, Any]
) -> None:
    write(paths, **values)
    sign = read_heartbeat(paths.progress(0))
    if sign is None:
        return
    rows = live_rows(
        {0: sign}, world_size=2, started_s=0.0, now_s=1e9, width=200, height=9, with_ranks=True
    )
    assert all(len(row) < 200 and row.isprintable() for row in rows)
    Track(3.0).add(sign)
