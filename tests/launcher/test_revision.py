from __future__ import annotations

import os
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import LONG_S

from launcher.revision import Revision, parse_revision


def answer() -> dict[str, Any] | None:
    with closing(Revision()) as revision:
        return revision.get(wait_s=LONG_S)


def test_a_revision_is_read_with_its_branch_and_dirty_flag() -> None:
    headers = "# branch.oid abc123\n# branch.head main\n# branch.ab +1 -0\n"
    clean = {"revision": "abc123", "branch": "main", "dirty": False}
    assert parse_revision(headers) == clean
    assert parse_revision(headers + "1 .M N... 1 1 1 a b file\n") == {**clean, "dirty": True}
    assert parse_revision("# branch.oid (initial)\n# branch.head main\n") is None


def test_the_revision_of_a_real_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert answer() is None

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=t", "-c", "user.email=t@t")
        done = subprocess.run(
            ["git", *identity, *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "-q")
    Path("file").write_text("1")
    git("add", "file")
    git("commit", "-qm", "one")
    assert answer() == {
        "revision": git("rev-parse", "HEAD"),
        "branch": git("branch", "--show-current"),
        "dirty": False,
    }
    Path("file").write_text("2")
    revision = answer()
    assert revision is not None
    assert revision["dirty"] is True


def test_no_git_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert answer() is None


def test_a_git_that_hangs_is_not_waited_for_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "pid"
    os.mkfifo(started)
    git = tmp_path / "git"
    git.write_text(f"#!/bin/sh\necho $$ > {started}\nexec sleep 600\n")
    git.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    revision = Revision()
    pid = int(started.read_text())
    assert revision.get() is None
    revision.close()
    assert os.waitpid(pid, 0) == (pid, 9)
