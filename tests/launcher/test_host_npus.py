"""NPUs of a host: numbers, holders, near cores; names and addresses; what tools say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fake_host import FakeHost

from launcher.host.access import HostAccess
from launcher.host.addresses import host_name, own_addresses
from launcher.host.hccn import parse_link, parse_tls
from launcher.host.npu import Npu, NpuInfo, NpuProcess
from launcher.host.npu_queries import Chip, ChipMap
from launcher.host.npu_survey import find_holders, logical_ids, near_cores
from launcher.host.npus import Npus, list_npus, look_at_npus


def card(number: int, *, bus_id: str = "0000:C1:00.0") -> Npu:
    return Npu(number, 0, "910B3", "OK", bus_id)


def test_npus_are_listed_by_number_and_other_files_are_not(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    for number in (3, 10, 0, 7, 2, 15, 1):
        host.file(f"dev/davinci{number}", "")
    for name in ("davinci_manager", "davinci", "null"):
        host.file(f"dev/{name}", "")
    assert list_npus(HostAccess(tmp_path)) == (0, 1, 2, 3, 7, 10, 15)
    assert list_npus(HostAccess(tmp_path / "missing")) == ()


def test_no_tool_is_asked_where_there_is_no_device(tmp_path: Path) -> None:
    (tmp_path / "usr/local/bin").mkdir(parents=True)
    tool = tmp_path / "usr/local/bin/npu-smi"
    tool.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\n")
    tool.chmod(0o755)
    assert look_at_npus(HostAccess(tmp_path)) == Npus()
    assert not (tmp_path / "asked").exists()


def test_a_container_counts_its_npus_from_0() -> None:
    assert logical_ids((4, 5, 6), ChipMap(), NpuInfo()) == {4: 0, 5: 1, 6: 2}
    told = ChipMap((Chip(4, 0, 1, "Ascend 910B3"), Chip(5, 0, 0, "Ascend 910B3")))
    assert logical_ids((4, 5), told, NpuInfo("", (card(4), card(5)))) == {4: 1, 5: 0}


def test_a_map_of_only_some_chips_is_not_used() -> None:
    told = ChipMap((Chip(0, 0, 0, "Ascend 910B3"), Chip(1, 0, 1, "Ascend 910B3")))
    assert logical_ids((0, 1, 2), told, NpuInfo()) == {0: 0, 1: 1, 2: 2}


def test_dies_are_mapped_by_their_physical_number() -> None:
    told = ChipMap(tuple(Chip(die // 2, die % 2, die, "A3", die) for die in range(4)))
    assert logical_ids((0, 1, 2, 3), told, NpuInfo()) == {0: 0, 1: 1, 2: 2, 3: 3}


def test_holders_are_found_by_the_table_and_by_open_files(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.process(50, "train", "/dev/null", "/dev/davinci1", "/dev/davinci_manager")
    host.process(51, "both", "/dev/davinci3", "/dev/davinci4")
    host.process(os.getpid(), "pytest", "/dev/davinci1")
    info = NpuInfo("", (card(3),), (NpuProcess(3, 0, 51, "seen by npu-smi"),))
    found = find_holders(HostAccess(tmp_path), info)
    assert [(one.device_id, str(one)) for one in found] == [
        (1, "pid 50 (train)"),
        (3, "pid 51 (seen by npu-smi)"),
        (4, "pid 51 (both)"),
    ]


def test_near_cores_come_from_the_topology_else_from_the_pci_tree(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.file("sys/bus/pci/devices/0000:c2:00.0/numa_node", "1\n")
    host.file("sys/bus/pci/devices/0000:c3:00.0/numa_node", "-1\n")
    host.file("sys/devices/system/node/node1/cpulist", "8-11\n")
    info = NpuInfo("", (card(0), card(1, bus_id="0000:C2:00.0"), card(2, bus_id="0000:C3:00.0")))
    topology = "      NPU0  CPU Affinity\nNPU0  X  0-3\n"
    assert near_cores(HostAccess(tmp_path), info, topology) == {0: (0, 1, 2, 3), 1: (8, 9, 10, 11)}


def test_a_host_knows_its_names_and_addresses(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.file("proc/sys/kernel/hostname", "n7.cluster.local\n")
    host.file(
        "proc/net/fib_trie",
        "     |-- 10.0.0.0\n        /24 link UNICAST\n     |-- 10.0.0.7\n        /32 host LOCAL\n"
        "     |-- 127.0.0.1\n        /32 host LOCAL\n",
    )
    host.file(
        "proc/net/if_inet6",
        "fd000000000000000000000000000007 02 40 00 80 eth0\n"
        "00000000000000000000000000000001 01 80 10 80 lo\nodd\n",
    )
    access = HostAccess(tmp_path)
    assert own_addresses(access) == ("10.0.0.7", "fd00::7", "n7", "n7.cluster.local")
    assert host_name(HostAccess()) == os.uname().nodename
    assert own_addresses(HostAccess(tmp_path / "none")) != ()


@pytest.mark.parametrize(
    ("text", "word"),
    [("link status: UP\n", "UP"), ("\nlink status : Down", "DOWN"), ("", None), ("link", None)],
)
def test_links_are_read(text: str, word: str | None) -> None:
    assert parse_link(text) == word


def test_published_answers_of_hccn_tool_are_read(shared: Path) -> None:
    folder = shared / "samples" / "hccn"
    document = next(folder.glob("07_*")).read_text()
    assert (parse_link(document), parse_tls(document)) == ("UP", False)
    assert parse_tls("dev_id:1, tls switch[1](0:disable, 1:enable)") is True
    assert parse_tls("") is None


def test_a_missing_or_failing_tool_is_told(tmp_path: Path) -> None:
    host = FakeHost(tmp_path).tool("npu-smi", {"info": "table\n"})
    access = HostAccess(host.root)
    assert access.ask("npu-smi", "info").text == "table\n"
    refused = access.ask("npu-smi", "info", "-x")
    assert (refused.text, refused.problem) == (
        "Invalid card id.\n",
        "npu-smi info -x: exit code 255",
    )
    assert access.ask("hccn_tool").problem == "hccn_tool is not on this host (nor on PATH)"
    (tmp_path / "usr/local/bin/npu-smi").write_bytes(b"\0")
    assert "cannot be started" in access.ask("npu-smi").problem
