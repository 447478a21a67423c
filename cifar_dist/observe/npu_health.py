"""How the NPUs of the host do, as npu-smi says."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from launcher.host.npu import Npu, parse_info

LIMIT_S = 20.0
"""npu-smi takes a second or two, and may hang on a sick device."""


def npu_smi(devices: Path = Path("/dev")) -> str | None:
    """Return the path of npu-smi where this host has a device and the tool; None otherwise."""
    return shutil.which("npu-smi") if any(devices.glob("davinci[0-9]*")) else None


def sample_npus(tool: str, *, limit_s: float = LIMIT_S) -> dict[str, float]:
    """Return use, memory, temperature and power of each NPU under their tags.

    What npu-smi does not say, or says damaged, is left out.
    """
    try:
        done = subprocess.run(
            [tool, "info"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=limit_s,
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    table = parse_info(done.stdout.decode(errors="replace"))
    return {tag: value for npu in table.npus for tag, value in _numbers(npu).items()}


def _numbers(npu: Npu) -> dict[str, float]:
    used = None
    if npu.hbm_mib is not None and npu.hbm_mib[1] > 0:
        used = 100 * npu.hbm_mib[0] / npu.hbm_mib[1]
    numbers = {
        "use_percent": npu.aicore_percent,
        "memory_percent": used,
        "temperature_c": npu.temperature_c,
        "power_w": npu.power_w,
    }
    return {
        f"npu/{npu.device_id}/{name}": float(value)
        for name, value in numbers.items()
        if value is not None
    }
