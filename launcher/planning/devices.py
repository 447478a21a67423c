"""Which devices a job gets: what is there, what was asked for, and how ids are renumbered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from launcher.errors import NotReadyError, UsageError
from launcher.host.npus import Npus
from launcher.options import LaunchSpec
from launcher.ranges import format_ranges, parse_ranges

ASCEND, CPU = "Ascend", "CPU"
VISIBLE_DEVICES = "ASCEND_RT_VISIBLE_DEVICES"
CONTAINER_DEVICES = "ASCEND_VISIBLE_DEVICES"


class Devices(NamedTuple):
    """What the workers of this node run on.

    ``ids`` are physical NPU ids in the order of the local ranks; empty on a CPU.
    """

    target: str
    nproc: int
    ids: tuple[int, ...] = ()


def visible_npus(npus: Npus, environ: Mapping[str, str]) -> tuple[int, ...]:
    """Return the physical ids that both variables leave, in the order of their logical ids.

    ASCEND_RT_VISIBLE_DEVICES is CANN's, a list of logical ids; ASCEND_VISIBLE_DEVICES is that of
    the container runtime, a list of physical ids: it counts where it names NPUs that are here.

    Raises:
        UsageError: CANN would stop reading the variable half-way, or use another device.
    """
    present = tuple(sorted(npus.present, key=lambda number: npus.logical[number]))
    asked = container_devices(environ.get(CONTAINER_DEVICES, ""))
    inside = tuple(number for number in present if number in set(asked or ()))
    chosen = inside or present
    text = environ.get(VISIBLE_DEVICES)
    if text is None or not present:
        return chosen
    physical = {logical: number for number, logical in npus.logical.items()}
    parts = text.split(",") if text else []
    ids = [int(part) for part in parts if part.isascii() and part.isdecimal()]
    if len(ids) != len(parts) or ids != sorted(set(ids)) or not set(ids) <= physical.keys():
        raise UsageError(
            f"{VISIBLE_DEVICES}={text!r} is not usable: it must be ascending device ids with "
            f"commas and no spaces, of the NPUs here ({format_ranges(physical)}, counted from 0); "
            "fix or unset it"
        )
    return tuple(physical[logical] for logical in ids if physical[logical] in chosen)


def visibility_note(npus: Npus, environ: Mapping[str, str]) -> str:
    """Return what the two variables hide; empty where they hide nothing."""
    visible = visible_npus(npus, environ)
    if len(visible) == len(npus.present):
        return ""
    names = [name for name in (CONTAINER_DEVICES, VISIBLE_DEVICES) if name in environ]
    settings = " and ".join(f"{name}={environ[name]}" for name in names)
    left, there = format_ranges(visible) or "none", format_ranges(npus.present)
    return f"{settings} leaves NPU {left} of {there}"


def container_devices(text: str) -> tuple[int, ...] | None:
    """Return the physical ids in a value of ASCEND_VISIBLE_DEVICES; None where it names none.

    The runtime takes ``1,3``, ``0-2,4``, or ``npu-1,npu-3``, not both kinds at once; ``void`` and
    the empty text are no device. It reads the variable before the container starts: a value that it
    would refuse cannot have had an effect, and counts as none.
    """
    parts = [part.strip() for part in text.split(",")]
    if text and all(part.startswith("npu-") for part in parts):
        parts = [part.removeprefix("npu-") for part in parts]
    try:
        return tuple(sorted(set(parse_ranges(",".join(parts)))))
    except ValueError:
        return None


def worker_visible(npus: Npus, device_ids: tuple[int, ...]) -> str:
    """Return the ASCEND_RT_VISIBLE_DEVICES that leaves exactly these NPUs, in their order.

    CANN renumbers them from 0, so that the local rank is the id that a worker opens, which is also
    what MindSpore's dynamic cluster expects (envref_07_0028: ascending, no spaces). Of NPUs that
    are not here (the plan of another node) the numbers are taken as they are.
    """
    return ",".join(str(npus.logical.get(number, number)) for number in device_ids)


def refuse_absent(
    npus: Npus, environ: Mapping[str, str], device_ids: tuple[int, ...], who: str
) -> None:
    """Raise UsageError where one of the NPUs that ``who`` wants is not visible on this node."""
    visible = visible_npus(npus, environ)
    if missing := set(device_ids) - set(visible):
        hidden = visibility_note(npus, environ)
        raise UsageError(
            f"{who}: NPU {format_ranges(missing)} is not visible on this node; visible: "
            f"{format_ranges(visible) or 'none'}{hidden and f' ({hidden})'}; correct the file, or "
            "run it on its own node"
        )


def refuse_ring(npus: Npus, device_ids: tuple[int, ...]) -> None:
    """Raise UsageError where HCCL does not join these NPUs of a 910A server (HCCL, constraints)."""
    if npus.product != "910A":
        return
    from launcher.rank_table.model import COUNTS_910A, RING_910A

    count, halves = len(device_ids), {number // RING_910A for number in device_ids}
    if count in COUNTS_910A and (count == 2 * RING_910A or len(halves) == 1):
        return
    raise UsageError(
        f"NPU {format_ranges(device_ids)}: on a 910A server 1, 2, 4 or 8 NPUs work together, and 2 "
        "or 4 only within 0-3 or within 4-7 (two rings); choose others with --devices"
    )


def refuse_held(npus: Npus, device_ids: tuple[int, ...]) -> None:
    """Raise NotReadyError where another process has one of these NPUs open."""
    if message := held_message(npus, device_ids):
        raise NotReadyError(
            f"{message}; wait until it has ended (after a kill the driver needs about 10 s), end "
            "it, or name other NPUs with --devices"
        )


def held_message(npus: Npus, device_ids: tuple[int, ...]) -> str:
    """Return ``NPU 3 is held by pid 7 (python)`` for what is not free; empty where all is."""
    holders = npus.held(device_ids)
    who = {
        number: ", ".join(str(one) for one in holders if one.device_id == number)
        for number in sorted({one.device_id for one in holders})
    }
    return "; ".join(f"NPU {number} is held by {names}" for number, names in who.items())


def choose_devices(spec: LaunchSpec, *, npus: Npus, environ: Mapping[str, str]) -> Devices:
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
            + (f"is hidden by {VISIBLE_DEVICES}" if npus.present else "does not exist")
            + _container_hint(environ)
            + "; check the driver (npu-smi info) or that the container was given devices, "
            "or use --device-target CPU"
        )
    return _npus(spec, visible, visibility_note(npus, environ))


def _container_hint(environ: Mapping[str, str]) -> str:
    text = environ.get(CONTAINER_DEVICES)
    if text is None or container_devices(text):
        return ""
    return f" ({CONTAINER_DEVICES}={text!r} asks the container runtime for none)"


def _npus(spec: LaunchSpec, visible: tuple[int, ...], hidden: str) -> Devices:
    why = hidden and f" ({hidden})"
    if spec.devices is None:
        nproc = spec.nproc or len(visible)
        if nproc > len(visible):
            raise UsageError(
                f"--nproc {nproc}: this node has {len(visible)} visible NPUs "
                f"({format_ranges(visible)}){why}; ask for no more, or use --device-target CPU"
            )
        return Devices(ASCEND, nproc, visible[:nproc])
    asked = format_ranges(spec.devices)
    missing = set(spec.devices) - set(visible)
    if missing:
        raise UsageError(
            f"--devices {asked}: NPU {format_ranges(missing)} is not visible on this node; "
            f"visible: {format_ranges(visible)}{why}"
        )
    if spec.nproc is not None and spec.nproc != len(spec.devices):
        raise UsageError(
            f"--devices {asked} names {len(spec.devices)} devices, but --nproc says {spec.nproc}: "
            "each worker gets one device, so leave --nproc out or make them equal"
        )
    ids = tuple(number for number in visible if number in set(spec.devices))
    return Devices(ASCEND, len(ids), ids)
