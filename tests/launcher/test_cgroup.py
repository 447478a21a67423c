"""Counts of the kernel's memory killer, from recorded files of both cgroup versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher.supervision.cgroup import event_files, memory_kills, parse_kills

V1_CONTROL = "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"
V2_EVENTS = "low 0\nhigh 12\nmax 40\noom 3\noom_kill 1\noom_group_kill 0\n"
V1_MEMBERSHIP = "9:name=systemd:/\n8:pids:/\n5:devices:/\n4:memory:/job/7\n3:cpuset:/\n0::/\n"
V2_MEMBERSHIP = "0::/system.slice/job.scope\n"


@pytest.mark.parametrize(("text", "kills"), [(V1_CONTROL, 2), (V2_EVENTS, 1), ("", None)])
def test_kills_are_read_from_either_version(text: str, kills: int | None) -> None:
    assert parse_kills(text) == kills


def test_the_group_of_version_1_is_looked_for_at_its_path_first() -> None:
    assert event_files(V1_MEMBERSHIP)[:2] == [
        "memory/job/7/memory.oom_control",
        "memory/memory.oom_control",
    ]


def test_the_group_of_version_2_is_looked_for_at_its_path_first() -> None:
    assert event_files(V2_MEMBERSHIP) == [
        "system.slice/job.scope/memory.events",
        "memory.events",
    ]


@pytest.mark.parametrize(
    ("membership", "place", "text", "kills"),
    [
        (V1_MEMBERSHIP, "memory/job/7/memory.oom_control", V1_CONTROL, 2),
        (V1_MEMBERSHIP, "memory/memory.oom_control", V1_CONTROL, 2),
        (V2_MEMBERSHIP, "system.slice/job.scope/memory.events", V2_EVENTS, 1),
        (V2_MEMBERSHIP, "memory.events", V2_EVENTS, 1),
        (V2_MEMBERSHIP, "elsewhere/memory.events", V2_EVENTS, None),
    ],
)
def test_the_count_is_found_inside_and_outside_of_a_container(
    tmp_path: Path, membership: str, place: str, text: str, kills: int | None
) -> None:
    (tmp_path / "membership").write_text(membership)
    file = tmp_path / "mount" / place
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert memory_kills(tmp_path / "membership", tmp_path / "mount") == kills


def test_without_a_group_there_is_no_count(tmp_path: Path) -> None:
    assert memory_kills(tmp_path / "none", tmp_path) is None
