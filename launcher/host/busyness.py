"""What this host is doing: load, CPU time taken by others, memory, swapping."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

_PAGE = os.sysconf("SC_PAGE_SIZE")
_GIB = 1 << 30


class Counters(NamedTuple):
    """What only counts up, read once; two of them tell of the time between."""

    ticks: tuple[int, ...] = ()
    swapped_pages: int = 0

    @classmethod
    def read(cls, proc: Path = Path("/proc")) -> Counters:
        """Read them; what cannot be read is empty."""
        first = _text(proc / "stat").split("\n", 1)[0].split()
        swapped = _fields(_text(proc / "vmstat"), " ")
        return cls(
            tuple(int(one) for one in first[1:9] if one.isdecimal()),
            swapped.get("pswpin", 0) + swapped.get("pswpout", 0),
        )


class Busyness(NamedTuple):
    """A host over some seconds; None where /proc does not tell.

    ``steal`` is the share of CPU time that a hypervisor gave to others, ``busy`` the share that was
    used, both of all cores, 0 to 1; ``swapped_bytes`` went to or came from swap.
    """

    load_1min: float | None
    cores: int
    busy: float | None
    steal: float | None
    memory_available_bytes: int | None
    swapped_bytes: int

    @classmethod
    def since(cls, before: Counters, proc: Path = Path("/proc")) -> Busyness:
        """Return what a host has been doing since ``before`` was read."""
        now = Counters.read(proc)
        spent = [after - earlier for earlier, after in zip(before.ticks, now.ticks, strict=False)]
        total = sum(spent)
        known = total > 0 and len(spent) == 8
        load = _text(proc / "loadavg").split()
        available = _fields(_text(proc / "meminfo"), ":").get("MemAvailable")
        return cls(
            load_1min=float(load[0]) if load else None,
            cores=os.cpu_count() or 1,
            busy=1 - (spent[3] + spent[4]) / total if known else None,
            steal=spent[7] / total if known else None,
            memory_available_bytes=None if available is None else available * 1024,
            swapped_bytes=max(0, now.swapped_pages - before.swapped_pages) * _PAGE,
        )

    def to_json(self) -> dict[str, Any]:
        return dict(self._asdict())

    def in_words(self) -> str:
        """Return what stands out, for one line of a message."""
        said = []
        if self.load_1min is not None:
            said.append(f"load {self.load_1min:.1f} on {self.cores} cores")
        if self.busy is not None and self.steal is not None:
            said.append(f"CPUs {self.busy:.0%} busy, {self.steal:.0%} stolen")
        if self.memory_available_bytes is not None:
            said.append(f"{self.memory_available_bytes / _GIB:.1f} GiB of memory free")
        if self.swapped_bytes:
            said.append(f"{self.swapped_bytes / (1 << 20):.0f} MiB swapped")
        return ", ".join(said) or "nothing is known of it"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _fields(text: str, separator: str) -> dict[str, int]:
    """Return the numbers of lines such as ``MemFree:  123 kB``."""
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(separator)
        words = rest.split()
        if words and words[0].isdecimal():
            found[name] = int(words[0])
    return found
