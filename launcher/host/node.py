"""Everything that a plan needs to know of this node, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from launcher.host.access import HostAccess
from launcher.host.addresses import host_name, own_addresses
from launcher.host.cores import Cores, allowed_cores, cpu_quota, read_numa_nodes
from launcher.host.npus import Npus, look_at_npus


class Host(NamedTuple):
    """What a plan depends on besides the options.

    ``addresses`` are the node's own names and addresses; ``cpu_quota`` is in cores, None = no
    limit.
    """

    name: str
    environ: Mapping[str, str]
    npus: Npus
    cores: Cores
    numa_nodes: tuple[Cores, ...] = ()
    cpu_quota: float | None = None
    addresses: tuple[str, ...] = ()

    @classmethod
    def observe(
        cls, access: HostAccess, *, with_npus: bool = True, with_addresses: bool = False
    ) -> Host:
        """Return what this node has now, without looking for what is not needed."""
        return cls(
            name=host_name(access),
            environ=access.environ,
            npus=look_at_npus(access) if with_npus else Npus(),
            cores=allowed_cores(),
            numa_nodes=read_numa_nodes(access),
            cpu_quota=cpu_quota(access),
            addresses=own_addresses(access) if with_addresses else (),
        )
