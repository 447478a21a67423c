"""The NPUs of a host: which there are, under which numbers, who holds them, which cores are near.

Two numberings are never mixed. The *physical* number is the N of /dev/davinciN, of hccn_tool and of
rank tables, and the only one that users see here. The *logical* number counts from 0 the NPUs that
a host or container shows; CANN's ASCEND_RT_VISIBLE_DEVICES is a list of those.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from launcher.host.access import HostAccess
from launcher.host.npu import NpuInfo, parse_info
from launcher.host.npu_queries import ChipMap, parse_map, parse_topology
from launcher.ranges import parse_ranges

_DEVICE_FILE = re.compile(r"davinci(\d{1,4})", re.ASCII)
_DEVICE_LINK = re.compile(r"/dev/davinci(\d{1,4})$", re.ASCII)


_NOTHING = NpuInfo()


@dataclass(frozen=True)
class Holder:
    """A process that has a device open."""

    device_id: int
    pid: int
    name: str = ""

    def __str__(self) -> str:
        return f"pid {self.pid}" + (f" ({self.name})" if self.name else "")


@dataclass(frozen=True)
class Npus:
    """The NPUs of a host; all numbers are physical but the values of ``logical``.

    Args:
        present: the N of every /dev/davinciN, ascending.
        logical: physical to logical number.
        holders: processes that hold a device.
        near: the cores on the NUMA node of a device, where that is known.
        products: 910A, A2, A3 or A5, where a name is known.
        info: the whole table of npu-smi.
        problem: why npu-smi did not answer; "" where it did, or is not there at all.
    """

    present: tuple[int, ...] = ()
    logical: Mapping[int, int] = field(default_factory=dict)
    holders: tuple[Holder, ...] = ()
    near: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    products: Mapping[int, str] = field(default_factory=dict)
    info: NpuInfo = _NOTHING
    problem: str = ""

    @classmethod
    def counted(cls, *present: int) -> Npus:
        """Return NPUs of which only the numbers are known."""
        return cls(present, {number: index for index, number in enumerate(present)})

    @property
    def product(self) -> str | None:
        """The product of all NPUs; None where it is unknown, or not one."""
        products = set(self.products.values())
        return products.pop() if len(products) == 1 else None

    def held(self, device_ids: Iterable[int]) -> tuple[Holder, ...]:
        wanted = set(device_ids)
        return tuple(holder for holder in self.holders if holder.device_id in wanted)


def list_npus(access: HostAccess) -> tuple[int, ...]:
    """Return the physical ids that this host shows as /dev/davinci<number>, ascending."""
    found = (_DEVICE_FILE.fullmatch(name) for name in access.names("/dev"))
    return tuple(sorted(int(match[1]) for match in found if match))


def look_at_npus(access: HostAccess) -> Npus:
    """Return what device files and npu-smi tell; no tool is called where there is no device."""
    present = list_npus(access)
    if not present:
        return Npus()
    queries = [("info",), ("info", "-m"), ("info", "-t", "topo")]
    info, chips, topology = access.ask_all("npu-smi", queries)
    devices = parse_info(info.text)
    return Npus(
        present=present,
        logical=logical_ids(present, parse_map(chips.text), devices),
        holders=find_holders(access, devices),
        near=near_cores(access, devices, topology.text),
        products={npu.device_id: npu.product for npu in devices.npus if npu.product},
        info=devices,
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
