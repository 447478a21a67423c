"""On what something was measured."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

from cifar_dist.versions import installed_versions


def describe_machine(*, proc: Path = Path("/proc")) -> dict[str, Any]:
    """Return processor, usable cores, memory, load, and the versions of what was measured.

    The load average is there for the reader: above the number of cores, ratios still hold, absolute
    figures do not.
    """
    return {
        "processor": _field(proc / "cpuinfo", "model name") or platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(_kilobytes(proc / "meminfo", "MemTotal") / 2**20, 1),
        "load_1min": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **installed_versions(),
    }


def _field(path: Path, name: str) -> str | None:
    for line in path.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None


def _kilobytes(path: Path, name: str) -> int:
    return int((_field(path, name) or "0 kB").split()[0])


def proportional_memory_mb(pid: int, *, proc: Path = Path("/proc")) -> float:
    """Return the PSS of a process in MB: shared pages count by the share of those that map them."""
    return 1024 * _kilobytes(proc / str(pid) / "smaps_rollup", "Pss") / 1e6
