"""A table for people: plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from launcher.rank_table.model import Device, RankTable, Server

_HEADER = ("rank", "node", "server", "device", "address", "more")


def show(table: RankTable) -> str:
    """Return a table as text, one line a rank, in the order of ranks."""
    servers = table.by_rank
    node_of = {server.server_id: index for index, server in enumerate(servers)}
    rows = [_row(server, device, node_of[server.server_id]) for server, device in table.ranks()]
    head = f"form {table.form}: {len(servers)} servers, {table.world_size} ranks"
    pods = [
        f"super pod {_printable(pod.super_pod_id)}: {', '.join(map(_printable, pod.server_ids))}"
        for pod in table.super_pods
    ]
    return "\n".join([head, *pods, *_columns([_HEADER, *rows])]) + "\n"


def _row(server: Server, device: Device, node_rank: int) -> tuple[str, ...]:
    addresses = ",".join(device.device_ips)
    if not addresses and device.levels:
        addresses = ",".join(one.addr for one in device.levels[0].addresses)
    return (
        str(device.rank_id),
        str(node_rank),
        _printable(server.server_id),
        str(device.device_id),
        addresses or "-",
        " ".join(_more(device)),
    )


def _printable(text: str) -> str:
    return text if text.isprintable() else ascii(text)


def _more(device: Device) -> Iterable[str]:
    if device.super_device_id is not None:
        yield f"sdid {device.super_device_id}"
    if device.local_id is not None:
        yield f"local_id {device.local_id}"
    if device.device_port is not None:
        yield f"port {device.device_port}"


def _columns(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()
