"""A new table from what is known of the machines: ranks are counted server by server."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from launcher.errors import RankTableError
from launcher.rank_table.lint import read_table
from launcher.rank_table.model import Device, RankTable, Server, SuperPod
from launcher.rank_table.problem import BAD
from launcher.rank_table.write import to_json


@dataclass(frozen=True)
class Machine:
    """One server as it is found or configured.

    Args:
        server_id: unique name; the address of the host by habit.
        device_ids: physical numbers, in the order of their ranks.
        addresses: device_id to RoCE address (or several, comma-separated); may lack devices where
            the product needs no addresses.
        super_device_ids: device_id to SDID (A3 in super pod mode), or nothing.
        super_pod_id: the super pod of this server; "" = none, and version 1.0.
    """

    server_id: str
    device_ids: Sequence[int]
    addresses: Mapping[int, str] = field(default_factory=dict)
    super_device_ids: Mapping[int, int] = field(default_factory=dict)
    super_pod_id: str = ""
    host_ip: str = ""


def make_table(machines: Iterable[Machine], *, product: str | None = None) -> RankTable:
    """Return a table of the machines, in their order: 1.2 if they are in super pods, else 1.0.

    Servers of one super pod are put together, as HCCL wants them.

    Raises:
        RankTableError: the table would not be valid; every reason is listed.
    """
    given = list(machines)
    pods = list(dict.fromkeys(machine.super_pod_id for machine in given))
    if "" in pods and len(pods) > 1:
        missing = ", ".join(machine.server_id for machine in given if not machine.super_pod_id)
        raise RankTableError(
            f"servers without a super pod beside others with one: {missing}: give all or none"
        )
    ordered = sorted(given, key=lambda machine: pods.index(machine.super_pod_id))
    table = numbered(RankTable("1.2" if any(pods) else "1.0", tuple(map(_server, ordered))))
    if any(pods):
        table = replace(table, super_pods=tuple(_super_pod(pod, given) for pod in pods))
    return checked(table, product=product)


def numbered(table: RankTable) -> RankTable:
    """Return the table with ranks counted from 0, server by server, device by device."""
    rank = 0
    servers = []
    for server in table.servers:
        devices = tuple(
            replace(device, rank_id=rank + index) for index, device in enumerate(server.devices)
        )
        rank += len(devices)
        servers.append(replace(server, devices=devices))
    return replace(table, servers=tuple(servers))


def checked(table: RankTable, *, product: str | None = None) -> RankTable:
    """Return the table if HCCL would take what is written of it; raise RankTableError if not."""
    reading = read_table(to_json(table).encode(), product=product)
    bad = [problem for problem in reading.problems if problem.severity == BAD]
    if bad:
        lines = "\n".join(f"  {problem}" for problem in bad)
        raise RankTableError(f"no valid rank table comes of these servers:\n{lines}")
    return table


def _server(machine: Machine) -> Server:
    devices = tuple(
        Device(
            device_id=number,
            rank_id=0,
            device_ips=tuple(filter(None, machine.addresses.get(number, "").split(","))),
            super_device_id=machine.super_device_ids.get(number),
        )
        for number in machine.device_ids
    )
    return Server(machine.server_id, devices, host_ip=machine.host_ip)


def _super_pod(super_pod_id: str, machines: Iterable[Machine]) -> SuperPod:
    names = [machine.server_id for machine in machines if machine.super_pod_id == super_pod_id]
    return SuperPod(super_pod_id, tuple(names))
