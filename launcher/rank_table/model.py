"""What a rank table says, whatever form it was written in: frozen values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

SERVER_FORMS = ("1.0", "1.2")
OLD_FORMS = ("lab", "cloud")
FORMS = (*SERVER_FORMS, "2.0", *OLD_FORMS)
PRODUCTS = ("910A", "A2", "A3", "A5")
COUNTS_910A, RING_910A = (1, 2, 4, 8), 4
"""How many devices of a 910A server may work together; devices 0-3 and 4-7 are two rings."""

COMPLETED = "completed"
INITIALIZING = "initializing"


@dataclass(frozen=True)
class LevelAddress:
    """One address of a rank at one network level (form 2.0)."""

    addr_type: str
    addr: str
    ports: tuple[str, ...] = ()
    plane_id: str = ""


@dataclass(frozen=True)
class Level:
    """What a rank has at one network level (form 2.0)."""

    net_layer: int
    net_instance_id: str
    net_type: str
    net_attr: str = ""
    addresses: tuple[LevelAddress, ...] = ()


@dataclass(frozen=True)
class Device:
    """One device, which is one rank.

    Args:
        device_id: physical number, the N of /dev/davinciN.
        rank_id: 0 to world_size-1.
        device_ips: RoCE addresses of the device; usually one, none where the product needs none.
        super_device_id: the SDID inside the super pod (form 1.2).
        local_id, levels: form 2.0 only.
    """

    device_id: int
    rank_id: int
    device_ips: tuple[str, ...] = ()
    super_device_id: int | None = None
    device_port: int | None = None
    host_port: int | None = None
    backup_device_ips: tuple[str, ...] = ()
    backup_device_port: int | None = None
    local_id: int | None = None
    levels: tuple[Level, ...] = ()


@dataclass(frozen=True)
class Server:
    """One machine and its devices, in the order of the file.

    ``server_id`` is any name that is unique in the table; often, but not always, an address.
    """

    server_id: str
    devices: tuple[Device, ...]
    host_ip: str = ""
    container_ip: str = ""
    pod_ip: str = ""
    hardware_type: str = ""
    host_nic_ip: str = ""

    @property
    def by_rank(self) -> tuple[Device, ...]:
        return tuple(sorted(self.devices, key=lambda device: device.rank_id))

    @property
    def first_rank(self) -> int:
        return min(device.rank_id for device in self.devices)


@dataclass(frozen=True)
class SuperPod:
    """One super pod and the ids of its servers (form 1.2)."""

    super_pod_id: str
    server_ids: tuple[str, ...]


@dataclass(frozen=True)
class RankTable:
    """A whole table. ``form`` is one of :data:`FORMS`; servers stand in the order of the file.

    In form 2.0 the file names no servers: they are derived, a new one wherever the instance of the
    lowest network level changes or a device_id comes again.
    """

    form: str
    servers: tuple[Server, ...]
    super_pods: tuple[SuperPod, ...] = field(default=())

    @property
    def world_size(self) -> int:
        return sum(len(server.devices) for server in self.servers)

    @property
    def by_rank(self) -> tuple[Server, ...]:
        """The servers in the order of their ranks: the index is the node_rank."""
        return tuple(sorted(self.servers, key=lambda server: server.first_rank))

    def ranks(self) -> Iterator[tuple[Server, Device]]:
        """Yield every rank's server and device, from rank 0 on."""
        pairs = [(server, device) for server in self.servers for device in server.devices]
        yield from sorted(pairs, key=lambda pair: pair[1].rank_id)
