"""One table out of several, the same whatever order they come in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from launcher.errors import RankTableError
from launcher.rank_table.convert import to_current
from launcher.rank_table.make import checked, numbered
from launcher.rank_table.model import RankTable, Server, SuperPod
from launcher.rank_table.order import natural_order


def merge_tables(tables: Sequence[RankTable], *, product: str | None = None) -> RankTable:
    """Return one table of all servers, ranks counted anew by server_id.

    Addresses are ordered by value and numbers in names too: 10.0.0.9 before 10.0.0.10, node_2
    before node_10; servers of one super pod stand together. Devices keep their order by rank. Old
    forms become version 1.0.

    Raises:
        RankTableError: nothing to merge, different versions, a server or an address that comes
            twice, or anything else that makes the result no valid table.
    """
    current = [to_current(table) for table in tables]
    forms = sorted({table.form for table in current})
    if len(forms) != 1:
        what = f"versions {' and '.join(forms)} do not mix" if forms else "no table is given"
        raise RankTableError(f"nothing can be merged: {what}")
    servers = [server for table in current for server in table.servers]
    _refuse_repeated(servers)
    pods = _merge_pods(pod for table in current for pod in table.super_pods)
    place = {name: index for index, pod in enumerate(pods) for name in pod.server_ids}
    servers.sort(key=lambda one: (place.get(one.server_id, 0), natural_order(one.server_id)))
    ordered = tuple(replace(server, devices=server.by_rank) for server in servers)
    return checked(numbered(RankTable(forms[0], ordered, pods)), product=product)


def _refuse_repeated(servers: Sequence[Server]) -> None:
    counts = Counter(server.server_id for server in servers)
    repeated = sorted(name for name, count in counts.items() if count > 1)
    if repeated:
        raise RankTableError(
            f"more than one table has the server {', '.join(map(repr, repeated))}: each server "
            "once; leave one of the tables out, or give each host its own server_id"
        )


def _merge_pods(pods: Iterable[SuperPod]) -> tuple[SuperPod, ...]:
    servers: dict[str, list[str]] = {}
    for pod in pods:
        servers.setdefault(pod.super_pod_id, []).extend(pod.server_ids)
    merged = [
        SuperPod(name, tuple(sorted(names, key=natural_order))) for name, names in servers.items()
    ]
    return tuple(sorted(merged, key=lambda pod: natural_order(pod.super_pod_id)))
