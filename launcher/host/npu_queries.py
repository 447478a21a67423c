"""The smaller outputs of npu-smi: the map of chips, the list of cards, the topology, key : value.

As in :mod:`launcher.host.npu`: text in, values and findings out, never an exception.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_REFUSALS = ("Invalid card id", "Error parameter", "Usage: npu-smi", "dcmi ", "does not support")
_RELATIONS = {"X", "HCCS", "HCCS_SW", "SIO", "PXB", "PIX", "PHB", "SYS", "NA"}
_CPUS = re.compile(r"^\d{1,5}(-\d{1,5})?(,\d{1,5}(-\d{1,5})?)*$", re.ASCII)
_COLUMNS = re.compile(r"\s{2,}|\t+")


@dataclass(frozen=True)
class Chip:
    """One row of ``npu-smi info -m``; ``phy_id`` where the map has the column."""

    npu_id: int
    chip_id: int
    logic_id: int | None
    name: str
    phy_id: int | None = None


@dataclass(frozen=True)
class ChipMap:
    """All chips of ``npu-smi info -m`` that compute (no Mcu)."""

    chips: tuple[Chip, ...] = ()
    findings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Card:
    """One block of ``npu-smi info -l``."""

    npu_id: int
    product_name: str = ""
    serial_number: str = ""
    chip_count: int | None = None


@dataclass(frozen=True)
class CardList:
    """All blocks of ``npu-smi info -l``."""

    cards: tuple[Card, ...] = ()
    findings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Topology:
    """``npu-smi info -t topo``: how two NPUs are linked, and the CPUs near each, as ranges."""

    links: dict[tuple[int, int], str]
    cpus: dict[int, str]
    findings: tuple[str, ...] = ()


def parse_map(text: str) -> ChipMap:
    """Read the output of ``npu-smi info -m``; columns are told by their names."""
    chips = []
    findings = []
    names: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        cells = _COLUMNS.split(line.strip())
        if cells[0] == "NPU ID":
            names = cells
        elif names and len(cells) > 1:
            row = dict(zip(names, cells, strict=False))
            name = row.get("Chip Name", row.get("Name", ""))
            if name.lower() == "mcu":
                continue
            npu_id, chip_id = _number(row.get("NPU ID")), _number(row.get("Chip ID"))
            if npu_id is None or chip_id is None or not name:
                findings.append(f"line {number}: {line.strip()[:60]!r} is no row of a chip")
                continue
            logic, phy = _number(row.get("Chip Logic ID")), _number(row.get("Chip Phy-ID"))
            chips.append(Chip(npu_id, chip_id, logic, name, phy))
    if not chips:
        findings.append(_nothing("no map of chips", text))
    return ChipMap(tuple(chips), tuple(findings))


def parse_list(text: str) -> CardList:
    """Read the output of ``npu-smi info -l``."""
    blocks: list[dict[str, str]] = []
    total: int | None = None
    for key, value in _pairs(text):
        if key == "Total Count":
            total = _number(value)
        elif key == "NPU ID":
            blocks.append({key: value})
        elif blocks:
            blocks[-1].setdefault(key, value)
    cards = []
    findings = []
    for block in blocks:
        npu_id = _number(block["NPU ID"])
        if npu_id is None:
            findings.append(f"NPU ID {block['NPU ID'][:40]!r} is no number")
            continue
        name, serial = block.get("Product Name", ""), block.get("Serial Number", "")
        cards.append(Card(npu_id, name, serial, _number(block.get("Chip Count"))))
    if total is not None and total != len(cards):
        findings.append(f"Total Count is {total}, but {len(cards)} cards are listed")
    if not cards and total != 0:
        findings.append(_nothing("no list of cards", text))
    return CardList(tuple(cards), tuple(findings))


def parse_topology(text: str) -> Topology:
    """Read the output of ``npu-smi info -t topo``."""
    links: dict[tuple[int, int], str] = {}
    cpus: dict[int, str] = {}
    findings = []
    columns: list[int] = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if not columns:
            columns = [int(n) for n in re.findall(r"\b(?:NPU|Phy-?ID)(\d{1,4})\b", line)]
            continue
        head = re.fullmatch(r"(?:NPU|Phy-?ID)(\d{1,4})", words[0]) if words else None
        if head is None:
            continue
        row = int(head[1])
        relations = [word for word in words[1:] if word in _RELATIONS]
        if len(relations) != len(columns):
            what = f"{len(relations)} relations to {len(columns)} NPUs"
            findings.append(f"line {number}: NPU{row} has {what}")
        links |= {(row, other): word for other, word in zip(columns, relations, strict=False)}
        if _CPUS.match(words[-1]):
            cpus[row] = words[-1]
    if not links:
        findings.append(_nothing("no topology", text))
    return Topology(links, cpus, tuple(findings))


def parse_fields(text: str) -> dict[str, str]:
    """Read ``key : value`` lines, as -t board, usages, health and spod-info print them.

    The first value of a key stays. A refusal ("Invalid card id.") gives no fields.
    """
    fields: dict[str, str] = {}
    for key, value in _pairs(text):
        fields.setdefault(key, value)
    return fields


def refusal(text: str) -> str | None:
    """Return the line with which npu-smi refused a query, or None."""
    for line in text.splitlines():
        if any(words in line for words in _REFUSALS):
            return line.strip()[:200]
    return None


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip() and not line.startswith("Usage"):
            yield key.strip(), value.strip()


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 18 else None


def _nothing(what: str, text: str) -> str:
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    said = refusal(text) or first[:200]
    return f"{what}: npu-smi says {said!r}" if said else f"{what}: npu-smi printed nothing"
