"""Everything that the doctor looks at, gathered once; a missing piece is a value like any other."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from launcher.doctor.clock import is_synchronised
from launcher.errors import NotReadyError
from launcher.host.access import HostAccess
from launcher.host.hccn import parse_link, parse_tls
from launcher.host.node import Host
from launcher.host.npu_queries import parse_list
from launcher.planning.hccl import PORTS
from launcher.planning.ports import PortReservation
from launcher.rank_table.hccn import parse_hccn_conf, parse_ip_output

PACKAGES = (
    "mindspore",
    "numpy",
    "pyyaml",
    "psutil",
    "pydantic",
    "filelock",
    "safetensors",
    "tensorboardX",
)
_CANN_HOMES = (
    "/usr/local/Ascend/ascend-toolkit/latest",
    "/usr/local/Ascend/cann",
    "/usr/local/Ascend/latest",
)
_LIMITS = ("NOFILE", "NPROC", "CORE")


@dataclass(frozen=True)
class Network:
    """What hccn_tool says of each device; None = it says nothing."""

    has_tool: bool = False
    addresses: Mapping[int, str | None] = field(default_factory=dict)
    links: Mapping[int, str | None] = field(default_factory=dict)
    tls: Mapping[int, bool | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Space:
    """Bytes of a file system; None where it is missing."""

    total_bytes: int
    free_bytes: int


@dataclass(frozen=True)
class Facts:
    """This host, this Python and this environment, as far as they can be told.

    Args:
        cards: the NPU IDs that ``npu-smi info -l`` lists; none where it does not answer.
        packages: version of each of :data:`PACKAGES`; None = not installed.
        cann: version of CANN, None = not found; driver and firmware likewise.
        limits: soft limits by name; -1 = unlimited.
        run_folder: where run directories would be made (or the nearest folder that exists).
        ephemeral_ports: first and last port of outgoing connections.
        reserved_ports: net.ipv4.ip_local_reserved_ports.
        ports_problem: why no free ports were found; "" where there are.
        clock_synchronised: what the kernel says; None = it does not say.
    """

    python: tuple[int, ...]
    implementation: str
    packages: Mapping[str, str | None]
    host: Host
    has_npu_smi: bool = False
    cards: tuple[int, ...] = ()
    network: Network = field(default_factory=Network)
    cann: str | None = None
    driver: str | None = None
    firmware: str | None = None
    shm: Space | None = None
    disk: Space | None = None
    run_folder: Path = Path()
    is_writable: bool = True
    limits: Mapping[str, int] = field(default_factory=dict)
    ephemeral_ports: tuple[int, int] | None = None
    reserved_ports: str = ""
    ports_problem: str = ""
    clock_synchronised: bool | None = None


def gather(access: HostAccess, run_folder: Path) -> Facts:
    """Look at everything; takes some seconds where tools are slow, and never longer than they may.

    Args:
        run_folder: where runs would be written, existing or not.
    """
    host = Host.observe(access)
    folder = next(one for one in (run_folder, *run_folder.parents) if one.is_dir())
    return Facts(
        python=tuple(sys.version_info[:3]),
        implementation=platform.python_implementation(),
        packages={name: _version_of(name) for name in PACKAGES},
        host=host,
        has_npu_smi=access.find("npu-smi") is not None,
        cards=_cards(access, host),
        network=_network(access, host.npus.present),
        cann=_cann(access),
        driver=_version_in(access, "/usr/local/Ascend/driver/version.info"),
        firmware=_version_in(access, "/usr/local/Ascend/firmware/version.info"),
        shm=_space(access.path("/dev/shm")),
        disk=_space(folder),
        run_folder=folder,
        is_writable=os.access(folder, os.W_OK | os.X_OK),
        limits={
            name: resource.getrlimit(getattr(resource, f"RLIMIT_{name}"))[0] for name in _LIMITS
        },
        ephemeral_ports=_port_range(access),
        reserved_ports=(access.read("/proc/sys/net/ipv4/ip_local_reserved_ports") or "").strip(),
        ports_problem=_ports_problem(),
        clock_synchronised=is_synchronised(),
    )


def _version_of(package: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cards(access: HostAccess, host: Host) -> tuple[int, ...]:
    if not host.npus.present:
        return ()
    listed = parse_list(access.ask("npu-smi", "info", "-l").text)
    return tuple(sorted(card.npu_id for card in listed.cards))


def _network(access: HostAccess, device_ids: tuple[int, ...]) -> Network:
    configured = parse_hccn_conf(access.read("/etc/hccn.conf") or "").addresses
    if access.find("hccn_tool") is None:
        return Network(False, {number: configured.get(number) for number in device_ids})
    kinds = ("-ip", "-link", "-tls")
    calls = [("-i", str(number), kind, "-g") for kind in kinds for number in device_ids]
    texts = [answer.text for answer in access.ask_all("hccn_tool", calls)]
    count = len(device_ids)
    addresses, links, tls = (texts[start : start + count] for start in (0, count, 2 * count))
    return Network(
        True,
        {n: parse_ip_output(text) for n, text in zip(device_ids, addresses, strict=True)},
        {n: parse_link(text) for n, text in zip(device_ids, links, strict=True)},
        {n: parse_tls(text) for n, text in zip(device_ids, tls, strict=True)},
    )


def _cann(access: HostAccess) -> str | None:
    told = access.environ.get("ASCEND_HOME_PATH")
    for home in filter(None, (told, *_CANN_HOMES)):
        for name in ("compiler/version.info", "runtime/version.info", "version.info"):
            version = _version_in(access, f"{home}/{name}")
            if version is not None:
                return version
    return None


def _version_in(access: HostAccess, path: str) -> str | None:
    for line in (access.read(path) or "").splitlines():
        key, _, value = line.partition("=")
        if key.strip().lower() == "version" and value.strip():
            return value.strip().strip("[]")
    return None


def _space(folder: Path) -> Space | None:
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None
    return Space(usage.total, usage.free)


def _port_range(access: HostAccess) -> tuple[int, int] | None:
    words = (access.read("/proc/sys/net/ipv4/ip_local_port_range") or "").split()
    if len(words) != 2 or not all(word.isdecimal() for word in words):
        return None
    return int(words[0]), int(words[1])


def _ports_problem() -> str:
    with closing(PortReservation()) as ports:
        try:
            ports.choose_block(PORTS)
            ports.choose()
        except NotReadyError as error:
            return str(error)
    return ""
