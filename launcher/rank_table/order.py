"""In which order servers stand: by address where both are addresses, by number inside names."""

from __future__ import annotations

import re

from launcher.rank_table.fields import parse_address

_NUMBERS = re.compile(r"(\d{1,18})", re.ASCII)

Key = tuple[int, tuple[tuple[int, int, str], ...], str]


def natural_order(server_id: str) -> Key:
    """Return a sort key: addresses by value (IPv4 first), then names with numbers by value.

    So 10.0.0.9 stands before 10.0.0.10, and node_2 before node_10.
    """
    address = parse_address(server_id)
    if address is not None:
        return (0, ((address.version, int(address), ""),), server_id)
    parts = _NUMBERS.split(server_id)
    return (
        1,
        tuple((0, int(p), "") if i % 2 else (1, 0, p) for i, p in enumerate(parts)),
        server_id,
    )
