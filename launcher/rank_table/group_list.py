"""The two forms before version 1.0: a group_list of instances, "lab" (numbered) and "cloud" (not).

Facts: HCCL's standard parser of 2024 and its user guide, template 2 (Atlas training series only).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from launcher.rank_table.draft import DeviceDraft, ServerDraft, TableDraft
from launcher.rank_table.fields import (
    addresses_at,
    check_count,
    check_port,
    digits_at,
    name_at,
    note_unknown,
    objects_at,
)
from launcher.rank_table.problem import Report, given

_LAB_KEYS = {"board_id", "chip_info", "deploy_mode"}
_NIC_KEYS = {"para_plane_nic_location", "para_plane_nic_name", "para_plane_nic_num"}
_TABLE_KEYS = {"status", "group_count", "group_list", *_LAB_KEYS, *_NIC_KEYS}
_GROUP_KEYS = {
    "group_name",
    "device_num",
    "server_num",
    "device_count",
    "instance_count",
    "instance_list",
    "server_list",
}
_BOARDS = ("0x0000", "0x0020", "0x3000")


def read_group_list(table: dict[str, Any], form: str, report: Report) -> TableDraft:
    """Read the document of an old table; its instances become servers, as in version 1.0."""
    seen: set[str] = set()
    note_unknown(report, seen, table, _TABLE_KEYS, "$")
    groups = objects_at(report, table, "$", "group_list")
    if isinstance(table.get("group_list"), list):
        stated = digits_at(report, table, "$", "group_count", required=True)
        check_count(report, stated, len(table["group_list"]), "$.group_count")
    if form == "lab":
        _check_board(report, table)
    rows = []
    for path, group in groups:
        rows += _instances(report, seen, group, path, form)
    servers = _gather(rows)
    return TableDraft(form, servers if form == "lab" else _numbered(servers))


_Row = tuple[str, str | None, tuple[DeviceDraft, ...]]


def _instances(
    report: Report, seen: set[str], group: dict[str, Any], path: str, form: str
) -> list[_Row]:
    note_unknown(report, seen, group, _GROUP_KEYS, path)
    rows: list[_Row] = []
    pods: set[str] = set()
    instances = objects_at(report, group, path, "instance_list")
    for where, row in instances:
        if form == "cloud":
            _check_pod_name(report, row, where, pods)
        rows.append(_instance(report, row, where, form))
    devices = sum(len(devices) for _, _, devices in rows)
    servers = len({server for _, server, _ in rows if server is not None})
    counted = {"instance_count": len(instances), "server_num": servers}
    counted |= {"device_num": devices, "device_count": devices}
    for key, count in counted.items():
        check_count(report, digits_at(report, group, path, key), count, f"{path}.{key}")
    return rows


def _instance(report: Report, row: dict[str, Any], path: str, form: str) -> _Row:
    server_id = name_at(report, row, path, "server_id")
    rank_id = digits_at(report, row, path, "rank_id", required=True) if form == "lab" else None
    devices = objects_at(report, row, path, "devices")
    if form == "lab" and len(devices) > 1:
        message = f"{len(devices)} devices share one rank_id: each rank has one device"
        report.bad("list-length", f"{path}.devices", message)
    return path, server_id, tuple(_device(report, one, at, rank_id) for at, one in devices)


def _device(report: Report, row: dict[str, Any], path: str, rank_id: int | None) -> DeviceDraft:
    ips = addresses_at(report, row, path, "device_ip")
    port = digits_at(report, row, path, "device_port")
    return DeviceDraft(
        path=path,
        device_id=digits_at(report, row, path, "device_id", required=True),
        rank_id=rank_id,
        device_ips=ips,
        refused=frozenset(["device_ip"] if row.get("device_ip") and not ips else []),
        device_port=check_port(report, port, f"{path}.device_port"),
    )


def _check_pod_name(report: Report, row: dict[str, Any], path: str, pods: set[str]) -> None:
    name = name_at(report, row, path, "pod_name", max_length=127)
    if name is None:
        return
    if name in pods:
        message = f"pod_name {given(name)} stands more than once: each instance has its own"
        report.bad("pod-name-repeated", f"{path}.pod_name", message)
    pods.add(name)


def _check_board(report: Report, table: dict[str, Any]) -> None:
    board = table.get("board_id")
    if board not in _BOARDS:
        message = f"board_id is {given(board)}: HCCL knows {', '.join(_BOARDS)}"
        report.note("key-unknown", "$.board_id", message)
    names = table.get("para_plane_nic_name")
    if isinstance(names, list):
        stated = digits_at(report, table, "$", "para_plane_nic_num")
        check_count(report, stated, len(names), "$.para_plane_nic_num")


def _gather(rows: list[_Row]) -> tuple[ServerDraft, ...]:
    """Put the instances of one server together, servers in the order of the file."""
    servers: dict[str, tuple[_Row, list[DeviceDraft]]] = {}
    for row in rows:
        path, server_id, devices = row
        servers.setdefault(path if server_id is None else server_id, (row, []))[1].extend(devices)
    return tuple(
        ServerDraft(first[0], first[1], tuple(devices)) for first, devices in servers.values()
    )


def _numbered(servers: tuple[ServerDraft, ...]) -> tuple[ServerDraft, ...]:
    """Give ranks as HCCL does where a table names none: by server_id, then by device_id."""
    result = []
    rank = 0
    for server in sorted(servers, key=lambda server: server.server_id or ""):
        devices = sorted(server.devices, key=lambda device: device.device_id or 0)
        numbered = [replace(device, rank_id=rank + i) for i, device in enumerate(devices)]
        rank += len(devices)
        result.append(replace(server, devices=tuple(numbered)))
    return tuple(result)
