"""Kills by the kernel's memory killer, counted by our own control group (version 1 or 2)."""

from __future__ import annotations

from pathlib import Path

PROC_CGROUP = Path("/proc/self/cgroup")
MOUNT = Path("/sys/fs/cgroup")


def memory_kills(proc_cgroup: Path = PROC_CGROUP, mount: Path = MOUNT) -> int | None:
    """Return how often the memory killer has struck in our group so far; None where unreadable.

    A container often shows its own group at the top of the mount instead of at the path that
    /proc/self/cgroup gives: both places are tried.
    """
    try:
        membership = proc_cgroup.read_text(encoding="utf-8")
    except OSError:
        return None
    for place in event_files(membership):
        try:
            kills = parse_kills((mount / place).read_text(encoding="utf-8"))
        except OSError:
            continue
        if kills is not None:
            return kills
    return None


def event_files(membership: str) -> list[str]:
    """Return where the counts may be, below the cgroup mount, the most exact place first.

    Args:
        membership: the text of /proc/PID/cgroup: lines of ``id:controllers:/path``.
    """
    places: list[str] = []
    for line in membership.splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if "memory" in controllers.split(","):
            places += [f"memory{path}/memory.oom_control", "memory/memory.oom_control"]
        elif controllers == "" and path:
            places += [f"{path.lstrip('/')}/memory.events", "memory.events"]
    return places


def parse_kills(text: str) -> int | None:
    """Return the ``oom_kill`` count of a memory.events or memory.oom_control file."""
    for line in text.splitlines():
        name, _, count = line.partition(" ")
        if name == "oom_kill" and count.strip().isdecimal():
            return int(count)
    return None
