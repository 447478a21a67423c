"""Which cores each worker gets: shares of the cores that the launcher itself may use."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from launcher.host.cores import Cores
from launcher.host.node import Host


class Shares(NamedTuple):
    """The cores of each worker, and what a user should know of them."""

    cores: tuple[Cores, ...]
    notes: tuple[str, ...] = ()


def share_cores(bind: str, host: Host, count: int, near: Sequence[Cores]) -> Shares:
    """Return the shares of a node's workers.

    Args:
        bind: none, cores or numa, see ``--bind``.
        near: for each worker the cores near its NPU, empty where unknown; nothing on a CPU.
    """
    if bind == "none":
        return Shares(((),) * count)
    notes = []
    if host.cpu_quota is not None and host.cpu_quota < len(host.cores):
        quota = f"{host.cpu_quota:g}"
        notes.append(f"the control group grants the time of {quota} cores: threads follow that")
    is_known = bool(near) and all(near)
    if bind == "cores":
        cores = split_near(host.cores, near) if is_known else split_cores(host.cores, count)
        return Shares(cores, tuple(notes))
    cores = split_within(host.cores, near) if is_known else ()
    cores = cores or split_numa(host.cores, host.numa_nodes, count)
    if not cores:
        notes.append("--bind numa: this host shows no NUMA nodes; cores are shared evenly instead")
    return Shares(cores or split_cores(host.cores, count), tuple(notes))


def split_cores(cores: Sequence[int], count: int) -> tuple[Cores, ...]:
    """Return ``count`` contiguous shares that differ by one core at most.

    Where there are fewer cores than shares, each share is one core and cores are used in turn.
    """
    if count >= len(cores):
        return tuple((cores[index % len(cores)],) for index in range(count))
    edges = [index * len(cores) // count for index in range(count + 1)]
    return tuple(tuple(cores[a:b]) for a, b in pairwise(edges))


def split_near(cores: Sequence[int], near: Sequence[Sequence[int]]) -> tuple[Cores, ...]:
    """Return even shares, one per worker, that begin with the cores near the worker's device.

    Args:
        cores: all cores to share out.
        near: for each worker the cores near its device; workers may have the same ones.
    """
    if len(near) >= len(cores):
        return split_cores(cores, len(near))
    sizes = [len(share) for share in split_cores(cores, len(near))]
    free = set(cores)
    shares: list[list[int]] = []
    for worker, own in enumerate(near):
        waiting = sum(set(other) == set(own) for other in near[worker:])
        usable = sorted(free & set(own))
        share = usable[: min(sizes[worker], -(-len(usable) // waiting))]
        free -= set(share)
        shares.append(share)
    for share, size in zip(shares, sizes, strict=True):
        more = sorted(free)[: size - len(share)]
        free -= set(more)
        share += more
    return tuple(tuple(sorted(share)) for share in shares)


def split_within(cores: Sequence[int], near: Sequence[Sequence[int]]) -> tuple[Cores, ...]:
    """Return shares of nothing but the cores near each worker's device.

    Workers with the same near cores split them evenly. Empty where a worker has none.
    """
    shares: list[Cores] = []
    for worker, own in enumerate(near):
        usable = [core for core in cores if core in set(own)]
        if not usable:
            return ()
        alike = [other for other, cores_of in enumerate(near) if set(cores_of) == set(own)]
        shares.append(split_cores(usable, len(alike))[alike.index(worker)])
    return tuple(shares)


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
    return split_within(cores, [usable[home] for home in homes])


def thread_count(share: Cores, quota: float | None, count: int) -> int:
    """Return how many threads a worker may use at once: its cores, or its part of a CPU quota.

    Args:
        quota: the time that the control group grants, in cores; None = no limit.
        count: the workers that share it.
    """
    return len(share) if quota is None else max(1, min(len(share), int(quota / count)))
