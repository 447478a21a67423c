"""How a node of Slurm is reached: its name may be one that no resolver knows."""

from __future__ import annotations

import re
import socket

from launcher.host.access import HostAccess

_ADDRESS = re.compile(r"\bNodeAddr=(\S+)")


def address_of(name: str, access: HostAccess) -> str:
    """Return the name where it can be resolved, else the address that Slurm itself uses."""
    try:
        socket.getaddrinfo(name, None)
        return name
    except OSError:
        told = access.ask("scontrol", "show", "node", "--oneliner", name)
    match = _ADDRESS.search(told.text)
    return match.group(1) if match else name
