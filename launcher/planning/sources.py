"""Reads what says where a job runs, a cluster file or a rank table, when one is given."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from launcher.errors import NotReadyError, RankTableError, UsageError
from launcher.options import LaunchSpec
from launcher.planning.layout import Layout, from_cluster, from_table
from launcher.terminal.console import write

if TYPE_CHECKING:
    from launcher.cluster.model import Cluster, Node
    from launcher.rank_table.make import Machine
    from launcher.rank_table.model import RankTable


def read_layout(spec: LaunchSpec) -> Layout | None:
    """Return the layout that a file gives; None where the options alone decide.

    A rank table that is still being written is waited for.

    Raises:
        UsageError: the file is wrong, or contradicts an option.
        NotReadyError: the table was not completed in time.
    """
    if spec.cluster is None and spec.rank_table is None:
        return None
    given = "--cluster" if spec.cluster is not None else "--rank-table"
    if spec.cluster is not None and spec.rank_table is not None:
        raise UsageError("--cluster and --rank-table both say where the job runs: give one of them")
    for name, value in (("--nproc", spec.nproc), ("--devices", spec.devices)):
        if value is not None:
            raise UsageError(f"{name} and {given} both say which workers there are: give one")
    if spec.cluster is not None:
        return read_cluster_layout(spec, spec.cluster)
    assert spec.rank_table is not None
    return read_table_layout(spec, spec.rank_table)


def read_cluster_layout(spec: LaunchSpec, name: str) -> Layout:
    """Return the layout of a cluster file, with a rank table made of it where that is asked for."""
    from launcher.cluster.find import find_cluster
    from launcher.cluster.load import load_cluster

    path = find_cluster(name)
    cluster = load_cluster(path)
    if spec.device_target not in ("auto", cluster.device_target):
        raise UsageError(
            f"--device-target {spec.device_target}: {path} says {cluster.device_target}; "
            "leave the option out, or name another cluster file"
        )
    text = None
    if spec.rendezvous == "rank-table":
        from launcher.rank_table.write import to_json

        text = to_json(table_of(cluster))
    return from_cluster(cluster, f"--cluster {path}", text)


def table_of(cluster: Cluster) -> RankTable:
    """Return the rank table of a cluster file.

    Raises:
        UsageError: it describes CPUs, or lacks what a table needs.
    """
    from launcher.rank_table.make import make_table

    if cluster.device_target != "Ascend":
        raise UsageError("a rank table is of NPUs, but the cluster file has device_target: CPU")
    return make_table(map(_machine, cluster.nodes), product=cluster.product)


def _machine(node: Node) -> Machine:
    from launcher.rank_table.make import Machine

    return Machine(
        node.name,
        node.device_ids,
        node.device_addresses,
        node.super_device_ids,
        node.super_pod,
    )


def read_table_layout(spec: LaunchSpec, path: Path) -> Layout:
    """Return the layout of a rank table, as soon as it is completed.

    Workers get the table as it was read, an old form as version 1.0.
    """
    from launcher.rank_table.convert import to_current
    from launcher.rank_table.model import OLD_FORMS
    from launcher.rank_table.wait import wait_for_table
    from launcher.rank_table.write import to_json

    if spec.device_target == "CPU":
        raise UsageError(
            "--rank-table is for NPUs (HCCL), but --device-target says CPU; leave one of them out"
        )
    timeout_s = spec.rank_table_timeout_s
    announcement = f"launcher: waiting up to {timeout_s:g} s for the rank table {path}\n"
    ready = wait_for_table(path, timeout_s=timeout_s, sleep=_saying_first(announcement))
    if ready.table.form in OLD_FORMS:
        table = to_current(ready.table)
        return from_table(table, f"--rank-table {path}", to_json(table))
    return from_table(ready.table, f"--rank-table {path}", ready.content.decode("utf-8-sig"))


def refuse_another_table(spec: LaunchSpec, kept: Path) -> None:
    """Refuse to start ranks again by a rank table that has been written anew; never waits.

    MindCluster does so when it has replaced a device or a node; the ranks and devices of this
    launch are those of the old table. One that is just being written is another one, too.

    Args:
        kept: the table that this launch has begun with.

    Raises:
        NotReadyError: it is another one, and a new launch would take it.
    """
    assert spec.rank_table is not None
    table = None
    with suppress(RankTableError, NotReadyError):
        now = spec._replace(rank_table_timeout_s=0.0)
        table = read_table_layout(now, spec.rank_table).rank_table
    try:
        begun_with = kept.read_bytes()
    except OSError as error:
        raise NotReadyError(
            f"{kept}, the rank table that this launch began with, cannot be read any more "
            f"({error.strerror}): launch again"
        ) from None
    if table is None or table.encode() != begun_with:
        raise NotReadyError(
            f"the rank table {spec.rank_table} has been written anew since this launch began, and "
            "its ranks do not start again by the old one: launch again, --resume auto goes on"
        )


def _saying_first(text: str) -> Callable[[float], None]:
    """Return a sleep that says something before the first time."""
    left = [text]

    def sleep(seconds: float) -> None:
        if left:
            write(2, left.pop())
        time.sleep(seconds)

    return sleep


def check_product(layout: Layout, product: str | None) -> None:
    """Check the rank table of a layout, if it has one, by the rules of this node's product.

    Raises:
        RankTableError: it breaks one; every problem is listed.
    """
    if layout.rank_table is not None and product is not None:
        from launcher.rank_table.lint import parse

        parse(layout.rank_table.encode(), product=product, name=layout.source)
