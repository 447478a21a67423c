"""What a file says, still with gaps: the common form that rules are checked on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from launcher.rank_table.model import Device, Level, RankTable, Server, SuperPod


@dataclass(frozen=True)
class DeviceDraft:
    """One device as read; None = missing or unreadable.

    ``refused`` names the optional keys whose value was reported already.
    """

    path: str
    device_id: int | None = None
    rank_id: int | None = None
    device_ips: tuple[str, ...] = ()
    refused: frozenset[str] = frozenset()
    super_device_id: int | None = None
    device_port: int | None = None
    host_port: int | None = None
    backup_device_ips: tuple[str, ...] = ()
    backup_device_port: int | None = None
    local_id: int | None = None
    levels: tuple[Level, ...] = ()


@dataclass(frozen=True)
class ServerDraft:
    """One server as read."""

    path: str
    server_id: str | None
    devices: tuple[DeviceDraft, ...]
    host_ip: str = ""
    container_ip: str = ""
    pod_ip: str = ""
    hardware_type: str = ""
    host_nic_ip: str = ""


@dataclass(frozen=True)
class PodDraft:
    """One super pod as read; each server id with its path."""

    path: str
    super_pod_id: str | None
    servers: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class TableDraft:
    """A whole table as read."""

    form: str
    servers: tuple[ServerDraft, ...] = ()
    super_pods: tuple[PodDraft, ...] = ()

    def devices(self) -> Iterator[DeviceDraft]:
        for server in self.servers:
            yield from server.devices


def to_table(draft: TableDraft) -> RankTable:
    """Return the model of a draft in which nothing bad was found."""
    return RankTable(
        draft.form,
        tuple(_server(server) for server in draft.servers),
        tuple(
            SuperPod(pod.super_pod_id or "", tuple(name for _, name in pod.servers))
            for pod in draft.super_pods
        ),
    )


def _server(draft: ServerDraft) -> Server:
    return Server(
        server_id=draft.server_id or "",
        devices=tuple(_device(device) for device in draft.devices),
        host_ip=draft.host_ip,
        container_ip=draft.container_ip,
        pod_ip=draft.pod_ip,
        hardware_type=draft.hardware_type,
        host_nic_ip=draft.host_nic_ip,
    )


def _device(draft: DeviceDraft) -> Device:
    if draft.device_id is None or draft.rank_id is None:
        raise AssertionError(f"{draft.path} has gaps that no rule reported")
    return Device(
        device_id=draft.device_id,
        rank_id=draft.rank_id,
        device_ips=draft.device_ips,
        super_device_id=draft.super_device_id,
        device_port=draft.device_port,
        host_port=draft.host_port,
        backup_device_ips=draft.backup_device_ips,
        backup_device_port=draft.backup_device_port,
        local_id=draft.local_id,
        levels=draft.levels,
    )
