"""A host's own names and addresses, as the kernel tells them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from launcher.host.access import HostAccess

_LOCAL = re.compile(r"\|--\s+(\S+)\n\s+/32 host LOCAL")


def host_name(access: HostAccess) -> str:
    """Return the name of the host."""
    told = (access.read("/proc/sys/kernel/hostname") or "").strip()
    if access.root == Path("/") or not told:
        return os.uname().nodename
    return told


def own_addresses(access: HostAccess) -> tuple[str, ...]:
    """Return the host's names and its addresses but those of the loopback, sorted."""
    from ipaddress import ip_address

    name = host_name(access)
    texts = [
        *_LOCAL.findall(access.read("/proc/net/fib_trie") or ""),
        *(_ipv6(line) for line in (access.read("/proc/net/if_inet6") or "").splitlines()),
    ]
    addresses = {text for text in texts if text and not ip_address(text).is_loopback}
    return tuple(sorted({name, name.partition(".")[0], *addresses}))


def _ipv6(line: str) -> str:
    from ipaddress import IPv6Address

    digits = line.partition(" ")[0]
    if not re.fullmatch(r"[0-9a-f]{32}", digits):
        return ""
    return str(IPv6Address(int(digits, 16)))
