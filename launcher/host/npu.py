"""What npu-smi prints, as typed rows: text in, values and findings out, never an exception.

The layouts differ between driver versions (`ascend.md` section 3): widths, units, a Phy-ID column
on A3, separate columns for NPU and name on A5, a fifth process column since 26.0. Damaged tables
are real too; what cannot be read is a finding.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_CARD = re.compile(r"^(\d{1,4})\s+(\S.*)$")
_CHIP = re.compile(r"^(\d{1,4})(?:\s+(\d{1,4}))?$")
_BUS_ID = re.compile(r"^([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]+|NA|-)$")
_USED_OF = re.compile(r"(\d{1,12})\s*/\s*(\d{1,12})(?!\S)")
_VERSION = re.compile(r"npu-smi\s+(\S+)\s")
_BYTES_PER_MIB = 1024 * 1024


@dataclass(frozen=True)
class Npu:
    """One chip (on A3: one die), which is one device.

    Args:
        npu_id: number of the card.
        chip_id: number of the chip on its card.
        phy_id: physical number, where the table says it (A3).
        health: OK, Warning, Alarm or another word; "" where the table has none.
        hbm_mib: used and total memory; None where the table has none.
    """

    npu_id: int
    chip_id: int
    name: str
    health: str
    bus_id: str
    phy_id: int | None = None
    power_w: float | None = None
    temperature_c: float | None = None
    aicore_percent: int | None = None
    hbm_mib: tuple[int, int] | None = None

    @property
    def device_id(self) -> int:
        """The N of /dev/davinciN; without a Phy-ID a card has one chip."""
        return self.npu_id if self.phy_id is None else self.phy_id

    @property
    def product(self) -> str | None:
        """910A, A2, A3 or A5; None for a name that is not known."""
        return product_of(self.name, has_phy_id=self.phy_id is not None)


@dataclass(frozen=True)
class NpuProcess:
    """A process that holds a device; ``container_pid`` where the table has it."""

    npu_id: int
    chip_id: int
    pid: int
    name: str
    memory_mib: int | None = None
    container_pid: int | None = None


@dataclass(frozen=True)
class NpuInfo:
    """The whole of ``npu-smi info``; ``findings`` say what could not be read, or looks wrong."""

    version: str = ""
    npus: tuple[Npu, ...] = ()
    processes: tuple[NpuProcess, ...] = ()
    findings: tuple[str, ...] = ()


def product_of(name: str, *, has_phy_id: bool = False) -> str | None:
    """Return the product of a chip name, such as 910A, 910B3, Ascend910_9392.

    910B without a digit, 910ProA, 910ProB and 910PremiumA are 910A.
    """
    plain = name.replace("Ascend", "").strip(" -_").lower()
    if plain.startswith("950"):
        return "A5"
    if plain.startswith(("910_93", "910c")) or (plain == "910" and has_phy_id):
        return "A3"
    if re.match(r"910b[1-9]", plain):
        return "A2"
    if plain in ("910", "910a", "910b", "910proa", "910prob", "910premiuma"):
        return "910A"
    return None


def parse_info(text: str) -> NpuInfo:
    """Read the output of ``npu-smi info``, in any layout and however damaged."""
    reading = _Reading()
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped.startswith("|"):
            reading.take(number, [cell.strip() for cell in stripped.strip("|").split("|")])
        elif stripped.startswith("+"):
            reading.close_card()
    reading.close_card()
    if not reading.npus and not reading.findings:
        first = next((line.strip() for line in text.splitlines() if line.strip()), "")
        reason = f"npu-smi says {first[:200]!r}" if first else "npu-smi printed nothing"
        reading.findings.append(f"no table of devices: {reason}")
    version = _VERSION.search(text)
    return NpuInfo(
        version[1] if version else "",
        tuple(reading.npus),
        tuple(reading.processes),
        tuple(reading.findings),
    )


@dataclass(frozen=True)
class _Card:
    line: int
    npu_id: int
    name: str
    health: str
    rest: str


class _Reading:
    """The state of reading a table from top to bottom."""

    def __init__(self) -> None:
        self.npus: list[Npu] = []
        self.processes: list[NpuProcess] = []
        self.findings: list[str] = []
        self._card: _Card | None = None
        self._in_processes = False
        self._split_columns = False
        self._has_phy_id = False
        self._bytes = False

    def take(self, line: int, cells: Sequence[str]) -> None:
        text = " ".join(cells)
        if "Process id" in text:
            self.close_card()
            self._in_processes = True
            self._bytes = "memory(B)" in text
        elif "Health" in cells and "NPU" in cells[0]:
            self._split_columns = cells[0] == "NPU ID"
        elif "Bus-Id" in cells:
            self._has_phy_id = "Phy-ID" in cells[0]
        elif self._in_processes:
            self._take_process(line, cells)
        elif len(cells) >= 3:
            joined = [" ".join(cells[:2]).strip(), *cells[2:]] if self._split_columns else cells
            self._take_device(line, joined)
        elif len(cells) == 2:
            self.findings.append(f"line {line}: a row with {len(cells)} cells is cut off")

    def _take_device(self, line: int, cells: Sequence[str]) -> None:
        chip = _CHIP.match(cells[0] or "0")
        if self._card is not None and chip is not None and _BUS_ID.match(cells[1]):
            self._take_chip(line, self._card, chip, cells)
            self._card = None
            return
        self.close_card()
        card = _CARD.match(cells[0])
        if card is None or len(cells) < 3:
            self.findings.append(f"line {line}: {cells[0][:40]!r} is no row of a device")
            return
        self._card = _Card(line, int(card[1]), card[2], cells[1], cells[2])
        if not cells[1]:
            self.findings.append(f"line {line}: NPU {card[1]} has no health")

    def close_card(self) -> None:
        if self._card is not None:
            where = f"line {self._card.line}: NPU {self._card.npu_id}"
            self.findings.append(f"{where} has no second row: its chip cannot be told")
            self._card = None

    def _take_chip(self, line: int, card: _Card, chip: re.Match[str], cells: Sequence[str]) -> None:
        phy_id = int(chip[2]) if chip[2] and self._has_phy_id else None
        hbm = self._memory(line, card, cells[-1])
        power, temperature = (_float(word) for word in (*card.rest.split(), "", "")[:2])
        used = cells[-1].split()
        self.npus.append(
            Npu(
                npu_id=card.npu_id,
                chip_id=int(chip[1]),
                name=card.name,
                health=card.health,
                bus_id=cells[1],
                phy_id=phy_id,
                power_w=power,
                temperature_c=temperature,
                aicore_percent=int(used[0]) if used and _is_number(used[0]) else None,
                hbm_mib=hbm,
            )
        )

    def _memory(self, line: int, card: _Card, cell: str) -> tuple[int, int] | None:
        where = f"line {line}: NPU {card.npu_id}"
        pairs = _USED_OF.findall(cell)
        slashes = cell.count("/")
        if slashes != len(pairs):
            self.findings.append(f"{where} has a memory that is no number: {cell[:60]!r}")
        elif slashes < 2:
            self.findings.append(f"{where} has no HBM usage")
        return (int(pairs[-1][0]), int(pairs[-1][1])) if len(pairs) and slashes >= 2 else None

    def _take_process(self, line: int, cells: Sequence[str]) -> None:
        if len(cells) == 1:
            return
        place = _CHIP.match(cells[0])
        if place is None or len(cells) < 3 or not _is_number(cells[1]):
            self.findings.append(f"line {line}: {' | '.join(cells)[:60]!r} is no row of a process")
            return
        memory = int(cells[3]) if len(cells) > 3 and _is_number(cells[3]) else None
        if memory is not None and self._bytes:
            memory //= _BYTES_PER_MIB
        inside = int(cells[4]) if len(cells) > 4 and _is_number(cells[4]) else None
        self.processes.append(
            NpuProcess(int(place[1]), int(place[2] or 0), int(cells[1]), cells[2], memory, inside)
        )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18


def _float(text: str) -> float | None:
    return float(text) if re.fullmatch(r"\d{1,6}(\.\d{1,6})?", text, re.ASCII) else None
