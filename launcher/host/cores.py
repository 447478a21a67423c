"""The cores of a host: which this process may use, how much of them, and their NUMA nodes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from launcher.host.access import HostAccess
from launcher.ranges import parse_ranges

Cores = tuple[int, ...]

_MOUNT = "/sys/fs/cgroup"


def allowed_cores() -> Cores:
    """Return the cores that this process may run on, ascending (cpusets and taskset included)."""
    return tuple(sorted(os.sched_getaffinity(0)))


def read_numa_nodes(access: HostAccess) -> tuple[Cores, ...]:
    """Return the cores of each NUMA node in the order of the nodes; empty where unreadable."""
    folder = "/sys/devices/system/node"
    numbers = [name[4:] for name in access.names(folder) if re.fullmatch(r"node\d+", name)]
    found = []
    for number in sorted(numbers, key=int):
        text = access.read(f"{folder}/node{number}/cpulist")
        try:
            found.append(parse_ranges(text.strip()) if text and text.strip() else ())
        except ValueError:
            return ()
    return tuple(cores for cores in found if cores)


def cpu_quota(access: HostAccess) -> float | None:
    """Return how many cores' worth of time the control group grants; None = no limit known.

    The tightest group on the way to the root counts: cpu.max in version 2, cpu.cfs_quota_us over
    cpu.cfs_period_us in version 1.
    """
    membership = access.read("/proc/self/cgroup") or ""
    quotas = []
    for place in quota_folders(membership):
        text = access.read(f"{_MOUNT}/{place}cpu.max")
        if text is None:
            limit = access.read(f"{_MOUNT}/{place}cpu.cfs_quota_us")
            period = access.read(f"{_MOUNT}/{place}cpu.cfs_period_us")
            text = f"{limit or ''} {period or ''}"
        quota = parse_quota(text)
        if quota is not None:
            quotas.append(quota)
    return min(quotas, default=None)


def quota_folders(membership: str) -> list[str]:
    """Return the folders below the mount that may hold a quota, with a slash at the end.

    Args:
        membership: the text of /proc/PID/cgroup: lines of ``id:controllers:/path``.
    """
    folders: list[str] = []
    for line in membership.splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        names = controllers.split(",")
        if controllers == "" and path:
            folders += _up_from("", path)
        elif "cpu" in names:
            folders += _up_from(f"{controllers}/", path)
            folders += _up_from("cpu/", path) if controllers != "cpu" else []
    return folders


def _up_from(start: str, path: str) -> Iterator[str]:
    steps = [step for step in path.split("/") if step]
    for length in range(len(steps), -1, -1):
        yield start + "".join(f"{step}/" for step in steps[:length])


def parse_quota(text: str) -> float | None:
    """Return quota over period of ``150000 100000``; None for ``max``, -1 or no numbers."""
    quota, period = [*text.split(), "", ""][:2]
    if not (quota.isdecimal() and period.isdecimal()) or int(period) == 0 or int(quota) == 0:
        return None
    return int(quota) / int(period)
