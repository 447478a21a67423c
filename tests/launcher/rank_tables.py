"""Valid rank tables of every form, and single faults to put into them."""

from __future__ import annotations

import copy
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

Document = dict[str, Any]
FORMS = ("1.0", "1.2", "2.0", "lab", "cloud")


@dataclass(frozen=True)
class Shape:
    """What a valid table is made of; ``per_pod`` servers stand in each super pod (form 1.2)."""

    form: str = "1.0"
    servers: int = 2
    devices: int = 4
    ipv6: bool = False
    per_pod: int = 1
    named_by_address: bool = False
    extras: bool = False


def address(index: int, ipv6: bool) -> str:
    base = ipaddress.ip_address("fd00::1:0" if ipv6 else "192.168.0.1")
    return str(base + index)


def server_name(shape: Shape, index: int) -> str:
    return f"10.1.0.{index + 1}" if shape.named_by_address else f"node_{index}"


def document(shape: Shape) -> Document:
    """Return the JSON document of a valid table."""
    if shape.form == "2.0":
        return _rank_list(shape)
    return (_group_list if shape.form in ("lab", "cloud") else _server_list)(shape)


def _server_list(shape: Shape) -> Document:
    servers = [_server(shape, index) for index in range(shape.servers)]
    table: Document = {
        "version": shape.form,
        "server_count": str(shape.servers),
        "server_list": servers,
    }
    if shape.form == "1.2":
        names = [server["server_id"] for server in servers]
        table["super_pod_list"] = [
            {
                "super_pod_id": str(start // shape.per_pod),
                "server_list": [
                    {"server_id": name} for name in names[start : start + shape.per_pod]
                ],
            }
            for start in range(0, shape.servers, shape.per_pod)
        ]
    return {**table, "status": "completed"}


def _server(shape: Shape, index: int) -> Document:
    devices = []
    for device in range(shape.devices):
        rank = index * shape.devices + device
        row = {"device_id": str(device), "device_ip": address(rank, shape.ipv6)}
        if shape.form == "1.2":
            row["super_device_id"] = str(rank * 7)
        if shape.extras:
            row |= {"device_port": "16666", "host_port": str(60000 + device)}
        devices.append({**row, "rank_id": str(rank)})
    server = {"server_id": server_name(shape, index), "device": devices}
    if shape.extras:
        server |= {"host_ip": f"172.16.0.{index + 1}", "container_ip": f"10.244.0.{index + 1}"}
        server |= {"hardware_type": "800T-A2", "host_nic_ip": "reserve"}
    return server


def _group_list(shape: Shape) -> Document:
    lab = shape.form == "lab"
    instances = []
    for rank in range(shape.servers * shape.devices):
        server, device = divmod(rank, shape.devices)
        row = {
            "devices": [{"device_id": str(device), "device_ip": address(rank, shape.ipv6)}],
            "server_id": server_name(shape, server),
        }
        instances.append(row | ({"rank_id": str(rank)} if lab else {"pod_name": f"pod-{rank}"}))
    total = str(len(instances))
    group = {"group_name": "", "instance_count": total, "instance_list": instances}
    counts = {"device_num": total, "server_num": str(shape.servers)} if lab else {}
    group |= counts or {"device_count": total}
    table = {"status": "completed", "group_count": "1", "group_list": [group]}
    if lab:
        nics = [f"eth{i}" for i in range(shape.devices)]
        table |= {"board_id": "0x0000", "chip_info": "910", "deploy_mode": "lab"}
        table |= {"para_plane_nic_location": "device", "para_plane_nic_name": nics}
        table |= {"para_plane_nic_num": str(len(nics))}
    return table


def _rank_list(shape: Shape) -> Document:
    ranks = []
    kind = "IPV6" if shape.ipv6 else "IPV4"
    for rank in range(shape.servers * shape.devices):
        server, device = divmod(rank, shape.devices)
        addresses = [{"addr_type": kind, "addr": address(rank, shape.ipv6), "ports": ["1/0"]}]
        levels = [
            {
                "net_layer": 0,
                "net_instance_id": f"rack-{server}",
                "net_type": "TOPO_FILE_DESC",
                "net_attr": "",
                "rank_addr_list": addresses,
            },
            {
                "net_layer": 3,
                "net_instance_id": "cluster",
                "net_type": "CLOS",
                "rank_addr_list": [
                    {
                        "addr_type": "EID",
                        "addr": f"{rank:032x}",
                        "ports": ["0/4"],
                        "plane_id": "plane0",
                    }
                ],
            },
        ]
        ranks.append(
            {"rank_id": rank, "local_id": device, "device_id": device, "level_list": levels}
        )
    return {"status": "completed", "version": "2.0", "rank_count": len(ranks), "rank_list": ranks}


@st.composite
def shapes(draw: st.DrawFn, forms: tuple[str, ...] = FORMS, small: bool = False) -> Shape:
    """Draw valid shapes: 1 to 64 servers, 1 to 16 devices (the old forms: 1, 2, 4 or 8)."""
    form = draw(st.sampled_from(forms))
    most = 4 if small else 64
    old = form in ("lab", "cloud")
    devices = draw(st.sampled_from([1, 2, 4, 8]) if old else st.integers(1, 16))
    per_pod = draw(st.integers(1, 8))
    servers = draw(st.integers(1, most))
    if form == "1.2":
        per_pod = min(per_pod, most)
        servers = per_pod * draw(st.integers(1, max(1, most // per_pod)))
    return Shape(
        form,
        servers,
        devices,
        draw(st.booleans()),
        per_pod,
        draw(st.booleans()),
        draw(st.booleans()),
    )


Change = Callable[[Document, int, int], None]


@dataclass(frozen=True)
class Fault:
    """One mistake: how it is made at one server and device, and the rule that must name it."""

    name: str
    rule: str
    change: Change
    forms: tuple[str, ...]

    def put_into(self, table: Document, server: int, device: int) -> Document:
        broken = copy.deepcopy(table)
        self.change(broken, server, device)
        return broken


def devices_of(table: Document, server: int) -> list[Document]:
    """Return the rows that are the devices of one server, in any form."""
    if "server_list" in table:
        return table["server_list"][server]["device"]
    if "rank_list" in table:
        return [
            row for row in table["rank_list"]
            if row["level_list"][0]["net_instance_id"] == f"rack-{server}"
        ]  # fmt: skip
    rows = table["group_list"][0]["instance_list"]
    names = list(dict.fromkeys(row["server_id"] for row in rows))
    return [row["devices"][0] for row in rows if row["server_id"] == names[server]]


def set_on_device(key: str, value: Any) -> Change:
    def change(table: Document, server: int, device: int) -> None:
        devices_of(table, server)[device][key] = value

    return change


def drop_on_device(key: str) -> Change:
    def change(table: Document, server: int, device: int) -> None:
        del devices_of(table, server)[device][key]

    return change


def copy_on_device(key: str) -> Change:
    """Give a device the value of the one beside it."""

    def change(table: Document, server: int, device: int) -> None:
        rows = devices_of(table, server)
        rows[device][key] = rows[device - 1][key]

    return change


def retype_on_device(key: str, kind: Callable[[Any], Any]) -> Change:
    def change(table: Document, server: int, device: int) -> None:
        row = devices_of(table, server)[device]
        row[key] = kind(row[key])

    return change


def set_on_server(key: str, value: Any) -> Change:
    def change(table: Document, server: int, device: int) -> None:
        table["server_list"][server][key] = value

    return change


def drop_on_server(key: str) -> Change:
    def change(table: Document, server: int, device: int) -> None:
        del table["server_list"][server][key]

    return change


def set_on_table(key: str, value: Any) -> Change:
    def change(table: Document, server: int, device: int) -> None:
        table[key] = value

    return change


def drop_on_table(key: str) -> Change:
    def change(table: Document, server: int, device: int) -> None:
        del table[key]

    return change
