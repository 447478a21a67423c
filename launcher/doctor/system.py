"""Checks of the machine: memory, limits, disk, ports, clock, cores, environment."""

from __future__ import annotations

from collections.abc import Iterator

from launcher.doctor.facts import Facts
from launcher.doctor.finding import GREEN, RED, YELLOW, Finding
from launcher.planning.environment import leftovers
from launcher.planning.hccl import PORTS
from launcher.ranges import parse_ranges

_GIB = 1024**3
_LITTLE_SHM_BYTES = _GIB
_LITTLE_DISK_BYTES, _NO_DISK_BYTES = 5 * _GIB, _GIB // 10
_FEW = {"NOFILE": 4096, "NPROC": 4096}
_HCCL_BASE_PORT = 60000


def check_system(facts: Facts) -> Iterator[Finding]:
    """Yield what there is to say of the machine."""
    yield check_cores(facts)
    yield check_shm(facts)
    yield check_limits(facts)
    yield check_disk(facts)
    yield check_ports(facts)
    yield check_clock(facts)
    yield check_environment(facts)


def check_cores(facts: Facts) -> Finding:
    host = facts.host
    count, devices = len(host.cores), len(host.npus.present)
    quota = "" if host.cpu_quota is None else f", the time of {host.cpu_quota:g} by a quota"
    usable = count if host.cpu_quota is None else min(count, host.cpu_quota)
    if usable < max(devices, 1):
        remedy = "give the container or the job more cores: a worker wants several"
        return Finding("cores", YELLOW, f"{count}{quota}, for {devices} NPUs", remedy)
    return Finding("cores", GREEN, f"{count}{quota}")


def check_shm(facts: Facts) -> Finding:
    remedy = "docker run --shm-size=8g: data workers exchange batches there"
    if facts.shm is None:
        return Finding("/dev/shm", YELLOW, "missing", remedy)
    size = f"{facts.shm.total_bytes / _GIB:.1f} GiB, {facts.shm.free_bytes / _GIB:.1f} free"
    is_little = facts.shm.free_bytes < _LITTLE_SHM_BYTES
    return Finding("/dev/shm", YELLOW if is_little else GREEN, size, remedy if is_little else "")


def check_limits(facts: Facts) -> Finding:
    few = [name for name, least in _FEW.items() if 0 <= facts.limits.get(name, -1) < least]
    shown = ", ".join(
        f"{name.lower()} {'unlimited' if value < 0 else value}"
        for name, value in facts.limits.items()
    )
    if not few:
        return Finding("limits", GREEN, shown)
    options = {"NOFILE": "-n", "NPROC": "-u"}
    remedy = "raise it: " + ", ".join(f"ulimit {options[name]} 65536" for name in few)
    return Finding("limits", YELLOW, shown, remedy)


def check_disk(facts: Facts) -> Finding:
    if not facts.is_writable or facts.disk is None:
        what = f"{facts.run_folder} cannot be written"
        return Finding("run directory", RED, what, "name another place with --run-dir")
    free = f"{facts.disk.free_bytes / _GIB:.1f} GiB free at {facts.run_folder}"
    remedy = "make room, or name another place with --run-dir"
    if facts.disk.free_bytes < _NO_DISK_BYTES:
        return Finding("run directory", RED, free, remedy)
    if facts.disk.free_bytes < _LITTLE_DISK_BYTES:
        return Finding("run directory", YELLOW, free, remedy)
    return Finding("run directory", GREEN, free)


def check_ports(facts: Facts) -> Finding:
    """HCCL's own ports lie among those of outgoing connections, unless they are reserved."""
    if facts.ports_problem:
        return Finding("ports", RED, facts.ports_problem, "end what listens on them")
    wanted = set(range(_HCCL_BASE_PORT, _HCCL_BASE_PORT + PORTS))
    first, last = facts.ephemeral_ports or (1, 0)
    exposed = wanted & set(range(first, last + 1)) - _reserved(facts.reserved_ports)
    if facts.host.npus.present and exposed:
        block = f"{_HCCL_BASE_PORT}-{_HCCL_BASE_PORT + PORTS - 1}"
        return Finding(
            "ports",
            YELLOW,
            f"any outgoing connection may take one of HCCL's {block}",
            f"sysctl -w net.ipv4.ip_local_reserved_ports={block} (on one node the launcher moves "
            "HCCL to free ones by HCCL_IF_BASE_PORT)",
        )
    return Finding("ports", GREEN, "free ones for the scheduler and for HCCL")


def _reserved(text: str) -> set[int]:
    try:
        return set(parse_ranges(text)) if text else set()
    except ValueError:
        return set()


def check_clock(facts: Facts) -> Finding:
    if facts.clock_synchronised is None:
        return Finding("clock", GREEN, "the kernel does not tell whether it is synchronised")
    if facts.clock_synchronised:
        return Finding("clock", GREEN, "synchronised")
    remedy = "start chronyd or ntpd: with several nodes, times in logs could not be compared"
    return Finding("clock", YELLOW, "not synchronised", remedy)


def check_environment(facts: Facts) -> Finding:
    left = leftovers(facts.host.environ)
    if not left:
        return Finding("environment", GREEN, "nothing is left over from another launcher")
    return Finding(
        "environment",
        YELLOW,
        f"left over from another launcher: {', '.join(left)}",
        "unset them: this launcher takes them away from its workers, msrun and scripts do not",
    )
