"""Which server of a table is this node."""

from __future__ import annotations

from collections.abc import Iterable

from launcher.errors import RankTableError
from launcher.rank_table.fields import parse_address
from launcher.rank_table.model import RankTable, Server


def server_of_node(
    table: RankTable, *, addresses: Iterable[str] = (), node_rank: int | None = None
) -> Server:
    """Return this node's server; its ranks are ``server.by_rank``.

    A node_rank that is given decides (0 = the server of rank 0). Else the server is the one whose
    server_id, container_ip, host_ip or pod_ip is an address or a name of this node; the only server
    of a table is taken as it is.

    Args:
        addresses: this node's own addresses, and its host names.

    Raises:
        RankTableError: no such node_rank, or none or several servers match.
    """
    servers = table.by_rank
    if node_rank is not None:
        if 0 <= node_rank < len(servers):
            return servers[node_rank]
        raise RankTableError(
            f"--node-rank {node_rank}: the table has the nodes 0 to {len(servers) - 1}:"
            f"\n{_listed(servers)}"
        )
    if len(servers) == 1:
        return servers[0]
    own = {_normal(text) for text in addresses}
    matching = [server for server in servers if own & _names(server)]
    if len(matching) == 1:
        return matching[0]
    found = "several servers" if matching else "no server"
    raise RankTableError(
        f"{found} of the rank table match this node ({', '.join(sorted(own)) or 'no address'}): "
        f"say which it is with --node-rank:\n{_listed(servers)}"
    )


def _names(server: Server) -> set[str]:
    texts = (server.server_id, server.container_ip, server.host_ip, server.pod_ip)
    return {_normal(text) for text in texts if text}


def _normal(text: str) -> str:
    address = parse_address(text)
    return text if address is None else str(address)


def _listed(servers: Iterable[Server]) -> str:
    lines = []
    for index, server in enumerate(servers):
        ranks = [device.rank_id for device in server.by_rank]
        names = sorted(_names(server) - {server.server_id})
        more = f" ({', '.join(names)})" if names else ""
        lines.append(f"  {index}: {server.server_id}{more}, ranks {ranks[0]} to {ranks[-1]}")
    return "\n".join(lines)
