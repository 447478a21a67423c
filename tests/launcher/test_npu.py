"""npu-smi's outputs, in every layout and damage that people published."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.host.npu import NpuInfo, NpuProcess, parse_info, product_of


def sample(shared: Path, number: str) -> str:
    found = sorted((shared / "samples" / "npusmi").glob(f"{number}_*"))
    if not found:
        pytest.skip(f"no npu-smi sample {number}")
    return found[0].read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("number", "version", "devices", "product", "health"),
    [
        ("01", "23.0.rc1.b070", range(4), "910A", "Warning"),
        ("04", "24.1.rc1.b030", range(8), "A2", "OK"),
        ("06", "24.1.rc3.3", range(16), "A3", "OK"),
        ("07", "25.5.1", (0, 5), "A2", "OK"),
    ],
)
def test_a_published_table_is_read_whole(
    shared: Path, number: str, version: str, devices: range, product: str, health: str
) -> None:
    info = parse_info(sample(shared, number))
    assert info.version == version
    assert [npu.device_id for npu in info.npus] == list(devices)
    assert {npu.product for npu in info.npus} == {product}
    assert {npu.health for npu in info.npus} == {health}
    assert info.findings == ()


def test_cells_without_a_space_are_read(shared: Path) -> None:
    npu = parse_info(sample(shared, "01")).npus[2]
    assert npu.hbm_mib == (30750, 32768)
    assert (npu.power_w, npu.temperature_c, npu.aicore_percent) == (70.8, 37.0, 0)
    assert npu.bus_id == "0000:41:00.0"


def test_the_second_die_has_no_power_of_its_own(shared: Path) -> None:
    die = parse_info(sample(shared, "06")).npus[15]
    assert (die.npu_id, die.chip_id, die.phy_id) == (7, 1, 15)
    assert die.power_w is None
    assert die.temperature_c == 36.0


def test_processes_are_told_by_device(shared: Path) -> None:
    assert parse_info(sample(shared, "07")).processes == (
        NpuProcess(5, 0, 2290156, "VLLMEngineCore", 56630),
    )
    found = parse_info(sample(shared, "06")).processes
    assert [(one.npu_id, one.chip_id, one.pid) for one in found[:2]] == [
        (4, 0, 957687),
        (4, 1, 957770),
    ]


BORDER = "+=======+========+=======+\n"
HEAD = (
    "| NPU   Name | Health | Power(W) Temp(C) Hugepages-Usage(page) |\n"
    "| Chip       | Bus-Id | AICore(%) Memory-Usage(MB) HBM-Usage(MB) |\n"
)
PROCESSES = "| NPU     Chip | Process id | Process name | Process memory(MB) |"


def rows(card: str, chip: str) -> str:
    return f"{HEAD}{BORDER}| {card} |\n| {chip} |\n{BORDER}"


GOOD = rows("0 910B4 | OK | 85.0 36 0 / 0", "0 | 0000:C1:00.0 | 0 0 / 0 30759/ 32768")


def test_a_process_may_have_a_pid_in_its_container() -> None:
    text = f"{GOOD}{PROCESSES} Process id in container |\n"
    text += "| 0 0 | 485946 | pytest | 5175 | NA |\n| 0 0 | 485947 | | 51 | 12 |\n"
    assert parse_info(text).processes == (
        NpuProcess(0, 0, 485946, "pytest", 5175),
        NpuProcess(0, 0, 485947, "", 51, 12),
    )


def test_memory_in_bytes_becomes_mib() -> None:
    text = GOOD + PROCESSES.replace("(MB)", "(B)") + "\n| 0 0 | 7 | python | 1073741824 |\n"
    assert parse_info(text).processes[0].memory_mib == 1024


def test_separate_columns_for_npu_and_name_are_read() -> None:
    info = parse_info(
        "| npu-smi 99.0.rc1.b1    Version: 99.0.rc1.b1 |\n"
        "| NPU ID | Name | Health | Power(W) Temp(C) Hugepages-Usage(page) |\n"
        "|        |      | Bus-Id | NPU Util(%) Memory-Usage(MB) HBM-Usage(MB) |\n"
        "| 3      | Ascend950DT | Alarm | 120.0 45 0 / 0 |\n"
        "|        |      | NA | 20 0 / 0 2048 / 8192 |\n"
        "| NPU ID | Process id | Process name | Process memory(MB) | Process id in container |\n"
        "| 3      | 1001 | python | 256 | NA |\n"
        "| No running processes found in NPU 4 |\n"
    )
    assert info.findings == ()
    assert [(npu.device_id, npu.product, npu.hbm_mib) for npu in info.npus] == [
        (3, "A5", (2048, 8192))
    ]
    assert info.processes == (NpuProcess(3, 0, 1001, "python", 256),)


@pytest.mark.parametrize(
    ("text", "words", "devices"),
    [
        ("", "npu-smi printed nothing", 0),
        ("dcmi model initialized failed\n", "npu-smi says 'dcmi model initialized failed'", 0),
        (f"{HEAD}{BORDER}| 0 910B4 | OK | 85.0 36 0 / 0 |\n", "has no second row", 0),
        (f"{HEAD}| 0 910B4 | OK | 85.0 |\n{BORDER}{GOOD}", "has no second row", 1),
        (rows("0 910 | | 85.0 36", "0 | 0000:C1:00.0 | 0 0 / 0 1 / 2"), "has no health", 1),
        (rows("0 910B4 | OK | 85.0 36", "0 | 0000:C1:00.0 | 0 0 / 0"), "no HBM usage", 1),
        (rows("0 910B4 | OK | 85.0", "0 | 0000:C1:00.0 | 0 4 / 5.s 7/ 8"), "is no number", 1),
        (f"{HEAD}| 0 910B4 | O\n", "cut off", 0),
        (f"{HEAD}| what | is | this |\n", "is no row of a device", 0),
        (f"{GOOD}{PROCESSES}\n| 0 0 | many | x | 1 |\n", "is no row of a process", 1),
    ],
)
def test_damage_is_a_finding(text: str, words: str, devices: int) -> None:
    info = parse_info(text)
    assert len(info.npus) == devices
    assert any(words in finding for finding in info.findings), info.findings


def test_the_published_damages_are_findings(shared: Path) -> None:
    for variant in sample(shared, "22").split("### ")[1:]:
        assert parse_info(variant).findings
    assert len(parse_info(sample(shared, "22")).findings) == 5
    assert "dcmi model initialized failed" in parse_info(sample(shared, "24")).findings[0]


def test_a_record_of_other_commands_has_no_devices(shared: Path) -> None:
    for number in ("20", "21"):
        info = parse_info(sample(shared, number))
        assert info.npus == ()
        assert len(info.findings) == 1


@given(
    st.lists(
        st.sampled_from([*GOOD.splitlines(), PROCESSES, "| 0 0 | 1 | a | 2 |", "|", "||", "+"])
    )
)
@settings(max_examples=100, deadline=None)
def test_lines_in_any_order_are_no_exception(lines: list[str]) -> None:
    assert isinstance(parse_info("\n".join(lines)), NpuInfo)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_table_cut_or_changed_anywhere_is_no_exception(data: st.DataObject) -> None:
    text = GOOD + PROCESSES + "\n| 0 0 | 1 | a | 2 |\n"
    place = data.draw(st.integers(0, len(text)))
    assert isinstance(parse_info(text[:place]), NpuInfo)
    assert isinstance(
        parse_info(text[:place] + data.draw(st.text(max_size=5)) + text[place:]), NpuInfo
    )


@pytest.mark.parametrize(
    ("name", "product"),
    [
        ("910A", "910A"), ("910B", "910A"), ("910ProB", "910A"), ("910PremiumA", "910A"),
        ("Ascend 910A", "910A"), ("910B3", "A2"), ("910B4-1", "A2"), ("910B2C", "A2"),
        ("Ascend910_9392", "A3"), ("Ascend950DT", "A5"), ("310P3", None), ("", None),
    ],
)  # fmt: skip
def test_a_name_tells_the_product(name: str, product: str | None) -> None:
    assert product_of(name) == product


def test_ascend910_is_a3_where_dies_have_physical_numbers() -> None:
    assert product_of("Ascend910", has_phy_id=True) == "A3"
