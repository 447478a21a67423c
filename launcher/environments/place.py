"""Where one launcher stands among those of a job: a value, whoever said so."""

from __future__ import annotations

from typing import NamedTuple

MEETING_PORT = 8118
"""Where launchers meet when nothing says otherwise: msrun's port for its scheduler."""


class Place(NamedTuple):
    """One launcher's place; with one node there is nobody to meet.

    Args:
        master_addr: name or address of node 0, where the launchers meet.
        master_port: the port there.
        name: what this node is called in messages; "" = its host name.
        names: all nodes in the order of node_rank, where the environment tells them.
        job: what the launchers of this job and of no other have in common; "" = nothing known.
        workers: workers on each node, where something other than the nodes themselves says so.
        sources: where each of these came from, a line each.
    """

    nnodes: int = 1
    node_rank: int = 0
    master_addr: str = ""
    master_port: int = MEETING_PORT
    name: str = ""
    names: tuple[str, ...] = ()
    job: str = ""
    workers: tuple[int, ...] = ()
    sources: tuple[str, ...] = ()

    def title(self, node_rank: int) -> str:
        """Return ``node 1 (gpu-07)``, or ``node 1`` where its name is not known."""
        if node_rank < len(self.names):
            return f"node {node_rank} ({self.names[node_rank]})"
        return f"node {node_rank}"
