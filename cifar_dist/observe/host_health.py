"""How the host does: processor, memory, disk and network, as TensorBoard's curves."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil

_MB, _GB = 1e6, 1e9


class HostHealth:
    """Measure the host and this process; rates are since the sample before.

    Args:
        folder: its disk is the one whose space is told.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._process = psutil.Process()
        self._process.cpu_percent()
        self._busy_s, self._all_s = _processor_s()
        self._then_s, self._then = clock(), _transferred()

    def sample(self) -> dict[str, float]:
        """Return each number under its tag; what this host does not tell is left out."""
        memory, disk = psutil.virtual_memory(), psutil.disk_usage(str(self._folder))
        return {
            "host/cpu_percent": self._cpu_percent(),
            "host/memory_percent": memory.percent,
            "host/memory_used_gb": (memory.total - memory.available) / _GB,
            "host/disk_used_percent": disk.percent,
            "host/rank_0_cpu_percent": self._process.cpu_percent(),
            "host/rank_0_memory_gb": self._process.memory_info().rss / _GB,
            **self._rates(),
        }

    def _cpu_percent(self) -> float:
        """Return the share of all cores that was busy; psutil's own is a number per thread."""
        busy_s, all_s = _processor_s()
        share = (busy_s - self._busy_s) / max(all_s - self._all_s, 1e-3)
        self._busy_s, self._all_s = busy_s, all_s
        return 100 * min(max(share, 0.0), 1.0)

    def _rates(self) -> dict[str, float]:
        now_s, now = self._clock(), _transferred()
        passed_s = max(now_s - self._then_s, 1e-3)
        rates = {
            tag: max(total - self._then.get(tag, total), 0) / passed_s / _MB
            for tag, total in now.items()
        }
        self._then_s, self._then = now_s, now
        return rates


def _processor_s() -> tuple[float, float]:
    """Return the seconds that cores were busy so far, and those of all cores."""
    times = psutil.cpu_times()._asdict()
    of_guests = times.get("guest", 0.0) + times.get("guest_nice", 0.0)
    whole_s = sum(times.values()) - of_guests  # which user and nice hold already
    return whole_s - times["idle"] - times.get("iowait", 0.0), whole_s


def _transferred() -> dict[str, int]:
    """Return the bytes that disks and network have passed on so far; a container may not know."""
    disks, network = psutil.disk_io_counters(), psutil.net_io_counters()
    found = {}
    if disks is not None:
        found["host/disk_read_mb_per_s"] = disks.read_bytes
        found["host/disk_written_mb_per_s"] = disks.write_bytes
    if network is not None:
        found["host/network_received_mb_per_s"] = network.bytes_recv
        found["host/network_sent_mb_per_s"] = network.bytes_sent
    return found
