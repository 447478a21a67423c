"""The NPUs of a host: which there are, under which numbers, who holds them, which cores are near.

Two numberings are never mixed. The *physical* number is the N of /dev/davinciN, of hccn_tool and of
rank tables, and the only one that users see here. The *logical* number counts from 0 the NPUs that
a host or container shows; CANN's ASCEND_RT_VISIBLE_DEVICES is a list of those.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from launcher.host.access import HostAccess

if TYPE_CHECKING:
    from launcher.host.npu import NpuInfo

_DEVICE_FILE = re.compile(r"davinci(\d{1,4})", re.ASCII)


class Holder(NamedTuple):
    """A process that has a device open."""

    device_id: int
    pid: int
    name: str = ""

    def __str__(self) -> str:
        return f"pid {self.pid}" + (f" ({self.name})" if self.name else "")


class Npus(NamedTuple):
    """The NPUs of a host; all numbers are physical but the values of ``logical``.

    Args:
        present: the N of every /dev/davinciN, ascending.
        logical: physical to logical number.
        holders: processes that hold a device.
        near: the cores on the NUMA node of a device, where that is known.
        products: 910A, A2, A3 or A5, where a name is known.
        table: of npu-smi, whole; None where it was not asked.
        problem: why npu-smi did not answer; "" where it did, or is not there at all.
    """

    present: tuple[int, ...] = ()
    logical: Mapping[int, int] = MappingProxyType({})
    holders: tuple[Holder, ...] = ()
    near: Mapping[int, tuple[int, ...]] = MappingProxyType({})
    products: Mapping[int, str] = MappingProxyType({})
    table: NpuInfo | None = None
    problem: str = ""

    @classmethod
    def counted(cls, *present: int) -> Npus:
        """Return NPUs of which only the numbers are known."""
        return cls(present, {number: index for index, number in enumerate(present)})

    @property
    def info(self) -> NpuInfo:
        """The table of npu-smi, empty where it was not asked."""
        from launcher.host.npu import NpuInfo

        return self.table or NpuInfo()

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
    from launcher.host.npu_survey import survey_npus

    return survey_npus(access, present)
