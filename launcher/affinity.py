"""Which cores each worker may use: an even share of what the launcher itself may use."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from launcher.ranges import parse_ranges

Cores = tuple[int, ...]


def allowed_cores() -> Cores:
    """Return the cores that this process may run on, ascending (cgroup and taskset included)."""
    return tuple(sorted(os.sched_getaffinity(0)))


def read_numa_nodes(root: Path = Path("/sys/devices/system/node")) -> tuple[Cores, ...]:
    """Return the cores of each NUMA node in the order of the nodes; empty where unreadable."""
    found: dict[int, Cores] = {}
    try:
        for folder in root.iterdir():
            if re.fullmatch(r"node\d+", folder.name):
                text = (folder / "cpulist").read_text(encoding="ascii").strip()
                found[int(folder.name[4:])] = parse_ranges(text) if text else ()
    except (OSError, ValueError):
        return ()
    return tuple(cores for _, cores in sorted(found.items()) if cores)


def split_cores(cores: Sequence[int], count: int) -> tuple[Cores, ...]:
    """Return ``count`` contiguous shares that differ by one core at most.

    Where there are fewer cores than shares, each share is one core and cores are used in turn.
    """
    if count >= len(cores):
        return tuple((cores[index % len(cores)],) for index in range(count))
    edges = [index * len(cores) // count for index in range(count + 1)]
    return tuple(tuple(cores[a:b]) for a, b in pairwise(edges))


def split_numa(
    cores: Sequence[int], nodes: Sequence[Sequence[int]], count: int
) -> tuple[Cores, ...]:
    """Return ``count`` shares of which none spans two NUMA nodes.

    Workers are spread over the nodes in the order of their local ranks; workers of one node split
    its cores evenly. Empty where no node has an allowed core.
    """
    usable = [[core for core in node if core in set(cores)] for node in nodes]
    usable = [node for node in usable if node]
    if not usable:
        return ()
    homes = [index * len(usable) // max(count, len(usable)) for index in range(count)]
    shares: list[Cores] = []
    for number, node in enumerate(usable):
        workers = homes.count(number)
        shares.extend(split_cores(node, workers) if workers else ())
    return tuple(shares)
