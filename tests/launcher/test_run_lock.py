from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from launcher.contract import RunPaths
from launcher.errors import NotReadyError, UsageError
from launcher.run_lock import RunLock, is_free

HOLDER = """
import sys
from pathlib import Path
from launcher.contract import RunPaths
from launcher.run_lock import RunLock
lock = RunLock(RunPaths(Path(sys.argv[1])))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_run_directory_has_one_launcher_at_a_time_until_that_is_gone(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert not is_free(paths)
        with pytest.raises(NotReadyError, match="another launcher is running there") as caught:
            RunLock(paths)
        assert caught.value.exit_code == 75
        with closing(RunLock(RunPaths(tmp_path, node_rank=1))):
            assert not is_free(RunPaths(tmp_path, node_rank=1))
        holder.kill()
        holder.wait()
    assert is_free(paths)
    with closing(RunLock(paths)):
        assert not is_free(paths)
    assert is_free(paths)


def test_a_folder_without_a_run_is_free(tmp_path: Path) -> None:
    assert is_free(RunPaths(tmp_path / "missing"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be used: .*--run-dir"):
        RunLock(RunPaths(tmp_path / "missing"))
