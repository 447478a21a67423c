"""The health of host and NPUs, sampled beside a run."""

from __future__ import annotations

import logging
import os
import re
import threading
from pathlib import Path

import psutil
import pytest

from cifar_dist.observe.health import Sampler, watch_health
from cifar_dist.observe.host_health import HostHealth
from cifar_dist.observe.npu_health import npu_smi, sample_npus
from launcher.host.npu import parse_info

LONG_S = 60.0


def test_the_host_is_told_in_numbers_that_can_be(tmp_path: Path) -> None:
    found = HostHealth(tmp_path).sample()
    for tag, value in found.items():
        assert value >= 0, tag
        if tag.endswith("percent") and "rank_0" not in tag:
            assert value <= 100, tag
    total_gb = psutil.virtual_memory().total / 1e9
    assert 0 < found["host/rank_0_memory_gb"] < found["host/memory_used_gb"] < total_gb


def test_rates_are_since_the_sample_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([100.0, 102.0, 104.0])
    sent = iter([0, 6_000_000, 6_000_000])
    monkeypatch.setattr(
        "cifar_dist.observe.host_health._transferred",
        lambda: {"host/network_sent_mb_per_s": next(sent)},
    )
    health = HostHealth(tmp_path, clock=lambda: next(moments))
    assert health.sample()["host/network_sent_mb_per_s"] == pytest.approx(3.0)
    assert health.sample()["host/network_sent_mb_per_s"] == 0.0


def test_the_use_of_the_processor_is_since_the_sample_before_in_any_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter([(10.0, 100.0), (13.0, 104.0), (13.0, 108.0)])
    monkeypatch.setattr("cifar_dist.observe.host_health._processor_s", lambda: next(seconds))
    health = HostHealth(tmp_path)
    found: list[float] = []
    for _ in range(2):
        thread = threading.Thread(target=lambda: found.append(health.sample()["host/cpu_percent"]))
        thread.start()
        thread.join(LONG_S)
    assert found == [75.0, 0.0]


def test_a_run_has_a_sample_however_short_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cifar_dist.observe.health.npu_smi", lambda: None)
    sampler = watch_health(tmp_path, interval_s=3600)
    assert sampler.take()["host/memory_percent"] > 0
    assert sampler.take() == {}
    sampler.close()


@pytest.mark.parametrize("error", [NotImplementedError("no stat"), ValueError("no such field")])
def test_a_host_that_cannot_be_looked_at_is_said_once_and_left_out(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
) -> None:
    def cpu_times() -> None:
        raise error

    monkeypatch.setattr(psutil, "cpu_times", cpu_times)
    monkeypatch.setattr("cifar_dist.observe.health.npu_smi", lambda: None)
    with caplog.at_level(logging.WARNING):
        sampler = watch_health(tmp_path, interval_s=3600)
        assert sampler.take() == {}
        sampler.close()
    assert [str(error) in record.getMessage() for record in caplog.records] == [True]


def test_a_source_that_fails_is_said_once_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rounds, calls = threading.Event(), []

    def broken() -> dict[str, float]:
        raise OSError("no such counter")

    def sound() -> dict[str, float]:
        calls.append(1)
        if len(calls) == 3:
            rounds.set()
        return {"host/x": float(len(calls))}

    with caplog.at_level(logging.WARNING):
        sampler = Sampler([broken, sound], interval_s=0.001)
        assert rounds.wait(LONG_S)
        sampler.close()
    assert sampler.take()["host/x"] >= 3
    assert len(caplog.records) == 1
    assert "no such counter" in caplog.text


def write_tool(folder: Path, text: str) -> str:
    tool = folder / "npu-smi"
    tool.write_text(text)
    tool.chmod(0o755)
    return str(tool)


def test_recorded_tables_give_numbers_of_each_npu(shared: Path, tmp_path: Path) -> None:
    tables, names = 0, set()
    for path in sorted((shared / "samples" / "npusmi").iterdir()):
        npus = parse_info(path.read_text(errors="replace")).npus
        if not npus:
            continue
        tables += 1
        found = sample_npus(write_tool(tmp_path, f"#!/bin/sh\n[ $# = 1 ] && cat '{path}'\n"))
        told = {int(tag.split("/")[1]) for tag in found}
        names |= {tag.split("/")[2] for tag in found}
        assert told == {npu.device_id for npu in npus}, path
        for tag, value in found.items():
            assert 0 <= value < 2000, (path, tag)
            assert not tag.endswith("percent") or value <= 100, (path, tag)
    assert tables >= 3
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    assert set(re.findall(r"`npu/<n>/(\w+)`", readme)) == names


@pytest.mark.parametrize("text", ["#!/bin/sh\nexit 1\n", "#!/bin/sh\necho nonsense\n", "no tool"])
def test_a_tool_that_says_nothing_gives_nothing(tmp_path: Path, text: str) -> None:
    assert sample_npus(write_tool(tmp_path, text)) == {}


def test_a_tool_that_hangs_is_ended(tmp_path: Path) -> None:
    tool = write_tool(tmp_path, f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 3600\n")
    written = tmp_path / "pid"
    for limit_s in (3.0, LONG_S):  # a busy host may not have started it after the first
        assert sample_npus(tool, limit_s=limit_s) == {}
        if written.is_file() and written.read_text():
            break
    with pytest.raises(ProcessLookupError):
        os.kill(int(written.read_text()), 0)


def test_npu_smi_is_asked_only_where_there_is_a_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = write_tool(tmp_path, "#!/bin/sh\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    devices = tmp_path / "dev"
    devices.mkdir()
    assert npu_smi(devices) is None
    (devices / "davinci_manager").touch()
    assert npu_smi(devices) is None
    (devices / "davinci0").touch()
    assert npu_smi(devices) == tool
