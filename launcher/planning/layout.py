"""Which node runs which ranks on which devices, whoever says so: options, a cluster file, a table.

The three become one value here, so that everything after it does not ask where it came from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from launcher.errors import UsageError
from launcher.planning.devices import ASCEND, CPU, Devices
from launcher.words import ranks_in_words

if TYPE_CHECKING:
    from launcher.cluster.model import Cluster
    from launcher.rank_table.model import RankTable, Server

LOOPBACK = "127.0.0.1"
_MOST_LISTED = 32


class NodeLayout(NamedTuple):
    """One node's part of a job.

    Args:
        ranks: its ranks, ascending.
        device_ids: for each of them the physical device; empty on a CPU.
        address: where the other nodes reach it.
        aliases: what else it is known by: addresses of its pod or container.
        environment: variables that a file gives its workers.
    """

    name: str
    ranks: tuple[int, ...]
    device_ids: tuple[int, ...] = ()
    address: str = LOOPBACK
    aliases: tuple[str, ...] = ()
    environment: Mapping[str, str] = MappingProxyType({})

    def __str__(self) -> str:
        more = sorted({self.address, *self.aliases} - {self.name, LOOPBACK, ""})
        known = f"{self.name} ({', '.join(more)})" if more else self.name
        return f"{known}, {ranks_in_words(self.ranks)}"


class Layout(NamedTuple):
    """All nodes of a job, in the order of node_rank.

    Args:
        source: the option that it came from, for messages.
        rank_table: the text of the table to run with; None where there is none.
    """

    target: str
    nodes: tuple[NodeLayout, ...]
    source: str = ""
    master_port: int | None = None
    rank_table: str | None = None

    @property
    def world_size(self) -> int:
        return sum(len(node.ranks) for node in self.nodes)

    @property
    def nnodes(self) -> int:
        return len(self.nodes)

    def node_rank(self, given: int | None, names: Iterable[str]) -> int:
        """Return the node_rank of this node: as given, else found by its own names and addresses.

        The only node of a layout is this node.

        Raises:
            UsageError: there is no such node, or it cannot be told which one this is.
        """
        if given is not None:
            if 0 <= given < self.nnodes:
                return given
            raise UsageError(
                f"--node-rank {given}: {self.source} has the nodes 0 to {self.nnodes - 1}:\n"
                + self._listed()
            )
        if self.nnodes == 1:
            return 0
        own = {_normal(name) for name in names}
        known = ({node.name, node.address, *node.aliases} for node in self.nodes)
        matching = [index for index, texts in enumerate(known) if own & set(map(_normal, texts))]
        if len(matching) == 1:
            return matching[0]
        found = "several nodes" if matching else "no node"
        raise UsageError(
            f"{found} of {self.source} match this node ({', '.join(sorted(own)) or 'no address'}): "
            f"say which it is with --node-rank:\n{self._listed()}"
        )

    def _listed(self) -> str:
        lines = [f"  {index}: {node}" for index, node in enumerate(self.nodes[:_MOST_LISTED])]
        left = self.nnodes - len(lines)
        return "\n".join([*lines, *([f"  ... and {left} more"] if left else [])])


def _normal(text: str) -> str:
    from launcher.rank_table.fields import parse_address

    address = parse_address(text)
    return text if address is None else str(address)


def alone(devices: Devices, name: str) -> Layout:
    """Return the layout of a job on this node only."""
    node = NodeLayout(name, tuple(range(devices.nproc)), devices.ids)
    return Layout(devices.target, (node,), "a job without --cluster or --rank-table")


def over_nodes(
    devices: Devices, workers: Sequence[int], *, node_rank: int, names: Sequence[str], source: str
) -> Layout:
    """Return the layout of nodes that have told each other how many workers they have.

    Args:
        devices: of this node; those of the others are theirs to know.
        workers: of each node, in the order of node_rank.
        names: what the nodes are called, as far as it is known.
        source: who says which nodes there are, for messages.
    """
    nodes = []
    first = 0
    for index, count in enumerate(workers):
        ids = devices.ids if index == node_rank else ()
        name = names[index] if index < len(names) else f"node {index}"
        nodes.append(NodeLayout(name, tuple(range(first, first + count)), ids))
        first += count
    return Layout(devices.target, tuple(nodes), source)


def from_cluster(cluster: Cluster, source: str, rank_table: str | None = None) -> Layout:
    """Return the layout that a cluster file describes: ranks are counted node by node."""
    nodes = []
    first = 0
    for node in cluster.nodes:
        variables = dict(node.environment)
        if node.interface:
            variables.setdefault("HCCL_SOCKET_IFNAME", f"={node.interface}")
        nodes.append(
            NodeLayout(
                node.name,
                tuple(range(first, first + node.nproc)),
                node.device_ids,
                node.address or LOOPBACK,
                environment=variables,
            )
        )
        first += node.nproc
    target = CPU if cluster.device_target == CPU else ASCEND
    return Layout(target, tuple(nodes), source, cluster.master_port, rank_table)


def from_table(table: RankTable, source: str, text: str) -> Layout:
    """Return the layout of a rank table: every server is a node, in the order of its ranks."""
    nodes = tuple(
        NodeLayout(
            server.server_id,
            tuple(device.rank_id for device in server.by_rank),
            tuple(device.device_id for device in server.by_rank),
            _address(server) if len(table.servers) > 1 else LOOPBACK,
            tuple(filter(None, _addresses(server))),
        )
        for server in table.by_rank
    )
    return Layout(ASCEND, nodes, source, rank_table=text)


def _address(server: Server) -> str:
    """Return how the server is reached: an address that the table gives, else its name."""
    from launcher.rank_table.fields import parse_address

    texts = (*_addresses(server), server.server_id)
    return next((text for text in texts if text and parse_address(text)), server.server_id)


def _addresses(server: Server) -> tuple[str, ...]:
    return (server.pod_ip, server.host_ip, server.container_ip)
