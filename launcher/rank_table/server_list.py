"""Forms 1.0 and 1.2: a server_list whose values are all strings, and a super_pod_list."""

from __future__ import annotations

from typing import Any

from launcher.rank_table.draft import DeviceDraft, PodDraft, ServerDraft, TableDraft
from launcher.rank_table.fields import (
    addresses_at,
    check_address,
    check_count,
    check_port,
    digits_at,
    name_at,
    note_unknown,
    objects_at,
    text_at,
)
from launcher.rank_table.problem import Report, given

_TABLE_KEYS = {"version", "status", "server_count", "server_list", "super_pod_list"}
_SERVER_TEXTS = ("container_ip", "pod_ip", "hardware_type", "host_nic_ip")
_SERVER_KEYS = {"server_id", "device", "host_ip", "server_ip", *_SERVER_TEXTS}
_DEVICE_KEYS = {
    "device_id",
    "device_ip",
    "rank_id",
    "super_device_id",
    "device_port",
    "host_port",
    "backup_device_ip",
    "backup_device_port",
    "device_vnic_port",
    "device_logical_id",
    "net_position",
    "net_protocol",
}


def read_server_list(table: dict[str, Any], form: str, report: Report) -> TableDraft:
    """Read the document of a 1.0 or 1.2 table and report every value that is no such value."""
    seen: set[str] = set()
    note_unknown(report, seen, table, _TABLE_KEYS, "$")
    rows = objects_at(report, table, "$", "server_list")
    stated = digits_at(report, table, "$", "server_count")
    if isinstance(table.get("server_list"), list):
        check_count(report, stated, len(table["server_list"]), "$.server_count")
    if "server_count" not in table:
        message = "server_count is missing: HCCL counts the servers itself"
        report.note("key-missing", "$.server_count", message)
    servers = tuple(_server(report, seen, row, path, form) for path, row in rows)
    return TableDraft(form, servers, _super_pods(report, seen, table, form))


def _server(
    report: Report, seen: set[str], row: dict[str, Any], path: str, form: str
) -> ServerDraft:
    note_unknown(report, seen, row, _SERVER_KEYS, path)
    if "device" not in row and "devices" in row:
        message = "the key is `device` since version 1.0; `devices` is the old one: rename it"
        report.bad("key-missing", f"{path}.device", message)
        row = {**row, "device": row["devices"]}
    texts = {key: text_at(report, row, path, key) or "" for key in _SERVER_TEXTS}
    host_ip = text_at(report, row, path, "host_ip")
    if host_ip is not None and not check_address(report, host_ip, f"{path}.host_ip"):
        host_ip = None
    devices = objects_at(report, row, path, "device")
    return ServerDraft(
        path=path,
        server_id=name_at(report, row, path, "server_id"),
        devices=tuple(_device(report, seen, one, where, form) for where, one in devices),
        host_ip=host_ip or "",
        **texts,
    )


def _device(
    report: Report, seen: set[str], row: dict[str, Any], path: str, form: str
) -> DeviceDraft:
    note_unknown(report, seen, row, _DEVICE_KEYS, path)
    ips = addresses_at(report, row, path, "device_ip")
    number = _super_device_id(report, row, path, form)
    refused = {"device_ip"} if row.get("device_ip") and not ips else set()
    refused |= {"super_device_id"} if "super_device_id" in row and number is None else set()
    return DeviceDraft(
        path=path,
        device_id=digits_at(report, row, path, "device_id", required=True),
        rank_id=digits_at(report, row, path, "rank_id", required=True),
        device_ips=ips,
        refused=frozenset(refused),
        super_device_id=number,
        device_port=_port(report, row, path, "device_port"),
        host_port=_port(report, row, path, "host_port"),
        backup_device_ips=addresses_at(report, row, path, "backup_device_ip"),
        backup_device_port=_port(report, row, path, "backup_device_port"),
    )


def _super_device_id(report: Report, row: dict[str, Any], path: str, form: str) -> int | None:
    # Form 1.0 may carry the key, even empty: only 1.2 is read with super pods.
    if form != "1.2" and not row.get("super_device_id"):
        return None
    return digits_at(report, row, path, "super_device_id")


def _port(report: Report, row: dict[str, Any], path: str, key: str) -> int | None:
    return check_port(report, digits_at(report, row, path, key), f"{path}.{key}")


def _super_pods(
    report: Report, seen: set[str], table: dict[str, Any], form: str
) -> tuple[PodDraft, ...]:
    if "super_pod_list" not in table:
        if form == "1.2":
            message = "no super_pod_list: HCCL works in AI server mode, as with version 1.0"
            report.note("super-pod-missing", "$.super_pod_list", message)
        return ()
    if form != "1.2":
        if table["super_pod_list"]:
            message = f"version {given(form)} has no super pods: HCCL reads them in 1.2 only"
            report.note("super-pod-ignored", "$.super_pod_list", message)
        return ()
    pods = objects_at(report, table, "$", "super_pod_list")
    return tuple(_super_pod(report, seen, pod, path) for path, pod in pods)


def _super_pod(report: Report, seen: set[str], pod: dict[str, Any], path: str) -> PodDraft:
    note_unknown(report, seen, pod, {"super_pod_id", "server_list"}, path)
    servers = []
    for where, row in objects_at(report, pod, path, "server_list"):
        server_id = name_at(report, row, where, "server_id")
        if server_id is not None:
            servers.append((f"{where}.server_id", server_id))
    return PodDraft(path, name_at(report, pod, path, "super_pod_id"), tuple(servers))
