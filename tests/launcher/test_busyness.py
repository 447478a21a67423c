from __future__ import annotations

from pathlib import Path

import pytest

from launcher.host.busyness import Busyness, Counters


def proc(folder: Path, *, stat: str, swapped: int = 0, available_kb: int = 2048) -> Path:
    folder.mkdir()
    (folder / "stat").write_text(f"cpu  {stat}\ncpu0 1 2 3\n")
    (folder / "loadavg").write_text("7.25 3.00 1.00 2/300 4711\n")
    (folder / "meminfo").write_text(f"MemTotal: 99 kB\nMemAvailable: {available_kb} kB\n")
    (folder / "vmstat").write_text(f"nr_free_pages 1\npswpin {swapped}\npswpout 0\n")
    return folder


def test_shares_are_of_the_time_between_two_looks(tmp_path: Path) -> None:
    before = Counters.read(proc(tmp_path / "a", stat="100 0 100 700 100 0 0 0 50 0"))
    found = Busyness.since(
        before, proc(tmp_path / "b", stat="130 0 120 720 110 0 0 20 50 0", swapped=256)
    )
    assert found.busy == pytest.approx(0.7)
    assert found.steal == pytest.approx(0.2)
    assert found.load_1min == 7.25
    assert found.memory_available_bytes == 2 << 20
    assert found.swapped_bytes == 256 * 4096
    assert "load 7.2 on" in found.in_words()
    assert "20% stolen" in found.in_words()
    assert "1 MiB swapped" in found.in_words()


def test_what_proc_does_not_tell_is_not_known(tmp_path: Path) -> None:
    found = Busyness.since(Counters.read(tmp_path), tmp_path)
    assert (found.load_1min, found.busy, found.steal, found.memory_available_bytes) == (None,) * 4
    assert found.in_words() == "nothing is known of it"


def test_this_host_is_known() -> None:
    found = Busyness.since(Counters())
    assert found.load_1min is not None
    assert found.memory_available_bytes
    assert found.cores >= 1
