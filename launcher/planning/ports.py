"""A port for the scheduler that no other launcher on this host can pick at the same time.

Asking the system for a free port and closing it again is a race: two launchers, or any client's
outgoing connection, may get the same one before the scheduler listens. So ports are taken from
below the range of outgoing connections, and each is reserved by a name that the kernel holds for as
long as the launcher lives: an abstract socket address. It needs no file, holds for all users of the
same network namespace (which is also where ports are unique), and ends with the process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from launcher.errors import NotReadyError

if TYPE_CHECKING:
    import socket

_RANGE_FILE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST, _LAST = 20000, 32767
_FEWEST = 2000
_TRIES = 500


class Ports(Protocol):
    """Where free ports come from."""

    def choose(self) -> int:
        """Return a port for the scheduler."""

    def choose_block(self, size: int) -> int:
        """Return the first of so many free ports in a row."""


class PortReservation:
    """Reserves one port after the other; each stays ours until :meth:`close`."""

    def __init__(self, fixed: int | None = None) -> None:
        self._fixed = fixed
        self._names: dict[int, socket.socket] = {}
        self._block: dict[int, socket.socket] = {}
        self._held: socket.socket | None = None

    def choose(self) -> int:
        """Return a port that is free now: the fixed one, else a new one at each call.

        Raises:
            NotReadyError: the fixed port is taken, or no port at all is free.
        """
        self.release()
        if self._fixed is not None:
            return self._take_fixed(self._fixed)
        candidates = candidate_ports()
        from random import SystemRandom

        for port in SystemRandom().sample(candidates, min(_TRIES, len(candidates))):
            if port not in self._names and self._take(port):
                return port
        raise NotReadyError(
            f"no free port between {candidates[0]} and {candidates[-1]} after {_TRIES} tries; "
            "end what holds them, or name one with --master-port"
        )

    def choose_block(self, size: int) -> int:
        """Return the first of ``size`` neighbouring ports that are all free now.

        A block that was chosen before is chosen again; no other launcher gets a port of it.

        Raises:
            NotReadyError: there is no such block.
        """
        if self._block:
            return min(self._block)
        candidates = candidate_ports()
        starts = list(range(candidates[0], candidates[-1] - size + 2, size))
        from random import SystemRandom

        SystemRandom().shuffle(starts)
        for start in starts:
            if self._take_block(range(start, start + size)):
                return start
        raise NotReadyError(
            f"no {size} free ports in a row between {candidates[0]} and {candidates[-1]} (HCCL "
            "wants them); end what holds them, or set HCCL_IF_BASE_PORT yourself"
        )

    def release(self) -> None:
        """Let the scheduler listen on the port; no other launcher can choose it yet."""
        if self._held is not None:
            self._held.close()
            self._held = None

    def close(self) -> None:
        """Give everything back."""
        self.release()
        for name in (*self._names.values(), *self._block.values()):
            name.close()
        self._names.clear()
        self._block.clear()

    def _take(self, port: int) -> bool:
        name = self._names.get(port) or _reserve_name(port)
        if name is None:
            return False
        held = _bind(port)
        if held is None:
            name.close()
            self._names.pop(port, None)
            return False
        self._names[port], self._held = name, held
        return True

    def _take_block(self, ports: range) -> bool:
        taken: dict[int, socket.socket] = {}
        for port in ports:
            held = None if port in self._names else _bind(port)
            name = _reserve_name(port) if held is not None else None
            if held is not None:
                held.close()
            if name is None:
                for reserved in taken.values():
                    reserved.close()
                return False
            taken[port] = name
        self._block = taken
        return True

    def _take_fixed(self, port: int) -> int:
        if self._take(port):
            return port
        raise NotReadyError(
            f"--master-port {port} is taken{port_holder(port)}; wait until it is free, name "
            "another port, or leave --master-port out to get a free one"
        )


def candidate_ports(range_file: Path = _RANGE_FILE) -> range:
    """Return the ports to choose from: below those that the kernel gives to outgoing connections.

    Where that leaves too few, the usual range is used all the same; a bind still tells.
    """
    try:
        lowest = int(range_file.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        lowest = _LAST + 1
    last = min(_LAST, lowest - 1)
    return range(_FIRST, (last if last - _FIRST >= _FEWEST else _LAST) + 1)


def port_holder(port: int, proc: Path = Path("/proc")) -> str:
    """Return `` by pid 12 (python)`` for who listens on a port, empty where /proc does not tell."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port, proc)}
    for folder in proc.glob("[0-9]*") if sockets else ():
        if sockets & set(_open_files(folder)):
            with suppress(OSError):
                name = (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()
                return f" by pid {folder.name} ({name})"
    return ""


def _open_files(process: Path) -> Iterator[str]:
    """Give what a process has open, as far as we may see it and it lasts."""
    with suppress(OSError):
        for link in (process / "fd").iterdir():
            with suppress(OSError):
                yield os.readlink(link)


def _listening_inodes(port: int, proc: Path) -> list[str]:
    inodes = []
    for table in ("tcp", "tcp6"):
        try:
            rows = (proc / "net" / table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            if int(fields[1].rpartition(":")[2], 16) == port and fields[3] == "0A":
                inodes.append(fields[9])
    return inodes


def _reserve_name(port: int) -> socket.socket | None:
    import socket

    name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        name.bind(f"\0mindspore-launcher-port-{port}")
    except OSError:
        name.close()
        return None
    return name


def _bind(port: int) -> socket.socket | None:
    import socket

    held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("", port))
    except OSError:
        held.close()
        return None
    return held
