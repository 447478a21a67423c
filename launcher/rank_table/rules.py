"""The rules between the values of a table: ranks, devices, addresses, servers.

Source: HCCL's parsers and user guide, as `ascend.md` 1.2 and 1.4 collect them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

from launcher.rank_table.draft import DeviceDraft, ServerDraft, TableDraft
from launcher.rank_table.fields import Address, is_placeholder, parse_address
from launcher.rank_table.order import natural_order
from launcher.rank_table.problem import Report, given


def check_ranks(draft: TableDraft, report: Report) -> None:
    """Report ranks that come twice, leave gaps, or are scattered over servers."""
    devices = list(draft.devices())
    expected = _expect_ranks(devices)
    first: dict[int, str] = {}
    for device in devices:
        rank = device.rank_id
        if rank is None:
            continue
        if rank in first:
            message = f"rank {rank} is already at {first[rank]}: {expected}"
            report.bad("rank-repeated", f"{device.path}.rank_id", message)
        elif rank >= len(devices):
            message = f"rank {rank} leaves a gap: {expected}"
            report.bad("rank-not-contiguous", f"{device.path}.rank_id", message)
        first.setdefault(rank, f"{device.path}.rank_id")
    if not report.has("rank-repeated", "rank-not-contiguous"):
        for server in draft.servers:
            _check_interleaved(server, report)


def _expect_ranks(devices: list[DeviceDraft]) -> str:
    used = {device.rank_id for device in devices}
    missing = [rank for rank in range(min(len(devices), 2048)) if rank not in used]
    text = f"{len(devices)} devices have the ranks 0 to {len(devices) - 1}, each once"
    return f"{text}; missing: {', '.join(map(str, missing[:4]))}" if missing else text


def _check_interleaved(server: ServerDraft, report: Report) -> None:
    ranks = sorted(device.rank_id for device in server.devices if device.rank_id is not None)
    for before, after in pairwise(ranks):
        if after != before + 1:
            message = (
                f"this server has rank {before} and rank {after}, but not those between: the ranks "
                "of one server follow one another"
            )
            report.bad("rank-interleaved", server.path, message)
            return


def check_servers(draft: TableDraft, report: Report) -> None:
    """Report servers that come twice, and note odd names and orders."""
    first: dict[str, str] = {}
    for server in draft.servers:
        name = server.server_id
        if name is None:
            continue
        if name in first:
            message = f"server {given(name)} is already at {first[name]}: each server once"
            report.bad("server-id-repeated", f"{server.path}.server_id", message)
        elif is_placeholder(name):
            message = f"{given(name)} looks like a placeholder: HCCL takes any unique name"
            report.note("server-id-placeholder", f"{server.path}.server_id", message)
        first.setdefault(name, server.path)
    _note_order(draft, report)
    with_pod_ip = sum(bool(server.pod_ip) for server in draft.servers)
    if 0 < with_pod_ip < len(draft.servers):
        message = "some servers have no pod_ip: MindSpore's dynamic cluster then ignores the table"
        report.note("pod-ip-partial", "$.server_list", message)


def _note_order(draft: TableDraft, report: Report) -> None:
    if draft.form not in ("1.0", "1.2"):
        return
    named = []
    for server in draft.servers:
        ranks = [device.rank_id for device in server.devices if device.rank_id is not None]
        if ranks and server.server_id:
            named.append((min(ranks), server.server_id))
    names = [name for _, name in sorted(named)]
    if names not in (sorted(names, key=natural_order), sorted(names)):
        message = "the ranks do not follow the order of server_id, as MindSpore's documents ask"
        report.note("server-order", "$.server_list", message)


def check_devices(draft: TableDraft, report: Report) -> None:
    """Report devices that a server has twice, and host ports that it uses twice."""
    for server in draft.servers:
        _repeated(
            server.devices,
            lambda device: device.device_id,
            lambda device, first: report.bad(
                "device-id-repeated",
                f"{device.path}.device_id",
                f"device {device.device_id} is already at {first.path}: each device once",
            ),
        )
        _repeated(
            server.devices,
            lambda device: device.host_port,
            lambda device, first: report.note(
                "port-repeated",
                f"{device.path}.host_port",
                f"host_port {device.host_port} is already at {first.path}: each its own",
            ),
        )


def _repeated(
    devices: Iterable[DeviceDraft],
    value: Callable[[DeviceDraft], object],
    found: Callable[[DeviceDraft, DeviceDraft], None],
) -> None:
    first: dict[object, DeviceDraft] = {}
    for device in devices:
        key = value(device)
        if key is None:
            continue
        if key in first:
            found(device, first[key])
        first.setdefault(key, device)


def check_addresses(draft: TableDraft, report: Report) -> None:
    """Report device addresses that come twice, differ in family or in number."""
    first: dict[Address, str] = {}
    family: int | None = None
    count: int | None = None
    for device in draft.devices():
        path = f"{device.path}.device_ip"
        for text in device.device_ips:
            address = parse_address(text)
            if address is None:
                continue
            if address in first:
                message = f"{address} is already at {first[address]}: each device has its own"
                report.bad("address-repeated", path, message)
            first.setdefault(address, path)
            family = family or address.version
            if address.version != family:
                message = f"{address} is IPv{address.version}, the addresses before IPv{family}"
                report.bad("address-family", path, f"{message}: one family for all devices")
        if device.device_ips:
            count = count or len(device.device_ips)
            if len(device.device_ips) != count:
                message = f"{len(device.device_ips)} addresses, the devices before have {count}"
                report.bad("address-count", path, f"{message}: the same number for all")
        _check_backup(device, report)


def _check_backup(device: DeviceDraft, report: Report) -> None:
    own = set(map(parse_address, device.device_ips))
    for text in device.backup_device_ips:
        if parse_address(text) in own:
            message = f"{text} is the device's own address: give that of the other die"
            report.bad("backup-address", f"{device.path}.backup_device_ip", message)


def check_levels(draft: TableDraft, report: Report) -> None:
    """Report what may stand only once in form 2.0: a local_id in its instance, an address."""
    locals_: dict[tuple[str, int], str] = {}
    addresses: dict[tuple[int, str], str] = {}
    for device in draft.devices():
        instance = device.levels[0].net_instance_id if device.levels else ""
        if device.local_id is not None:
            key = (instance, device.local_id)
            if key in locals_:
                message = f"local_id {device.local_id} of {given(instance)} is at {locals_[key]}"
                report.bad("local-id-repeated", f"{device.path}.local_id", f"{message} already")
            locals_.setdefault(key, device.path)
        _check_level_addresses(device, addresses, report)


def _check_level_addresses(
    device: DeviceDraft, addresses: dict[tuple[int, str], str], report: Report
) -> None:
    for index, level in enumerate(device.levels):
        for address in level.addresses:
            key = (level.net_layer, address.addr.lower())
            if addresses.get(key, device.path) != device.path:
                message = f"{given(address.addr)} is already at {addresses[key]}"
                # Two NPUs may share one network card of the host, above the lowest level.
                shared = level.net_layer > 0 and address.addr_type.upper() != "EID"
                report_it = report.note if shared else report.bad
                where = f"{device.path}.level_list[{index}].rank_addr_list"
                report_it("address-repeated", where, f"{message}: each rank has its own")
            addresses.setdefault(key, device.path)
