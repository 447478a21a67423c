from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cifar_dist.data import shared_pages
from cifar_dist.data.shared_pages import cache_folder, let_go, share

SOURCE = np.arange(shared_pages.SMALLEST_BYTES, dtype=np.uint8)

MAP = """
import sys
import numpy as np
from pathlib import Path
from cifar_dist.data.shared_pages import SMALLEST_BYTES, share
source = np.arange(SMALLEST_BYTES, dtype=np.uint8)
values = share("twice", source, lambda: source * 2, folder=Path(sys.argv[1]))
assert (values == source * 2).all()
print("ready", flush=True)
sys.stdin.read()
"""


def twice() -> np.ndarray:
    return SOURCE * 2


def test_the_first_makes_what_the_others_map(tmp_path: Path) -> None:
    made = share("twice", SOURCE, twice, folder=tmp_path)
    mapped = share("twice", SOURCE, lambda: pytest.fail("made again"), folder=tmp_path)
    np.testing.assert_array_equal(made, twice())
    np.testing.assert_array_equal(mapped, made)
    assert not mapped.flags.writeable


def test_other_bytes_and_another_making_have_files_of_their_own(tmp_path: Path) -> None:
    share("twice", SOURCE, twice, folder=tmp_path)
    other = SOURCE.copy()
    other[-1] ^= 1
    np.testing.assert_array_equal(share("twice", other, lambda: other, folder=tmp_path), other)
    np.testing.assert_array_equal(share("once", SOURCE, lambda: SOURCE, folder=tmp_path), SOURCE)
    assert len(list(tmp_path.glob("*.npy"))) == 3


def test_only_the_newest_files_stay(tmp_path: Path) -> None:
    for number in range(shared_pages.KEPT_FILES + 2):
        share(f"n{number}", SOURCE, twice, folder=tmp_path)
    assert len(list(tmp_path.glob("*.npy"))) == shared_pages.KEPT_FILES


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY cut short"], ids=["empty", "cut"])
def test_a_damaged_file_is_made_again_and_a_folder_that_is_none_costs_memory(
    tmp_path: Path, damage: bytes
) -> None:
    share("twice", SOURCE, twice, folder=tmp_path)
    next(tmp_path.glob("*.npy")).write_bytes(damage)
    for _ in range(2):
        np.testing.assert_array_equal(share("twice", SOURCE, twice, folder=tmp_path), twice())
    file = tmp_path / "file"
    file.touch()
    np.testing.assert_array_equal(share("twice", SOURCE, twice, folder=file), twice())


def test_small_sets_have_no_file(tmp_path: Path) -> None:
    share("small", SOURCE[:100], lambda: SOURCE[:100], folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_folder_is_that_of_the_users_cache(tmp_path: Path) -> None:
    assert cache_folder({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "cifar-dist"
    assert cache_folder({}) == Path.home() / ".cache" / "cifar-dist"


def test_two_processes_have_the_same_pages(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAP, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    both = [subprocess.Popen(command, **pipes, text=True) for _ in range(2)]  # type: ignore[call-overload]
    try:
        assert all(one.stdout.readline() == "ready\n" for one in both)
        for one in both:
            mapped = Path(f"/proc/{one.pid}/smaps").read_text().split(".npy\n")[1].split("\n")
            kilobytes = {
                line.split(":")[0]: line.split()[1] for line in mapped[:20] if "kB" in line
            }
            assert 2 * int(kilobytes["Pss"]) <= int(kilobytes["Rss"]) + 8
            assert int(kilobytes["Private_Dirty"]) == 0
    finally:
        for one in both:
            one.communicate(timeout=30)


def test_pages_that_were_let_go_come_back_with_the_same_bytes(tmp_path: Path) -> None:
    mapped = share("twice", SOURCE, twice, folder=tmp_path)
    part = mapped[4096:].reshape(2, -1)
    let_go(part)
    np.testing.assert_array_equal(part.reshape(-1), twice()[4096:])


def test_memory_of_its_own_cannot_be_let_go() -> None:
    values = twice()
    let_go(values)
    np.testing.assert_array_equal(values, twice())
