"""Form 2.0: a rank_list whose numbers are integers; Ascend 950 only.

Facts: HCCL user guide, cluster_info_config/rank_table_config_a5.md.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from launcher.rank_table.draft import DeviceDraft, ServerDraft, TableDraft
from launcher.rank_table.fields import (
    check_address,
    check_count,
    check_port,
    integer_at,
    name_at,
    note_unknown,
    objects_at,
    parse_address,
    text_at,
)
from launcher.rank_table.model import Level, LevelAddress
from launcher.rank_table.problem import Report, given

MAX_DEVICE_ID = 64
_MAX_RANKS = 65536
_MAX_LAYER = 7
_MAX_ADDRESSES = 24
_MAX_PORTS = 16
_BY_TOPOLOGY_FILE = "TOPO_FILE_DESC"
_NET_TYPES = (_BY_TOPOLOGY_FILE, "CLOS")
_EID = re.compile("[0-9a-fA-F]{32}")

_TABLE_KEYS = {"version", "status", "rank_count", "rank_list"}
_RANK_KEYS = {"rank_id", "local_id", "device_id", "level_list", "device_port", "host_port"}
_LEVEL_KEYS = {"net_layer", "net_instance_id", "net_type", "net_attr", "rank_addr_list"}
_ADDRESS_KEYS = {"addr_type", "addr", "ports", "plane_id"}


def read_rank_list(table: dict[str, Any], report: Report) -> TableDraft:
    """Read the document of a 2.0 table and report every value that is no such value."""
    seen: set[str] = set()
    note_unknown(report, seen, table, _TABLE_KEYS, "$")
    stated = integer_at(report, table, "$", "rank_count", required=True, most=_MAX_RANKS)
    rows = objects_at(report, table, "$", "rank_list")
    if isinstance(table.get("rank_list"), list):
        check_count(report, stated, len(table["rank_list"]), "$.rank_count")
    devices = [_device(report, seen, row, path) for path, row in rows]
    return TableDraft("2.0", _servers(devices))


def _device(report: Report, seen: set[str], row: dict[str, Any], path: str) -> DeviceDraft:
    note_unknown(report, seen, row, _RANK_KEYS, path)
    levels = objects_at(report, row, path, "level_list")
    if len(levels) > _MAX_LAYER + 1:
        message = f"{len(levels)} levels: at most {_MAX_LAYER + 1} are allowed"
        report.bad("list-length", f"{path}.level_list", message)
    read = [_level(report, seen, level, where) for where, level in levels]
    found = [level for level in read if level is not None]
    layers = [level.net_layer for level in found]
    if any(b <= a for a, b in pairwise(layers)):
        message = f"net_layer goes {given(layers)}: each level once, the lowest first"
        report.bad("level-order", f"{path}.level_list", message)
    return DeviceDraft(
        path=path,
        rank_id=integer_at(report, row, path, "rank_id", required=True),
        local_id=integer_at(report, row, path, "local_id", required=True, most=MAX_DEVICE_ID),
        device_id=integer_at(report, row, path, "device_id", required=True),
        device_port=_port(report, row, path, "device_port"),
        host_port=_port(report, row, path, "host_port"),
        levels=tuple(found),
    )


def _port(report: Report, row: dict[str, Any], path: str, key: str) -> int | None:
    return check_port(report, integer_at(report, row, path, key), f"{path}.{key}")


def _level(report: Report, seen: set[str], row: dict[str, Any], path: str) -> Level | None:
    note_unknown(report, seen, row, _LEVEL_KEYS, path)
    layer = integer_at(report, row, path, "net_layer", required=True, most=_MAX_LAYER)
    instance = name_at(report, row, path, "net_instance_id", max_length=1024)
    net_type = text_at(report, row, path, "net_type", required=True)
    allowed = _NET_TYPES if layer else _NET_TYPES[:1]
    if net_type is not None and net_type not in allowed:
        message = f"net_type is {given(net_type)}: level {layer} allows {' or '.join(allowed)}"
        report.bad("level-type", f"{path}.net_type", message)
    addresses = _addresses(report, seen, row, path)
    if layer is None:
        return None
    attr = text_at(report, row, path, "net_attr") or ""
    return Level(layer, instance or "", net_type or "", attr, addresses)


def _addresses(
    report: Report, seen: set[str], row: dict[str, Any], path: str
) -> tuple[LevelAddress, ...]:
    rows = objects_at(report, row, path, "rank_addr_list", may_be_empty=True)
    if len(rows) > _MAX_ADDRESSES:
        message = f"{len(rows)} addresses: at most {_MAX_ADDRESSES} are allowed"
        report.bad("list-length", f"{path}.rank_addr_list", message)
    return tuple(_address(report, seen, one, where) for where, one in rows)


def _address(report: Report, seen: set[str], row: dict[str, Any], path: str) -> LevelAddress:
    note_unknown(report, seen, row, _ADDRESS_KEYS, path)
    kind = text_at(report, row, path, "addr_type", required=True) or ""
    addr = text_at(report, row, path, "addr", required=True)
    if addr is not None:
        _check_type(report, kind, addr, path)
    return LevelAddress(
        addr_type=kind,
        addr=addr or "",
        ports=_ports(report, row, f"{path}.ports"),
        plane_id=text_at(report, row, path, "plane_id") or "",
    )


def _check_type(report: Report, kind: str, addr: str, path: str) -> None:
    where = f"{path}.addr"
    if kind.upper() == "EID":
        if not _EID.fullmatch(addr):
            message = f"{given(addr)} is no EID: 32 hexadecimal digits are expected"
            report.bad("address-invalid", where, message)
    elif kind.upper() not in ("IPV4", "IPV6"):
        message = f"addr_type is {given(kind)}: EID, IPV4 or IPV6 is expected"
        report.bad("address-type", f"{path}.addr_type", message)
    elif check_address(report, addr, where):
        address = parse_address(addr)
        if address is not None and kind.upper() != f"IPV{address.version}":
            message = f"{given(addr)} is an IPv{address.version} address, addr_type says {kind}"
            report.bad("address-type", where, message)


def _ports(report: Report, row: dict[str, Any], where: str) -> tuple[str, ...]:
    ports = row.get("ports")
    if ports is None:
        report.bad("key-missing", where, 'ports is missing here: add it, such as ["1/0"]')
        return ()
    if not isinstance(ports, list):
        report.bad("type-list", where, f"ports is {given(ports)}: a list [...] is expected")
        return ()
    if not 1 <= len(ports) <= _MAX_PORTS:
        rule = "list-length" if ports else "list-empty"
        report.bad(rule, where, f"{len(ports)} ports: 1 to {_MAX_PORTS} are allowed")
    for index, port in enumerate(ports):
        if not isinstance(port, str):
            message = f'port {given(port)}: a JSON string is expected, such as "1/0"'
            report.bad("type-string", f"{where}[{index}]", message)
    return tuple(port for port in ports if isinstance(port, str))


def _servers(devices: list[DeviceDraft]) -> tuple[ServerDraft, ...]:
    """Split the ranks where the lowest level's instance changes or a device_id comes again."""
    groups: list[tuple[str, list[DeviceDraft]]] = []
    ids: set[int | None] = set()
    for device in sorted(devices, key=lambda device: device.rank_id or 0):
        instance = device.levels[0].net_instance_id if device.levels else ""
        if not groups or groups[-1][0] != instance or device.device_id in ids:
            groups.append((instance, []))
            ids = set()
        groups[-1][1].append(device)
        ids.add(device.device_id)
    return tuple(_named(groups))


def _named(groups: list[tuple[str, list[DeviceDraft]]]) -> Iterator[ServerDraft]:
    counts: Counter[str] = Counter()
    for instance, devices in groups:
        count = counts[instance]
        counts[instance] += 1
        name = f"{instance}#{count}" if count else instance
        yield ServerDraft(devices[0].path, name, tuple(devices))
