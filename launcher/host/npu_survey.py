"""What device files, npu-smi and the kernel tell of the NPUs that are there.

Imported only on a host that has one: the parsers would cost every start on a CPU a hundredth of a
second.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress

from launcher.host.access import HostAccess
from launcher.host.npu import NpuInfo, parse_info
from launcher.host.npu_queries import ChipMap, parse_map, parse_topology
from launcher.host.npus import Holder, Npus
from launcher.ranges import parse_ranges

_DEVICE_LINK = re.compile(r"/dev/davinci(\d{1,4})$", re.ASCII)


def survey_npus(access: HostAccess, present: tuple[int, ...]) -> Npus:
    """Return what npu-smi and the kernel tell of the devices that are present."""
    queries = [("info",), ("info", "-m"), ("info", "-t", "topo")]
    info, chips, topology = access.ask_all("npu-smi", queries)
    devices = parse_info(info.text)
    return Npus(
        present=present,
        logical=logical_ids(present, parse_map(chips.text), devices),
        holders=find_holders(access, devices),
        near=near_cores(access, devices, topology.text),
        products={npu.device_id: npu.product for npu in devices.npus if npu.product},
        table=devices,
        problem=info.problem if access.find("npu-smi") else "",
    )


def logical_ids(present: tuple[int, ...], chips: ChipMap, info: NpuInfo) -> dict[int, int]:
    """Return physical to logical number: as ``npu-smi info -m`` says, else counted ascending."""
    physical = {(npu.npu_id, npu.chip_id): npu.device_id for npu in info.npus}
    told = {}
    for chip in chips.chips:
        fallback = physical.get((chip.npu_id, chip.chip_id), chip.npu_id)
        number = fallback if chip.phy_id is None else chip.phy_id
        if chip.logic_id is not None:
            told[number] = chip.logic_id
    complete = set(told) == set(present) and len(set(told.values())) == len(present)
    return told if complete else {number: index for index, number in enumerate(present)}


def find_holders(access: HostAccess, info: NpuInfo) -> tuple[Holder, ...]:
    """Return who holds which device, by npu-smi's table and by the open files of processes.

    Our own process is none. A container sees only its own processes in /proc, and npu-smi may show
    the pids of the host: each is named as it is told.
    """
    physical = {(npu.npu_id, npu.chip_id): npu.device_id for npu in info.npus}
    found: dict[tuple[int, int], Holder] = {}
    for one in info.processes:
        device_id = physical.get((one.npu_id, one.chip_id), one.npu_id)
        found[device_id, one.pid] = Holder(device_id, one.pid, one.name)
    for pid, device_id in _open_devices(access):
        name = (access.read(f"/proc/{pid}/comm") or "").strip()
        found.setdefault((device_id, pid), Holder(device_id, pid, name))
    return tuple(found[key] for key in sorted(found) if key[1] != os.getpid())


def _open_devices(access: HostAccess) -> set[tuple[int, int]]:
    found = set()
    for pid in access.names("/proc"):
        if not pid.isdecimal():
            continue
        for number in access.names(f"/proc/{pid}/fd"):
            with suppress(OSError):
                link = os.readlink(access.path(f"/proc/{pid}/fd/{number}"))
                if match := _DEVICE_LINK.search(link):
                    found.add((int(pid), int(match[1])))
    return found


def near_cores(access: HostAccess, info: NpuInfo, topology: str) -> dict[int, tuple[int, ...]]:
    """Return the cores near each device: npu-smi's topology, else the kernel's PCI tree.

    The topology numbers its rows as devices are numbered: by NPU, on A3 by Phy-ID.
    """
    near = {}
    told = parse_topology(topology).cpus
    for npu in info.npus:
        text = told.get(npu.device_id) or _pci_cores(access, npu.bus_id)
        with suppress(ValueError):
            near[npu.device_id] = parse_ranges(text)
    return near


def _pci_cores(access: HostAccess, bus_id: str) -> str:
    folder = f"/sys/bus/pci/devices/{bus_id.lower()}"
    node = (access.read(f"{folder}/numa_node") or "").strip()
    if not node.isdecimal():
        return ""
    return (access.read(f"/sys/devices/system/node/node{node}/cpulist") or "").strip()
