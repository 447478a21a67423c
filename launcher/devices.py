"""Which devices a job gets: what is there, what was asked for, and how ids are renumbered."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from launcher.errors import UsageError
from launcher.options import LaunchSpec
from launcher.ranges import format_ranges

ASCEND, CPU = "Ascend", "CPU"
VISIBLE_DEVICES = "ASCEND_RT_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Devices:
    """What the workers of this node run on.

    ``ids`` are physical NPU ids in the order of the local ranks; empty on a CPU.
    """

    target: str
    nproc: int
    ids: tuple[int, ...] = ()

    def device_id(self, local_rank: int) -> int | None:
        return self.ids[local_rank] if self.ids else None

    def environment(self) -> dict[str, str]:
        """Return what makes exactly these NPUs visible, renumbered from 0 by CANN.

        A worker's DEVICE_ID is then its local rank, which is also what MindSpore's dynamic cluster
        uses (CANN environment reference, ASCEND_RT_VISIBLE_DEVICES: ascending, no spaces).
        """
        return {VISIBLE_DEVICES: ",".join(map(str, self.ids))} if self.ids else {}


def list_npus(dev: Path = Path("/dev")) -> tuple[int, ...]:
    """Return the ids of the NPUs that this node shows as /dev/davinci<number>, ascending."""
    try:
        names = os.listdir(dev)
    except OSError:
        return ()
    return tuple(sorted(int(name[7:]) for name in names if re.fullmatch(r"davinci\d+", name)))


def visible_npus(present: tuple[int, ...], environ: Mapping[str, str]) -> tuple[int, ...]:
    """Return the NPUs that ASCEND_RT_VISIBLE_DEVICES leaves of those present.

    Raises:
        UsageError: CANN would stop reading the variable half-way, or use another device.
    """
    text = environ.get(VISIBLE_DEVICES)
    if text is None or not present:
        return present
    parts = text.split(",") if text else []
    ids = [int(part) for part in parts if part.isdecimal()]
    if len(ids) != len(parts) or ids != sorted(set(ids)) or not set(ids) <= set(present):
        raise UsageError(
            f"{VISIBLE_DEVICES}={text!r} is not usable: it must be ascending device ids with "
            f"commas and no spaces, of the NPUs here ({format_ranges(present)}); fix or unset it"
        )
    return tuple(ids)


def choose_devices(
    spec: LaunchSpec, *, npus: tuple[int, ...], environ: Mapping[str, str]
) -> Devices:
    """Return the devices of this node's workers.

    Raises:
        UsageError: what was asked for is not there, or two options contradict each other.
    """
    visible = visible_npus(npus, environ) if spec.device_target != CPU else ()
    target = spec.device_target
    if target == "auto":
        target = ASCEND if visible else CPU
    if target == CPU:
        if spec.devices is not None:
            raise UsageError(
                f"--devices {format_ranges(spec.devices)}: these are NPUs, but the workers run on "
                "the CPU; leave --devices out, or run where /dev/davinci* exists"
            )
        return Devices(CPU, spec.nproc or 1)
    if not visible:
        raise UsageError(
            "--device-target Ascend: no NPU is visible on this node: /dev/davinci* "
            + (f"is hidden by {VISIBLE_DEVICES}" if npus else "does not exist")
            + "; check the driver (npu-smi info) or that the container was given devices, "
            "or use --device-target CPU"
        )
    return _npus(spec, visible)


def _npus(spec: LaunchSpec, visible: tuple[int, ...]) -> Devices:
    if spec.devices is None:
        nproc = spec.nproc or len(visible)
        if nproc > len(visible):
            raise UsageError(
                f"--nproc {nproc}: this node has {len(visible)} visible NPUs "
                f"({format_ranges(visible)}); ask for no more, or use --device-target CPU"
            )
        return Devices(ASCEND, nproc, visible[:nproc])
    asked = format_ranges(spec.devices)
    missing = set(spec.devices) - set(visible)
    if missing:
        raise UsageError(
            f"--devices {asked}: NPU {format_ranges(missing)} is not visible on this node; "
            f"visible: {format_ranges(visible)}"
        )
    if spec.nproc is not None and spec.nproc != len(spec.devices):
        raise UsageError(
            f"--devices {asked} names {len(spec.devices)} devices, but --nproc says {spec.nproc}: "
            "each worker gets one device, so leave --nproc out or make them equal"
        )
    return Devices(ASCEND, len(spec.devices), spec.devices)
