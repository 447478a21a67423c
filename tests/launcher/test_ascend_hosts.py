"""The real command line on hosts with NPUs that are made of recorded answers."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import is_alive, wait_for
from fake_host import FakeHost, host_910a, host_910b, host_a3

from launcher.doctor.cli import examine
from launcher.doctor.facts import gather
from launcher.host.access import HostAccess

HOSTS: dict[str, Callable[[Path, Path], FakeHost]] = {
    "910A": host_910a,
    "910B": host_910b,
    "A3": host_a3,
}


@pytest.fixture
def samples(shared: Path) -> Path:
    return shared / "samples"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "t.py").touch()
    return folder


@pytest.fixture(params=HOSTS)
def host(request: pytest.FixtureRequest, tmp_path: Path, samples: Path) -> FakeHost:
    return HOSTS[request.param](tmp_path / "host", samples)


def plan(host: FakeHost, work: Path, *options: str | Path) -> dict[str, Any]:
    done = host.launcher("--dry-run", *options, "--", "t.py", cwd=work)
    assert (done.returncode, done.stderr) == (0, "")
    shown: dict[str, Any] = json.loads(done.stdout)
    return shown


def levels(host: FakeHost, work: Path, **env: str) -> tuple[int, dict[str, tuple[str, str]]]:
    done = host.launcher("doctor", "--json", cwd=work, env=env)
    assert done.stderr == ""
    shown = json.loads(done.stdout)
    found = {one["name"]: (one["level"], one["what"]) for one in shown["findings"]}
    assert all(one["remedy"] for one in shown["findings"] if one["level"] != "green")
    return done.returncode, found


def test_a_dry_run_plans_all_devices(host: FakeHost, work: Path) -> None:
    shown = plan(host, work)
    count = 16 if "davinci15" in {path.name for path in (host.root / "dev").iterdir()} else 8
    assert (shown["world_size"], shown["device_target"]) == (count, "Ascend")
    assert [rank["device_id"] for rank in shown["ranks"]] == list(range(count))
    visible = ",".join(map(str, range(count)))
    for number, rank in enumerate(shown["ranks"]):
        assert rank["environment"]["ASCEND_RT_VISIBLE_DEVICES"] == visible
        assert rank["environment"]["DEVICE_ID"] == str(number)
        assert rank["environment"]["HCCL_IF_BASE_PORT"].isdecimal()


def test_the_table_that_is_made_is_planned_with(host: FakeHost, work: Path) -> None:
    table = work / "table.json"
    made = host.launcher("rank-table", "make", "-o", table, cwd=work)
    assert made.returncode == 0, made.stderr
    assert stat.S_IMODE(table.stat().st_mode) == 0o640
    checked = host.launcher("rank-table", "check", table, cwd=work)
    assert checked.returncode == 0, checked.stdout
    shown = plan(host, work, "--rank-table", table, "--run-dir", "run")
    assert (shown["rendezvous"], shown["scheduler"]) == ("rank-table", None)
    for number, rank in enumerate(shown["ranks"]):
        assert rank["environment"]["RANK_TABLE_FILE"] == str(work / "run" / "rank_table.json")
        assert rank["environment"]["DEVICE_ID"] == str(number)


def test_addresses_of_a_910a_come_from_hccn_tool(samples: Path, tmp_path: Path, work: Path) -> None:
    host = host_910a(tmp_path / "host", samples)
    made = host.launcher("rank-table", "make", cwd=work)
    devices = json.loads(made.stdout)["server_list"][0]["device"]
    assert [devices[0]["device_ip"], devices[7]["device_ip"]] == ["192.1.45.172", "192.4.32.120"]
    crossing = host.launcher("rank-table", "make", "--devices", "2-5", cwd=work)
    assert crossing.returncode == 2
    assert "device-ring" in crossing.stderr
    joined = host.launcher("--dry-run", "--devices", "2-5", "--", "t.py", cwd=work)
    assert joined.returncode == 2
    assert "NPU 2-5: on a 910A server 1, 2, 4 or 8" in joined.stderr


def test_addresses_of_a_910b_come_from_its_file(samples: Path, tmp_path: Path, work: Path) -> None:
    host = host_910b(tmp_path / "host", samples)
    made = host.launcher("rank-table", "make", "--devices", "6,7", "--server-id", "n0", cwd=work)
    server = json.loads(made.stdout)["server_list"][0]
    assert server == {
        "server_id": "n0",
        "device": [
            {"device_id": "6", "device_ip": "127.0.0.118", "rank_id": "0"},
            {"device_id": "7", "device_ip": "127.0.0.223", "rank_id": "1"},
        ],
    }


def test_an_a3_gives_a_table_of_its_super_pod(samples: Path, tmp_path: Path, work: Path) -> None:
    host = host_a3(tmp_path / "host", samples)
    made = host.launcher("rank-table", "make", "--server-id", "n0", cwd=work)
    table = json.loads(made.stdout)
    assert table["version"] == "1.2"
    assert table["server_list"][0]["device"][15]["super_device_id"] == "167772175"
    assert table["super_pod_list"] == [
        {"super_pod_id": "0", "server_list": [{"server_id": "n0"}]},
    ]


def test_a_held_device_is_told_with_its_pid_before_anything_starts(
    samples: Path, tmp_path: Path, work: Path
) -> None:
    host = host_a3(tmp_path / "host", samples).process(77, "python", "/dev/null", "/dev/davinci3")
    done = host.launcher("--devices", "3,8", "--run-dir", "run", "--", "t.py", cwd=work)
    assert done.returncode == 75
    assert "NPU 3 is held by pid 77 (python)" in done.stderr
    assert "NPU 8 is held by pid 957687 (pt_main_thread)" in done.stderr
    assert not (work / "run").exists()
    notes = plan(host, work, "--devices", "3,4")["notes"]
    assert notes[0] == "NPU 3 is held by pid 77 (python)"


def test_the_doctor_of_a_910a(samples: Path, tmp_path: Path, work: Path) -> None:
    host = host_910a(tmp_path / "host", samples)
    code, found = levels(host, work, ASCEND_HOME_PATH="/usr/local/Ascend/ascend-toolkit/latest")
    assert code == 0
    assert found["npu"] == (
        "yellow",
        "8 (NPU 0-7), 910A: not known whether MindSpore 2.10 runs on it",
    )
    assert found["cann"] == ("green", "8.2.RC1")
    assert found["driver"] == ("green", "23.0.7, firmware unknown")
    assert found["health"] == ("yellow", "Warning on NPU 0-7")
    assert found["links"] == ("green", "all up")
    assert found["device addresses"] == ("green", "8, all different")
    assert found["tls"][0] == "green"
    assert found["npu-smi"] == ("green", "23.0.rc1.b070, 8 devices")


def test_the_doctor_of_a_910b(samples: Path, tmp_path: Path, work: Path) -> None:
    host = host_910b(tmp_path / "host", samples)
    code, found = levels(host, work)
    assert code == 0
    assert found["npu"] == ("green", "8 (NPU 0-7), A2")
    assert found["health"] == ("green", "all OK")
    assert found["links"] == ("yellow", "hccn_tool is not found")
    assert found["cann"][0] == "yellow"
    assert found["free"][0] == "green"


def test_the_doctor_of_an_a3(samples: Path, tmp_path: Path, work: Path) -> None:
    host = host_a3(tmp_path / "host", samples)
    code, found = levels(host, work)
    assert code == 0
    assert found["npu"] == ("green", "16 (NPU 0-15), A3")
    assert found["free"][0] == "yellow"
    assert "NPU 15 is held by pid 958011" in found["free"][1]
    assert found["device addresses"][0] == "yellow"


def test_a_broken_driver_is_red(samples: Path, tmp_path: Path, work: Path) -> None:
    host = FakeHost(tmp_path / "host").devices(8).tool("npu-smi", {})
    host.file("answers/npu-smi info", "dcmi model initialized failed\n")
    code, found = levels(host, work)
    assert code == 1
    assert found["npu-smi"] == (
        "red",
        "no table of devices: npu-smi says 'dcmi model initialized failed'",
    )
    text = host.launcher("doctor", cwd=work).stdout
    assert text.endswith("doctor: no job can run here before what is red is mended\n")


def test_unequal_tls_is_red(samples: Path, tmp_path: Path, work: Path) -> None:
    host = host_910a(tmp_path / "host", samples)
    host.tool("hccn_tool", {"-i 5 -tls -g": "dev_id:5, tls switch[1](0:disable, 1:enable)\n"})
    code, found = levels(host, work)
    assert code == 1
    assert found["tls"] == ("red", "on for NPU 5, off for NPU 0-4,6,7")


def test_a_tool_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "host").tool("npu-smi", {})
    script = f"#!/bin/sh\nsleep 600 &\necho $! > {tmp_path}/pid\nwait\n"
    (host.root / "usr/local/bin/npu-smi").write_text(script)
    answer = HostAccess(host.root, timeout_s=0.5).ask("npu-smi", "info")
    assert answer.problem == "npu-smi info: no answer within 0.5 s"
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: not is_alive(pid), "the tool's own child is gone")


def test_a_host_without_anything_is_fit_for_the_cpu(tmp_path: Path, work: Path) -> None:
    root = tmp_path / "host"
    root.mkdir()
    code, found = levels(FakeHost(root), work)
    assert code == 0
    assert found["npu"][0] == "yellow"
    assert found["/dev/shm"] == ("yellow", "missing")
    assert "cann" not in found


def test_whatever_npu_smi_prints_the_doctor_survives_it(tmp_path: Path, samples: Path) -> None:
    host = FakeHost(tmp_path / "host").devices(8).tool("npu-smi", {})
    access = HostAccess(host.root, {})
    for sample in sorted((samples / "npusmi").glob("*.txt")):
        text = sample.read_text()
        host.tool("npu-smi", dict.fromkeys(("info", "info -m", "info -t topo"), text))
        found = {finding.name: finding for finding in examine(gather(access, tmp_path))}
        has_devices = sample.name[:2] in ("01", "04", "06", "07", "22")
        assert (found["npu-smi"].level == "red") is not has_devices, sample.name
        assert found["npu"].what.startswith("8 (NPU 0-7)")
