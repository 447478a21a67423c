"""What a cluster file says: frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Node:
    """One machine.

    Args:
        name: unique; the server_id of a rank table that is made of the file.
        address: how other nodes reach it; "" where the file has one node.
        nproc: its workers; on Ascend one per device.
        device_ids: physical ids, ascending; empty on a CPU.
        device_addresses: device_id to RoCE address, where given.
        interface: the network interface of the host for HCCL; "" = HCCL chooses.
        super_pod: the super pod of an A3 server; "" = none.
        super_device_ids: device_id to SDID, in super pods.
        environment: variables of its workers, the file's own and the node's joined.
    """

    name: str
    address: str = ""
    nproc: int = 1
    device_ids: tuple[int, ...] = ()
    device_addresses: Mapping[int, str] = field(default_factory=dict)
    interface: str = ""
    super_pod: str = ""
    super_device_ids: Mapping[int, int] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Cluster:
    """A whole cluster file; nodes stand in the order of their node_rank."""

    device_target: str
    nodes: tuple[Node, ...]
    product: str | None = None
    master_port: int | None = None

    @property
    def world_size(self) -> int:
        return sum(node.nproc for node in self.nodes)
