"""Checks of the NPUs and of the network between them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from launcher.doctor.facts import Facts
from launcher.doctor.finding import GREEN, RED, YELLOW, Finding
from launcher.errors import UsageError
from launcher.planning.devices import (
    CONTAINER_DEVICES,
    container_devices,
    held_message,
    visible_npus,
)
from launcher.ranges import format_ranges


def check_npus(facts: Facts) -> Iterator[Finding]:
    """Yield what there is to say of NPUs; one line where there is none."""
    yield check_presence(facts)
    if not facts.host.npus.present:
        return
    yield check_numbers(facts)
    yield check_npu_smi(facts)
    yield check_health(facts)
    yield check_holders(facts)
    yield check_addresses(facts)
    yield check_links(facts)
    yield check_tls(facts)


def check_presence(facts: Facts) -> Finding:
    npus = facts.host.npus
    if npus.present:
        kind = npus.product or "unknown product"
        if npus.product == "910A":
            return Finding(
                "npu",
                YELLOW,
                f"{_devices(npus.present)}, {kind}: not known whether MindSpore 2.10 runs on it",
                "its wheel carries operators for 910B only; try a short job first",
            )
        return Finding("npu", GREEN, f"{_devices(npus.present)}, {kind}")
    asked = facts.host.environ.get(CONTAINER_DEVICES)
    if asked is not None and container_devices(asked):
        why = f"{CONTAINER_DEVICES}={asked} asks for some: does the Ascend container runtime run?"
    elif facts.has_npu_smi:
        why = "npu-smi is here: was the container given /dev/davinci*, /dev/davinci_manager?"
    else:
        why = "none is needed for the CPU; on an NPU host, install the driver"
    return Finding("npu", YELLOW, "no /dev/davinci*: jobs run on the CPU", why)


def check_numbers(facts: Facts) -> Finding:
    """Look whether the variables that choose devices make sense here."""
    try:
        visible = visible_npus(facts.host.npus, facts.host.environ)
    except UsageError as error:
        return Finding("visible devices", RED, str(error), "unset it, or write it as CANN reads it")
    if not visible:
        remedy = "unset ASCEND_RT_VISIBLE_DEVICES"
        return Finding("visible devices", RED, "the environment hides all NPUs", remedy)
    return Finding("visible devices", GREEN, format_ranges(visible))


def check_npu_smi(facts: Facts) -> Finding:
    npus = facts.host.npus
    if not facts.has_npu_smi:
        return Finding(
            "npu-smi",
            YELLOW,
            "not found: health and processes cannot be told",
            "install the driver's tools, or mount /usr/local/bin/npu-smi into the container",
        )
    if not npus.info.npus:
        what = "; ".join(filter(None, (npus.problem, *npus.info.findings)))
        return Finding("npu-smi", RED, what, "the driver does not answer: look at dmesg, reload it")
    listed = {npu.device_id for npu in npus.info.npus}
    differing = listed ^ set(npus.present)
    damages = [npus.problem, *npus.info.findings]
    if differing:
        damages.append(f"device {format_ranges(differing)}: in only one of /dev and npu-smi")
    if dropped := set(facts.cards) - {npu.npu_id for npu in npus.info.npus}:
        damages.append(f"card {format_ranges(dropped)} is listed by -l, but has no row")
    what = "; ".join(filter(None, damages))
    if what:
        remedy = "run npu-smi info and look; a device that comes and goes needs its host's admin"
        return Finding("npu-smi", YELLOW, what, remedy)
    return Finding("npu-smi", GREEN, f"{npus.info.version}, {len(listed)} devices")


def check_health(facts: Facts) -> Finding:
    ill = {npu.device_id: npu.health for npu in facts.host.npus.info.npus if npu.health != "OK"}
    if not facts.host.npus.info.npus:
        return Finding("health", YELLOW, "not known", "npu-smi must answer first")
    if not ill:
        return Finding("health", GREEN, "all OK")
    words = sorted(set(ill.values()))
    alike = {word: [n for n, other in ill.items() if other == word] for word in words}
    what = "; ".join(f"{word or 'no word'} on NPU {format_ranges(alike[word])}" for word in words)
    level = YELLOW if set(ill.values()) <= {"Warning", ""} else RED
    remedy = "npu-smi info -t health -i N shows the error codes; leave the device out (--devices)"
    return Finding("health", level, what, remedy)


def check_holders(facts: Facts) -> Finding:
    npus = facts.host.npus
    if not npus.holders:
        return Finding("free", GREEN, "no process holds an NPU")
    remedy = "wait, end them, or choose other NPUs with --devices; a launch would exit 75"
    return Finding("free", YELLOW, held_message(npus, npus.present), remedy)


def check_addresses(facts: Facts) -> Finding:
    found = facts.network.addresses
    missing = [number for number, address in found.items() if address is None]
    counts = Counter(address for address in found.values() if address is not None)
    repeated = sorted(address for address, count in counts.items() if count > 1)
    if repeated:
        what = f"more than one device has the address {', '.join(repeated)}"
        remedy = "give each its own: hccn_tool -i N -ip -s address A netmask M"
        return Finding("device addresses", RED, what, remedy)
    if not missing:
        return Finding("device addresses", GREEN, f"{len(found)}, all different")
    needed = facts.host.npus.product == "910A"
    return Finding(
        "device addresses",
        RED if needed else YELLOW,
        f"none is known of NPU {format_ranges(missing)}",
        ("910A needs them always" if needed else "needed only between servers")
        + ": hccn_tool -i N -ip -s address A netmask M",
    )


def check_links(facts: Facts) -> Finding:
    links = facts.network.links
    down = [number for number, word in links.items() if word not in (None, "UP")]
    unknown = [number for number, word in links.items() if word is None]
    if not facts.network.has_tool:
        remedy = (
            "mount /usr/local/Ascend/driver/tools/hccn_tool where several servers work together"
        )
        return Finding("links", YELLOW, "hccn_tool is not found", remedy)
    if down:
        remedy = "needed between servers: look at cable and switch, hccn_tool -i N -link_stat -g"
        return Finding("links", YELLOW, f"down on NPU {format_ranges(down)}", remedy)
    if unknown:
        remedy = "hccn_tool -i N -link -g; it needs root in some containers"
        return Finding("links", YELLOW, f"not known of NPU {format_ranges(unknown)}", remedy)
    return Finding("links", GREEN, "all up")


def check_tls(facts: Facts) -> Finding:
    """HCCL connects only devices with the same switch: EI0016 or EI0006 otherwise."""
    switches = facts.network.tls
    on = [number for number, switch in switches.items() if switch]
    off = [number for number, switch in switches.items() if switch is False]
    if on and off:
        what = f"on for NPU {format_ranges(on)}, off for NPU {format_ranges(off)}"
        remedy = "make it equal everywhere: hccn_tool -i N -tls -s enable 0"
        return Finding("tls", RED, what, remedy)
    if not on and not off:
        return Finding("tls", YELLOW, "not known", "compare hccn_tool -i N -tls -g on all devices")
    if len(on) + len(off) < len(switches):
        remedy = "compare hccn_tool -i N -tls -g on all devices"
        return Finding("tls", YELLOW, "not known of every device", remedy)
    return Finding("tls", GREEN, f"{'on' if on else 'off'} on all; it must be so on every server")


def _devices(numbers: tuple[int, ...]) -> str:
    return f"{len(numbers)} (NPU {format_ranges(numbers)})"
