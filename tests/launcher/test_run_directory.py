from __future__ import annotations

import time
from pathlib import Path

import pytest

from launcher.contract import default_run_dir
from launcher.errors import UsageError
from launcher.options import LaunchSpec
from launcher.run_directory import make_run_dir, run_name, shown


def test_the_run_directory_is_named_after_what_runs_and_when() -> None:
    assert run_name(LaunchSpec(recipe="a/b.yaml")) == "b"
    assert run_name(LaunchSpec(command=("-m", "p.q"))) == "p.q"
    assert run_name(LaunchSpec(command=("x/t.py",))) == "t"
    moment = time.struct_time((2026, 3, 4, 5, 6, 7, 0, 0, 0))
    assert default_run_dir("b", moment) == Path("runs/b/20260304-050607")


def test_a_run_directory_is_never_shared(tmp_path: Path) -> None:
    wanted = tmp_path / "runs" / "a" / "now"
    made = [make_run_dir(wanted, exact=False).path for _ in range(3)]
    assert [folder.name for folder in made] == ["now", "now-1", "now-2"]


def test_a_named_run_directory_may_exist_but_not_hold_anything(tmp_path: Path) -> None:
    assert make_run_dir(tmp_path, exact=True).path == tmp_path
    (tmp_path / "logs").mkdir()
    with pytest.raises(UsageError, match="the folder is not empty"):
        make_run_dir(tmp_path, exact=True)


def test_a_run_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for wanted in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/x")):
        with pytest.raises(UsageError, match=r"cannot be used: .*--run-dir"):
            make_run_dir(wanted, exact=True)


@pytest.mark.parametrize("exact", [True, False])
def test_what_was_made_for_a_run_that_never_began_is_taken_away(
    exact: bool, tmp_path: Path
) -> None:
    make_run_dir(tmp_path / "runs" / "a" / "now", exact=exact).remove_unused()
    assert list(tmp_path.iterdir()) == []
    make_run_dir(tmp_path, exact=True).remove_unused()
    assert tmp_path.is_dir()
    used = make_run_dir(tmp_path / "runs" / "a", exact=exact)
    (used.path / "kept").touch()
    used.remove_unused()
    assert (tmp_path / "runs" / "a" / "kept").exists()


def test_paths_below_here_are_shown_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert shown(tmp_path / "runs" / "a") == "runs/a"
    assert shown(Path("/elsewhere")) == "/elsewhere"
