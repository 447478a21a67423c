"""The catalogue of single faults: what, the rule that must name it, and in which forms."""

from __future__ import annotations

from typing import Any

from rank_tables import (
    Document,
    Fault,
    copy_on_device,
    devices_of,
    drop_on_device,
    drop_on_server,
    drop_on_table,
    retype_on_device,
    set_on_device,
    set_on_server,
    set_on_table,
)

SERVER = ("1.0", "1.2")
OLD = ("lab", "cloud")
TEXT = (*SERVER, *OLD)
ALL = (*TEXT, "2.0")
BAD_ADDRESSES = ("10.*.*.*", "-.-.-.-", "[device_ip]", "xx.xx.xx.xx", "192.168.1.256", "192.168.1",
                 "192.168.1.8 ", "1.2.3.4/24", "fe80:::1", "node7", "192.168.01.1")  # fmt: skip
MASKED = BAD_ADDRESSES[:4]


def _swap_ranks(table: Document, server: int, device: int) -> None:
    other = (server + 1) % len(table["server_list"])
    mine, theirs = devices_of(table, server)[device], devices_of(table, other)[device]
    mine["rank_id"], theirs["rank_id"] = theirs["rank_id"], mine["rank_id"]


def _same_server_id(table: Document, server: int, device: int) -> None:
    rows = table["server_list"]
    rows[server]["server_id"] = rows[server - 1]["server_id"]


def _other_family(table: Document, server: int, device: int) -> None:
    row = devices_of(table, server)[device]
    row["device_ip"] = "10.9.9.9" if ":" in row["device_ip"] else "fd99::9"


def _two_addresses(table: Document, server: int, device: int) -> None:
    row = devices_of(table, server)[device]
    row["device_ip"] += ",fd98::9" if ":" in row["device_ip"] else ",10.9.8.7"


def _own_backup(table: Document, server: int, device: int) -> None:
    row = devices_of(table, server)[device]
    row["backup_device_ip"] = row["device_ip"]


def _rank_beyond(table: Document, server: int, device: int) -> None:
    row = devices_of(table, server)[device]
    row["rank_id"] = 4000 if isinstance(row["rank_id"], int) else "4000"


def _no_devices(table: Document, server: int, device: int) -> None:
    table["server_list"][server]["device"] = []


def _text_as_device(table: Document, server: int, device: int) -> None:
    table["server_list"][server]["device"][device] = "davinci0"


def _pod(table: Document, server: int) -> tuple[Document, int]:
    pods = table["super_pod_list"]
    size = len(pods[0]["server_list"])
    return pods[server // size], server % size


def _unknown_in_pod(table: Document, server: int, device: int) -> None:
    pod, index = _pod(table, server)
    pod["server_list"][index]["server_id"] = "node_of_another_job"


def _missing_in_pod(table: Document, server: int, device: int) -> None:
    pod, index = _pod(table, server)
    del pod["server_list"][index]


def _twice_in_pods(table: Document, server: int, device: int) -> None:
    pod, index = _pod(table, server)
    table["super_pod_list"][-1]["server_list"].append(dict(pod["server_list"][index]))


def _same_pod_id(table: Document, server: int, device: int) -> None:
    for pod in table["super_pod_list"]:
        pod["super_pod_id"] = "0"


def _scattered(table: Document, server: int, device: int) -> None:
    first, last = (
        pod["server_list"] for pod in table["super_pod_list"][:: len(table["super_pod_list"]) - 1]
    )
    first[-1], last[0] = last[0], first[-1]


def _sizes(table: Document, server: int, device: int) -> None:
    pods = table["super_pod_list"]
    pods[0]["server_list"].append(pods[-1]["server_list"].pop(0))


def _pod_value(key: str, value: Any) -> Any:
    def change(table: Document, server: int, device: int) -> None:
        _pod(table, server)[0][key] = value

    return change


def _group(key: str, value: Any) -> Any:
    def change(table: Document, server: int, device: int) -> None:
        table["group_list"][0][key] = value

    return change


def _instance(key: str, value: Any) -> Any:
    def change(table: Document, server: int, device: int) -> None:
        rows = table["group_list"][0]["instance_list"]
        index = server * len(devices_of(table, server)) + device
        if value is None:
            del rows[index][key]
        elif value is SAME:
            rows[index][key] = rows[index - 1][key]
        else:
            rows[index][key] = value

    return change


SAME = object()


def _level(key: str, value: Any, index: int = 0) -> Any:
    def change(table: Document, server: int, device: int) -> None:
        level = devices_of(table, server)[device]["level_list"][index]
        if value is None:
            del level[key]
        else:
            level[key] = value

    return change


def _level_address(key: str, value: Any, index: int = 0) -> Any:
    def change(table: Document, server: int, device: int) -> None:
        rows = devices_of(table, server)
        row = rows[device]["level_list"][index]["rank_addr_list"][0]
        if value is None:
            del row[key]
        elif value is SAME:
            row[key] = rows[device - 1]["level_list"][index]["rank_addr_list"][0][key]
        else:
            row[key] = value

    return change


def _catalogue() -> list[tuple[str, str, Any, tuple[str, ...]]]:
    rows: list[tuple[str, str, Any, tuple[str, ...]]] = [
        ("status missing", "key-missing", drop_on_table("status"), TEXT),
        ("status unknown", "status-value", set_on_table("status", "done"), ALL),
        ("status initializing", "status-value", set_on_table("status", "initializing"), ALL),
        ("status as a number", "type-string", set_on_table("status", 1), ALL),
        ("status null", "type-string", set_on_table("status", None), ALL),
        ("version missing", "version-missing", drop_on_table("version"), SERVER),
        ("version as a number", "type-string", set_on_table("version", 1.0), SERVER),
        ("version 1.1", "version-unsupported", set_on_table("version", "1.1"), SERVER),
        ("version 3.0", "version-unsupported", set_on_table("version", "3.0"), (*SERVER, "2.0")),
        ("server_count as a number", "type-string", set_on_table("server_count", 4), SERVER),
        ("server_count wrong", "count-mismatch", set_on_table("server_count", "5"), SERVER),
        ("server_count word", "number-invalid", set_on_table("server_count", "four"), SERVER),
        ("server_list missing", "key-missing", drop_on_table("server_list"), SERVER),
        ("server_list empty", "list-empty", set_on_table("server_list", []), SERVER),
        ("server_list an object", "type-list", set_on_table("server_list", {}), SERVER),
        ("server_list null", "key-missing", set_on_table("server_list", None), SERVER),
        ("rank_list missing", "key-missing", drop_on_table("rank_list"), ("2.0",)),
        ("rank_list empty", "list-empty", set_on_table("rank_list", []), ("2.0",)),
        ("rank_count missing", "key-missing", drop_on_table("rank_count"), ("2.0",)),
        ("rank_count as text", "type-integer", set_on_table("rank_count", "16"), ("2.0",)),
        ("rank_count wrong", "count-mismatch", set_on_table("rank_count", 15), ("2.0",)),
        ("rank_count huge", "number-range", set_on_table("rank_count", 10**12), ("2.0",)),
        ("rank_count a fraction", "type-integer", set_on_table("rank_count", 16.0), ("2.0",)),
        ("rank_count true", "type-integer", set_on_table("rank_count", True), ("2.0",)),
        ("group_list null", "key-missing", set_on_table("group_list", None), OLD),
        ("group_list empty", "list-empty", set_on_table("group_list", []), OLD),
        ("group_count wrong", "count-mismatch", set_on_table("group_count", "2"), OLD),
        ("group_count as a number", "type-string", set_on_table("group_count", 1), OLD),
        ("nic_num wrong", "count-mismatch", set_on_table("para_plane_nic_num", "3"), ("lab",)),
        ("device_num wrong", "count-mismatch", _group("device_num", "3"), ("lab",)),
        ("server_num wrong", "count-mismatch", _group("server_num", "3"), ("lab",)),
        ("device_count wrong", "count-mismatch", _group("device_count", "3"), ("cloud",)),
        ("instance_count wrong", "count-mismatch", _group("instance_count", "3"), OLD),
        ("instance_list empty", "list-empty", _group("instance_list", []), OLD),
    ]  # fmt: skip
    return [*rows, *_of_servers(), *_of_devices(), *_of_pods(), *_of_old_forms(), *_of_levels()]


def _of_servers() -> list[tuple[str, str, Any, tuple[str, ...]]]:
    return [
        ("server_id missing", "key-missing", drop_on_server("server_id"), SERVER),
        ("server_id empty", "text-empty", set_on_server("server_id", ""), SERVER),
        ("server_id as a number", "type-string", set_on_server("server_id", 7), SERVER),
        ("server_id too long", "text-length", set_on_server("server_id", "n" * 65), SERVER),
        ("server_id twice", "server-id-repeated", _same_server_id, SERVER),
        ("host_ip no address", "address-invalid", set_on_server("host_ip", "host7"), SERVER),
        ("host_ip masked", "address-placeholder", set_on_server("host_ip", "10.*.*.*"), SERVER),
        ("device missing", "key-missing", drop_on_server("device"), SERVER),
        ("device empty", "list-empty", _no_devices, SERVER),
        ("device as text", "type-list", set_on_server("device", "0,1"), SERVER),
        ("text among devices", "type-object", _text_as_device, SERVER),
    ]  # fmt: skip


def _of_devices() -> list[tuple[str, str, Any, tuple[str, ...]]]:
    rows = [
        ("device_id missing", "key-missing", drop_on_device("device_id"), ALL),
        ("device_id as a number", "type-string", retype_on_device("device_id", int), TEXT),
        ("device_id as text", "type-integer", retype_on_device("device_id", str), ("2.0",)),
        ("device_id a word", "number-invalid", set_on_device("device_id", "davinci0"), TEXT),
        ("device_id negative", "number-invalid", set_on_device("device_id", "-1"), TEXT),
        ("device_id negative", "number-range", set_on_device("device_id", -1), ("2.0",)),
        ("device_id null", "key-missing", set_on_device("device_id", None), ALL),
        ("device_id too high", "device-id-range", set_on_device("device_id", "16"), TEXT),
        ("device_id too high", "device-id-range", set_on_device("device_id", 65), ("2.0",)),
        ("device_id huge", "number-range", set_on_device("device_id", "9" * 400), TEXT),
        ("device_id twice", "device-id-repeated", copy_on_device("device_id"), TEXT),
        ("rank_id missing", "key-missing", drop_on_device("rank_id"), (*SERVER, "2.0")),
        ("rank_id as a number", "type-string", retype_on_device("rank_id", int), SERVER),
        ("rank_id as text", "type-integer", retype_on_device("rank_id", str), ("2.0",)),
        ("rank_id a word", "number-invalid", set_on_device("rank_id", "first"), SERVER),
        ("rank_id a fraction", "number-invalid", set_on_device("rank_id", "1.0"), SERVER),
        ("rank_id with a sign", "number-invalid", set_on_device("rank_id", "+1"), SERVER),
        ("rank_id in other digits", "number-invalid", set_on_device("rank_id", "\u0663"), SERVER),
        ("rank_id twice", "rank-repeated", copy_on_device("rank_id"), (*SERVER, "2.0")),
        ("rank_id beyond the end", "rank-not-contiguous", _rank_beyond, (*SERVER, "2.0")),
        ("ranks interleaved", "rank-interleaved", _swap_ranks, SERVER),
        ("device_ip twice", "address-repeated", copy_on_device("device_ip"), TEXT),
        ("device_ip of the other family", "address-family", _other_family, TEXT),
        ("device_ip one more", "address-count", _two_addresses, TEXT),
        ("device_ip as a number", "type-string", set_on_device("device_ip", 3232235777), TEXT),
        ("device_ip a list", "type-string", set_on_device("device_ip", ["10.0.0.1"]), TEXT),
        ("device_ip missing", "address-missing", drop_on_device("device_ip"), TEXT),
        ("device_ip empty", "address-missing", set_on_device("device_ip", ""), TEXT),
        ("device_port too high", "port-range", set_on_device("device_port", "65536"), SERVER),
        ("device_port 0", "port-range", set_on_device("device_port", "0"), SERVER),
        ("device_port too high", "port-range", set_on_device("device_port", 65536), ("2.0",)),
        ("device_port as a number", "type-string", set_on_device("device_port", 16666), SERVER),
        ("device_port as text", "type-integer", set_on_device("device_port", "16666"), ("2.0",)),
        ("device_port a word", "number-invalid", set_on_device("device_port", "auto"), SERVER),
        ("host_port too high", "port-range", set_on_device("host_port", "70000"), SERVER),
        ("backup port high", "port-range", set_on_device("backup_device_port", "70000"), SERVER),
        ("backup address no address", "address-invalid",
         set_on_device("backup_device_ip", "eth0"), SERVER),
        ("backup address its own", "backup-address", _own_backup, SERVER),
    ]  # fmt: skip
    for text in BAD_ADDRESSES:
        rule = "address-placeholder" if text in MASKED else "address-invalid"
        rows.append((f"device_ip {text}", rule, set_on_device("device_ip", text), TEXT))
    return rows


def _of_pods() -> list[tuple[str, str, Any, tuple[str, ...]]]:
    form = ("1.2",)
    return [
        ("sdid missing", "super-device-id-missing", drop_on_device("super_device_id"), form),
        ("sdid empty", "number-invalid", set_on_device("super_device_id", ""), form),
        ("sdid a word", "number-invalid", set_on_device("super_device_id", "0x12"), form),
        ("sdid as a number", "type-string", retype_on_device("super_device_id", int), form),
        ("sdid twice", "super-device-id-repeated", copy_on_device("super_device_id"), form),
        ("sdid too high", "number-range", set_on_device("super_device_id", "4294967295"), form),
        ("pods empty", "list-empty", set_on_table("super_pod_list", []), form),
        ("pods an object", "type-list", set_on_table("super_pod_list", {}), form),
        ("pod id empty", "text-empty", _pod_value("super_pod_id", ""), form),
        ("pod id as a number", "type-string", _pod_value("super_pod_id", 0), form),
        ("pod id twice", "super-pod-id-repeated", _same_pod_id, form),
        ("pod without servers", "list-empty", _pod_value("server_list", []), form),
        ("unknown server in a pod", "super-pod-server-unknown", _unknown_in_pod, form),
        ("server in no pod", "super-pod-server-missing", _missing_in_pod, form),
        ("server in two pods", "super-pod-server-repeated", _twice_in_pods, form),
        ("pods of different size", "super-pod-sizes", _sizes, form),
        ("pods scattered", "super-pod-scattered", _scattered, form),
    ]  # fmt: skip


def _of_old_forms() -> list[tuple[str, str, Any, tuple[str, ...]]]:
    return [
        ("rank_id missing", "key-missing", _instance("rank_id", None), ("lab",)),
        ("rank_id as a number", "type-string", _instance("rank_id", 1), ("lab",)),
        ("rank_id twice", "rank-repeated", _instance("rank_id", SAME), ("lab",)),
        ("rank_id beyond", "rank-not-contiguous", _instance("rank_id", "99"), ("lab",)),
        ("pod_name missing", "key-missing", _instance("pod_name", None), ("cloud",)),
        ("pod_name twice", "pod-name-repeated", _instance("pod_name", SAME), ("cloud",)),
        ("server_id missing", "key-missing", _instance("server_id", None), OLD),
        ("server_id empty", "text-empty", _instance("server_id", ""), OLD),
        ("devices missing", "key-missing", _instance("devices", None), OLD),
        ("devices empty", "list-empty", _instance("devices", []), OLD),
    ]  # fmt: skip


def _of_levels() -> list[tuple[str, str, Any, tuple[str, ...]]]:
    rows = [
        ("local_id missing", "key-missing", drop_on_device("local_id")),
        ("local_id twice", "local-id-repeated", copy_on_device("local_id")),
        ("local_id too high", "number-range", set_on_device("local_id", 65)),
        ("level_list missing", "key-missing", drop_on_device("level_list")),
        ("level_list empty", "list-empty", set_on_device("level_list", [])),
        ("net_layer missing", "key-missing", _level("net_layer", None)),
        ("net_layer too high", "number-range", _level("net_layer", 8, 1)),
        ("net_layer as text", "type-integer", _level("net_layer", "0")),
        ("net_layers not ascending", "level-order", _level("net_layer", 0, 1)),
        ("net_type of level 0", "level-type", _level("net_type", "CLOS")),
        ("net_type unknown", "level-type", _level("net_type", "RING", 1)),
        ("net_instance_id empty", "text-empty", _level("net_instance_id", "", 1)),
        ("rank_addr_list missing", "key-missing", _level("rank_addr_list", None, 1)),
        ("addr_type unknown", "address-type", _level_address("addr_type", "MAC")),
        ("addr_type missing", "key-missing", _level_address("addr_type", None)),
        ("addr no address", "address-invalid", _level_address("addr", "192.168.1.256")),
        ("addr no EID", "address-invalid", _level_address("addr", "12ab", 1)),
        ("addr twice", "address-repeated", _level_address("addr", SAME)),
        ("EID twice", "address-repeated", _level_address("addr", SAME, 1)),
        ("ports missing", "key-missing", _level_address("ports", None)),
        ("ports empty", "list-empty", _level_address("ports", [])),
        ("ports as text", "type-list", _level_address("ports", "1/0")),
        ("port as a number", "type-string", _level_address("ports", [1])),
        ("too many ports", "list-length", _level_address("ports", ["0/1"] * 17)),
    ]  # fmt: skip
    return [(name, rule, change, ("2.0",)) for name, rule, change in rows]


CATALOGUE = tuple(Fault(*row) for row in _catalogue())
