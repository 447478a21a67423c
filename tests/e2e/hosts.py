"""Two hosts on one machine: network namespaces with a cable between, and names of their own.

Where the line between them does not matter, the loopback stands for both.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from launcher.planning.ports import PortReservation

ROOT = Path(__file__).resolve().parents[2]
ADDRESSES = ("10.213.7.1", "10.213.7.2")
PORT = 8118
LIMIT_S = 400


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=60)


@dataclass
class Launched:
    """A launcher on one of the hosts."""

    process: subprocess.Popen[str]
    code: int | None = None
    said: str = ""

    def wait(self, limit_s: float = LIMIT_S) -> Launched:
        """Wait for its end; ``said`` is what it printed on both streams."""
        try:
            self.said, _ = self.process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.said, _ = self.process.communicate()
            pytest.fail(f"no end within {limit_s} s\n{self.said}", pytrace=False)
        self.code = self.process.returncode
        return self


@dataclass
class Loopback:
    """Launchers of several nodes on this host."""

    cwd: Path
    master: str = "127.0.0.1"
    port: int = field(default_factory=lambda: _free_port())
    started: list[Launched] = field(default_factory=list)

    def run(self, host: int, *command: object, **environ: str) -> Launched:
        """Start a command on a host, whose process is the command itself."""
        process = subprocess.Popen(
            [*self._prefix(host), *map(str, command)],
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        )
        self.started.append(Launched(process))
        return self.started[-1]

    def launch(self, node_rank: int, *arguments: object, **environ: str) -> Launched:
        """Start the launcher of a node; later arguments beat what stands here."""
        own = ["--nnodes", 2, "--node-rank", node_rank, "--master-addr", self.master]
        own += ["--master-port", self.port, "--device-target", "CPU"]
        return self.run(node_rank, sys.executable, "-m", "launcher", *own, *arguments, **environ)

    def pair(self, *arguments: object) -> tuple[Launched, Launched]:
        """Start the same command on both."""
        return self.launch(0, *arguments), self.launch(1, *arguments)

    def close(self) -> None:
        for one in self.started:
            if one.process.poll() is None:
                one.process.send_signal(signal.SIGKILL)
                one.process.wait(60)

    def _prefix(self, host: int) -> list[str]:
        del host
        return []


@dataclass
class Hosts(Loopback):
    """Two hosts ``host-0`` and ``host-1`` with the addresses of :data:`ADDRESSES`."""

    names: tuple[str, str] = ("", "")

    def _prefix(self, host: int) -> list[str]:
        inside = f'hostname host-{host} && exec "$@"'
        namespace = ["ip", "netns", "exec", self.names[host]]
        return [*namespace, "unshare", "--uts", "sh", "-c", inside, "sh"]

    def cut(self) -> None:
        """Pull the cable: packets are lost without a word, as behind a dead switch.

        (They go to a hardware address that nobody has; not every kernel has netem.)
        """
        for name, other in zip(self.names, reversed(ADDRESSES), strict=True):
            ip("-n", name, "neighbour", "replace", other, "lladdr", "02:00:00:00:00:99",
               "dev", "eth0", "nud", "permanent")  # fmt: skip


def _free_port() -> int:
    with closing(PortReservation()) as ports:
        return ports.choose()


@contextmanager
def two_hosts(cwd: Path) -> Iterator[Hosts]:
    """Make two hosts, and take them away with everything that runs there.

    The test is skipped on a machine that cannot have such hosts.
    """
    names = (f"t{os.getpid()}a", f"t{os.getpid()}b")
    hosts = Hosts(cwd, ADDRESSES[0], PORT, names=names)
    try:
        if why := _why_not(names):
            pytest.skip(why)
        for name, address in zip(names, ADDRESSES, strict=True):
            ip("-n", name, "address", "add", f"{address}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield hosts
    finally:
        hosts.close()
        for name in names if shutil.which("ip") else ():
            subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=60)


def _why_not(names: tuple[str, str]) -> str:
    """Make the namespaces and the cable; return why this machine cannot, empty where it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [tool for tool in ("ip", "unshare") if shutil.which(tool) is None]
    if missing:
        return f"{' and '.join(missing)} not installed (iproute2, util-linux)"
    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", "eth0", "netns", names[0], "type", "veth",
           "peer", "name", "eth0", "netns", names[1])  # fmt: skip
    except subprocess.CalledProcessError as error:
        return f"no hosts can be made here ({error.stderr.decode(errors='replace').strip()})"
    return ""
