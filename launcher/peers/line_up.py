"""The way to the meeting: the port where node 0 listens, and the calls of the others."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from launcher.environments.place import Place
from launcher.errors import NotReadyError, UsageError

_BACKLOG = 4096
_CALL_S = 5.0
_PAUSE_S = 0.25


def listen(place: Place, host: str) -> socket.socket:
    """Return the socket on which node 0 waits for the others: on the asked address only.

    A host name that leads to the loopback on node 0 itself (Debian's 127.0.1.1) is no address that
    others could reach; then it listens on all.

    Args:
        host: what node 0 is called in the message of an error.

    Raises:
        UsageError: the address is none of this host.
        NotReadyError: the port is taken.
    """
    family, address = _own_address(place)
    server = socket.socket(family, socket.SOCK_STREAM)
    try:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, place.master_port))
        server.listen(_BACKLOG)
        server.setblocking(False)
        return server
    except OSError as error:
        server.close()
        raise _refusal(place, host, error) from None


def _own_address(place: Place) -> tuple[socket.AddressFamily, str]:
    try:
        found = socket.getaddrinfo(place.master_addr, place.master_port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UsageError(
            f"--master-addr {place.master_addr}: no host has this name "
            f"({error.strerror or error}); give the address of node 0"
        ) from None
    family, *_, where = found[0]
    address = str(where[0])
    is_name = address != place.master_addr
    if is_name and (address.startswith("127.") or address == "::1"):
        return family, ""
    return family, address


def _refusal(place: Place, host: str, error: OSError) -> Exception:
    where = f"{place.master_addr}:{place.master_port}"
    if error.errno == errno.EADDRINUSE:
        from launcher.planning.ports import port_holder

        return NotReadyError(
            f"node 0 ({host}): {where} is taken{port_holder(place.master_port)}: the launchers "
            "cannot meet there; wait until it is free, or name another port with --master-port, "
            "the same on all nodes"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return UsageError(
            f"--master-addr {place.master_addr}: this is node 0, and none of its addresses; give "
            "an address of node 0 that the other nodes reach (ip -br addr), the same on all nodes"
        )
    return UsageError(f"cannot listen on {where}: {error.strerror or error}")


def call(place: Place, deadline_s: float, say: Callable[[str], None]) -> socket.socket:
    """Return a connection to node 0, which may start later than this node.

    Args:
        deadline_s: on the monotonic clock.

    Raises:
        NotReadyError: nobody answered in time.
    """
    where = f"{place.master_addr}:{place.master_port}"
    began_s, last, announced = time.monotonic(), "", False
    while (rest_s := deadline_s - time.monotonic()) > 0:
        try:
            address = (place.master_addr, place.master_port)
            return socket.create_connection(address, timeout=min(_CALL_S, rest_s))
        except OSError as error:
            last = error.strerror or str(error)
        if not announced and time.monotonic() - began_s > 3:
            announced = True
            say(f"waiting for {place.title(0)} at {where} ({last})")
        with suppress(ValueError):
            time.sleep(min(_PAUSE_S, deadline_s - time.monotonic()))
    raise NotReadyError(
        f"{place.title(0)} does not answer at {where} ({last or 'no time was left'}); start its "
        "launcher, and check --master-addr and --master-port, which must be the same on all nodes"
    )
