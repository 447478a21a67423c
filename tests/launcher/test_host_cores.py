from __future__ import annotations

import os
from pathlib import Path

import pytest

from launcher.host.access import HostAccess
from launcher.host.cores import (
    allowed_cores,
    cpu_quota,
    parse_quota,
    quota_folders,
    read_numa_nodes,
)


def write(root: Path, path: str, text: str) -> None:
    place = root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


def test_numa_nodes_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number, text in ((0, "0-1\n"), (10, "6\n"), (2, "2,4-5\n"), (3, "\n")):
        write(tmp_path, f"sys/devices/system/node/node{number}/cpulist", text)
    write(tmp_path, "sys/devices/system/node/possible", "")
    assert read_numa_nodes(HostAccess(tmp_path)) == ((0, 1), (2, 4, 5), (6,))
    assert read_numa_nodes(HostAccess(tmp_path / "missing")) == ()
    write(tmp_path, "sys/devices/system/node/node1/cpulist", "odd\n")
    assert read_numa_nodes(HostAccess(tmp_path)) == ()


def test_allowed_cores_are_those_of_this_process() -> None:
    assert set(allowed_cores()) == os.sched_getaffinity(0)


def test_the_tightest_quota_of_version_2_counts(tmp_path: Path) -> None:
    write(tmp_path, "proc/self/cgroup", "0::/kube/pod\n")
    assert cpu_quota(HostAccess(tmp_path)) is None
    write(tmp_path, "sys/fs/cgroup/kube/pod/cpu.max", "max 100000\n")
    write(tmp_path, "sys/fs/cgroup/kube/cpu.max", "250000 100000\n")
    write(tmp_path, "sys/fs/cgroup/cpu.max", "400000 100000\n")
    assert cpu_quota(HostAccess(tmp_path)) == 2.5


def test_a_quota_of_version_1_counts(tmp_path: Path) -> None:
    write(tmp_path, "proc/self/cgroup", "5:cpu,cpuacct:/docker/ab\n4:memory:/docker/ab\n")
    write(tmp_path, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "150000\n")
    write(tmp_path, "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    assert cpu_quota(HostAccess(tmp_path)) == 1.5


@pytest.mark.parametrize("text", ["", "max 100000", "-1 100000", "5", "5 0", "a b", "0 100000"])
def test_no_quota_is_none(text: str) -> None:
    assert parse_quota(text) is None


def test_every_folder_up_to_the_root_may_hold_a_quota() -> None:
    assert quota_folders("0::/a/b\n") == ["a/b/", "a/", ""]
    assert quota_folders("1:cpu:/a\n9:cpuset:/a\n") == ["cpu/a/", "cpu/"]
    assert quota_folders("odd\n\n") == []
