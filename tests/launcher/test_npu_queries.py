"""The smaller outputs of npu-smi."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.host.npu_queries import (
    Card,
    Chip,
    parse_fields,
    parse_list,
    parse_map,
    parse_topology,
    refusal,
)


def sample(shared: Path, number: str) -> str:
    found = sorted((shared / "samples" / "npusmi").glob(f"{number}_*"))
    if not found:
        pytest.skip(f"no npu-smi sample {number}")
    return found[0].read_text(encoding="utf-8")


def test_a_map_gives_every_chip(shared: Path) -> None:
    found = parse_map(sample(shared, "14"))
    assert [chip.logic_id for chip in found.chips] == list(range(8))
    assert found.findings == ()


def test_a_map_leaves_out_what_does_not_compute(shared: Path) -> None:
    assert parse_map(sample(shared, "15")).chips == (
        Chip(0, 0, 0, "Ascend 910B3"),
        Chip(1, 0, 1, "Ascend 910B3"),
    )


def test_a_map_with_physical_numbers() -> None:
    text = (
        "\tNPU ID      Chip ID     Chip Logic ID     Chip Phy-ID    Chip Name\n"
        "\t1           1           3                 5              Ascend910\n"
        "\t1           -           -                 -              Mcu\n"
    )
    assert parse_map(text).chips == (Chip(1, 1, 3, "Ascend910", 5),)


def test_a_map_of_a5_has_other_columns() -> None:
    text = "NPU ID   Slot ID   Chip ID   Chip Phy-ID   Name\n0   1   0   7   Ascend950DT\n"
    assert parse_map(text).chips == (Chip(0, 0, None, "Ascend950DT", 7),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "printed nothing"),
        ("dcmi model initialized failed", "dcmi model initialized failed"),
        ("NPU ID   Chip ID   Chip Name\n0   x   Ascend 910A", "is no row of a chip"),
    ],
)
def test_a_damaged_map_is_a_finding(text: str, words: str) -> None:
    found = parse_map(text)
    assert found.chips == ()
    assert words in found.findings[0]


LIST = """\tTotal Count                    : 2

\tNPU ID                         : 0
\tProduct Name                   : IT21DMDA
\tSerial Number                  : 0123456789
\tChip Count                     : 1

\tNPU ID                         : 8
\tChip Count                     : 2
"""


def test_a_list_gives_every_card() -> None:
    found = parse_list(LIST)
    assert found.cards == (Card(0, "IT21DMDA", "0123456789", 1), Card(8, chip_count=2))
    assert found.findings == ()


def test_a_list_that_is_cut_off_is_a_finding() -> None:
    assert parse_list(LIST[:200]).findings == ("Total Count is 2, but 1 cards are listed",)
    assert "printed nothing" in parse_list("").findings[0]
    assert parse_list("Total Count : 0").findings == ()


def test_a_topology_gives_links_and_cpus(shared: Path) -> None:
    found = parse_topology(sample(shared, "10"))
    assert len(found.links) == 64
    assert found.links[0, 7] == "HCCS"
    assert (found.cpus[0], found.cpus[7]) == ("144-167", "48-71")
    assert found.findings == ()
    four = parse_topology(sample(shared, "12"))
    assert four.links[0, 2] == "SYS"
    assert four.cpus == {0: "144-167", 1: "96-119", 2: "48-71", 3: "0-23"}


def test_a_topology_that_is_refused_is_a_finding(shared: Path) -> None:
    found = parse_topology(sample(shared, "13"))
    assert found.links == {}
    assert "does not support querying topo" in found.findings[0]


def test_a_topology_that_is_cut_off_is_a_finding() -> None:
    found = parse_topology("   NPU0  NPU1  CPU Affinity\nNPU0   X  HCCS  0-23\nNPU1  HC")
    assert found.links == {(0, 0): "X", (0, 1): "HCCS"}
    assert found.findings == ("line 3: NPU1 has 0 relations to 2 NPUs",)


def test_fields_are_read_by_name(shared: Path) -> None:
    fields = parse_fields(sample(shared, "19"))
    assert fields["SDID"] == "167772160"
    assert fields["Super Pod ID"] == "0"


def test_a_refusal_is_told(shared: Path) -> None:
    assert refusal(sample(shared, "21")) == "Invalid card id."
    assert refusal(sample(shared, "19")) is None


@given(st.text(st.sampled_from("NPU ID:0X-9\n\t CHS|,"), max_size=200))
@settings(max_examples=150, deadline=None)
def test_no_text_is_an_exception(text: str) -> None:
    parse_map(text)
    parse_list(text)
    parse_topology(text)
    parse_fields(text)
