"""Reads a cluster file: every value checked, every error with file, line and key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from launcher.cluster.document import Value, read_yaml
from launcher.cluster.model import Cluster, Node
from launcher.rank_table.fields import parse_address
from launcher.rank_table.model import PRODUCTS

_SHARED_KEYS = ("devices", "nproc", "interface", "environment")
_FILE_KEYS = ("device_target", "product", "master_port", *_SHARED_KEYS, "nodes")
_NODE_KEYS = ("name", "address", *_SHARED_KEYS, "device_addresses", "super_pod", "super_device_ids")
_MOST_NODES = 100_000
_MOST_DEVICES = 1024
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_OURS = re.compile(
    r"(MS_(ROLE|SCHED_\w+|WORKER_NUM|WORKER_IP|SERVER_NUM|NODE_ID)|RANK_(TABLE_FILE|ID|SIZE)|DEVICE_ID"
    r"|MINDSPORE_HCCL_CONFIG_PATH|ASCEND_RT_VISIBLE_DEVICES|LAUNCHER_\w+)"
)


def load_cluster(path: Path) -> Cluster:
    """Return what a cluster file says.

    Raises:
        UsageError: anything in it is unknown, of the wrong type, or contradicts itself.
    """
    root = read_yaml(path)
    keys = root.mapping(_FILE_KEYS)
    if "nodes" not in keys:
        raise root.refuse("`nodes:` is missing: list the machines, one is enough")
    target = _optional(keys, "device_target", lambda v: v.choice(("Ascend", "CPU"))) or "Ascend"
    shared = {key: keys[key] for key in _SHARED_KEYS if key in keys}
    rows = list(keys["nodes"].items())
    nodes = tuple(_node(row, shared, target) for row in rows)
    if not 1 <= len(nodes) <= _MOST_NODES:
        raise keys["nodes"].refuse(f"{len(nodes)} nodes: from 1 to {_MOST_NODES} are possible")
    _check_names(rows, nodes)
    _check_pods(rows, nodes)
    return Cluster(
        device_target=target,
        nodes=nodes,
        product=_optional(keys, "product", lambda v: v.choice(PRODUCTS)),
        master_port=_optional(keys, "master_port", lambda v: v.whole(1024, 65535)),
    )


def _optional(keys: Mapping[str, Value], name: str, read: Any) -> Any:
    return read(keys[name]) if name in keys else None


def _node(row: Value, shared: Mapping[str, Value], target: str) -> Node:
    own = row.mapping(_NODE_KEYS)
    keys = {**shared, **own}
    if "name" not in own:
        raise row.refuse("`name:` is missing: every node has a name")
    devices, nproc = _workers(row, keys, target)
    super_pod = own["super_pod"].plain() if "super_pod" in own else ""
    return Node(
        name=own["name"].text(),
        address=_address(own["address"]) if "address" in own else "",
        nproc=nproc,
        device_ids=devices,
        device_addresses=_per_device(own, "device_addresses", devices, _address),
        interface=keys["interface"].text() if "interface" in keys else "",
        super_pod=super_pod,
        super_device_ids=_per_device(
            own, "super_device_ids", devices, lambda value: value.whole(0, 2**63)
        ),
        environment={**_variables(shared), **_variables(own)},
    )


def _workers(row: Value, keys: Mapping[str, Value], target: str) -> tuple[tuple[int, ...], int]:
    nproc = _optional(keys, "nproc", lambda value: value.whole(1, _MOST_DEVICES))
    if target == "CPU":
        if "devices" in keys:
            raise keys["devices"].refuse("a CPU has no devices: say how many workers with `nproc:`")
        return (), nproc or 1
    if "devices" not in keys:
        raise row.refuse("`devices:` is missing, for this node or for all: such as 0-7")
    devices = keys["devices"].numbers()
    if nproc is not None and nproc != len(devices):
        raise keys["nproc"].refuse(
            f"{nproc} workers on {len(devices)} devices: each worker gets one; leave nproc out"
        )
    return devices, len(devices)


def _per_device(
    own: Mapping[str, Value], key: str, devices: tuple[int, ...], read: Any
) -> dict[int, Any]:
    """Return device_id to value of a list in the order of the devices, or of ``id: value``."""
    if key not in own:
        return {}
    value = own[key]
    if value.is_mapping:
        named = value.mapping([str(number) for number in devices])
        return {int(number): read(one) for number, one in named.items()}
    rows = list(value.items())
    if len(rows) != len(devices):
        raise value.refuse(f"{len(rows)} values for {len(devices)} devices: one for each")
    return {number: read(one) for number, one in zip(devices, rows, strict=True)}


def _address(value: Value) -> str:
    text = value.text()
    if parse_address(text) is None:
        raise value.refuse(f"{text!r} is no IPv4 or IPv6 address")
    return text


def _variables(keys: Mapping[str, Value]) -> dict[str, str]:
    if "environment" not in keys:
        return {}
    found = {}
    for name, value in keys["environment"].mapping().items():
        if not _VARIABLE.fullmatch(name):
            raise value.refuse(f"{name!r} is no name of an environment variable")
        if _OURS.fullmatch(name):
            raise value.refuse("the launcher itself sets this variable for each worker")
        found[name] = value.plain()
    return found


def _check_names(rows: Iterable[Value], nodes: tuple[Node, ...]) -> None:
    seen: set[str] = set()
    for row, node in zip(rows, nodes, strict=True):
        if len(nodes) > 1 and not node.address:
            raise row.refuse("`address:` is missing: with several nodes each needs one")
        for text in {node.name, node.address} - {""}:
            if text in seen:
                raise row.refuse(f"{text!r} is another node's already: each name and address once")
            seen.add(text)


def _check_pods(rows: Iterable[Value], nodes: tuple[Node, ...]) -> None:
    """Refuse nodes of one super pod that stand apart: HCCL wants their ranks together."""
    left: set[str] = set()
    current = nodes[0].super_pod
    for row, node in zip(rows, nodes, strict=True):
        if node.super_pod != current:
            left.add(current)
            current = node.super_pod
        if current in left:
            raise row.refuse(f"nodes of super pod {current!r} stand above and below others")
