"""Each check of the doctor: facts in, one finding out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from launcher.doctor.cli import as_json, as_text, examine
from launcher.doctor.clock import is_synchronised
from launcher.doctor.facts import PACKAGES, Facts, Network, Space, gather
from launcher.doctor.finding import Finding, worst
from launcher.host.access import HostAccess
from launcher.host.node import Host
from launcher.host.npu import Npu, NpuInfo
from launcher.host.npus import Holder, Npus

GIB = 1024**3
VERSIONS = {**dict.fromkeys(PACKAGES, "1.0"), "mindspore": "2.10.0", "numpy": "1.26.4"}
TWO = NpuInfo("24.1", tuple(Npu(n, 0, "910B3", "OK", "0000:C1:00.0") for n in (0, 1)))
NPUS = Npus.counted(0, 1)._replace(products={0: "A2", 1: "A2"}, table=TWO)
CPU_HOST = Host("h", {}, Npus(), cores=(0, 1))
CPU = Facts(
    python=(3, 11, 7),
    implementation="CPython",
    packages=VERSIONS,
    host=CPU_HOST,
    shm=Space(8 * GIB, 8 * GIB),
    disk=Space(100 * GIB, 50 * GIB),
    run_folder=Path("/runs"),
    limits={"NOFILE": 65536, "NPROC": -1, "CORE": 0},
    ephemeral_ports=(32768, 60999),
    reserved_ports="60000-60031",
    clock_synchronised=True,
)
ASCEND = replace(
    CPU,
    host=CPU_HOST._replace(npus=NPUS, environ={"ASCEND_HOME_PATH": "/usr/local/Ascend/latest"}),
    has_npu_smi=True,
    network=Network(True, {0: "10.0.0.1", 1: "10.0.0.2"}, {0: "UP", 1: "UP"}, {0: False, 1: False}),
    cann="9.1.0",
    driver="25.0.rc1",
)


def found(facts: Facts, name: str) -> Finding:
    return next(finding for finding in examine(facts) if finding.name == name)


def with_npus(**changes: Any) -> Facts:
    return replace(ASCEND, host=ASCEND.host._replace(npus=NPUS._replace(**changes)))


def with_environ(**environ: str) -> Facts:
    return replace(ASCEND, host=ASCEND.host._replace(environ=environ))


def with_network(**changes: Any) -> Facts:
    return replace(ASCEND, network=replace(ASCEND.network, **changes))


def ill(*words: str) -> NpuInfo:
    return replace(TWO, npus=tuple(replace(TWO.npus[n], health=w) for n, w in enumerate(words)))


def test_all_is_green_where_all_is_well() -> None:
    assert [one for one in examine(ASCEND) if one.level != "green"] == []
    assert [one.name for one in examine(CPU) if one.level != "green"] == ["npu"]
    assert worst(examine(CPU)) == "yellow"


@pytest.mark.parametrize(
    ("facts", "name", "level", "what"),
    [
        (replace(CPU, python=(3, 13, 0)), "python", "red", "CPython 3.13.0"),
        (replace(CPU, python=(3, 9, 1)), "python", "red", "3.9.1"),
        (replace(CPU, implementation="PyPy"), "python", "red", "PyPy"),
        (replace(CPU, packages={}), "mindspore", "red", "not installed"),
        (replace(CPU, packages={}), "numpy", "red", "not installed"),
        (replace(CPU, packages={}), "packages", "yellow", "not installed: pyyaml, psutil"),
        (
            replace(CPU, packages={**VERSIONS, "mindspore": "2.1.0"}),
            "mindspore",
            "yellow",
            "2.1.0",
        ),
        (
            replace(CPU, packages={**VERSIONS, "numpy": "2.1.3"}),
            "numpy",
            "yellow",
            "2.1.3: PyNative of MindSpore 2.10 is compiled for NumPy 1",
        ),
        (replace(ASCEND, cann=None), "cann", "red", "not found"),
        (replace(ASCEND, cann="8.0.RC3"), "cann", "yellow", "8.0.RC3: MindSpore 2.10 expects"),
        (with_environ(), "cann", "yellow", "ASCEND_HOME_PATH is not set"),
        (replace(ASCEND, driver=None), "driver", "yellow", "cannot be told"),
        (replace(CPU, has_npu_smi=True), "npu", "yellow", "jobs run on the CPU"),
        (with_environ(ASCEND_RT_VISIBLE_DEVICES="1,0"), "visible devices", "red", "is not usable"),
        (with_environ(ASCEND_RT_VISIBLE_DEVICES=""), "visible devices", "red", "hides all"),
        (replace(ASCEND, has_npu_smi=False), "npu-smi", "yellow", "not found"),
        (
            with_npus(table=NpuInfo(findings=("no table",)), problem="npu-smi info: no answer"),
            "npu-smi",
            "red",
            "npu-smi info: no answer; no table",
        ),
        (
            with_npus(present=(0,), logical={0: 0}),
            "npu-smi",
            "yellow",
            "device 1: in only one of /dev and",
        ),
        (replace(ASCEND, cards=(0, 1, 2)), "npu-smi", "yellow", "card 2 is listed by -l, but"),
        (with_npus(table=ill("OK", "Warning")), "health", "yellow", "Warning on NPU 1"),
        (with_npus(table=ill("Alarm", "Warning")), "health", "red", "Alarm on NPU 0; Warning on"),
        (with_npus(table=NpuInfo()), "health", "yellow", "not known"),
        (with_npus(holders=(Holder(1, 7, "x"),)), "free", "yellow", "NPU 1 is held by pid 7 (x)"),
        (
            with_network(addresses={0: "10.0.0.1", 1: "10.0.0.1"}),
            "device addresses",
            "red",
            "more than one device has the address 10.0.0.1",
        ),
        (
            with_network(addresses={0: "10.0.0.1", 1: None}),
            "device addresses",
            "yellow",
            "none is known of NPU 1",
        ),
        (with_network(links={0: "UP", 1: "DOWN"}), "links", "yellow", "down on NPU 1"),
        (with_network(links={0: "UP", 1: None}), "links", "yellow", "not known of NPU 1"),
        (with_network(has_tool=False), "links", "yellow", "hccn_tool is not found"),
        (with_network(tls={0: True, 1: False}), "tls", "red", "on for NPU 0, off for NPU 1"),
        (with_network(tls={0: True, 1: None}), "tls", "yellow", "not known of every device"),
        (with_network(tls={}), "tls", "yellow", "not known"),
        (replace(CPU, shm=None), "/dev/shm", "yellow", "missing"),
        (replace(CPU, shm=Space(GIB // 16, GIB // 16)), "/dev/shm", "yellow", "0.1 GiB"),
        (replace(CPU, limits={"NOFILE": 1024}), "limits", "yellow", "nofile 1024"),
        (replace(CPU, is_writable=False), "run directory", "red", "/runs cannot be written"),
        (replace(CPU, disk=Space(GIB, GIB // 100)), "run directory", "red", "0.0 GiB free"),
        (replace(CPU, disk=Space(GIB, GIB)), "run directory", "yellow", "1.0 GiB free at /runs"),
        (replace(CPU, ports_problem="no free port"), "ports", "red", "no free port"),
        (replace(ASCEND, reserved_ports="60000"), "ports", "yellow", "HCCL's 60000-60031"),
        (replace(CPU, reserved_ports=""), "ports", "green", "free ones"),
        (replace(CPU, clock_synchronised=False), "clock", "yellow", "not synchronised"),
        (replace(CPU, clock_synchronised=None), "clock", "green", "does not tell"),
        (
            with_environ(MS_ROLE="MS_WORKER", RANK_TABLE_FILE="x"),
            "environment",
            "yellow",
            "left over from another launcher: MS_ROLE, RANK_TABLE_FILE",
        ),
        (replace(CPU, host=CPU_HOST._replace(cpu_quota=0.5)), "cores", "yellow", "0.5 by a quota"),
        (replace(ASCEND, host=ASCEND.host._replace(cores=(0,))), "cores", "yellow", "for 2 NPUs"),
    ],
)
def test_a_fault_is_found(facts: Facts, name: str, level: str, what: str) -> None:
    finding = found(facts, name)
    assert finding.level == level
    assert what in finding.what
    assert bool(finding.remedy) is (level != "green")


def test_a_910a_needs_addresses_always() -> None:
    facts = with_network(addresses={0: None, 1: None})
    old = replace(facts, host=facts.host._replace(npus=NPUS._replace(products={0: "910A"})))
    assert found(old, "device addresses").level == "red"
    assert found(old, "npu").level == "yellow"


def test_a_container_that_should_have_npus_is_told_so() -> None:
    asked = {"ASCEND_VISIBLE_DEVICES": "0-3"}
    facts = replace(CPU, host=CPU_HOST._replace(environ=asked))
    assert "does the Ascend container runtime run?" in found(facts, "npu").remedy


def test_findings_are_shown_as_text_and_as_json() -> None:
    findings = [Finding("a", "green", "fine"), Finding("long", "red", "bad", "mend it")]
    assert as_text(findings).splitlines() == [
        "green   a     fine",
        "red     long  bad",
        "              -> mend it",
        "doctor: no job can run here before what is red is mended",
    ]
    shown = json.loads(as_json(findings))
    assert shown["level"] == "red"
    assert shown["findings"][1] == {
        "name": "long",
        "level": "red",
        "what": "bad",
        "remedy": "mend it",
    }


def test_everything_can_be_missing(tmp_path: Path) -> None:
    facts = gather(HostAccess(tmp_path), tmp_path / "no" / "such" / "folder")
    assert facts.run_folder == tmp_path
    assert (facts.cann, facts.driver, facts.shm, facts.ephemeral_ports) == (None, None, None, None)
    assert worst(examine(facts)) != "red"


def test_the_clock_is_asked_without_a_process() -> None:
    assert is_synchronised() in (True, False, None)
